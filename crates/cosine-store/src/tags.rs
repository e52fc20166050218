//! Tags of an object that is there.

use crate::{Bucket, Error, ObjectKey, Store, VersionId};

impl Store {
    /// Gives an object, or the version that is named, these tags, key and value, in place of all that
    /// it has. Nothing else about it changes, its time of modification neither.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::NoSuchVersion`], [`Error::DeleteMarker`],
    /// [`Error::NoSuchBucket`], [`Error::Busy`]; [`Error::Unknown`] if it may or may not have happened.
    pub async fn set_tags(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: Option<VersionId>,
        tags: &[(String, String)],
    ) -> Result<(), Error> {
        self.edit(bucket, key, id, |version| {
            tags.clone_into(&mut version.tags);
            Ok(())
        })
        .await
    }
}
