//! What is stored. Normative: `docs/format.md`.
//!
//! A record is one byte of format version, its fields in postcard encoding, and a checksum over its
//! key and all of that. Enums may grow at the end; everything else is a new version, and old ones
//! stay readable.

mod access;
mod content;
mod encryption;
mod object;
mod sums;
mod upload;

pub use access::{
    AccessKeyRecord, AccountRecord, BucketCorsRecord, BucketPolicyRecord, IdentitiesRecord,
    PolicyTextRecord, RoleRecord, UinRecord, UserRecord,
};
pub use content::{
    Body, ContentRecord, ContentState, Coverage, DataKey, PageEnd, PageRecord, Pools, Slice,
    SliceKey,
};
pub use encryption::{
    BucketEncryption, BucketEncryptionRecord, KmsDefaultRecord, KmsKeyRecord, KmsKeyState,
    StoreKeyRecord,
};
pub use object::{
    Attributes, DeleteMarker, Etag, HeadRecord, ObjectKind, OldVersion, Restore, RestoreTier,
    SealedContentKey, StorageClass, Version, VersionId,
};
pub use sums::{ContentSums, ObjectSums, PartSums, Sums};
pub use upload::{EndedUploadRecord, PartRecord, UploadRecord};

use bytes::Bytes;
use cosine_access::BucketAcl;
use cosine_kv::Write;
use crc_fast::{CrcAlgorithm, Digest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::id::Uid;

/// Bytes of the checksum that ends every record.
const SUM_BYTES: usize = 4;

/// A stored record of a known format version.
pub trait Record: Serialize + DeserializeOwned {
    /// Names the record in messages.
    const NAME: &'static str;
    /// The format version that is written.
    const VERSION: u8;

    /// The record as it is stored under `key`.
    fn encode(&self, key: &[u8]) -> Result<Bytes, Error> {
        let fields = postcard::to_extend(self, vec![Self::VERSION]);
        let mut stored =
            fields.map_err(|error| Error::System(format!("{}: {error}", Self::NAME)))?;
        let sum = checksum(key, &stored);
        stored.extend_from_slice(&sum.to_le_bytes());
        Ok(Bytes::from(stored))
    }

    /// The write that stores the record under `key`.
    fn put(&self, key: Vec<u8>) -> Result<Write, Error> {
        let value = self.encode(&key)?;
        Ok(Write::Put(key, value))
    }

    /// Reads what is stored under `key`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not what was written, or was written under another key;
    /// [`Error::NewerFormat`] if a newer program wrote it.
    fn decode(key: &[u8], stored: &[u8]) -> Result<Self, Error> {
        let damaged = |why: &str| Error::Damaged(format!("{} record: {why}", Self::NAME));
        let (content, sum) =
            stored.split_last_chunk::<SUM_BYTES>().ok_or_else(|| damaged("it is cut"))?;
        if checksum(key, content) != u32::from_le_bytes(*sum) {
            return Err(damaged("its checksum does not fit"));
        }
        match content.split_first() {
            Some((&version, fields)) if version == Self::VERSION => {
                match postcard::take_from_bytes(fields) {
                    Ok((record, [])) => Ok(record),
                    Ok(_) => Err(damaged("it is longer than its fields")),
                    Err(error) => Err(damaged(&error.to_string())),
                }
            }
            Some((&version, _)) => Err(Error::NewerFormat { record: Self::NAME, version }),
            None => Err(damaged("it is empty")),
        }
    }
}

/// CRC-32C over a record's key and what is stored before the checksum: a record that strayed to
/// another key is damage too.
fn checksum(key: &[u8], content: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(key);
    digest.update(content);
    digest.finalize() as u32
}

macro_rules! records {
    ($($record:ty: $name:literal, $version:literal;)*) => {$(
        impl Record for $record {
            const NAME: &'static str = $name;
            const VERSION: u8 = $version;
        }
    )*};
}

records! {
    StoreRecord: "store", 1;
    FenceRecord: "fence", 1;
    HeartbeatRecord: "heartbeat", 1;
    BucketRecord: "bucket", 1;
    BucketAclRecord: "bucket ACL", 1;
    BucketPolicyRecord: "bucket policy", 1;
    PolicyTextRecord: "policy text", 1;
    BucketCorsRecord: "bucket CORS", 1;
    IdentitiesRecord: "identities", 1;
    StoreKeyRecord: "store key", 1;
    KmsKeyRecord: "KMS key", 1;
    KmsDefaultRecord: "default KMS key", 1;
    BucketEncryptionRecord: "bucket encryption", 1;
    AccountRecord: "account", 1;
    UinRecord: "uin", 1;
    UserRecord: "user", 1;
    RoleRecord: "role", 1;
    AccessKeyRecord: "access key", 1;
    HeadRecord: "head", 1;
    Version: "version", 1;
    OldVersion: "older version", 1;
    ContentRecord: "content", 1;
    PageRecord: "page of slices", 1;
    UploadRecord: "upload", 1;
    PartRecord: "part", 1;
    EndedUploadRecord: "ended upload", 1;
    ReferenceRecord: "reference", 1;
    ReleasedRecord: "released", 1;
    OverRecord: "over", 1;
    DoomedRecord: "doomed", 1;
    LedgerRecord: "ledger", 1;
    ScrubRecord: "scrub", 1;
    DamageRecord: "damage", 1;
}

/// The store that the metadata belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRecord {
    /// Random.
    pub id: u128,
}

/// Stands while a run may refer to blobs of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceRecord {
    /// When the run began, microseconds since 1970 UTC by its own clock.
    pub began: u64,
}

/// When a run was last heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatRecord {
    /// Microseconds since 1970 UTC by its own clock; a change is what counts, not the value.
    pub at: u64,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRecord {
    /// This incarnation: a bucket made again under the same name is another one.
    pub uid: Uid,
    /// Where it lives.
    pub region: String,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// Whether writers may pass.
    pub gate: Gate,
    /// Whether older versions are kept.
    pub versioning: Versioning,
    /// Whether it is a multi-AZ bucket.
    pub zones: Zones,
}

/// Whether a bucket keeps older versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versioning {
    /// It never did: there is one version of a key, and its id is `null`.
    #[default]
    Never,
    /// It does.
    Enabled,
    /// It did: those versions stay, new ones take the place of the one whose id is `null`.
    Suspended,
}

/// How many availability zones a bucket is said to span: which storage classes it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Zones {
    /// One.
    #[default]
    One,
    /// Several: `MAZ`.
    Several,
}

/// Whether writers may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gate {
    /// They may.
    Open,
    /// A run is deciding from the whole of the bucket.
    Frozen {
        /// The run; when it is gone, anyone may thaw.
        run: u64,
        /// Random: tells this freeze from every other.
        token: u64,
    },
}

/// What others than its owner may do with a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketAclRecord {
    /// The ACL.
    pub acl: BucketAcl,
}

/// That a reference exists; its key says everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceRecord {}

/// That a content lost a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedRecord {
    /// Microseconds since 1970 UTC.
    pub at: u64,
}

/// A run that is over: whatever it wrote and nobody refers to is an orphan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverRecord {
    /// Whether its orphans have been doomed.
    pub swept: bool,
}

/// A blob that goes once the grace has passed, if nobody refers to it then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoomedRecord {
    /// What will come back: bytes of data; 0 for a blob that was never finished.
    pub bytes: u64,
}

/// What collectors did. They alone write it, in the commits of which it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Blobs that are doomed.
    pub doomed_blobs: u64,
    /// Bytes of data in them.
    pub doomed_bytes: u64,
    /// Blobs that were deleted, ever.
    pub reclaimed_blobs: u64,
    /// Inline contents that were removed, ever.
    pub reclaimed_inline: u64,
    /// Bytes of data in both.
    pub reclaimed_bytes: u64,
    /// Blobs that nothing explains, ever put aside.
    pub quarantined_blobs: u64,
}

/// How far the scrub has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubRecord {
    /// The pass under way, or the last one; 0 before the first.
    pub pass: u64,
    /// When it began, microseconds since 1970 UTC.
    pub began: u64,
    /// The last content that it has dealt with.
    pub cursor: Option<Uid>,
    /// What it has seen so far.
    pub seen: Census,
    /// What the last complete pass saw.
    pub last: Census,
    /// When that one ended, microseconds since 1970 UTC.
    pub last_ended: Option<u64>,
}

/// Contents, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Contents that a version, a slice or a part refers to.
    pub live: u64,
    /// Bytes in them, each counted once: those of what is made of slices lie in what it is made of.
    pub live_bytes: u64,
    /// Live contents that are referred to more than once.
    pub shared: u64,
    /// Bytes that copies would take if they did not share.
    pub shared_bytes: u64,
    /// Contents that are damaged.
    pub damaged: u64,
}

/// A content whose stored bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageRecord {
    /// When it was found, microseconds since 1970 UTC.
    pub at: u64,
    /// What is wrong.
    pub what: String,
    /// Objects that show it: bucket, key and the order of the version. The first hundred.
    pub objects: Vec<(String, String, u64)>,
}

#[cfg(test)]
mod tests;
