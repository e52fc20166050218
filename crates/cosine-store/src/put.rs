//! PUT Object: a new content, and a version that points at it.

use crate::content::{Arrived, Destination};
use crate::copy::Fetched;
use crate::keys::ContentKey;
use crate::publish::{ContentLink, Publication};
use crate::record::{Attributes, ObjectKind, ObjectSums, SealedContentKey, StorageClass, Version};
use crate::source::ByteSource;
use crate::{Bucket, Error, ObjectKey, Store};
use cosine_access::ObjectAcl;
use cosine_crypt::{Encryption, Shown};

/// What to store.
#[derive(Clone, Debug)]
pub struct PutRequest {
    /// Where.
    pub bucket: Bucket,
    /// Under which key.
    pub key: ObjectKey,
    /// With which metadata.
    pub attributes: Attributes,
    /// With which tags, key and value.
    pub tags: Vec<(String, String)>,
    /// For whom.
    pub acl: ObjectAcl,
    /// In which class.
    pub class: StorageClass,
    /// The MD5 that the sender announced.
    pub md5: Option<[u8; 16]>,
    /// How its bytes are encrypted.
    pub encryption: Encryption,
    /// Fail if the key has an object. Of no meaning in a bucket that keeps versions, or did.
    pub forbid_overwrite: bool,
}

/// An object whose bytes may come.
#[derive(Debug)]
pub struct PlannedPut {
    store: Store,
    request: PutRequest,
    lock: Option<(ContentKey, SealedContentKey)>,
}

impl PlannedPut {
    /// What clients will see of its encryption.
    pub fn encryption(&self) -> Shown<'_> {
        shown(&self.lock)
    }

    /// Stores what comes.
    ///
    /// # Errors
    /// As for [`Store::put`].
    pub async fn run(self, source: &mut dyn ByteSource) -> Result<Version, Error> {
        let announced = self.request.md5;
        self.take(source, |content| {
            match announced.is_some_and(|announced| Some(announced) != content.md5) {
                true => Err(Error::DigestMismatch),
                false => Ok(()),
            }
        })
        .await
    }

    /// Stores what another deployment sends: `fetched` is what it says of it.
    ///
    /// # Errors
    /// As for [`Store::put`]; [`Error::FetchMismatch`] if other bytes came.
    pub async fn fetch(
        self,
        fetched: Fetched,
        source: &mut dyn ByteSource,
    ) -> Result<Version, Error> {
        self.take(source, |content| {
            content.etag = fetched.etag;
            fetched.announced.require(content)
        })
        .await
    }

    async fn take(
        self,
        source: &mut dyn ByteSource,
        check: impl FnOnce(&mut Arrived) -> Result<(), Error>,
    ) -> Result<Version, Error> {
        let Self { store, request, lock } = self;
        let key = lock.as_ref().map(|(key, _)| key);
        let to = Destination { pool: store.pool_of(request.class), key, hashed: true };
        let mut content = store.receive(source, to).await?;
        check(&mut content)?;
        let content_key = lock.map(|(_, sealed)| sealed);
        let publication = store.publication(request, ObjectKind::Normal, (content, content_key))?;
        store.publish(publication).await
    }
}

/// What clients see of what is sealed so.
pub fn shown(lock: &Option<(ContentKey, SealedContentKey)>) -> Shown<'_> {
    lock.as_ref().map_or(Shown::Nothing, |(_, sealed)| sealed.envelope.shown())
}

impl Store {
    /// Whether an object that must not replace one may be made. The commit decides; this only spares
    /// moving bytes for one that is sure to be refused, and tells it before an answer has begun.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`].
    pub async fn may_create(&self, bucket: &Bucket, key: &ObjectKey) -> Result<(), Error> {
        let guarded = !bucket.keeps_versions();
        if guarded && self.key_state(bucket.uid(), key).await?.current.is_some() {
            return Err(Error::AlreadyExists);
        }
        Ok(())
    }

    /// Stores an object. It is visible, whole, when this returns, and not before.
    ///
    /// # Errors
    /// [`Error::Source`], [`Error::DigestMismatch`], [`Error::AlreadyExists`], [`Error::Key`],
    /// [`Error::NoSuchBucket`]: then nothing is stored.
    pub async fn put(
        &self,
        request: PutRequest,
        source: &mut dyn ByteSource,
    ) -> Result<Version, Error> {
        self.plan_put(request).await?.run(source).await
    }

    /// Asks for every key that an object takes, before its bytes come.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Key`].
    pub async fn plan_put(&self, request: PutRequest) -> Result<PlannedPut, Error> {
        self.require_room()?;
        if request.forbid_overwrite {
            self.may_create(&request.bucket, &request.key).await?;
        }
        let lock = self.lock((&request.bucket, &request.key), &request.encryption).await?;
        Ok(PlannedPut { store: self.clone(), request, lock })
    }

    /// What is asked for, of bytes that have arrived.
    pub(crate) fn publication(
        &self,
        request: PutRequest,
        kind: ObjectKind,
        (content, content_key): (Arrived, Option<SealedContentKey>),
    ) -> Result<Publication, Error> {
        let etag = self.shown_etag(content.plain_etag(), &request.encryption)?;
        Ok(Publication {
            bucket: request.bucket,
            key: request.key,
            size: content.size,
            sums: ObjectSums { etag, crc64: content.crc64 },
            content_key,
            kind,
            attributes: request.attributes,
            tags: request.tags,
            acl: request.acl,
            class: request.class,
            forbid_overwrite: request.forbid_overwrite,
            content: ContentLink::Arrived(content),
        })
    }
}
