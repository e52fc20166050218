//! PUT, HEAD and DELETE Bucket, and the gate that every writer into a bucket passes.

use std::sync::PoisonError;
use std::time::Duration;

use cosine_access::BucketAcl;
use cosine_blob::RunId;
use cosine_kv::{Commit, Condition, Outcome, Revision, Scan, Write};
use tracing::Instrument;

use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::id::{self, Uid};
use crate::record::{BucketAclRecord, BucketRecord, Gate, Record, Versioning, Zones};
use crate::{BucketName, Error, Store, key, run};

/// An account may have this many buckets. A quota, not an invariant: creations at the same moment
/// may pass it together.
const BUCKETS_MAX: usize = 200;
/// How long a writer waits for a freeze to end before it looks again, and how often.
const FREEZE_WAIT: Duration = Duration::from_millis(5);
const FREEZE_WAITS_MAX: usize = 200;

/// A bucket to make.
#[derive(Clone, Debug)]
pub struct NewBucket {
    /// Its name.
    pub name: BucketName,
    /// Where it shall live.
    pub region: String,
    /// What others may do with it.
    pub acl: BucketAcl,
    /// Whether it is a multi-AZ bucket.
    pub zones: Zones,
}

/// A bucket, as it was read.
#[derive(Clone, Debug)]
pub struct Bucket {
    name: BucketName,
    record: BucketRecord,
    revision: Revision,
}

impl Bucket {
    pub(crate) fn new(name: BucketName, record: BucketRecord, revision: Revision) -> Self {
        Self { name, record, revision }
    }

    /// Its name, which says whose it is.
    pub fn name(&self) -> &BucketName {
        &self.name
    }

    /// Where it lives.
    pub fn region(&self) -> &str {
        &self.record.region
    }

    /// Seconds since 1970 UTC.
    pub fn created(&self) -> i64 {
        self.record.created
    }

    /// Whether it keeps older versions.
    pub fn versioning(&self) -> Versioning {
        self.record.versioning
    }

    /// Whether it keeps older versions, or ever did.
    pub fn keeps_versions(&self) -> bool {
        self.record.versioning != Versioning::Never
    }

    /// Whether it is a multi-AZ bucket.
    pub fn zones(&self) -> Zones {
        self.record.zones
    }

    pub(crate) fn uid(&self) -> Uid {
        self.record.uid
    }

    /// The condition of every commit that writes into the bucket.
    pub(crate) fn unchanged(&self) -> Condition {
        Condition::Unchanged(key::bucket(&self.name), self.revision)
    }
}

/// A freeze that this process is deciding under, until it is dropped.
struct ActiveFreeze {
    store: Store,
    token: u64,
}

impl ActiveFreeze {
    fn begin(store: &Store, token: u64) -> Self {
        let mut active = store.inner.freezes.lock().unwrap_or_else(PoisonError::into_inner);
        active.insert(token);
        drop(active);
        Self { store: store.clone(), token }
    }
}

impl Drop for ActiveFreeze {
    fn drop(&mut self) {
        let active = self.store.inner.freezes.lock();
        active.unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

impl Store {
    /// Makes a bucket.
    ///
    /// # Errors
    /// [`Error::BucketExists`], [`Error::TooManyBuckets`].
    pub async fn create_bucket(&self, new: NewBucket) -> Result<(), Error> {
        self.require_room()?;
        let key = key::bucket(&new.name);
        if self.find_bucket(&new.name).await?.is_some() {
            return Err(Error::BucketExists);
        }
        let others = self.kv().scan(Scan::prefix(&key::buckets(new.name.appid()), BUCKETS_MAX));
        if others.await?.found.len() >= BUCKETS_MAX {
            return Err(Error::TooManyBuckets);
        }
        let uid = self.new_uid()?;
        let created = (self.now() / 1_000_000).cast_signed();
        let record = BucketRecord {
            uid,
            region: new.region,
            created,
            gate: Gate::Open,
            versioning: Versioning::Never,
            zones: new.zones,
        };
        let acl = key::bucket_acl(uid);
        let commit = Commit {
            conditions: vec![Condition::Absent(key.clone())],
            writes: vec![record.put(key)?, BucketAclRecord { acl: new.acl }.put(acl.clone())?],
        };
        if self.commit(commit, &Proof::Present(acl)).await? {
            Ok(())
        } else {
            Err(Error::BucketExists)
        }
    }

    /// Finds a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub async fn bucket(&self, name: &BucketName) -> Result<Bucket, Error> {
        self.find_bucket(name).await?.ok_or(Error::NoSuchBucket)
    }

    async fn find_bucket(&self, name: &BucketName) -> Result<Option<Bucket>, Error> {
        let key = key::bucket(name);
        let Some(row) = self.kv().get(&key).await? else { return Ok(None) };
        let record = BucketRecord::decode(&key, &row.value)?;
        Ok(Some(Bucket { name: name.clone(), record, revision: row.revision }))
    }

    /// Removes an empty bucket. Emptiness is decided from a range, so the bucket is frozen first:
    /// no writer that read the gate before can commit after. Runs on a task of its own, so that a
    /// caller that goes away cannot leave the bucket frozen.
    ///
    /// # Errors
    /// [`Error::BucketNotEmpty`], [`Error::NoSuchBucket`].
    pub async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        let (store, name) = (self.clone(), name.clone());
        let delete = async move { store.delete_bucket_now(&name).await };
        tokio::spawn(delete.in_current_span())
            .await
            .map_err(|error| Error::System(error.to_string()))?
    }

    async fn delete_bucket_now(&self, name: &BucketName) -> Result<(), Error> {
        let mut bucket = self.bucket(name).await?;
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let token = u64::from_be_bytes(id::random(self.random())?);
            let _active = ActiveFreeze::begin(self, token);
            let frozen = Gate::Frozen { run: self.inner.run.id.0, token };
            if !self.set_gate(&mut bucket, frozen).await? {
                self.refresh(&mut bucket).await?;
                continue;
            }
            let removed = self.remove_if_empty(&bucket).await;
            if matches!(removed, Ok(true)) {
                return Ok(());
            }
            if let Err(error) = &removed {
                tracing::error!(bucket = %name, %error, "an empty bucket could not be removed");
            }
            // Whatever went wrong, a bucket that stays frozen would be worse.
            return match self.thaw(&mut bucket, frozen).await {
                Err(Error::NoSuchBucket) => Ok(()), // it was removed after all
                thawed => thawed.and(removed).and(Err(Error::BucketNotEmpty)),
            };
        }
        Err(Error::Busy)
    }

    /// Removes a frozen bucket; `false` if it holds a version, a delete marker or an upload.
    async fn remove_if_empty(&self, bucket: &Bucket) -> Result<bool, Error> {
        for prefix in [key::heads(bucket.uid()), key::uploads(bucket.uid(), "")] {
            if self.any(&prefix).await? {
                return Ok(false);
            }
        }
        let row = key::bucket(&bucket.name);
        let commit = Commit {
            conditions: vec![bucket.unchanged()],
            writes: [row.clone()]
                .into_iter()
                .chain(key::bucket_settings(bucket.uid()))
                .map(Write::Delete)
                .collect(),
        };
        match self.commit(commit, &Proof::Absent(row)).await? {
            true => Ok(true),
            false => Err(Error::Busy), // others took this run for dead, and thawed
        }
    }

    /// Has the bucket keep older versions from now on, or no longer.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::Busy`].
    pub async fn set_versioning(&self, bucket: &Bucket, enabled: bool) -> Result<(), Error> {
        let mut bucket = bucket.clone();
        let versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            if bucket.record.versioning == versioning {
                return Ok(());
            }
            let record = BucketRecord { versioning, ..bucket.record.clone() };
            if self.rewrite(&mut bucket, record).await? {
                return Ok(());
            }
            self.refresh(&mut bucket).await?;
        }
        Err(Error::Busy)
    }

    /// Undoes a freeze.
    async fn thaw(&self, bucket: &mut Bucket, frozen: Gate) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            if bucket.record.gate != frozen || self.set_gate(bucket, Gate::Open).await? {
                return Ok(());
            }
            self.refresh(bucket).await?;
        }
        Err(Error::Busy)
    }

    /// Changes the gate if nobody else did; the handle then stands for the new state. Where the
    /// outcome is unknown, the row itself tells: the token of a freeze is its own proof.
    async fn set_gate(&self, bucket: &mut Bucket, gate: Gate) -> Result<bool, Error> {
        let record = BucketRecord { gate, ..bucket.record.clone() };
        self.rewrite(bucket, record).await
    }

    /// Changes the bucket's row if nobody else did; the handle then stands for the new state.
    async fn rewrite(&self, bucket: &mut Bucket, record: BucketRecord) -> Result<bool, Error> {
        let commit = Commit {
            conditions: vec![bucket.unchanged()],
            writes: vec![record.put(key::bucket(&bucket.name))?],
        };
        match self.kv().commit(commit).await? {
            Outcome::Committed(revision) => {
                (bucket.record, bucket.revision) = (record, revision);
                Ok(true)
            }
            Outcome::Conflict => Ok(false),
            Outcome::Unknown => {
                self.refresh(bucket).await?;
                Ok(bucket.record == record)
            }
        }
    }

    /// Whether somebody may be deciding under a freeze. This process knows of its own; one that it
    /// could not undo is nobody's any more.
    async fn may_be_deciding(&self, run: RunId, token: u64) -> Result<bool, Error> {
        if run == self.inner.run.id {
            let active = self.inner.freezes.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(active.contains(&token));
        }
        run::is_alive(self.kv(), run).await
    }

    /// Waits until writers may pass. A freeze under which nobody decides any more is thawed by
    /// whoever meets it.
    pub(crate) async fn pass_gate(&self, bucket: &mut Bucket) -> Result<(), Error> {
        for _ in 0..FREEZE_WAITS_MAX {
            let Gate::Frozen { run, token } = bucket.record.gate else { return Ok(()) };
            if self.may_be_deciding(RunId(run), token).await? {
                tokio::time::sleep(FREEZE_WAIT).await;
            } else if self.set_gate(bucket, Gate::Open).await? {
                return Ok(());
            }
            self.refresh(bucket).await?;
        }
        Err(Error::Frozen)
    }

    /// Reads the bucket again. One that was made anew under the same name is not the one that the
    /// caller was let into.
    pub(crate) async fn refresh(&self, bucket: &mut Bucket) -> Result<(), Error> {
        let found = self.bucket(&bucket.name).await?;
        if found.uid() != bucket.uid() {
            return Err(Error::NoSuchBucket);
        }
        *bucket = found;
        Ok(())
    }
}
