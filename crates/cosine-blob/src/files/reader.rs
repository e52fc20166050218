//! Reads one blob's file.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::pread;

use super::blocking;
use super::footer::{self, TRAILER_BYTES};
use crate::table::{Table, crc64_behind, crc64_continue};
use crate::{BlobId, BlobReader, CHUNK_BYTES, Error, Finished, NOT_SEALED, Opener};

/// One read of this size fetches the whole footer of a blob of up to 63 MiB.
const TAIL_BYTES: u64 = 4096;

/// An open, finished blob.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: BlobId,
    file: File,
    table: Table,
    finished: Finished,
}

impl Reader {
    pub(super) fn open(id: BlobId, path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound(id),
            _ => error.into(),
        })?;
        Self::of(id, file)
    }

    /// The blob in a file, wherever that lies.
    pub(super) fn of(id: BlobId, file: File) -> Result<Self, Error> {
        let file_bytes = file.metadata()?.len();
        if file_bytes < TRAILER_BYTES {
            return Err(Error::Damaged(id, "it was never finished, or cut"));
        }
        let tail_at = file_bytes.saturating_sub(TAIL_BYTES);
        let tail = read_exact(&file, id, tail_at..file_bytes)?;
        let footer_at = footer::begin(id, file_bytes, &tail)?;
        let (length, table) = match footer_at.checked_sub(tail_at) {
            Some(front) => footer::decode(id, tail.get(front as usize..).unwrap_or_default())?,
            None => footer::decode(id, &read_exact(&file, id, footer_at..file_bytes)?)?,
        };
        let crc64 = table.entries().last().copied().unwrap_or(0);
        let finished = Finished { length, crc64 };
        Ok(Self { shared: Arc::new(Shared { id, file, table, finished }) })
    }

    /// Reads on the caller's thread, which may block.
    pub(super) fn read_here(&self, range: Range<u64>) -> Result<Bytes, Error> {
        self.shared.read(range)
    }
}

impl Shared {
    fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let length = self.finished.length;
        if range.start > range.end || range.end > length {
            return Err(Error::OutOfRange(self.id));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let first = range.start / CHUNK_BYTES;
        let whole = first * CHUNK_BYTES..range.end.next_multiple_of(CHUNK_BYTES).min(length);
        let bytes = read_exact(&self.file, self.id, whole.clone())?;
        if !self.table.verify(first, &bytes) {
            return Err(Error::Damaged(self.id, "a chunk is not what was written"));
        }
        let (from, to) = (range.start - whole.start, range.end - whole.start);
        Ok(Bytes::from(bytes).slice(from as usize..to as usize))
    }

    fn read_raw(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        if range.start > range.end || range.end > self.finished.length {
            return Err(Error::OutOfRange(self.id));
        }
        read_exact(&self.file, self.id, range)
    }

    /// CRC-64/XZ of everything in front of `end`.
    fn running(&self, end: u64) -> Result<u64, Error> {
        let chunks =
            if end == self.finished.length { end.div_ceil(CHUNK_BYTES) } else { end / CHUNK_BYTES };
        let missing = || Error::Damaged(self.id, "its table is shorter than its data");
        let running = self.table.running(chunks).ok_or_else(missing)?;
        let ragged = (chunks * CHUNK_BYTES).min(end)..end;
        Ok(if ragged.is_empty() { running } else { crc64_continue(running, &self.read(ragged)?) })
    }

    fn crc64(&self, range: Range<u64>) -> Result<u64, Error> {
        if range.start > range.end || range.end > self.finished.length {
            return Err(Error::OutOfRange(self.id));
        }
        let (front, whole) = (self.running(range.start)?, self.running(range.end)?);
        Ok(crc64_behind(front, whole, range.end - range.start))
    }
}

/// Reads a range into fresh memory, without clearing it first.
fn read_exact(file: &File, id: BlobId, range: Range<u64>) -> Result<Vec<u8>, Error> {
    let wanted = (range.end - range.start) as usize;
    let mut out = Vec::with_capacity(wanted);
    while out.len() < wanted {
        let at = range.start + out.len() as u64;
        match pread(file, spare_capacity(&mut out), at) {
            Ok(0) => return Err(Error::Damaged(id, "it is shorter than its footer says")),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::Io(error.into())),
        }
    }
    out.truncate(wanted);
    Ok(out)
}

#[async_trait]
impl BlobReader for Reader {
    fn finished(&self) -> Finished {
        self.shared.finished
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.read(range)).await
    }

    async fn read_opened(&self, range: Range<u64>, open: Opener) -> Result<Bytes, Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let damaged = Error::Damaged(shared.id, NOT_SEALED);
            open(shared.read_raw(range)?).ok_or(damaged)
        })
        .await
    }

    async fn crc64(&self, range: Range<u64>) -> Result<u64, Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.crc64(range)).await
    }
}
