//! Engines as one process sees them: slow, failing, in doubt; and a process that can be paused or
//! killed at any call.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cosine_blob::{BlobId, BlobReader, BlobWriter, Blobs, Finished, StoreId};
use cosine_kv::{Commit, Kv, Outcome, Page, Row, Scan};
use tokio::sync::Notify;

use crate::dice::Dice;

/// Calls fail this seldom, ...
const FAILS_ONCE_IN: u64 = 60;
/// ... and are slow this seldom, in a process that is quick or sluggish just now: so slow that much
/// else happens meanwhile.
const SLOW_ONCE_IN: [u64; 2] = [40, 4];
const SLOW_TURNS: [u64; 2] = [600, 120];

/// How a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mode {
    #[default]
    Running,
    Paused,
    Dead,
}

/// What one process suffers.
#[derive(Debug)]
pub struct Fate {
    dice: Arc<Dice>,
    /// Whether calls fail; shared by all processes.
    faulty: Arc<AtomicBool>,
    mode: Mutex<Mode>,
    changed: Notify,
    sluggish: AtomicBool,
}

impl Fate {
    pub fn new(dice: Arc<Dice>, faulty: Arc<AtomicBool>) -> Self {
        Self {
            dice,
            faulty,
            mode: Mutex::default(),
            changed: Notify::new(),
            sluggish: AtomicBool::new(false),
        }
    }

    /// Now and then a process becomes sluggish, or quick again.
    pub fn change_pace(&self) {
        self.sluggish.store(self.dice.once_in(3), Ordering::Relaxed);
    }

    pub fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    pub fn set_mode(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
        self.changed.notify_waiters();
    }

    /// Before and after every call: others get their turn, and this process may not come back.
    async fn pass(&self) {
        let pace = usize::from(self.sluggish.load(Ordering::Relaxed));
        let turns = match self.dice.once_in(SLOW_ONCE_IN[pace]) {
            true => self.dice.below(SLOW_TURNS[pace]),
            false => self.dice.below(3),
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        loop {
            let changed = self.changed.notified();
            match self.mode() {
                Mode::Running => return,
                Mode::Paused => changed.await,
                Mode::Dead => std::future::pending().await,
            }
        }
    }

    fn fails(&self) -> bool {
        self.faulty.load(Ordering::Relaxed) && self.dice.once_in(FAILS_ONCE_IN)
    }

    fn kv_fails(&self) -> Result<(), cosine_kv::Error> {
        if self.fails() { Err(cosine_kv::Error::Engine("injected".into())) } else { Ok(()) }
    }

    fn blob_fails(&self) -> Result<(), cosine_blob::Error> {
        if self.fails() { Err(std::io::Error::other("injected").into()) } else { Ok(()) }
    }
}

#[derive(Clone, Debug)]
pub struct FaultyKv {
    pub inner: Arc<cosine_kv::Memory>,
    pub fate: Arc<Fate>,
}

#[async_trait::async_trait]
impl Kv for FaultyKv {
    async fn get(&self, key: &[u8]) -> Result<Option<Row>, cosine_kv::Error> {
        self.fate.pass().await;
        self.fate.kv_fails()?;
        let row = self.inner.get(key).await;
        self.fate.pass().await;
        row
    }

    async fn scan_together(&self, scans: Vec<Scan>) -> Result<Vec<Page>, cosine_kv::Error> {
        self.fate.pass().await;
        self.fate.kv_fails()?;
        let pages = self.inner.scan_together(scans).await;
        self.fate.pass().await;
        pages
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, cosine_kv::Error> {
        self.fate.pass().await;
        if self.fate.fails() {
            return Ok(Outcome::Unknown); // and it did not happen
        }
        let outcome = self.inner.commit(commit).await?;
        self.fate.pass().await;
        Ok(if self.fate.fails() { Outcome::Unknown } else { outcome })
    }

    fn exclusive(&self) -> bool {
        false
    }
}

#[derive(Clone, Debug)]
pub struct FaultyBlobs {
    pub inner: cosine_blob::Memory,
    pub fate: Arc<Fate>,
}

#[async_trait::async_trait]
impl Blobs for FaultyBlobs {
    fn create(&self, id: BlobId) -> Box<dyn BlobWriter> {
        let (inner, fate) = (self.inner.create(id), Arc::clone(&self.fate));
        Box::new(FaultyWriter { inner, fate })
    }

    async fn open(&self, id: BlobId) -> Result<Arc<dyn BlobReader>, cosine_blob::Error> {
        self.fate.pass().await;
        self.fate.blob_fails()?;
        let inner = self.inner.open(id).await?;
        Ok(Arc::new(FaultyReader { inner, fate: Arc::clone(&self.fate) }))
    }

    async fn delete(&self, ids: &[BlobId]) -> Result<(), cosine_blob::Error> {
        self.fate.pass().await;
        self.fate.blob_fails()?;
        self.inner.delete(ids).await?;
        self.fate.pass().await;
        self.fate.blob_fails()
    }

    async fn quarantine(&self, id: BlobId) -> Result<(), cosine_blob::Error> {
        self.fate.pass().await;
        self.inner.quarantine(id).await
    }

    async fn quarantined(&self) -> Result<Vec<BlobId>, cosine_blob::Error> {
        self.inner.quarantined().await
    }

    async fn list(
        &self,
        after: Option<BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobId>, cosine_blob::Error> {
        self.fate.pass().await;
        self.fate.blob_fails()?;
        self.inner.list(after, limit.min(7)).await
    }

    async fn store_id(&self) -> Result<Option<StoreId>, cosine_blob::Error> {
        self.inner.store_id().await
    }

    async fn adopt(&self, store: StoreId) -> Result<(), cosine_blob::Error> {
        self.inner.adopt(store).await
    }
}

#[derive(Debug)]
struct FaultyWriter {
    inner: Box<dyn BlobWriter>,
    fate: Arc<Fate>,
}

#[async_trait::async_trait]
impl BlobWriter for FaultyWriter {
    async fn write(&mut self, data: Bytes) -> Result<(), cosine_blob::Error> {
        self.fate.pass().await;
        self.fate.blob_fails()?;
        self.inner.write(data).await
    }

    async fn finish(self: Box<Self>, last: Bytes) -> Result<Finished, cosine_blob::Error> {
        self.fate.pass().await;
        if self.fate.fails() {
            // Torn: a part of it stays behind under its name.
            let half = last.len() / 2;
            self.inner.finish(last.slice(..half)).await?;
            return Err(std::io::Error::other("torn").into());
        }
        let finished = self.inner.finish(last).await;
        self.fate.pass().await;
        finished
    }
}

#[derive(Debug)]
struct FaultyReader {
    inner: Arc<dyn BlobReader>,
    fate: Arc<Fate>,
}

#[async_trait::async_trait]
impl BlobReader for FaultyReader {
    fn finished(&self) -> Finished {
        self.inner.finished()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, cosine_blob::Error> {
        self.fate.pass().await;
        self.fate.blob_fails()?;
        self.inner.read(range).await
    }

    async fn read_opened(
        &self,
        range: Range<u64>,
        open: cosine_blob::Opener,
    ) -> Result<Bytes, cosine_blob::Error> {
        Ok(open(self.read(range).await?.into()).unwrap())
    }

    async fn crc64(&self, range: Range<u64>) -> Result<u64, cosine_blob::Error> {
        self.fate.pass().await;
        self.fate.blob_fails()?;
        self.inner.crc64(range).await
    }
}
