//! PUT Object - Copy: a plan, then its executor.
//!
//! A copy is a new version that points at the same content: one commit, whatever the size. Copying
//! an object onto itself is no special path: the new version takes its reference in the commit in
//! which the old one lets go. Bytes move only where the destination's class lies in another storage
//! pool than they do, or where they come from another deployment.

use cosine_blob::PoolId;

use crate::content::Arrived;
use crate::get::Reread;
use crate::publish::{ContentLink, Publication};
use crate::record::{Attributes, Etag, ObjectKind, Pools, StorageClass, Version};
use crate::source::ByteSource;
use crate::{Bucket, Error, ObjectKey, PutRequest, Store, VersionId};
use cosine_access::{ObjectAcl, ReadProof, Resource, Subject};

/// More than this is not moved within one request: 5 GB (C41, C43).
pub const MOVED_BYTES_MAX: u64 = 5 << 30;

/// What is copied from.
#[derive(Clone, Debug)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its key.
    pub key: ObjectKey,
    /// The version that was asked for; `None` for the current one.
    pub id: Option<VersionId>,
    /// The version, as it was read.
    pub version: Version,
}

impl Subject for CopySource {
    fn is(&self, resource: &Resource<'_>) -> bool {
        let name = resource.name.split_once('/');
        name == Some((self.bucket.name().as_str(), self.key.as_str()))
            && resource.region == self.bucket.region()
            && resource.owner.appid == self.bucket.name().appid()
    }
}

/// A copy that may happen: there is proof that its caller may read the source, and its caller has settled
/// that the destination may be written.
#[derive(Debug)]
pub struct CopyRequest {
    /// What is copied from.
    pub source: ReadProof<CopySource>,
    /// The bucket that is copied to.
    pub bucket: Bucket,
    /// The key that is copied to.
    pub key: ObjectKey,
    /// New metadata; `None` carries the source's over.
    pub attributes: Option<Attributes>,
    /// New tags; `None` carries the source's over.
    pub tags: Option<Vec<(String, String)>>,
    /// The new object's ACL: never the source's.
    pub acl: ObjectAcl,
    /// The new object's class: never the source's.
    pub class: StorageClass,
    /// Fail if the key has an object.
    pub forbid_overwrite: bool,
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFacts {
    /// Bytes that are copied.
    pub size: u64,
    /// The pools in which they lie.
    pub lies_in: Pools,
    /// The pool of the destination's class.
    pub wanted_in: PoolId,
    /// Whether the source can be read now: it is in no archive, or restored.
    pub readable: bool,
    /// Whether this is an object onto itself, its current version, with nothing replaced.
    pub changes_nothing: bool,
}

/// How a copy is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPlan {
    /// Not at all.
    Reject(Rejection),
    /// By pointing at the same content.
    Reference,
    /// By writing its bytes once more, in this pool.
    Transcode(PoolId),
}

/// Why a copy is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// An object onto itself with nothing replaced (C67).
    Unchanged,
    /// The source is in an archive and not restored (C38).
    NotRestored,
    /// More bytes would have to move than one request moves (C41).
    TooLarge,
}

/// Plans a copy: pure and total.
pub fn plan(facts: CopyFacts) -> CopyPlan {
    if facts.changes_nothing {
        CopyPlan::Reject(Rejection::Unchanged)
    } else if !facts.readable {
        CopyPlan::Reject(Rejection::NotRestored)
    } else if facts.lies_in.all_in(facts.wanted_in) {
        CopyPlan::Reference
    } else if facts.size > MOVED_BYTES_MAX {
        CopyPlan::Reject(Rejection::TooLarge)
    } else {
        CopyPlan::Transcode(facts.wanted_in)
    }
}

/// A copy that was planned and not rejected.
#[derive(Debug)]
pub struct PlannedCopy {
    store: Store,
    request: CopyRequest,
    /// Where its bytes go, if they move.
    moves_to: Option<PoolId>,
}

impl PlannedCopy {
    /// Whether bytes move: then it may take long.
    pub fn moves_bytes(&self) -> bool {
        self.moves_to.is_some()
    }

    /// Copies. The source may change or go meanwhile: what is copied is the version that was read.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NoSuchBucket`], [`Error::Gone`] if the source went
    /// meanwhile, and where bytes move those of reading and writing them: then the destination is
    /// untouched.
    pub async fn run(self) -> Result<Version, Error> {
        let source = &self.request.source.get().version;
        let content = match self.moves_to {
            None => ContentLink::Shared(source.content),
            Some(pool) => {
                let moved = self.store.transcode(source.content, 0..source.size, pool).await?;
                ContentLink::Arrived(moved)
            }
        };
        self.store.publish(publication(self.request, content)).await
    }
}

impl Store {
    /// Plans a copy. Nothing is written yet.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::Gone`] if the source went meanwhile, [`Error::AlreadyExists`] if
    /// bytes would move to a key that must not be overwritten.
    pub async fn plan_copy(&self, request: CopyRequest) -> Result<PlannedCopy, Error> {
        self.require_room()?;
        let source = request.source.get();
        let content = self.content(source.version.content).await?;
        let onto_itself = source.bucket.uid() == request.bucket.uid() && source.key == request.key;
        let plan = plan(CopyFacts {
            size: source.version.size,
            lies_in: content.pools,
            wanted_in: self.pool_of(request.class),
            readable: self.readable(&source.version).now(),
            changes_nothing: onto_itself
                && source.id.is_none()
                && request.attributes.is_none()
                && request.tags.is_none(),
        });
        tracing::debug!(?plan, source = %source.key.as_str(), "copy");
        let moves_to = match plan {
            CopyPlan::Reject(rejection) => return Err(Error::Rejected(rejection)),
            CopyPlan::Reference => None,
            CopyPlan::Transcode(pool) => Some(pool),
        };
        if moves_to.is_some() && request.forbid_overwrite {
            self.may_create(&request.bucket, &request.key).await?;
        }
        Ok(PlannedCopy { store: self.clone(), request, moves_to })
    }

    /// Writes a range of a content once more, into a pool.
    pub(crate) async fn transcode(
        &self,
        content: crate::Uid,
        range: std::ops::Range<u64>,
        pool: PoolId,
    ) -> Result<Arrived, Error> {
        let expected = self.crc64(content, range.clone()).await?;
        let lens = self.inner.options.copy_lens;
        let mut source = Reread::new(self.read_content(content, range, lens).await?);
        let received = self.receive(&mut source, pool).await;
        let arrived = received.map_err(|error| source.broken.take().unwrap_or(error))?;
        if arrived.crc64 != expected {
            return Err(Error::Damaged("a copy is not what was read".to_owned()));
        }
        Ok(arrived)
    }

    /// Stores an object that another deployment holds: `source` are its bytes, and `fetched` what it
    /// says of them.
    ///
    /// # Errors
    /// As for [`put`](Self::put); [`Error::FetchMismatch`] if other bytes came.
    pub async fn fetch(
        &self,
        request: PutRequest,
        fetched: Fetched,
        source: &mut dyn ByteSource,
    ) -> Result<Version, Error> {
        self.require_room()?;
        let content = self.receive(source, self.pool_of(request.class)).await?;
        fetched.announced.require(&content)?;
        let publication = Publication {
            bucket: request.bucket,
            key: request.key,
            size: content.size,
            etag: fetched.etag.unwrap_or(Etag { digest: content.md5, parts: 0 }),
            crc64: content.crc64,
            kind: ObjectKind::Normal,
            attributes: request.attributes,
            tags: request.tags,
            acl: request.acl,
            class: request.class,
            forbid_overwrite: request.forbid_overwrite,
            content: ContentLink::Arrived(content),
        };
        self.publish(publication).await
    }
}

/// What another deployment says of an object that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What its bytes are.
    pub announced: Announced,
    /// Its entity tag, if it is one that can be kept.
    pub etag: Option<Etag>,
}

/// What bytes are to come from another deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// How many.
    pub length: u64,
    /// CRC-64/XZ of them, where it is told.
    pub crc64: Option<u64>,
    /// MD5 of them, where it is told.
    pub md5: Option<[u8; 16]>,
}

impl Announced {
    /// Holds what came against it.
    pub(crate) fn require(self, came: &Arrived) -> Result<(), Error> {
        let same = self.length == came.size
            && self.crc64.is_none_or(|crc64| crc64 == came.crc64)
            && self.md5.is_none_or(|md5| md5 == came.md5);
        if same { Ok(()) } else { Err(Error::FetchMismatch) }
    }
}

/// The copy is a normal object, whatever its source was; the entity tag stays (C162).
fn publication(request: CopyRequest, content: ContentLink) -> Publication {
    let source = request.source.into_inner().version;
    Publication {
        bucket: request.bucket,
        key: request.key,
        size: source.size,
        etag: source.etag,
        crc64: source.crc64,
        kind: ObjectKind::Normal,
        attributes: request.attributes.unwrap_or(source.attributes),
        tags: request.tags.unwrap_or(source.tags),
        acl: request.acl,
        class: request.class,
        forbid_overwrite: request.forbid_overwrite,
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/copy.md`: everything that a plan depends on, in every combination.
    #[test]
    fn the_plan_follows_from_the_facts() {
        use CopyPlan::{Reference, Reject, Transcode};
        use Rejection::{NotRestored, TooLarge, Unchanged};
        let [here, there] = [0, 1].map(|number| PoolId::new(number).unwrap_or_default());
        let (inline, both) = (Pools::default(), Pools::of(here).and(Pools::of(there)));
        let large = MOVED_BYTES_MAX + 1;
        // Size, where the bytes lie, readable, changes nothing; the plan for the pool `here`.
        let table = [
            (0, inline, true, false, Reference),
            (1, Pools::of(here), true, false, Reference),
            (u64::MAX, Pools::of(here), true, false, Reference),
            (1, Pools::of(there), true, false, Transcode(here)),
            (1, both, true, false, Transcode(here)),
            (MOVED_BYTES_MAX, Pools::of(there), true, false, Transcode(here)),
            (large, Pools::of(there), true, false, Reject(TooLarge)),
            (large, both, true, false, Reject(TooLarge)),
            (1, inline, false, false, Reject(NotRestored)),
            (1, Pools::of(here), false, false, Reject(NotRestored)),
            (large, Pools::of(there), false, false, Reject(NotRestored)),
            (1, Pools::of(here), true, true, Reject(Unchanged)),
            (large, Pools::of(there), false, true, Reject(Unchanged)),
        ];
        for (size, lies_in, readable, changes_nothing, expected) in table {
            let wanted_in = here;
            let facts = CopyFacts { size, lies_in, wanted_in, readable, changes_nothing };
            assert_eq!(plan(facts), expected, "{facts:?}");
        }
    }
}
