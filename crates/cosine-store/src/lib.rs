//! What a store of objects means: buckets, keys, versions, contents, references, and copies that
//! move no bytes.
//!
//! One file an operation: [`put`](Store::put), [`object`](Store::object), [`copy`](Store::plan_copy),
//! [`delete`](Store::delete), [`upload`](Store::create_upload) and its [`part`](Store::put_part)s,
//! [`append`](Store::append), the lists, and the buckets. Each operation on an object is one commit on the
//! metadata waist; what a commit refers to on the data waist is durable before. Nothing here knows HTTP,
//! or who is asking.

mod access;
mod append;
mod bucket;
mod census;
mod clock;
mod collector;
mod commit;
mod content;
mod copy;
mod damage;
mod delete;
mod edit;
mod encryption;
mod error;
pub mod fsck;
mod get;
mod id;
mod identity;
mod key;
mod keys;
mod kms;
mod list;
mod list_uploads;
mod list_versions;
mod name;
mod part;
mod publish;
mod put;
mod record;
mod restore;
mod run;
mod scrub;
mod sealed;
mod slices;
mod source;
mod spans;
mod symlink;
mod tags;
mod upload;
mod verify;

pub use append::Appended;
pub use bucket::{Bucket, NewBucket};
pub use clock::{Clock, ManualClock, Sleep, SystemClock};
pub use collector::{Collected, Collector, CollectorOptions, Ledger};
pub use copy::{
    Announced, CopyFacts, CopyPlan, CopyRequest, CopySource, Fetched, MOVED_BYTES_MAX, PlannedCopy,
    Rejection, RewrapRules, plan,
};
pub use cosine_access::{BucketAcl, ObjectAcl};
pub use cosine_crypt::{CustomerKey, Encryption, KeyError, KmsError, MasterKeys, Shown};
pub use cosine_kv::Revision;
pub use damage::Damage;
pub use delete::Deleted;
pub use error::Error;
pub use get::{Lens, ObjectReader};
pub use id::{Random, SystemRandom, Uid, UploadId};
pub use identity::{AccessKey, Holder, IDENTITY_NAME_BYTES_MAX, KEYS_MAX};
pub use keys::ContentKey;
pub use kms::{KmsKey, MasterRewrap};
pub use list::{BucketPage, Entry, ListOptions, ObjectPage};
pub use list_uploads::{PartPage, UploadEntry, UploadPage};
pub use list_versions::{VersionEntry, VersionPage};
pub use name::{BucketName, KEY_BYTES_MAX, NameError, ObjectKey};
pub use part::{PartCopyRequest, PlannedPart, PlannedPartCopy, PutPartRequest};
pub use put::{PlannedPut, PutRequest};
pub use record::{
    Attributes, BucketEncryption, Census, Coverage, DamageRecord, DeleteMarker, Etag, KmsKeyState,
    LedgerRecord, ObjectKind, ObjectSums, Pools, Restore, RestoreTier, RoleRecord, StorageClass,
    UploadRecord, UserRecord, Version, VersionId, Versioning, Zones,
};
pub use restore::{Readable, RestoreRequest, RestoreTimes, Restored};
pub use scrub::{Scrub, ScrubOptions, ScrubStatus};
pub use source::{ByteSource, SourceError};
pub use upload::{CompleteRequest, NewUpload, PART_BYTES_MIN, PART_NUMBER_MAX, Part, Upload};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use cosine_blob::{BlobId, Blobs, PoolId, StoreId};
use cosine_crypt::{KeyManagement, Keyring};
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

/// How a store goes about things. All of it may be another the next time.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub random: Arc<dyn Random>,
    /// In which pool the blobs of a class lie; those of all others lie in pool 0.
    pub pools: BTreeMap<StorageClass, PoolId>,
    /// How long restores take.
    pub restore_times: RestoreTimes,
    /// What copies that move bytes read through, where a fault is wanted there.
    pub copy_lens: Option<Lens>,
    /// What the key of the store, and the keys of the built-in key management, are sealed under.
    pub master: Arc<MasterKeys>,
    /// The key management of new objects, if it is not the built-in one.
    pub kms: Option<Arc<dyn KeyManagement>>,
    /// Seal every new blob, though nobody asks for it.
    pub encrypt_at_rest: bool,
    /// Which copies must have their bytes sealed anew where they get another key.
    pub rewrap: RewrapRules,
}

impl StoreOptions {
    /// As most stores go about things.
    pub fn new(clock: Arc<dyn Clock>, master: Arc<MasterKeys>) -> Self {
        Self {
            master,
            kms: None,
            encrypt_at_rest: false,
            rewrap: RewrapRules::default(),
            clock,
            random: Arc::new(SystemRandom),
            pools: BTreeMap::new(),
            restore_times: RestoreTimes::default(),
            copy_lens: None,
        }
    }
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
    options: StoreOptions,
    keyring: Keyring,
    run: Run,
    blob_ids: BlobIds,
    /// The freezes that this process is deciding under, by their tokens.
    freezes: Mutex<BTreeSet<u64>>,
    /// How often this process has changed identities.
    identity_changes: AtomicU64,
}

impl Store {
    /// Opens the store on these engines, or makes one on empty ones.
    ///
    /// # Errors
    /// [`Error::WrongStore`] if metadata and blobs belong to different stores, [`Error::WrongMasterKey`]:
    /// then nothing is changed.
    pub async fn open(
        engines: Engines,
        clock: Arc<dyn Clock>,
        master: Arc<MasterKeys>,
    ) -> Result<Self, Error> {
        Self::open_with(engines, StoreOptions::new(clock, master)).await
    }

    /// The same, with other options.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_with(engines: Engines, options: StoreOptions) -> Result<Self, Error> {
        let Engines { kv, blobs } = engines;
        identify(&*kv, &*blobs, &options).await?;
        let keyring = kms::keyring(&kv, &options).await?;
        let run = Run::start(&*kv, &*options.clock, &*options.random).await?;
        let blob_ids = BlobIds::new(run.id);
        let freezes = Mutex::default();
        let identity_changes = AtomicU64::new(0);
        let inner = Inner { kv, blobs, options, keyring, run, blob_ids, freezes, identity_changes };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Says that this run is alive. To be called every [`HEARTBEAT_SECONDS`] or so.
    ///
    /// # Errors
    /// [`Error::Fenced`] if others took this run for dead: it must not write any more.
    pub async fn heartbeat(&self) -> Result<(), Error> {
        self.inner.run.beat(self.kv(), &*self.inner.options.clock).await
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
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn require_room(&self) -> Result<(), Error> {
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
        self.inner.options.clock.now_micros()
    }

    /// An identity that was never used.
    fn new_uid(&self) -> Result<Uid, Error> {
        id::random(self.random()).map(Uid)
    }

    fn random(&self) -> &dyn Random {
        &*self.inner.options.random
    }

    /// The pool in which the blobs of a class lie.
    fn pool_of(&self, class: StorageClass) -> PoolId {
        self.inner.options.pools.get(&class).copied().unwrap_or_default()
    }

    fn next_blob_id(&self, pool: PoolId) -> BlobId {
        self.inner.blob_ids.next(self.now(), pool)
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
/// that a crash between the two leaves blobs which an empty metadata engine may adopt; and it gets its key
/// with its id.
async fn identify(kv: &dyn Kv, blobs: &dyn Blobs, options: &StoreOptions) -> Result<(), Error> {
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
        None => StoreId(u128::from_be_bytes(id::random(&*options.random)?)),
    };
    blobs.adopt(store).await?;
    let commit = Commit {
        conditions: vec![Condition::Absent(key.clone())],
        writes: vec![StoreRecord { id: store.0 }.put(key)?, kms::new_store_key(&options.master)?],
    };
    match kv.commit(commit).await? {
        Outcome::Committed(_) => Ok(()),
        Outcome::Conflict | Outcome::Unknown => Err(Error::Unknown),
    }
}
