//! What a store of objects means: buckets, keys, versions, contents, references, and copies that
//! move no bytes.
//!
//! One file an operation: [`put`](Store::put), [`object`](Store::object),
//! [`copy`](Store::copy), [`delete`](Store::delete), [`list`](Store::list_objects), and the
//! buckets. Each operation on an object is one commit on the metadata waist; what a commit refers to on the data
//! waist is durable before. Nothing here knows HTTP, or who is asking.

mod bucket;
mod clock;
mod commit;
mod content;
mod copy;
mod delete;
mod error;
mod get;
mod id;
mod key;
mod list;
mod name;
mod publish;
mod put;
mod record;
mod run;
mod source;

pub use bucket::{Bucket, NewBucket};
pub use clock::{Clock, ManualClock, SystemClock};
pub use copy::{CopyPlan, CopyRequest, Rejection, plan};
pub use error::Error;
pub use get::ObjectReader;
pub use list::{BucketPage, Entry, ListOptions, ObjectPage};
pub use name::{BucketName, KEY_BYTES_MAX, NameError, ObjectKey};
pub use put::PutRequest;
pub use record::{Attributes, BucketAcl, Etag, ObjectAcl, StorageClass, Version};
pub use source::{ByteSource, SourceError};

use std::sync::Arc;

use cosine_blob::{BlobId, Blobs, StoreId};
use cosine_kv::{Commit, Condition, Kv, Outcome, Write};

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
    run: Run,
    blob_ids: BlobIds,
}

impl Store {
    /// Opens the store on these engines, or makes one on empty ones.
    ///
    /// # Errors
    /// [`Error::WrongStore`] if metadata and blobs belong to different stores: then nothing is
    /// changed.
    pub async fn open(engines: Engines, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let Engines { kv, blobs } = engines;
        identify(&*kv, &*blobs).await?;
        let run = Run::start(&*kv, &*clock).await?;
        let blob_ids = BlobIds::new(run.id);
        Ok(Self { inner: Arc::new(Inner { kv, blobs, clock, run, blob_ids }) })
    }

    /// Says that this run is alive. To be called every [`HEARTBEAT_SECONDS`] or so.
    ///
    /// # Errors
    /// [`Error::Fenced`] if others took this run for dead: it must not write any more.
    pub async fn heartbeat(&self) -> Result<(), Error> {
        self.inner.run.beat(self.kv(), &*self.inner.clock).await
    }

    /// Whether writes are taken now.
    ///
    /// # Errors
    /// What every write would end with: [`Error::Unavailable`] after a failed sync,
    /// [`Error::Fenced`], or that the metadata cannot be read.
    pub async fn ready(&self) -> Result<(), Error> {
        self.kv().ready()?;
        match self.inner.run.is_over(self.kv()).await? {
            true => Err(Error::Fenced),
            false => Ok(()),
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

    fn next_blob_id(&self) -> BlobId {
        self.inner.blob_ids.next(self.now())
    }
}

/// How often a run says that it is alive.
pub const HEARTBEAT_SECONDS: u64 = 30;

/// Sees to it that metadata and blobs carry one store id. A new store marks its blobs first, so
/// that a crash between the two leaves blobs which an empty metadata engine may adopt.
async fn identify(kv: &dyn Kv, blobs: &dyn Blobs) -> Result<(), Error> {
    let key = key::store();
    let known = match kv.get(&key).await? {
        Some(row) => Some(StoreId(StoreRecord::decode(&row.value)?.id)),
        None => None,
    };
    let marked = blobs.store_id().await?;
    if known.is_some() {
        return if known == marked { Ok(()) } else { Err(Error::WrongStore) };
    }
    if !blobs.list(None, 1).await?.is_empty() {
        return Err(Error::WrongStore);
    }
    let store = match marked {
        Some(store) => store,
        None => StoreId(u128::from_be_bytes(id::random()?)),
    };
    blobs.adopt(store).await?;
    let commit = Commit {
        conditions: vec![Condition::Absent(key.clone())],
        writes: vec![Write::Put(key, StoreRecord { id: store.0 }.encode()?)],
    };
    match kv.commit(commit).await? {
        Outcome::Committed(_) => Ok(()),
        Outcome::Conflict | Outcome::Unknown => Err(Error::Unknown),
    }
}
