//! Keys, and which of them a bucket's objects are encrypted under where nobody says.

use serde::{Deserialize, Serialize};

/// The key of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreKeyRecord {
    /// Sealed under the master key.
    pub sealed: Vec<u8>,
}

/// A key of the built-in key management.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsKeyRecord {
    /// The account that it belongs to.
    pub appid: u64,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// What its owner says of it.
    pub description: String,
    /// Whether it is used.
    pub state: KmsKeyState,
    /// Its versions, oldest first, each sealed under the master key. The last one seals.
    pub versions: Vec<Vec<u8>>,
}

/// Whether a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KmsKeyState {
    /// It is.
    Enabled,
    /// It is not, for now.
    Disabled,
    /// It is not, and goes at this time, microseconds since 1970 UTC.
    PendingDeletion(u64),
}

/// The key that an account's objects are encrypted under where none is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsDefaultRecord {
    /// Its id.
    pub key_id: String,
}

/// What a bucket's objects are encrypted with where a request does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketEncryptionRecord {
    /// That.
    pub encryption: BucketEncryption,
}

/// The default encryption of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BucketEncryption {
    /// SSE-COS.
    Cos,
    /// SSE-KMS.
    Kms {
        /// Under this key; the account's default one where none is named.
        key_id: Option<String>,
    },
}
