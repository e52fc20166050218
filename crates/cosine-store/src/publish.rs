//! Making a version current: the one commit that every write of an object ends with.

use cosine_kv::{Commit, Condition, Scan, Write};
use tracing::Instrument;

use crate::bucket::Bucket;
use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::content::Arrived;
use crate::id::Uid;
use crate::record::{
    Attributes, HeadRecord, ObjectKind, ObjectSums, OldVersion, Record, ReferenceRecord,
    ReleasedRecord, SealedContentKey, StorageClass, Sums, Version, Versioning,
};
use crate::slices::Composed;
use crate::{Error, ObjectKey, Store, key};
use cosine_access::ObjectAcl;

/// A version that is about to be, but for its place in the order of its key.
#[derive(Debug)]
pub struct Publication {
    pub bucket: Bucket,
    pub key: ObjectKey,
    pub size: u64,
    pub sums: ObjectSums,
    /// The content key, if anything is sealed under it.
    pub content_key: Option<SealedContentKey>,
    pub kind: ObjectKind,
    pub attributes: Attributes,
    pub tags: Vec<(String, String)>,
    pub acl: ObjectAcl,
    pub class: StorageClass,
    pub forbid_overwrite: bool,
    pub content: ContentLink,
}

/// What the version points at.
#[derive(Debug)]
pub enum ContentLink {
    /// A content that comes into being with it.
    Arrived(Arrived),
    /// A content that others point at already.
    Shared(Uid),
    /// A content made of slices, and what else its commit depends on and writes.
    Composed { content: Composed, conditions: Vec<Condition>, writes: Vec<Write> },
}

/// The head and the versions of a key that a write has to do with, as they were read.
#[derive(Debug)]
pub struct KeyState {
    head: Option<(HeadRecord, cosine_kv::Revision)>,
    pub current: Option<Version>,
}

impl KeyState {
    /// The condition that no version of the key was touched since.
    pub fn untouched(&self, head_key: Vec<u8>) -> Condition {
        match &self.head {
            Some((_, revision)) => Condition::Unchanged(head_key, *revision),
            None => Condition::Absent(head_key),
        }
    }

    /// The write that makes commits conflict which depend on [`untouched`](Self::untouched), of a
    /// key that has a head.
    pub fn touch(&self, head_key: Vec<u8>) -> Result<Option<Write>, Error> {
        self.head.as_ref().map(|(head, _)| head.put(head_key)).transpose()
    }

    /// Whether the key has any version, or delete marker. Without a head, nothing that is read after it may
    /// be used: that a head is absent does not say that it was so all the time.
    pub fn exists(&self) -> bool {
        self.head.is_some()
    }

    /// The next version's place: time, but never at or before the newest one's.
    pub fn next_order(&self, now: u64) -> u64 {
        self.head.as_ref().map_or(now, |(head, _)| now.max(head.newest + 1))
    }

    /// The order of the version whose id is `null`.
    pub fn null(&self) -> Option<u64> {
        self.head.as_ref()?.0.null
    }

    /// The highest order that a version of the key ever had.
    pub fn newest(&self) -> u64 {
        self.head.as_ref().map_or(0, |(head, _)| head.newest)
    }
}

impl Store {
    /// Reads what a commit on this key depends on. The head comes first: whatever touches the key
    /// after that rewrites the head, and the commit then conflicts.
    pub(crate) async fn key_state(&self, bucket: Uid, key: &ObjectKey) -> Result<KeyState, Error> {
        let (head_key, current_key) = (key::head(bucket, key), key::current(bucket, key));
        for _ in 0..ATTEMPTS_MAX {
            let Some(row) = self.kv().get(&head_key).await? else {
                return Ok(KeyState { head: None, current: None });
            };
            let head = (HeadRecord::decode(&head_key, &row.value)?, row.revision);
            let current = self.kv().get(&current_key).await?;
            let current =
                current.map(|row| Version::decode(&current_key, &row.value)).transpose()?;
            // A version that came after the head was read would get its place a second time.
            if current.as_ref().is_none_or(|current| current.order <= head.0.newest) {
                return Ok(KeyState { head: Some(head), current });
            }
        }
        Err(Error::Busy)
    }

    /// A version beside the current one, or a delete marker.
    pub(crate) async fn old(
        &self,
        bucket: Uid,
        key: &ObjectKey,
        order: u64,
    ) -> Result<Option<OldVersion>, Error> {
        let row_key = key::old(bucket, key, order);
        let row = self.kv().get(&row_key).await?;
        row.map(|row| OldVersion::decode(&row_key, &row.value)).transpose()
    }

    /// The newest version or delete marker beside the current one that is older than `order`.
    pub(crate) async fn newest_old_before(
        &self,
        bucket: Uid,
        key: &ObjectKey,
        order: u64,
    ) -> Result<Option<OldVersion>, Error> {
        let mut scan = Scan::prefix(&key::olds_of(bucket, key), 1);
        scan.start = [&key::old(bucket, key, order)[..], &[0]].concat();
        let (rows, _) = self.rows(scan).await?;
        let decode = |(key, row): (Vec<u8>, cosine_kv::Row)| OldVersion::decode(&key, &row.value);
        rows.into_iter().next().map(decode).transpose()
    }

    /// Publishes, on a task of its own: a caller that goes away can no longer stop what it began,
    /// nor leave it half done.
    pub(crate) async fn publish(&self, publication: Publication) -> Result<Version, Error> {
        let store = self.clone();
        let publish = async move { store.publish_now(publication).await };
        tokio::spawn(publish.in_current_span())
            .await
            .map_err(|error| Error::System(error.to_string()))?
    }

    async fn publish_now(&self, mut publication: Publication) -> Result<Version, Error> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(version) = self.publish_once(&mut publication).await? {
                return Ok(version);
            }
            self.refresh(&mut publication.bucket).await?;
            if self.inner.run.is_over(self.kv()).await? {
                return Err(Error::Fenced);
            }
        }
        Err(Error::Busy)
    }

    /// Reads, decides, and commits once; `None` on a conflict.
    pub(crate) async fn publish_once(
        &self,
        publication: &mut Publication,
    ) -> Result<Option<Version>, Error> {
        self.pass_gate(&mut publication.bucket).await?;
        let bucket = publication.bucket.clone();
        let state = self.key_state(bucket.uid(), &publication.key).await?;
        let guarded = publication.forbid_overwrite && !bucket.keeps_versions();
        if guarded && state.current.is_some() {
            return Err(Error::AlreadyExists);
        }
        let (version, commit) = self.build(publication, &bucket, &state).await?;
        let proof = Proof::Present(key::content_reference(version.content, version.uid));
        let committed = self.commit(commit, &proof).await;
        if let (ContentLink::Arrived(content), Ok(true) | Err(_)) =
            (&mut publication.content, &committed)
        {
            content.keep();
        }
        Ok(committed?.then_some(version))
    }

    /// The version and the commit that publishes it.
    async fn build(
        &self,
        publication: &Publication,
        bucket: &Bucket,
        state: &KeyState,
    ) -> Result<(Version, Commit), Error> {
        let now = self.now();
        let uid = self.new_uid()?;
        let (content, mut conditions, mut writes) = self.link(&publication.content, uid).await?;
        let version = Version {
            uid,
            order: state.next_order(now),
            null: bucket.versioning() != Versioning::Enabled,
            content,
            size: publication.size,
            sums: Sums::keep(
                publication.sums,
                publication.content_key.is_some(),
                (self.key(), &uid.0),
            )?,
            class: publication.class,
            kind: publication.kind,
            content_key: publication.content_key.clone(),
            acl: publication.acl.clone(),
            attributes: publication.attributes.clone(),
            tags: publication.tags.clone(),
            restore: None,
        };
        let place = Placement { bucket: bucket.uid(), key: &publication.key, state };
        conditions.push(bucket.unchanged());
        conditions.push(state.untouched(place.head()));
        writes.extend(self.make_room(place, version.order, version.null).await?);
        writes.push(version.put(key::current(bucket.uid(), &publication.key))?);
        Ok((version, Commit { conditions, writes }))
    }

    /// What it takes that a version points at its content.
    async fn link(
        &self,
        link: &ContentLink,
        owner: Uid,
    ) -> Result<(Uid, Vec<Condition>, Vec<Write>), Error> {
        let reference = |content| ReferenceRecord {}.put(key::content_reference(content, owner));
        match link {
            ContentLink::Arrived(content) => {
                let (conditions, mut writes) = content.rows(self.key())?;
                writes.push(reference(content.uid)?);
                Ok((content.uid, conditions, writes))
            }
            ContentLink::Shared(uid) => {
                let shared = self.share(*uid).await?;
                let writes = shared.held_by(*uid, owner)?;
                Ok((*uid, vec![shared.condition], writes))
            }
            ContentLink::Composed { content, conditions, writes } => {
                let mut writes = writes.clone();
                writes.extend(content.rows(self.key())?);
                writes.push(reference(content.uid)?);
                Ok((content.uid, conditions.clone(), writes))
            }
        }
    }

    /// The writes by which the newest version or delete marker of a key takes its place: the head says
    /// so; the version that was current goes beside it, and the one whose id is `null` goes away if this
    /// one is `null` now.
    pub(crate) async fn make_room(
        &self,
        place: Placement<'_>,
        order: u64,
        null: bool,
    ) -> Result<Vec<Write>, Error> {
        let Placement { bucket, key, state } = place;
        let head =
            HeadRecord { newest: order, null: if null { Some(order) } else { state.null() } };
        let mut writes = vec![head.put(place.head())?];
        match &state.current {
            Some(current) if null && current.null => {
                writes.extend(release(current, self.now())?);
            }
            Some(current) => {
                let old = OldVersion::Version(Box::new(current.clone()));
                writes.push(old.put(key::old(bucket, key, current.order))?);
            }
            None => {}
        }
        let is_current = |order| state.current.as_ref().is_some_and(|v| v.order == order);
        if let Some(replaced) = state.null().filter(|order| null && !is_current(*order)) {
            if let Some(OldVersion::Version(version)) = self.old(bucket, key, replaced).await? {
                writes.extend(release(&version, self.now())?);
            }
            writes.push(Write::Delete(key::old(bucket, key, replaced)));
        }
        Ok(writes)
    }
}

/// Where something is written, and what was there.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    pub bucket: Uid,
    pub key: &'a ObjectKey,
    pub state: &'a KeyState,
}

impl Placement<'_> {
    /// The key of the head's row.
    pub fn head(&self) -> Vec<u8> {
        key::head(self.bucket, self.key)
    }
}

/// The writes by which a version lets go of its content.
pub fn release(version: &Version, now: u64) -> Result<[Write; 2], Error> {
    let_go(version.content, version.uid, now)
}

/// The writes by which `holder` lets go of a content: the reference goes, and the collector learns
/// where to look. Whether others still point there is for the collector to find out.
pub fn let_go(content: Uid, holder: Uid, now: u64) -> Result<[Write; 2], Error> {
    Ok([
        Write::Delete(key::content_reference(content, holder)),
        ReleasedRecord { at: now }.put(key::released(content))?,
    ])
}
