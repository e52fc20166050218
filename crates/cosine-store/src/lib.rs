//! What a store of objects means: buckets, keys, versions, contents, references, and copies that
//! move no bytes.
//!
//! One file an operation: [`put`](Store::put), [`object`](Store::object),
//! [`copy`](Store::copy), [`delete`](Store::delete), [`list`](Store::list_objects), and the
//! buckets. Each operation on an object is one commit on the metadata waist; what a commit refers to on the data
//! waist is durable before. Nothing here knows HTTP, or who is asking.

mod bucket;
mod census;
mod clock;
mod collector;
mod commit;
mod content;
mod copy;
mod damage;
mod delete;
mod error;
pub mod fsck;
mod get;
mod id;
mod key;
mod list;
mod name;
mod publish;
mod put;
mod record;
mod run;
mod scrub;
mod source;
mod tags;
mod verify;

pub use bucket::{Bucket, NewBucket};
pub use clock::{Clock, ManualClock, SystemClock};
pub use collector::{Collected, Collector, CollectorOptions, Ledger};
pub use copy::{CopyPlan, CopyRequest, Rejection, plan};
pub use damage::Damage;
pub use error::Error;
pub use get::ObjectReader;
pub use id::{Random, SystemRandom, Uid};
pub use list::{BucketPage, Entry, ListOptions, ObjectPage};
pub use name::{BucketName, KEY_BYTES_MAX, NameError, ObjectKey};
pub use put::PutRequest;
pub use record::{
    Attributes, BucketAcl, Census, DamageRecord, Etag, LedgerRecord, ObjectAcl, StorageClass,
    Version,
};
pub use scrub::{Scrub, ScrubOptions, ScrubStatus};
pub use source::{ByteSource, SourceError};

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use cosine_blob::{BlobId, Blobs, StoreId};
use cosine_kv::{Commit, Condition, Kv, Outcome, Scan};

use id::BlobIds;
use record::{Record, StoreRecord};
use run::Run;

/// The two waists that a store stands on.
#[derive(Clone, Debug)]
pub struct Engines {
    /// Metadata.
    pub kv: Arc<dyn Kv>,
    /// Data.
    pub blobs: Arc<dyn Blobs>,
}

/// An open store. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kv: Arc<dyn Kv>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    run: Run,
    blob_ids: BlobIds,
    /// The freezes that this process is deciding under, by their tokens.
    freezes: Mutex<BTreeSet<u64>>,
}

impl Store {
    /// Opens the store on these engines, or makes one on empty ones.
    ///
    /// # Errors
    /// [`Error::WrongStore`] if metadata and blobs belong to different stores: then nothing is
    /// changed.
    pub async fn open(engines: Engines, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_with(engines, clock, Arc::new(SystemRandom)).await
    }

    /// The same, with another source of random bytes.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_with(
        engines: Engines,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Error> {
        let Engines { kv, blobs } = engines;
        identify(&*kv, &*blobs, &*random).await?;
        let run = Run::start(&*kv, &*clock, &*random).await?;
        let blob_ids = BlobIds::new(run.id);
        Ok(Self {
            inner: Arc::new(Inner {
                kv,
                blobs,
                clock,
                random,
                run,
                blob_ids,
                freezes: Mutex::default(),
            }),
        })
    }

    /// Says that this run is alive. To be called every [`HEARTBEAT_SECONDS`] or so.
    ///
    /// # Errors
    /// [`Error::Fenced`] if others took this run for dead: it must not write any more.
    pub async fn heartbeat(&self) -> Result<(), Error> {
        self.inner.run.beat(self.kv(), &*self.inner.clock).await
    }

    /// Room on the disks of metadata and of data, where there are disks: free bytes and reserve.
    ///
    /// # Errors
    /// If a disk does not tell.
    pub fn space(&self) -> Result<Vec<Space>, Error> {
        let metadata = self.kv().space()?.map(|disk| (disk.free, disk.reserve));
        let data = self.blobs().space()?.map(|disk| (disk.free, disk.reserve));
        let named = [("metadata", metadata), ("data", data)].into_iter();
        let space = |(name, disk): (_, Option<_>)| {
            disk.map(|(free, reserve)| Space { name, free, reserve })
        };
        Ok(named.filter_map(space).collect())
    }

    /// Sees to it that something may grow.
    fn require_room(&self) -> Result<(), Error> {
        let full = |disk: &Space| disk.free < disk.reserve;
        if self.space()?.iter().any(full) { Err(Error::Full) } else { Ok(()) }
    }

    /// Whether writes are taken now.
    ///
    /// # Errors
    /// What every write would end with: [`Error::Unavailable`] after a failed sync,
    /// [`Error::Fenced`], [`Error::Full`], or that the metadata cannot be read.
    pub async fn ready(&self) -> Result<(), Error> {
        self.kv().ready()?;
        match self.inner.run.is_over(self.kv()).await? {
            true => Err(Error::Fenced),
            false => self.require_room(),
        }
    }

    fn kv(&self) -> &dyn Kv {
        &*self.inner.kv
    }

    fn blobs(&self) -> &dyn Blobs {
        &*self.inner.blobs
    }

    /// Microseconds since 1970 UTC.
    fn now(&self) -> u64 {
        self.inner.clock.now_micros()
    }

    /// An identity that was never used.
    fn new_uid(&self) -> Result<Uid, Error> {
        id::random(&*self.inner.random).map(Uid)
    }

    fn next_blob_id(&self) -> BlobId {
        self.inner.blob_ids.next(self.now())
    }
}

/// Room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What the disk is for.
    pub name: &'static str,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that are to stay free: below, nothing may grow.
    pub reserve: u64,
}

/// How often a run says that it is alive.
pub const HEARTBEAT_SECONDS: u64 = 30;

/// Sees to it that metadata and blobs carry one store id. A new store marks its blobs first, so
/// that a crash between the two leaves blobs which an empty metadata engine may adopt.
async fn identify(kv: &dyn Kv, blobs: &dyn Blobs, random: &dyn Random) -> Result<(), Error> {
    let key = key::store();
    // Before the row of the store: another process may be making it.
    let is_new = kv.scan(Scan::prefix(b"", 1)).await?.found.is_empty();
    let known = match kv.get(&key).await? {
        Some(row) => Some(StoreId(StoreRecord::decode(&key, &row.value)?.id)),
        None => None,
    };
    let marked = blobs.store_id().await?;
    if known.is_some() {
        return if known == marked { Ok(()) } else { Err(Error::WrongStore) };
    }
    if !is_new || !blobs.list(None, 1).await?.is_empty() {
        return Err(Error::WrongStore);
    }
    let store = match marked {
        Some(store) => store,
        None => StoreId(u128::from_be_bytes(id::random(random)?)),
    };
    blobs.adopt(store).await?;
    let commit = Commit {
        conditions: vec![Condition::Absent(key.clone())],
        writes: vec![StoreRecord { id: store.0 }.put(key)?],
    };
    match kv.commit(commit).await? {
        Outcome::Committed(_) => Ok(()),
        Outcome::Conflict | Outcome::Unknown => Err(Error::Unknown),
    }
}
