//! The embedded engine: `fjall` in a directory, one thread that commits.
//!
//! A value is stored behind its revision, eight bytes, little-endian. Readers see the snapshot of
//! the last synced batch and never a batch in the making: fjall's plain reads would show the newest
//! item before its batch is published, so every read goes through the snapshot.

mod committer;
mod making;
mod manifest;
mod metrics;
mod tail;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, Readable, Snapshot};
use prometheus_client::registry::Registry;

use crate::{Commit, Error, KEY_BYTES_MAX, Kv, Outcome, Page, Revision, Row, Scan, Space};
use committer::{Committer, Submission};
use metrics::Metrics;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it: survives power loss.
    #[default]
    Sync,
    /// When the operating system has it: survives a crash of the process, not of the machine.
    Os,
}

/// How the engine is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When a commit counts as done.
    pub durability: Durability,
    /// Memory for blocks read from disk, bytes.
    pub cache_bytes: u64,
    /// Bytes of the disk that are to stay free.
    pub reserve_bytes: u64,
    /// Memory for rows that are not in a sorted file yet, bytes. A store keeps what it was made
    /// with.
    pub memtable_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            cache_bytes: 32 << 20,
            reserve_bytes: 0,
            memtable_bytes: 16 << 20,
        }
    }
}

/// The journal may grow to this many bytes before old memtables are written out: the least that fjall
/// allows. It is disk that the store needs beside what is in it.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Values from this size on (small objects' bodies) are kept out of the sorted tree, so that
/// compaction does not rewrite them.
const SEPARATED_BYTES: u32 = 2048;
const REVISION_BYTES: usize = 8;
/// The highest revision ever given out, rewritten in every batch, in a keyspace of its own.
const REVISION_KEY: &[u8] = b"revision";

/// The engine. Cheap reads, group commit; stops for good on a failed sync.
pub struct Embedded {
    view: Arc<View>,
    committer: Committer,
    directory: PathBuf,
    reserve: u64,
    metrics: Metrics,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

/// What readers see, and whether there will be more.
struct View {
    keyspace: Keyspace,
    own: Keyspace,
    published: RwLock<Arc<Snapshot>>,
    poisoned: AtomicBool,
}

impl View {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, snapshot: Snapshot) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

impl Embedded {
    /// Opens the engine in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it open; [`Error::Engine`] if it cannot be read.
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        let make = || open_database(directory, options).map(drop).map_err(engine_error);
        making::make_once(directory, make)?;
        manifest::verify(directory)?;
        let (database, keyspace, own) = open_mended(directory, options)?;
        let snapshot = database.snapshot();
        let last = match snapshot.get(&own, REVISION_KEY).map_err(engine_error)? {
            Some(stored) => split(&stored)?.0,
            None => Revision(0),
        };
        let published = RwLock::new(Arc::new(snapshot));
        let view = Arc::new(View { keyspace, own, published, poisoned: AtomicBool::new(false) });
        let metrics = Metrics::default();
        let committer = Committer::start(
            database,
            Arc::clone(&view),
            options.durability,
            last,
            metrics.clone(),
        )?;
        Ok(Self {
            view,
            committer,
            directory: directory.to_owned(),
            reserve: options.reserve_bytes,
            metrics,
        })
    }

    /// Adds the engine's figures to those that are shown; their names begin with `kv_`.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}

/// Opens what a power cut left, too.
fn open_mended(
    directory: &Path,
    options: Options,
) -> Result<(Database, Keyspace, Keyspace), Error> {
    let damaged = match open_database(directory, options) {
        Err(error @ fjall::Error::JournalRecovery(_)) => error,
        opened => return opened.map_err(engine_error),
    };
    let failed = |error: std::io::Error| Error::Engine(error.to_string());
    let Some(cut) = tail::Cut::make(directory).map_err(failed)? else {
        return Err(engine_error(damaged));
    };
    match open_database(directory, options) {
        Ok(opened) => {
            tracing::warn!("the last batch of metadata was torn by a crash, and is dropped");
            Ok(opened)
        }
        Err(_) => {
            cut.undo().map_err(failed)?;
            Err(engine_error(damaged))
        }
    }
}

/// Opens fjall, and the keyspaces of the rows and of the engine itself.
fn open_database(
    directory: &Path,
    options: Options,
) -> fjall::Result<(Database, Keyspace, Keyspace)> {
    let database = Database::builder(directory)
        .cache_size(options.cache_bytes)
        .max_journaling_size(JOURNAL_BYTES_MAX)
        // One flushes while the other compacts: with a single one, writes wait for compactions.
        .worker_threads(2)
        .open()?;
    let keyspace = database.keyspace("rows", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(options.memtable_bytes)
            .with_kv_separation(Some(
                KvSeparationOptions::default()
                    .separation_threshold(SEPARATED_BYTES)
                    // Any file that is a quarter garbage, not only the oldest quarter of them.
                    .age_cutoff(1.0),
            ))
    })?;
    let own = database.keyspace("engine", || {
        KeyspaceCreateOptions::default().max_memtable_size(options.memtable_bytes)
    })?;
    Ok((database, keyspace, own))
}

#[async_trait]
impl Kv for Embedded {
    async fn get(&self, key: &[u8]) -> Result<Option<Row>, Error> {
        // No row has a longer key, and the engine panics when it is asked for one.
        if key.len() > KEY_BYTES_MAX {
            return Ok(None);
        }
        let stored = self.view.snapshot().get(&self.view.keyspace, key).map_err(engine_error)?;
        stored
            .map(|stored| {
                let (revision, value) = split(&stored)?;
                Ok(Row { value: Bytes::copy_from_slice(value), revision })
            })
            .transpose()
    }

    async fn scan_together(&self, scans: Vec<Scan>) -> Result<Vec<Page>, Error> {
        let snapshot = self.view.snapshot();
        let rows = &self.view.keyspace;
        let page = |scan: Scan| {
            scan.run(|scan| {
                let rows = match &scan.end {
                    Some(end) => snapshot.range(rows, scan.start.clone()..end.clone()),
                    None => snapshot.range(rows, scan.start.clone()..),
                };
                let item = |guard: fjall::Guard| {
                    let (key, stored) = guard.into_inner().map_err(engine_error)?;
                    let (revision, value) = split(&stored)?;
                    Ok((key.to_vec(), Bytes::copy_from_slice(value), revision))
                };
                scan.direction.walk(rows.map(item))
            })
        };
        scans.into_iter().map(page).collect()
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        commit.check()?;
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.committer.submit(Submission { commit, reply })?;
        // A committer that went away without an answer may have written the batch or not.
        answer.await.unwrap_or(Ok(Outcome::Unknown))
    }

    fn space(&self) -> Result<Option<Space>, Error> {
        let disk = rustix::fs::statvfs(&self.directory);
        let disk = disk.map_err(|error| Error::Engine(format!("statvfs: {error}")))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(Some(Space { free, reserve: self.reserve }))
    }

    fn ready(&self) -> Result<(), Error> {
        match self.view.poisoned.load(Ordering::Relaxed) {
            true => Err(Error::Poisoned),
            false => Ok(()),
        }
    }

    fn exclusive(&self) -> bool {
        true // fjall locks its directory
    }
}

fn join(revision: Revision, value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(REVISION_BYTES + value.len());
    stored.extend_from_slice(&revision.0.to_le_bytes());
    stored.extend_from_slice(value);
    stored
}

fn split(stored: &[u8]) -> Result<(Revision, &[u8]), Error> {
    let (revision, value) = stored
        .split_first_chunk::<REVISION_BYTES>()
        .ok_or_else(|| Error::Engine("a stored row is shorter than its revision".to_owned()))?;
    Ok((Revision(u64::from_le_bytes(*revision)), value))
}

fn engine_error(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Poisoned => Error::Poisoned,
        fjall::Error::Locked => Error::Locked,
        other => Error::Engine(format!("{other:?}")),
    }
}
