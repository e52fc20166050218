//! From names to resources that the caller may use.

use cosine_access::{Acls, Caller, Permission, decide, owns};
use cosine_store::{Bucket, BucketName, Error, ObjectAcl, ObjectKey, Version};
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;

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

    /// Finds an object that the caller may read.
    ///
    /// # Errors
    /// As [`bucket`](Self::bucket), and 404 `NoSuchKey`; who may not list the bucket does not learn
    /// which keys it lacks.
    pub async fn readable_object(
        &self,
        name: &BucketName,
        region: Option<&str>,
        key: &ObjectKey,
        caller: Caller,
    ) -> Result<(Bucket, Version), ApiError> {
        let bucket = self.find(name, region).await?;
        match self.store.object(&bucket, key).await {
            Ok(version) => {
                self.permit(&bucket, version.acl, caller, Permission::ReadObject).await?;
                Ok((bucket, version))
            }
            Err(Error::NoSuchKey) => {
                self.permit(&bucket, ObjectAcl::Default, caller, Permission::ReadBucket).await?;
                Err(Code::NoSuchKey.into())
            }
            Err(error) => Err(store_error(error)),
        }
    }

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
