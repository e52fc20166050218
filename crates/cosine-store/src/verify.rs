//! Whether a content's bytes are there, and are what was written.

use std::time::Duration;

use cosine_blob::table::{crc64, crc64_combine};
use cosine_blob::{BlobId, BlobReader, Blobs, CHUNK_BYTES, Finished};
use cosine_crypt::Key;
use cosine_kv::Kv;

use crate::id::Uid;
use crate::record::{Body, ContentRecord, PageEnd, PageRecord, Record, Slice, SliceKey};
use crate::slices::page_owner;
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

/// Verifies a content; returns what is wrong with it, if anything is. With the key of the store, what is
/// said of sealed bytes is held against each other as well.
///
/// # Errors
/// Those of the metadata engine.
pub async fn verify(
    kv: &dyn Kv,
    blobs: &dyn Blobs,
    (uid, content): (Uid, &ContentRecord),
    (depth, pace, key): (Depth, Pace, Option<&Key>),
) -> Result<Option<String>, Error> {
    if content.contradicts_itself() {
        return Ok(contradictory());
    }
    match &content.body {
        Body::Inline(data_key) => {
            let Some(row) = kv.get(&key::inline(uid)).await? else {
                return Ok(Some("its inline bytes are missing".into()));
            };
            let Ok(stored) = content.stored(data_key) else { return Ok(contradictory()) };
            let found = Finished { length: row.value.len() as u64, crc64: crc64(&row.value) };
            pace.keep(content.size).await;
            let other = found != stored;
            Ok(other.then(|| "its inline bytes are not what was written".into()))
        }
        Body::Blob { id, key } => {
            let Ok(whole) = content.stored(key) else { return Ok(contradictory()) };
            let verified = verify_blob(blobs, BlobId(*id), whole, (depth, pace)).await;
            Ok(verified.err().map(|error| error.to_string()))
        }
        Body::Slices(ends) => verify_slices(kv, (uid, content), ends, key).await,
    }
}

/// What is said of a record that cannot be true.
fn contradictory() -> Option<String> {
    Some("its record contradicts itself".to_owned())
}

async fn verify_blob(
    blobs: &dyn Blobs,
    blob: BlobId,
    whole: Finished,
    (depth, pace): (Depth, Pace),
) -> Result<(), cosine_blob::Error> {
    let reader = blobs.open(blob).await?;
    require_fit(blob, whole, reader.finished())?;
    if depth == Depth::Bytes {
        read_through(&*reader, 0, whole.length, pace).await?;
    }
    Ok(())
}

/// Sees to it that a blob, whole as it may be, is the one that a content is.
///
/// # Errors
/// [`Damaged`](cosine_blob::Error::Damaged).
pub fn require_fit(
    blob: BlobId,
    wanted: Finished,
    found: Finished,
) -> Result<(), cosine_blob::Error> {
    let damaged = |why| Err(cosine_blob::Error::Damaged(blob, why));
    if found.length < wanted.length {
        return damaged("it is shorter than a content that needs it");
    }
    if found != wanted {
        return damaged("it is not what its content was made of");
    }
    Ok(())
}

/// That the slices add up, and that what they are of is there. Its bytes are verified by themselves.
/// Checksums of sealed bytes are sealed: without a key it is the lengths alone that add up.
async fn verify_slices(
    kv: &dyn Kv,
    (uid, content): (Uid, &ContentRecord),
    ends: &[PageEnd],
    key: Option<&Key>,
) -> Result<Option<String>, Error> {
    let (mut end, mut crc64) = (0u64, Some(0));
    for (number, page_end) in (0..).zip(ends) {
        let row = key::page(uid, number);
        let Some(found) = kv.get(&row).await? else {
            return Ok(Some("a page of its slices is missing".into()));
        };
        let page = match PageRecord::decode(&row, &found.value) {
            Err(Error::Damaged(what)) => return Ok(Some(what)),
            // What a newer program wrote is no damage.
            Err(Error::NewerFormat { .. }) => return Ok(None),
            page => page?,
        };
        let Ok(sums) = page.crc64.known(key, &page_owner(uid, number)) else {
            return Ok(Some("the checksums of a page of its slices do not open".into()));
        };
        if sums.as_ref().is_some_and(|sums| sums.len() != page.slices.len()) {
            return Ok(Some("a page of its slices lacks checksums".into()));
        }
        for (at, slice) in page.slices.iter().enumerate() {
            let sum = sums.as_ref().and_then(|sums| sums.get(at)).copied();
            if let Some(wrong) = verify_slice(kv, content, (slice, sum), key).await? {
                return Ok(Some(wrong.into()));
            }
            end = end.saturating_add(slice.length);
            crc64 = crc64.zip(sum).map(|(front, sum)| crc64_combine(front, sum, slice.length));
        }
        if end != page_end.end {
            return Ok(Some("a page of its slices does not add up".into()));
        }
    }
    let Ok(known) = content.sums.known(key, &uid.0) else {
        return Ok(Some("its checksums do not open".into()));
    };
    let other = known.zip(crc64).is_some_and(|(known, crc64)| known.crc64 != crc64);
    let whole = end == content.size && !other;
    Ok((!whole).then(|| "its slices do not add up".into()))
}

async fn verify_slice(
    kv: &dyn Kv,
    whole: &ContentRecord,
    (slice, crc64): (&Slice, Option<u64>),
    key: Option<&Key>,
) -> Result<Option<&'static str>, Error> {
    let row = key::content(slice.content);
    let Some(found) = kv.get(&row).await? else {
        return Ok(Some("a content that it is made of is missing"));
    };
    let content = match ContentRecord::decode(&row, &found.value) {
        Ok(content) => content,
        Err(Error::NewerFormat { .. }) => return Ok(None),
        Err(_) => return Ok(Some("the record of a content that it is made of cannot be read")),
    };
    if slice.offset.saturating_add(slice.length) > content.size {
        return Ok(Some("a content that it is made of is too short"));
    }
    match (content.content_key, whole.content_key, &slice.key) {
        (Some(_), None, _) => {
            return Ok(Some("it has no key of a sealed content that it is made of"));
        }
        (Some(below), Some(own), SliceKey::Same) if below != own => {
            return Ok(Some("it has another key than a content that it is made of"));
        }
        _ => {}
    }
    let is_whole = (slice.offset, slice.length) == (0, content.size);
    let known = content.sums.known(key, &slice.content.0).ok().flatten();
    let other = is_whole && known.zip(crc64).is_some_and(|(known, crc64)| known.crc64 != crc64);
    Ok(other.then_some("a content that it is made of is another one"))
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

#[cfg(test)]
mod tests;
