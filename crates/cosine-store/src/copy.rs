//! PUT Object - Copy: a plan, then its executor.
//!
//! A copy is a new version that points at the same content: one commit, whatever the size. Copying
//! an object onto itself is no special path: the new version takes its reference in the commit in
//! which the old one lets go. Where the bytes are sealed, the version gets an envelope of its own, and
//! that is all that another key or kind of encryption takes. Bytes move only where plain ones are to be
//! sealed, where the destination's class lies in another storage pool than they do, or where they come
//! from another deployment.

use std::collections::BTreeSet;

use cosine_blob::PoolId;

use crate::content::{Arrived, Destination, INLINE_BYTES_MAX};
use crate::get::Reread;
use crate::keys::ContentKey;
use crate::publish::{ContentLink, Publication};
use crate::put::shown;
use crate::record::{
    Attributes, ContentSums, Coverage, Etag, ObjectKind, ObjectSums, Pools, SealedContentKey,
    StorageClass, Version,
};
use crate::{Bucket, Error, ObjectKey, Store, VersionId};
use cosine_access::{ObjectAcl, ReadProof, Resource, Subject};
use cosine_crypt::{CustomerKey, Encryption, Shown};

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
    /// How the new object's bytes are encrypted: never as the source's.
    pub encryption: Encryption,
    /// The customer's key that the source is encrypted with.
    pub source_key: Option<CustomerKey>,
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
    /// Whether all of them are in one place, and not in slices of others.
    pub in_one_place: bool,
    /// How much of them is sealed.
    pub coverage: Coverage,
    /// Whether the destination is to be encrypted.
    pub encrypted: bool,
    /// Whether its content key may be what the source's is, sealed anew.
    pub may_rewrap: bool,
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
    /// By pointing at the same content, with its key in another envelope.
    Rewrap,
    /// By having its sealed bytes as they are in this pool too, with its key in another envelope.
    Relocate(PoolId),
    /// By writing its bytes once more, in this pool, sealed or opened as asked.
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
        return CopyPlan::Reject(Rejection::Unchanged);
    }
    if !facts.readable {
        return CopyPlan::Reject(Rejection::NotRestored);
    }
    let stays = facts.lies_in.all_in(facts.wanted_in);
    let moving = match facts.coverage {
        Coverage::Nothing | Coverage::Plain if stays && !facts.encrypted => {
            return CopyPlan::Reference;
        }
        Coverage::Mixed if stays && !facts.encrypted && facts.may_rewrap => {
            return CopyPlan::Rewrap;
        }
        Coverage::Sealed if stays && facts.may_rewrap => return CopyPlan::Rewrap,
        Coverage::Sealed if facts.in_one_place && facts.may_rewrap => CopyPlan::Relocate,
        _ => CopyPlan::Transcode,
    };
    if facts.size > MOVED_BYTES_MAX {
        return CopyPlan::Reject(Rejection::TooLarge);
    }
    moving(facts.wanted_in)
}

/// Who must have their bytes sealed anew where a copy gets another key.
#[derive(Clone, Debug, Default)]
pub struct RewrapRules {
    /// All.
    pub never: bool,
    /// Copies from and to these buckets, by name.
    pub never_in: BTreeSet<String>,
}

impl RewrapRules {
    fn allow(&self, buckets: [&Bucket; 2]) -> bool {
        !self.never && buckets.iter().all(|bucket| !self.never_in.contains(bucket.name().as_str()))
    }
}

/// A copy that was planned and not rejected.
#[derive(Debug)]
pub struct PlannedCopy {
    store: Store,
    request: CopyRequest,
    plan: CopyPlan,
    /// The source's content key, if any of it is sealed.
    from: Option<ContentKey>,
    /// The content key of the copy, and its envelope, if any of it is to be sealed.
    lock: Option<(ContentKey, SealedContentKey)>,
    /// What the source's content is.
    sums: ContentSums,
}

impl PlannedCopy {
    /// What clients will see of its encryption.
    pub fn encryption(&self) -> Shown<'_> {
        shown(&self.lock)
    }

    /// Whether so many bytes move that it may take long.
    pub fn moves_bytes(&self) -> bool {
        let moves = matches!(self.plan, CopyPlan::Transcode(_) | CopyPlan::Relocate(_));
        moves && self.request.source.get().version.size > INLINE_BYTES_MAX as u64
    }

    /// Copies. The source may change or go meanwhile: what is copied is the version that was read.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NoSuchBucket`], [`Error::Gone`] if the source went
    /// meanwhile, and where bytes move those of reading and writing them: then the destination is
    /// untouched.
    pub async fn run(self) -> Result<Version, Error> {
        let Self { store, request, plan, from, lock, sums } = self;
        let source = &request.source.get().version;
        let content = match plan {
            CopyPlan::Relocate(pool) => {
                ContentLink::Arrived(store.relocate(source.content, pool).await?)
            }
            CopyPlan::Transcode(pool) => {
                let to =
                    Destination { pool, key: lock.as_ref().map(|(key, _)| key), hashed: false };
                let from = (source.content, from.as_ref());
                ContentLink::Arrived(store.transcode(from, 0..source.size, to).await?)
            }
            _ => ContentLink::Shared(source.content),
        };
        let etag = match (&request.encryption, &request.source_key) {
            // The same bytes and key: the same tag, also where it was made of those of parts.
            (Encryption::Customer(wanted), Some(key)) if key.is(wanted) => store.sums(source)?.etag,
            (encryption, _) => store.shown_etag(sums.etag, encryption)?,
        };
        let sums = ObjectSums { etag, crc64: sums.crc64 };
        let content_key = lock.map(|(_, sealed)| sealed);
        store.publish(publication(request, content, (sums, content_key))).await
    }
}

impl Store {
    /// Plans a copy: asks for every key that it takes. Nothing is written yet.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::Key`], [`Error::Gone`] if the source went meanwhile,
    /// [`Error::AlreadyExists`] if bytes would move to a key that must not be overwritten.
    pub async fn plan_copy(&self, request: CopyRequest) -> Result<PlannedCopy, Error> {
        self.require_room()?;
        let source = request.source.get();
        let content = self.content(source.version.content).await?;
        let onto_itself = source.bucket.uid() == request.bucket.uid() && source.key == request.key;
        let presented = (request.source_key.as_ref(), &request.encryption);
        let plan = plan(CopyFacts {
            size: source.version.size,
            lies_in: content.pools,
            wanted_in: self.pool_of(request.class),
            in_one_place: content.body.blob().is_some(),
            coverage: content.coverage,
            encrypted: !matches!(request.encryption, Encryption::None),
            may_rewrap: self.may_rewrap(source, &request.bucket, presented).await?,
            readable: self.readable(&source.version).now(),
            changes_nothing: onto_itself
                && source.id.is_none()
                && request.attributes.is_none()
                && request.tags.is_none(),
        });
        tracing::debug!(?plan, source = %source.key.as_str(), "copy");
        if let CopyPlan::Reject(rejection) = plan {
            return Err(Error::Rejected(rejection));
        }
        let at = (&source.bucket, &source.key);
        let from = self.unlock(at, &source.version, request.source_key.as_ref()).await?;
        let to = (&request.bucket, &request.key);
        let lock = match (&plan, &from) {
            (CopyPlan::Transcode(_), _) => self.lock(to, &request.encryption).await?,
            (_, None) => None,
            (_, Some(key)) => {
                let sealed = self.seal_envelope(to, key, &request.encryption).await?;
                Some((key.clone(), sealed))
            }
        };
        let moves = matches!(plan, CopyPlan::Transcode(_) | CopyPlan::Relocate(_));
        if moves && request.forbid_overwrite {
            self.may_create(&request.bucket, &request.key).await?;
        }
        let sums = content.sums.read(self.key(), &source.version.content.0)?;
        Ok(PlannedCopy { store: self.clone(), request, plan, from, lock, sums })
    }

    /// Whether a copy may have the content key of its source, in another envelope.
    pub(crate) async fn may_rewrap(
        &self,
        source: &CopySource,
        to: &Bucket,
        (presented, wanted): (Option<&CustomerKey>, &Encryption),
    ) -> Result<bool, Error> {
        if self.inner.options.rewrap.allow([&source.bucket, to]) {
            return Ok(true);
        }
        let Some(key) = &source.version.content_key else { return Ok(false) };
        let wanted = (wanted, to.name().appid());
        Ok(self.inner.keyring.is_under(&key.envelope, presented, wanted).await?)
    }

    /// Writes a range of a content once more.
    pub(crate) async fn transcode(
        &self,
        (content, from): (crate::Uid, Option<&ContentKey>),
        range: std::ops::Range<u64>,
        to: Destination<'_>,
    ) -> Result<Arrived, Error> {
        let record = self.content(content).await?;
        let whole = range == (0..record.size);
        let expected = self.crc64(content, range.clone(), from).await?;
        let lens = self.inner.options.copy_lens;
        let mut source = Reread::new(self.read_content((content, from), range, lens).await?);
        let received = self.receive(&mut source, to).await;
        let mut arrived = received.map_err(|error| source.broken.take().unwrap_or(error))?;
        if arrived.crc64 != expected {
            return Err(Error::Damaged("a copy is not what was read".to_owned()));
        }
        if whole {
            let sums = record.sums.read(self.key(), &content.0)?;
            (arrived.md5, arrived.etag) = (sums.md5, Some(sums.etag));
        }
        Ok(arrived)
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
            && self.md5.is_none_or(|md5| came.md5 == Some(md5));
        if same { Ok(()) } else { Err(Error::FetchMismatch) }
    }
}

/// The copy is a normal object, whatever its source was.
fn publication(
    request: CopyRequest,
    content: ContentLink,
    (sums, content_key): (ObjectSums, Option<SealedContentKey>),
) -> Publication {
    let source = request.source.into_inner().version;
    Publication {
        bucket: request.bucket,
        key: request.key,
        size: source.size,
        sums,
        content_key,
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

    fn facts(size: u64, lies_in: Pools, coverage: Coverage) -> CopyFacts {
        CopyFacts {
            size,
            lies_in,
            wanted_in: PoolId::default(),
            in_one_place: true,
            coverage,
            encrypted: false,
            may_rewrap: true,
            readable: true,
            changes_nothing: false,
        }
    }

    /// The table of `docs/copy.md`.
    #[test]
    fn the_plan_follows_from_the_facts() {
        use CopyPlan::{Reference, Reject, Relocate, Rewrap, Transcode};
        use Coverage::{Mixed, Nothing, Plain, Sealed};
        use Rejection::{NotRestored, TooLarge, Unchanged};
        let pool = PoolId::default();
        let there = PoolId::new(1).unwrap_or_default();
        let (inline, here, there) = (Pools::default(), Pools::of(pool), Pools::of(there));
        let (most, large) = (MOVED_BYTES_MAX, MOVED_BYTES_MAX + 1);
        let of = |size, lies_in, coverage| facts(size, lies_in, coverage);
        let encrypted = |facts| CopyFacts { encrypted: true, ..facts };
        let in_slices = |facts| CopyFacts { in_one_place: false, ..facts };
        let never = |facts| CopyFacts { may_rewrap: false, ..facts };
        let archived = |facts| CopyFacts { readable: false, ..facts };
        let idle = |facts| CopyFacts { changes_nothing: true, ..facts };
        let table = [
            (of(0, inline, Nothing), Reference),
            (of(0, inline, Plain), Reference),
            (of(u64::MAX, here, Plain), Reference),
            (never(of(1, here, Plain)), Reference),
            (of(1, there, Plain), Transcode(pool)),
            (of(1, here.and(there), Plain), Transcode(pool)),
            (of(most, there, Plain), Transcode(pool)),
            (of(large, there, Plain), Reject(TooLarge)),
            (encrypted(of(0, inline, Nothing)), Transcode(pool)),
            (encrypted(of(1, here, Plain)), Transcode(pool)),
            (encrypted(of(large, here, Plain)), Reject(TooLarge)),
            (of(u64::MAX, here, Sealed), Rewrap),
            (of(1, inline, Sealed), Rewrap),
            (encrypted(of(u64::MAX, here, Sealed)), Rewrap),
            (in_slices(encrypted(of(u64::MAX, here, Sealed))), Rewrap),
            (never(of(1, here, Sealed)), Transcode(pool)),
            (never(encrypted(of(large, here, Sealed))), Reject(TooLarge)),
            (of(1, there, Sealed), Relocate(pool)),
            (encrypted(of(most, there, Sealed)), Relocate(pool)),
            (of(large, there, Sealed), Reject(TooLarge)),
            (never(of(1, there, Sealed)), Transcode(pool)),
            (in_slices(of(1, there, Sealed)), Transcode(pool)),
            (of(u64::MAX, here, Mixed), Rewrap),
            (encrypted(of(1, here, Mixed)), Transcode(pool)),
            (never(of(1, here, Mixed)), Transcode(pool)),
            (of(1, there, Mixed), Transcode(pool)),
            (archived(of(1, here, Plain)), Reject(NotRestored)),
            (archived(of(large, there, Sealed)), Reject(NotRestored)),
            (idle(of(1, here, Plain)), Reject(Unchanged)),
            (idle(archived(of(large, there, Mixed))), Reject(Unchanged)),
        ];
        for (facts, expected) in table {
            assert_eq!(plan(facts), expected, "{facts:?}");
        }
    }

    /// No two of the plans that move nothing may stand for bytes that are to be sealed and are not.
    #[test]
    fn plain_bytes_are_never_shown_as_encrypted() {
        for coverage in [Coverage::Nothing, Coverage::Plain, Coverage::Mixed] {
            for (in_one_place, may_rewrap) in [(true, true), (true, false), (false, true)] {
                let facts = CopyFacts {
                    encrypted: true,
                    in_one_place,
                    may_rewrap,
                    ..facts(9, Pools::of(PoolId::default()), coverage)
                };
                assert_eq!(plan(facts), CopyPlan::Transcode(PoolId::default()), "{facts:?}");
            }
        }
    }
}
