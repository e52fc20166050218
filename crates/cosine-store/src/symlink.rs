//! Symlinks: objects whose bytes are the key of another one in the same bucket.

use bytes::Bytes;

use crate::publish::{ContentLink, Publication};
use crate::record::{Etag, ObjectKind, Version};
use crate::{Error, ObjectKey, PutRequest, Store};

impl Store {
    /// Makes `request.key` a symlink to `target`, which need not exist.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub async fn put_symlink(
        &self,
        request: PutRequest,
        target: &ObjectKey,
    ) -> Result<Version, Error> {
        self.require_room()?;
        let mut bytes = Bytes::copy_from_slice(target.as_str().as_bytes());
        let content = self.receive(&mut bytes, self.pool_of(request.class)).await?;
        let publication = Publication {
            bucket: request.bucket,
            key: request.key,
            size: content.size,
            etag: Etag { digest: content.md5, parts: 0 },
            crc64: content.crc64,
            kind: ObjectKind::Symlink,
            attributes: request.attributes,
            tags: request.tags,
            acl: request.acl,
            class: request.class,
            forbid_overwrite: request.forbid_overwrite,
            content: ContentLink::Arrived(content),
        };
        self.publish(publication).await
    }

    /// What a symlink points at.
    ///
    /// # Errors
    /// [`Error::Gone`] if the version went meanwhile; [`Error::Damaged`].
    pub async fn symlink_target(&self, link: &Version) -> Result<ObjectKey, Error> {
        let mut reader = self.read(link, 0..link.size).await?;
        let mut target = Vec::new();
        while let Some(piece) = reader.next().await? {
            target.extend_from_slice(&piece);
        }
        let damaged = || Error::Damaged("the target of a symlink is no key".to_owned());
        let target = String::from_utf8(target).map_err(|_| damaged())?;
        ObjectKey::parse(target).map_err(|_| damaged())
    }
}
