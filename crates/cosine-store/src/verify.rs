//! Whether a content's bytes are there, and are what was written.

use std::time::Duration;

use cosine_blob::table::{crc64, crc64_combine};
use cosine_blob::{BlobReader, Blobs, CHUNK_BYTES, Finished};
use cosine_kv::Kv;

use crate::id::Uid;
use crate::record::{Body, ContentRecord, Extent};
use crate::{Error, key};

/// Stored bytes are read this many at a time.
const READ_BYTES: u64 = 4 * CHUNK_BYTES;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// That everything is there, in its length, and that the checksums at hand agree.
    Presence,
    /// Every byte.
    Bytes,
}

/// Holds reading to a rate.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: Option<u64>,
}

impl Pace {
    /// As fast as it goes.
    pub const UNBOUNDED: Self = Self { bytes_per_second: None };

    /// At most so much in a second.
    pub fn at_most(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: Some(bytes_per_second.max(1)) }
    }

    /// Waits for as long as so many bytes take.
    pub async fn keep(self, bytes: u64) {
        if let Some(rate) = self.bytes_per_second {
            tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
        }
    }
}

/// Verifies a content; returns what is wrong with it, if anything is.
///
/// # Errors
/// Those of the metadata engine.
pub async fn verify(
    kv: &dyn Kv,
    blobs: &dyn Blobs,
    (uid, content): (Uid, &ContentRecord),
    (depth, pace): (Depth, Pace),
) -> Result<Option<String>, Error> {
    match &content.body {
        Body::Inline => {
            let Some(row) = kv.get(&key::inline(uid)).await? else {
                return Ok(Some("its inline bytes are missing".into()));
            };
            let whole =
                row.value.len() as u64 == content.size && crc64(&row.value) == content.crc64;
            pace.keep(content.size).await;
            Ok((!whole).then(|| "its inline bytes are not what was written".into()))
        }
        Body::Extents(extents) => {
            let sum = |total: u64, extent: &Extent| total.saturating_add(extent.length);
            let crc64 = extents.iter().fold(0, |crc64, e| crc64_combine(crc64, e.crc64, e.length));
            if extents.iter().fold(0, sum) != content.size || crc64 != content.crc64 {
                return Ok(Some("its extents do not add up".into()));
            }
            for extent in extents {
                if let Err(error) = verify_extent(blobs, extent, depth, pace).await {
                    return Ok(Some(error.to_string()));
                }
            }
            Ok(None)
        }
    }
}

async fn verify_extent(
    blobs: &dyn Blobs,
    extent: &Extent,
    depth: Depth,
    pace: Pace,
) -> Result<(), cosine_blob::Error> {
    let blob = blobs.open(extent.blob()).await?;
    require_fit(extent, blob.finished())?;
    if depth == Depth::Bytes {
        let end = extent.offset.saturating_add(extent.length);
        read_through(&*blob, extent.offset, end, pace).await?;
    }
    Ok(())
}

/// Sees to it that a blob, whole as it may be, is the one that the extent is a slice of.
///
/// # Errors
/// [`Damaged`](cosine_blob::Error::Damaged).
pub fn require_fit(extent: &Extent, finished: Finished) -> Result<(), cosine_blob::Error> {
    let damaged = |why| Err(cosine_blob::Error::Damaged(extent.blob(), why));
    if extent.offset.saturating_add(extent.length) > finished.length {
        return damaged("it is shorter than a content that needs it");
    }
    let whole = extent.offset == 0 && extent.length == finished.length;
    if whole && extent.crc64 != finished.crc64 {
        return damaged("it is not what its content was made of");
    }
    Ok(())
}

/// Reads a range, which verifies every chunk of it.
async fn read_through(
    blob: &dyn BlobReader,
    mut at: u64,
    end: u64,
    pace: Pace,
) -> Result<(), cosine_blob::Error> {
    while at < end {
        let to = ((at / READ_BYTES + 1) * READ_BYTES).min(end);
        blob.read(at..to).await?;
        pace.keep(to - at).await;
        at = to;
    }
    Ok(())
}
