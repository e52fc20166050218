//! PUT Object: a new content, and a version that points at it.

use crate::publish::{ContentLink, Publication};
use crate::record::{Attributes, Etag, ObjectKind, StorageClass, Version};
use crate::source::ByteSource;
use crate::{Bucket, Error, ObjectKey, Store};
use cosine_access::ObjectAcl;

/// What to store.
#[derive(Debug)]
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
    /// Fail if the key has an object. Of no meaning in a bucket that keeps versions, or did.
    pub forbid_overwrite: bool,
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
    /// [`Error::Source`], [`Error::DigestMismatch`], [`Error::AlreadyExists`],
    /// [`Error::NoSuchBucket`]: then nothing is stored.
    pub async fn put(
        &self,
        request: PutRequest,
        source: &mut dyn ByteSource,
    ) -> Result<Version, Error> {
        self.require_room()?;
        if request.forbid_overwrite {
            self.may_create(&request.bucket, &request.key).await?;
        }
        let content = self.receive(source, self.pool_of(request.class)).await?;
        if request.md5.is_some_and(|announced| announced != content.md5) {
            return Err(Error::DigestMismatch);
        }
        let publication = Publication {
            bucket: request.bucket,
            key: request.key,
            size: content.size,
            etag: Etag { digest: content.md5, parts: 0 },
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
