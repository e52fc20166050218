//! GET and HEAD Object.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cosine_blob::table::crc64;
use cosine_blob::{BlobReader, CHUNK_BYTES};

use crate::record::{Body, ContentRecord, Extent, Record, Version};
use crate::verify::require_fit;
use crate::{Bucket, Error, ObjectKey, Store, key};

/// Blobs are read this many bytes at a time.
const READ_BYTES: u64 = 4 * CHUNK_BYTES;

impl Store {
    /// Everything about an object but its bytes.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`].
    pub async fn object(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Version, Error> {
        let key = key::current(bucket.uid(), key);
        let row = self.kv().get(&key).await?.ok_or(Error::NoSuchKey)?;
        Version::decode(&key, &row.value)
    }

    /// Opens a range of a version's bytes.
    ///
    /// # Errors
    /// [`Error::Gone`] if the version went meanwhile, [`Error::Damaged`].
    pub async fn read(&self, version: &Version, range: Range<u64>) -> Result<ObjectReader, Error> {
        if range.is_empty() {
            return Ok(ObjectReader::default());
        }
        let key = key::content(version.content);
        let row = self.kv().get(&key).await?.ok_or(Error::Gone)?;
        let content = ContentRecord::decode(&key, &row.value)?;
        if range.end > content.size {
            return Err(Error::Damaged("a version is larger than its content".to_owned()));
        }
        match content.body {
            Body::Inline => {
                let row = self.kv().get(&key::inline(version.content)).await?;
                let bytes = row.ok_or(Error::Gone)?.value;
                if crc64(&bytes) != content.crc64 || bytes.len() as u64 != content.size {
                    return Err(Error::Damaged("an inline content is not what was written".into()));
                }
                let inline = bytes.slice(range.start as usize..range.end as usize);
                Ok(ObjectReader { inline: Some(inline), ..Default::default() })
            }
            Body::Extents(extents) => {
                let slices = slices(&extents, range);
                Ok(ObjectReader { store: Some(self.clone()), slices, ..Default::default() })
            }
        }
    }
}

/// The parts of the extents that a range of the content falls on; the first one to read is last.
fn slices(extents: &[Extent], range: Range<u64>) -> Vec<(Extent, Range<u64>)> {
    let mut slices = Vec::new();
    let mut begin = 0;
    for extent in extents {
        let end = begin + extent.length;
        let (from, to) = (range.start.max(begin), range.end.min(end));
        if from < to {
            let at = |place: u64| place - begin + extent.offset;
            slices.push((extent.clone(), at(from)..at(to)));
        }
        begin = end;
    }
    slices.reverse();
    slices
}

/// Reads a range of an object, piece by verified piece.
#[derive(Debug, Default)]
pub struct ObjectReader {
    inline: Option<Bytes>,
    store: Option<Store>,
    slices: Vec<(Extent, Range<u64>)>,
    open: Option<(Arc<dyn BlobReader>, Range<u64>)>,
}

impl ObjectReader {
    /// The next piece, of at most 512 KiB; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Blob`] where stored bytes are not what was written: no wrong byte is returned.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(inline) = self.inline.take() {
            return Ok(Some(inline));
        }
        loop {
            if let Some((reader, range)) = self.open.as_mut().filter(|(_, range)| !range.is_empty())
            {
                // Ends where chunks end, so that no chunk is read twice.
                let end = (range.start / READ_BYTES + 1) * READ_BYTES;
                let piece = range.start..end.min(range.end);
                let bytes = reader.read(piece.clone()).await?;
                range.start = piece.end;
                return Ok(Some(bytes));
            }
            match (self.slices.pop(), &self.store) {
                (Some((extent, range)), Some(store)) => {
                    let blob = store.blobs().open(extent.blob()).await?;
                    require_fit(&extent, blob.finished())?;
                    self.open = Some((blob, range));
                }
                _ => return Ok(None),
            }
        }
    }
}
