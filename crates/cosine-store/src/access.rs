//! What a bucket and its objects say about who may: ACLs, the bucket's policy, its CORS rules.
//!
//! Each lies in a row of its own, apart from the bucket's gate, since they change for other reasons.

use cosine_access::{BucketAcl, ObjectAcl};
use cosine_kv::{Commit, Outcome, Write};

use crate::commit::ATTEMPTS_MAX;
use crate::id::Uid;
use crate::record::{
    BucketAclRecord, BucketCorsRecord, BucketPolicyRecord, PolicyTextRecord, Record, Version,
    VersionId,
};
use crate::{Bucket, Error, ObjectKey, Store, key};

impl Store {
    /// What others may do with a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`] if it went meanwhile.
    pub async fn bucket_acl(&self, bucket: &Bucket) -> Result<BucketAcl, Error> {
        let record: Option<BucketAclRecord> =
            self.read_record(key::bucket_acl(bucket.uid())).await?;
        Ok(record.ok_or(Error::NoSuchBucket)?.acl)
    }

    /// Sets what others may do with a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::Busy`]; [`Error::Unknown`] if it may or may not have happened.
    pub async fn set_bucket_acl(&self, bucket: &Bucket, acl: BucketAcl) -> Result<(), Error> {
        self.require_room()?;
        let row = BucketAclRecord { acl }.put(key::bucket_acl(bucket.uid()))?;
        self.configure(bucket, vec![row]).await
    }

    /// Sets what others may do with a version of an object, which was read as the current one, or as the
    /// one that is named.
    ///
    /// # Errors
    /// [`Error::Gone`] if it is another one by now; as for other changes of a version: [`Error::NoSuchKey`], [`Error::NoSuchVersion`],
    /// [`Error::DeleteMarker`], [`Error::NoSuchBucket`], [`Error::Busy`], [`Error::Unknown`].
    pub async fn set_object_acl(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        (id, read): (Option<VersionId>, &Version),
        acl: &ObjectAcl,
    ) -> Result<(), Error> {
        self.edit(bucket, key, id, |version| {
            if version.uid != read.uid || version.acl != read.acl {
                return Err(Error::Gone);
            }
            version.acl = acl.clone();
            Ok(())
        })
        .await
    }

    /// Which policy a bucket has, if it has one.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn bucket_policy_version(&self, bucket: &Bucket) -> Result<Option<Uid>, Error> {
        let record: Option<BucketPolicyRecord> =
            self.read_record(key::bucket_policy(bucket.uid())).await?;
        Ok(record.map(|record| record.version))
    }

    /// The policy of a bucket, and which it is.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn bucket_policy(&self, bucket: &Bucket) -> Result<Option<(Uid, String)>, Error> {
        let record: Option<PolicyTextRecord> =
            self.read_record(key::policy_text(bucket.uid())).await?;
        Ok(record.map(|record| (record.version, record.text)))
    }

    /// Gives a bucket a policy in place of the one that it has, or none.
    ///
    /// # Errors
    /// As for [`set_bucket_acl`](Self::set_bucket_acl).
    pub async fn set_bucket_policy(
        &self,
        bucket: &Bucket,
        text: Option<String>,
    ) -> Result<(), Error> {
        let (row, text_row) = (key::bucket_policy(bucket.uid()), key::policy_text(bucket.uid()));
        let writes = match text {
            None => vec![Write::Delete(row), Write::Delete(text_row)],
            Some(text) => {
                self.require_room()?;
                let version = self.new_uid()?;
                let policy = BucketPolicyRecord { version }.put(row)?;
                vec![policy, PolicyTextRecord { version, text }.put(text_row)?]
            }
        };
        self.configure(bucket, writes).await
    }

    /// The CORS rules of a bucket, as they were set.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn bucket_cors(&self, bucket: &Bucket) -> Result<Option<String>, Error> {
        let record: Option<BucketCorsRecord> =
            self.read_record(key::bucket_cors(bucket.uid())).await?;
        Ok(record.map(|record| record.document))
    }

    /// Gives a bucket CORS rules in place of those that it has, or none.
    ///
    /// # Errors
    /// As for [`set_bucket_acl`](Self::set_bucket_acl).
    pub async fn set_bucket_cors(
        &self,
        bucket: &Bucket,
        document: Option<String>,
    ) -> Result<(), Error> {
        let row = key::bucket_cors(bucket.uid());
        let write = match document {
            None => Write::Delete(row),
            Some(document) => {
                self.require_room()?;
                BucketCorsRecord { document }.put(row)?
            }
        };
        self.configure(bucket, vec![write]).await
    }

    /// Writes rows of a bucket, if it is still there.
    pub(crate) async fn configure(&self, bucket: &Bucket, writes: Vec<Write>) -> Result<(), Error> {
        let mut bucket = bucket.clone();
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let commit = Commit { conditions: vec![bucket.unchanged()], writes: writes.clone() };
            match self.kv().commit(commit).await? {
                Outcome::Committed(_) => return Ok(()),
                // No row tells afterwards whether it was this commit.
                Outcome::Unknown => return Err(Error::Unknown),
                Outcome::Conflict => self.refresh(&mut bucket).await?,
            }
        }
        Err(Error::Busy)
    }

    /// Reads the record under a key, if there is one.
    pub(crate) async fn read_record<R: Record>(&self, key: Vec<u8>) -> Result<Option<R>, Error> {
        match self.kv().get(&key).await? {
            Some(row) => R::decode(&key, &row.value).map(Some),
            None => Ok(None),
        }
    }
}
