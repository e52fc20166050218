//! The in-memory engine: the reference, and what `cosine dev` runs on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::table::{TableBuilder, crc64};
use crate::{BlobId, BlobReader, BlobWriter, Blobs, Error, Finished, NOT_SEALED, Opener, StoreId};

/// Blobs in a map. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    store: Option<StoreId>,
    blobs: BTreeMap<BlobId, Arc<Blob>>,
    quarantined: BTreeMap<BlobId, Arc<Blob>>,
}

#[derive(Debug)]
struct Blob {
    id: BlobId,
    /// The pieces as they were written, each with the offset of its first byte.
    pieces: Vec<(u64, Bytes)>,
    finished: Finished,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Blobs for Memory {
    fn create(&self, id: BlobId) -> Box<dyn BlobWriter> {
        let (pieces, table) = (Vec::new(), TableBuilder::default());
        Box::new(Writer { id, memory: self.clone(), pieces, table })
    }

    async fn open(&self, id: BlobId) -> Result<Arc<dyn BlobReader>, Error> {
        let blob = self.state().blobs.get(&id).cloned().ok_or(Error::NotFound(id))?;
        Ok(blob)
    }

    async fn delete(&self, ids: &[BlobId]) -> Result<(), Error> {
        let mut state = self.state();
        ids.iter().for_each(|id| drop(state.blobs.remove(id)));
        Ok(())
    }

    async fn quarantine(&self, id: BlobId) -> Result<(), Error> {
        let mut state = self.state();
        if let Some(blob) = state.blobs.remove(&id) {
            state.quarantined.insert(id, blob);
        }
        Ok(())
    }

    async fn quarantined(&self) -> Result<Vec<BlobId>, Error> {
        Ok(self.state().quarantined.keys().copied().collect())
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, Error> {
        let state = self.state();
        let ids = state.blobs.keys().copied();
        Ok(ids.filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect())
    }

    async fn store_id(&self) -> Result<Option<StoreId>, Error> {
        Ok(self.state().store)
    }

    async fn adopt(&self, store: StoreId) -> Result<(), Error> {
        self.state().store = Some(store);
        Ok(())
    }
}

#[derive(Debug)]
struct Writer {
    id: BlobId,
    memory: Memory,
    pieces: Vec<(u64, Bytes)>,
    table: TableBuilder,
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, data: Bytes) -> Result<(), Error> {
        self.pieces.push((self.table.length(), data.clone()));
        self.table.update(&data);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, last: Bytes) -> Result<Finished, Error> {
        self.write(last).await?;
        let finished = Finished { length: self.table.length(), crc64: self.table.crc64() };
        let mut state = self.memory.state();
        if state.blobs.contains_key(&self.id) {
            return Err(Error::Exists(self.id));
        }
        let blob = Blob { id: self.id, pieces: self.pieces, finished };
        state.blobs.insert(self.id, Arc::new(blob));
        Ok(finished)
    }
}

#[async_trait]
impl BlobReader for Blob {
    fn finished(&self) -> Finished {
        self.finished
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if range.start > range.end || range.end > self.finished.length {
            return Err(Error::OutOfRange(self.id));
        }
        let first =
            self.pieces.partition_point(|(at, piece)| at + piece.len() as u64 <= range.start);
        let mut out = BytesMut::new();
        for (at, piece) in self.pieces.iter().skip(first).take_while(|(at, _)| *at < range.end) {
            let from = range.start.saturating_sub(*at) as usize;
            let to = piece.len().min((range.end - at) as usize);
            out.extend_from_slice(piece.get(from..to).ok_or(Error::OutOfRange(self.id))?);
        }
        Ok(out.freeze())
    }

    async fn read_opened(&self, range: Range<u64>, open: Opener) -> Result<Bytes, Error> {
        open(self.read(range).await?.into()).ok_or(Error::Damaged(self.id, NOT_SEALED))
    }

    async fn crc64(&self, range: Range<u64>) -> Result<u64, Error> {
        Ok(crc64(&self.read(range).await?))
    }
}
