//! Sealed blobs: what is written into them, and how a range of one is read.
//!
//! A sealed blob is a run of sealed segments, and behind it another one with the table of the running
//! checksums of the plain bytes: so the checksum of any range follows without reading it, and nobody
//! without the key learns it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cosine_blob::table::{TableBuilder, crc64_behind, crc64_continue};
use cosine_blob::{BlobReader, CHUNK_BYTES};
use cosine_crypt::segment::{Sealer, Segments, Stream, sealed_length, stored_range};
use cosine_crypt::{Key, KeyError, SealError};

use crate::Error;
use crate::get::Lens;
use crate::keys::table_length;

/// Up to this many bytes are sealed where they are: to hand them to another thread takes as
/// long.
const IN_PLACE_BYTES_MAX: usize = 64 << 10;

fn impossible(error: SealError) -> Error {
    KeyError::from(error).into()
}

/// Work on so many bytes, here or on a thread that may be busy.
async fn work<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if bytes <= IN_PLACE_BYTES_MAX {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::System(error.to_string()))
}

/// What turns blocks of plain bytes into those of a sealed blob.
#[derive(Debug)]
pub struct BlobSealer {
    /// `None` while it is at work on another thread, and after an error.
    open: Option<(Sealer, TableBuilder)>,
    key: Arc<Key>,
}

impl BlobSealer {
    /// Under this key, which seals nothing else.
    pub fn new(key: Arc<Key>) -> Result<Self, Error> {
        let sealer = Sealer::new(&key, Stream::Data).map_err(impossible)?;
        Ok(Self { open: Some((sealer, TableBuilder::default())), key })
    }

    fn take(&mut self) -> Result<(Sealer, TableBuilder), Error> {
        self.open.take().ok_or_else(|| Error::System("a sealer that failed".to_owned()))
    }

    /// Seals a block of whole segments.
    pub async fn seal(&mut self, plain: Bytes) -> Result<Bytes, Error> {
        let (mut sealer, mut table) = self.take()?;
        let done = work(plain.len(), move || {
            table.update(&plain);
            sealer.seal(&plain).map(|sealed| (sealed, (sealer, table)))
        });
        let (sealed, open) = done.await?.map_err(impossible)?;
        self.open = Some(open);
        Ok(sealed.into())
    }

    /// Seals the last bytes, and the table behind them. Returns them with the length and the checksum of
    /// all plain bytes.
    pub async fn finish(mut self, plain: Bytes) -> Result<(Bytes, u64, u64), Error> {
        let (sealer, mut table) = self.take()?;
        let key = self.key;
        let done = work(plain.len(), move || {
            table.update(&plain);
            let (length, crc64) = (table.length(), table.crc64());
            let entries = table.finish();
            let entries: Vec<u8> =
                entries.entries().iter().flat_map(|entry| entry.to_le_bytes()).collect();
            let mut sealed = sealer.finish(&plain)?;
            sealed.extend(Sealer::new(&key, Stream::Table)?.finish(&entries)?);
            Ok((sealed.into(), length, crc64))
        });
        done.await?.map_err(impossible)
    }
}

/// An open, sealed blob.
#[derive(Clone, Debug)]
pub struct SealedBlob {
    reader: Arc<dyn BlobReader>,
    size: u64,
    data: Arc<Segments>,
    table: Arc<Segments>,
}

impl SealedBlob {
    /// A blob of `size` plain bytes that are sealed under a key.
    pub fn new(reader: Arc<dyn BlobReader>, size: u64, key: &Key) -> Result<Self, Error> {
        let segments = |stream| Segments::new(key, stream).map(Arc::new).map_err(impossible);
        let (data, table) = (segments(Stream::Data)?, segments(Stream::Table)?);
        Ok(Self { reader, size, data, table })
    }

    /// The same, looked at through a lens.
    pub fn through(self, lens: Lens) -> Self {
        Self { reader: lens(self.reader), ..self }
    }

    /// Reads and opens a range, which memory can hold.
    ///
    /// # Errors
    /// [`Error::Blob`]: no wrong byte is returned.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        self.open(&self.data, (0, self.size), range).await
    }

    /// Opens a range of a run of segments of `length` plain bytes that begins at `at`.
    async fn open(
        &self,
        segments: &Arc<Segments>,
        (at, length): (u64, u64),
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let behind = || Error::Damaged("a range behind the end".to_owned());
        let stored = stored_range(length, &range).ok_or_else(behind)?;
        let segments = Arc::clone(segments);
        let open = move |stored| segments.open(length, &range, stored).ok();
        Ok(self.reader.read_opened(at + stored.start..at + stored.end, Box::new(open)).await?)
    }

    /// The checksum of a range, from the table, and from the bytes at the range's ends where it is ragged.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub async fn crc64(&self, range: Range<u64>) -> Result<u64, Error> {
        if range.start > range.end || range.end > self.size {
            return Err(Error::Damaged("a range behind the end".to_owned()));
        }
        let (front, whole) = (self.running(range.start).await?, self.running(range.end).await?);
        Ok(crc64_behind(front, whole, range.end - range.start))
    }

    /// The checksum of everything in front of `end`.
    async fn running(&self, end: u64) -> Result<u64, Error> {
        let chunks = if end == self.size { end.div_ceil(CHUNK_BYTES) } else { end / CHUNK_BYTES };
        let running = match chunks.checked_sub(1) {
            None => 0,
            Some(last) => self.entry(last).await?,
        };
        let ragged = self.read((chunks * CHUNK_BYTES).min(end)..end).await?;
        Ok(crc64_continue(running, &ragged))
    }

    async fn entry(&self, number: u64) -> Result<u64, Error> {
        let impossible = || Error::Damaged("a blob that is longer than any can be".to_owned());
        let behind = sealed_length(self.size).ok_or_else(impossible)?;
        let run = (behind, table_length(self.size));
        let entry = self.open(&self.table, run, number * 8..number * 8 + 8).await?;
        let entry = entry.as_ref().try_into().map_err(|_| impossible())?;
        Ok(u64::from_le_bytes(entry))
    }
}
