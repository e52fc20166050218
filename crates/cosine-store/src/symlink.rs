//! Symlinks: objects whose bytes are the key of another one in the same bucket.

use bytes::Bytes;
use cosine_crypt::Encryption;

use crate::content::Destination;
use crate::record::{ObjectKind, Version};
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
        // A name, as keys are: it is not encrypted.
        let to = Destination { pool: self.pool_of(request.class), key: None, hashed: true };
        let content = self.receive(&mut bytes, to).await?;
        let request = PutRequest { encryption: Encryption::None, ..request };
        let publication = self.publication(request, ObjectKind::Symlink, (content, None))?;
        self.publish(publication).await
    }

    /// What a symlink points at.
    ///
    /// # Errors
    /// [`Error::Gone`] if the version went meanwhile; [`Error::Damaged`].
    pub async fn symlink_target(&self, link: &Version) -> Result<ObjectKey, Error> {
        let mut reader = self.read(link, 0..link.size, None).await?;
        let mut target = Vec::new();
        while let Some(piece) = reader.next().await? {
            target.extend_from_slice(&piece);
        }
        let damaged = || Error::Damaged("the target of a symlink is no key".to_owned());
        let target = String::from_utf8(target).map_err(|_| damaged())?;
        ObjectKey::parse(target).map_err(|_| damaged())
    }
}
