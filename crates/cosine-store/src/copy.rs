//! PUT Object - Copy: a plan, then its executor.
//!
//! A copy is a new version that points at the same content: one commit, whatever the size. Copying
//! an object onto itself is no special path: the new version takes its reference in the commit in
//! which the old one lets go.

use crate::publish::{ContentLink, Publication};
use crate::record::{Attributes, ObjectAcl, StorageClass, Version};
use crate::{Bucket, Error, ObjectKey, Store};

/// A copy that may happen: its caller has settled that the source may be read and the destination
/// written.
#[derive(Debug)]
pub struct CopyRequest {
    /// The bucket that is copied from.
    pub source_bucket: Bucket,
    /// The key that is copied from.
    pub source_key: ObjectKey,
    /// The version that is copied, as it was read.
    pub source: Version,
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

/// How a copy is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPlan {
    /// Not at all.
    Reject(Rejection),
    /// By pointing at the same content.
    Reference,
}

/// Why a copy is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// An object onto itself with nothing replaced (C67).
    Unchanged,
}

/// Plans a copy: pure and total.
pub fn plan(request: &CopyRequest) -> CopyPlan {
    let onto_itself =
        request.source_bucket.uid() == request.bucket.uid() && request.source_key == request.key;
    let unchanged = request.attributes.is_none() && request.tags.is_none();
    if onto_itself && unchanged {
        CopyPlan::Reject(Rejection::Unchanged)
    } else {
        CopyPlan::Reference
    }
}

impl Store {
    /// Copies. The source may change or go meanwhile: what is copied is the version that was read.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::AlreadyExists`], [`Error::NoSuchBucket`],
    /// [`Error::Gone`] if the source went meanwhile: then the destination is untouched.
    pub async fn copy(&self, request: CopyRequest) -> Result<Version, Error> {
        self.require_room()?;
        let plan = plan(&request);
        tracing::debug!(?plan, source = %request.source_key.as_str(), "copy");
        match plan {
            CopyPlan::Reject(rejection) => Err(Error::Rejected(rejection)),
            CopyPlan::Reference => self.reference(request).await,
        }
    }

    async fn reference(&self, request: CopyRequest) -> Result<Version, Error> {
        let source = request.source;
        let publication = Publication {
            bucket: request.bucket,
            key: request.key,
            size: source.size,
            etag: source.etag,
            crc64: source.crc64,
            attributes: request.attributes.unwrap_or(source.attributes),
            tags: request.tags.unwrap_or(source.tags),
            acl: request.acl,
            class: request.class,
            forbid_overwrite: request.forbid_overwrite,
            content: ContentLink::Shared(source.content),
        };
        self.publish(publication).await
    }
}
