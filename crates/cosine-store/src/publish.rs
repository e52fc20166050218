//! Making a version current: the one commit that every write of an object ends with.

use cosine_kv::{Commit, Condition, Write};
use tracing::Instrument;

use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::content::Arrived;
use crate::id::Uid;
use crate::record::{
    Attributes, ContentRecord, ContentState, Etag, HeadRecord, ObjectAcl, ObjectKind, Record,
    ReferenceRecord, ReleasedRecord, Sse, StorageClass, Version,
};
use crate::{Bucket, Error, ObjectKey, Store, key};

/// A version that is about to be, but for its place in the order of its key.
pub struct Publication {
    pub bucket: Bucket,
    pub key: ObjectKey,
    pub size: u64,
    pub etag: Etag,
    pub crc64: u64,
    pub attributes: Attributes,
    pub tags: Vec<(String, String)>,
    pub acl: ObjectAcl,
    pub class: StorageClass,
    pub forbid_overwrite: bool,
    pub content: ContentLink,
}

/// What the version points at.
pub enum ContentLink {
    /// A content that comes into being with it.
    Arrived(Arrived),
    /// A content that others point at already.
    Shared(Uid),
}

/// The head and the current version of a key, as they were read.
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

    /// The next version's place: time, but never at or before the newest one's.
    fn next_order(&self, now: u64) -> u64 {
        self.head.as_ref().map_or(now, |(head, _)| now.max(head.newest + 1))
    }
}

impl Store {
    /// Reads what a commit on this key depends on. The head comes first: whatever touches the key
    /// after that rewrites the head, and the commit then conflicts.
    pub(crate) async fn key_state(&self, bucket: Uid, key: &ObjectKey) -> Result<KeyState, Error> {
        let head_key = key::head(bucket, key);
        let Some(row) = self.kv().get(&head_key).await? else {
            return Ok(KeyState { head: None, current: None });
        };
        let head = (HeadRecord::decode(&head_key, &row.value)?, row.revision);
        let current_key = key::current(bucket, key);
        let current = self.kv().get(&current_key).await?;
        let current = current.map(|row| Version::decode(&current_key, &row.value)).transpose()?;
        Ok(KeyState { head: Some(head), current })
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
        let mut bucket = publication.bucket.clone();
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let state = self.key_state(bucket.uid(), &publication.key).await?;
            if publication.forbid_overwrite && state.current.is_some() {
                return Err(Error::AlreadyExists);
            }
            let (version, commit) = self.build(&publication, &bucket, &state).await?;
            let proof = Proof::Present(key::content_reference(version.content, version.uid));
            let committed = self.commit(commit, &proof).await;
            if let (ContentLink::Arrived(content), Ok(true) | Err(_)) =
                (&mut publication.content, &committed)
            {
                content.keep();
            }
            if committed? {
                return Ok(version);
            }
            self.refresh(&mut bucket).await?;
            if self.inner.run.is_over(self.kv()).await? {
                return Err(Error::Fenced);
            }
        }
        Err(Error::Busy)
    }

    /// The version and the commit that publishes it.
    async fn build(
        &self,
        publication: &Publication,
        bucket: &Bucket,
        state: &KeyState,
    ) -> Result<(Version, Commit), Error> {
        let now = self.now();
        let (content, mut conditions, mut writes) = match &publication.content {
            ContentLink::Arrived(content) => {
                let (conditions, writes) = content.rows()?;
                (content.uid, conditions, writes)
            }
            ContentLink::Shared(uid) => {
                let (condition, pardon) = self.share(*uid).await?;
                (*uid, vec![condition], pardon)
            }
        };
        let version = Version {
            uid: self.new_uid()?,
            order: state.next_order(now),
            content,
            size: publication.size,
            etag: publication.etag,
            crc64: publication.crc64,
            class: publication.class,
            kind: ObjectKind::Normal,
            sse: Sse::None,
            acl: publication.acl,
            attributes: publication.attributes.clone(),
            tags: publication.tags.clone(),
        };
        let (head, current) = (
            key::head(bucket.uid(), &publication.key),
            key::current(bucket.uid(), &publication.key),
        );
        conditions.push(bucket.unchanged());
        conditions.push(state.untouched(head.clone()));
        writes.push(HeadRecord { newest: version.order }.put(head)?);
        writes.push(version.put(current)?);
        writes.push(ReferenceRecord {}.put(key::content_reference(content, version.uid))?);
        if let Some(old) = &state.current {
            writes.extend(release(old, now)?);
        }
        Ok((version, Commit { conditions, writes }))
    }

    /// What it takes to point at a content that exists: that its row is unchanged since it was
    /// read, and a pardon if the collector has condemned it.
    async fn share(&self, content: Uid) -> Result<(Condition, Vec<Write>), Error> {
        let key = key::content(content);
        // Gone only if every version that pointed at it went since the source was read.
        let row = self.kv().get(&key).await?.ok_or(Error::Gone)?;
        let mut record = ContentRecord::decode(&key, &row.value)?;
        let pardon = match record.state {
            ContentState::Live => vec![],
            ContentState::Condemned => {
                record.state = ContentState::Live;
                vec![record.put(key.clone())?]
            }
        };
        Ok((Condition::Unchanged(key, row.revision), pardon))
    }
}

/// The writes by which a version lets go of its content: the reference goes, and the collector
/// learns where to look. Whether others still point there is for the collector to find out.
pub fn release(version: &Version, now: u64) -> Result<[Write; 2], Error> {
    Ok([
        Write::Delete(key::content_reference(version.content, version.uid)),
        ReleasedRecord { at: now }.put(key::released(version.content))?,
    ])
}
