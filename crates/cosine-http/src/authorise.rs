//! From names to resources that the caller may use.

use cosine_access::{Acls, Caller, Permission, decide, owns};
use cosine_store::{
    Bucket, BucketName, DeleteMarker, Error, ObjectAcl, ObjectKey, ObjectKind, Version, VersionId,
};
use cosine_wire::header::name;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;
use crate::params::show_version_id;

/// Between the look at a key and the use of what was seen, the key may be written anew and the old
/// content collected: then one looks again. What is gone this many times in a row is damaged.
pub const LOOKS_MAX: usize = 10;

/// An object that is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// The region in which the bucket must live.
    pub region: Option<&'a str>,
    /// Its key.
    pub key: &'a ObjectKey,
    /// Which version; `None` for the current one.
    pub id: Option<VersionId>,
    /// The answer where the version that is named is a delete marker.
    pub named_marker: Code,
}

/// An object that was found.
#[derive(Debug)]
pub struct Found {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its key: where a symlink was named, that of what it points at.
    pub key: ObjectKey,
    /// The version.
    pub version: Version,
}

impl Wanted<'_> {
    /// The answer where a delete marker stands in the place of the version.
    fn hidden_by(&self, marker: DeleteMarker) -> ApiError {
        let code = if self.id.is_some() { self.named_marker } else { Code::NoSuchKey };
        ApiError::from(code)
            .with_header(name::DELETE_MARKER, "true".to_owned())
            .with_header(name::VERSION_ID, show_version_id(marker.id()))
    }
}

impl Api {
    /// Finds a bucket in its region and lets the caller in.
    ///
    /// # Errors
    /// 404 `NoSuchBucket`, also where the bucket lives in another region; 403 `AccessDenied`.
    pub async fn bucket(
        &self,
        name: &BucketName,
        region: Option<&str>,
        caller: Caller,
        permission: Permission,
    ) -> Result<Bucket, ApiError> {
        let bucket = self.find(name, region).await?;
        self.permit(&bucket, ObjectAcl::Default, caller, permission).await?;
        Ok(bucket)
    }

    /// Finds an object that the caller may read; where it is a symlink, what it points at, which the
    /// caller must be allowed to read as well.
    ///
    /// # Errors
    /// As [`bucket`](Self::bucket), 404 `NoSuchKey` and `NoSuchVersion`, and what is wanted for a delete
    /// marker; who may not list the bucket does not learn which keys it lacks. 400 `InvalidRequest` for
    /// a symlink to a symlink.
    pub async fn readable_object(
        &self,
        wanted: &Wanted<'_>,
        caller: Caller,
    ) -> Result<Found, ApiError> {
        for _ in 0..LOOKS_MAX {
            let (bucket, version) = self.readable_version(wanted, caller).await?;
            if version.kind != ObjectKind::Symlink {
                return Ok(Found { bucket, key: wanted.key.clone(), version });
            }
            let target = match self.store.symlink_target(&version).await {
                Err(Error::Gone) => continue,
                target => target.map_err(store_error)?,
            };
            let beyond = Wanted { key: &target, id: None, ..*wanted };
            let version = self.permitted(&bucket, &beyond, caller).await?;
            return match version.kind {
                ObjectKind::Symlink => Err(ApiError::new(
                    Code::InvalidRequest,
                    "A symlink that points at a symlink is not followed.",
                )),
                _ => Ok(Found { bucket, key: target, version }),
            };
        }
        Err(store_error(Error::Gone))
    }

    /// Finds an object that the caller may read, as it is: a symlink is not followed.
    ///
    /// # Errors
    /// As for [`readable_object`](Self::readable_object).
    pub async fn readable_version(
        &self,
        wanted: &Wanted<'_>,
        caller: Caller,
    ) -> Result<(Bucket, Version), ApiError> {
        let bucket = self.find(wanted.bucket, wanted.region).await?;
        let version = self.permitted(&bucket, wanted, caller).await?;
        Ok((bucket, version))
    }

    /// Finds a version that the caller may read.
    async fn permitted(
        &self,
        bucket: &Bucket,
        wanted: &Wanted<'_>,
        caller: Caller,
    ) -> Result<Version, ApiError> {
        let missing = match self.store.object(bucket, wanted.key, wanted.id).await {
            Ok(version) => {
                self.permit(bucket, version.acl, caller, Permission::ReadObject).await?;
                return Ok(version);
            }
            Err(Error::NoSuchKey) => Code::NoSuchKey.into(),
            Err(Error::NoSuchVersion) => Code::NoSuchVersion.into(),
            Err(Error::DeleteMarker(marker)) => wanted.hidden_by(marker),
            Err(error) => return Err(store_error(error)),
        };
        self.permit(bucket, ObjectAcl::Default, caller, Permission::ReadBucket).await?;
        Err(missing)
    }

    /// Finds a bucket in its region.
    async fn find(&self, name: &BucketName, region: Option<&str>) -> Result<Bucket, ApiError> {
        let bucket = self.store.bucket(name).await.map_err(store_error)?;
        if region.is_some_and(|region| region != bucket.region()) {
            return Err(Code::NoSuchBucket.into());
        }
        Ok(bucket)
    }

    async fn permit(
        &self,
        bucket: &Bucket,
        object: ObjectAcl,
        caller: Caller,
        permission: Permission,
    ) -> Result<(), ApiError> {
        let owner = bucket.name().appid();
        if owns(caller, owner) {
            return Ok(());
        }
        let bucket = self.store.bucket_acl(bucket).await.map_err(store_error)?;
        if decide(caller, permission, owner, Acls { bucket, object }) {
            Ok(())
        } else {
            Err(Code::AccessDenied.into())
        }
    }
}
