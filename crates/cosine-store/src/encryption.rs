//! What a bucket's objects are encrypted with where a request does not say.

use cosine_crypt::Encryption;
use cosine_kv::Write;

use crate::record::{BucketEncryption, BucketEncryptionRecord, Record};
use crate::{Bucket, Error, Store, key};

impl BucketEncryption {
    /// What it asks for of an object.
    pub fn wanted(&self) -> Encryption {
        match self {
            Self::Cos => Encryption::Cos,
            Self::Kms { key_id } => Encryption::Kms { key_id: key_id.clone(), context: vec![] },
        }
    }
}

impl Store {
    /// The default encryption of a bucket, if it has one.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub async fn bucket_encryption(
        &self,
        bucket: &Bucket,
    ) -> Result<Option<BucketEncryption>, Error> {
        let record: Option<BucketEncryptionRecord> =
            self.read_record(key::bucket_encryption(bucket.uid())).await?;
        Ok(record.map(|record| record.encryption))
    }

    /// Gives a bucket a default encryption in place of the one that it has, or none. Objects that are there
    /// stay as they are.
    ///
    /// # Errors
    /// As for [`set_bucket_acl`](Self::set_bucket_acl).
    pub async fn set_bucket_encryption(
        &self,
        bucket: &Bucket,
        encryption: Option<BucketEncryption>,
    ) -> Result<(), Error> {
        let row = key::bucket_encryption(bucket.uid());
        let write = match encryption {
            None => Write::Delete(row),
            Some(encryption) => {
                self.require_room()?;
                BucketEncryptionRecord { encryption }.put(row)?
            }
        };
        self.configure(bucket, vec![write]).await
    }
}
