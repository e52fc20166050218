//! What is stored. Normative: `docs/format.md`.
//!
//! A record is one byte of format version, then its fields in postcard encoding. Enums may grow at
//! the end; everything else is a new version, and old ones stay readable.

use std::fmt;

use bytes::Bytes;
use cosine_blob::BlobId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::id::Uid;

/// A stored record of a known format version.
pub trait Record: Serialize + DeserializeOwned {
    /// Names the record in messages.
    const NAME: &'static str;
    /// The format version that is written.
    const VERSION: u8;

    /// The record as stored.
    fn encode(&self) -> Result<Bytes, Error> {
        let fields = postcard::to_extend(self, vec![Self::VERSION]);
        fields.map(Bytes::from).map_err(|error| Error::System(format!("{}: {error}", Self::NAME)))
    }

    /// Reads a stored record.
    fn decode(stored: &[u8]) -> Result<Self, Error> {
        match stored.split_first() {
            Some((&version, fields)) if version == Self::VERSION => postcard::from_bytes(fields)
                .map_err(|error| Error::Damaged(format!("{} record: {error}", Self::NAME))),
            Some((version, _)) => {
                Err(Error::Damaged(format!("{} record of unknown format {version}", Self::NAME)))
            }
            None => Err(Error::Damaged(format!("{} record is empty", Self::NAME))),
        }
    }
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
    HeadRecord: "head", 1;
    Version: "version", 1;
    ContentRecord: "content", 1;
    ReferenceRecord: "reference", 1;
    ReleasedRecord: "released", 1;
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

/// What everyone may do with a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketAclRecord {
    /// The canned ACL.
    pub acl: BucketAcl,
}

/// A canned bucket ACL: what everyone may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BucketAcl {
    /// Nothing.
    #[default]
    Private,
    /// Everyone may read.
    PublicRead,
    /// Everyone may read and write.
    PublicReadWrite,
    /// Every signed caller may read.
    AuthenticatedRead,
}

/// The order of a key's versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRecord {
    /// The newest version's order.
    pub newest: u64,
}

/// One version of an object: everything but its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Owns the reference to the content.
    pub(crate) uid: Uid,
    /// Strictly rises within a key: microseconds since 1970 UTC, or one more than the last.
    pub(crate) order: u64,
    pub(crate) content: Uid,
    /// Bytes.
    pub size: u64,
    /// The entity tag.
    pub etag: Etag,
    /// CRC-64/XZ of the plain bytes.
    pub crc64: u64,
    /// The storage class.
    pub class: StorageClass,
    /// What kind of object this is.
    pub kind: ObjectKind,
    /// How the content key is wrapped.
    pub(crate) sse: Sse,
    /// Who may do what.
    pub acl: ObjectAcl,
    /// Metadata that came with the object.
    pub attributes: Attributes,
    /// Object tags, key and value.
    pub(crate) tags: Vec<(String, String)>,
}

impl Version {
    /// Last modification, whole seconds since 1970 UTC.
    pub fn last_modified(&self) -> i64 {
        (self.order / 1_000_000).cast_signed()
    }
}

/// 16 bytes, mostly an MD5, and for a multipart object the number of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etag {
    /// MD5 of the bytes, or what stands for it.
    pub digest: [u8; 16],
    /// 0 for an object that was not uploaded in parts.
    pub parts: u16,
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.digest))?;
        if self.parts > 0 { write!(f, "-{}", self.parts) } else { Ok(()) }
    }
}

/// Storage classes that can be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StorageClass {
    /// `STANDARD`.
    #[default]
    Standard,
}

impl StorageClass {
    /// The COS name.
    pub fn as_str(self) -> &'static str {
        match self {
            StorageClass::Standard => "STANDARD",
        }
    }
}

/// Kinds of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectKind {
    /// Written whole.
    Normal,
}

/// How a version's content key is wrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sse {
    /// The bytes are plain.
    None,
}

/// A canned object ACL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectAcl {
    /// As the bucket says.
    #[default]
    Default,
    /// Only the owner.
    Private,
    /// Everyone may read.
    PublicRead,
    /// Every signed caller may read.
    AuthenticatedRead,
    /// The bucket's owner may read.
    BucketOwnerRead,
    /// The bucket's owner may do everything.
    BucketOwnerFullControl,
}

/// Metadata that came with an object and goes out with it, as it came. Values are bytes: nobody
/// promised that a header is UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// System metadata by lower-case name, such as `content-type`.
    pub system: Vec<(String, Vec<u8>)>,
    /// User-defined metadata by lower-case name, without the dialect's prefix.
    pub user: Vec<(String, Vec<u8>)>,
}

/// A content: immutable bytes that any number of versions share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRecord {
    /// Bytes.
    pub size: u64,
    /// CRC-64/XZ of all of them.
    pub crc64: u64,
    /// MD5 of all of them, where it is known.
    pub md5: Option<[u8; 16]>,
    /// Whether new references may be taken.
    pub state: ContentState,
    /// Where the bytes are.
    pub body: Body,
}

/// Whether new references may be taken to a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentState {
    /// They may.
    Live,
    /// The collector is about to remove it, unless a copy pardons it first.
    Condemned,
}

/// Where a content's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// In a row beside the content's.
    Inline,
    /// In slices of blobs, in order.
    Extents(Vec<Extent>),
}

/// A slice of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    blob: [u8; 16],
    /// The first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// CRC-64/XZ of the slice.
    pub crc64: u64,
    /// How the data key is wrapped.
    pub key: ExtentKey,
}

/// How a blob's data key is wrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExtentKey {
    /// There is none: the bytes are plain.
    Plain,
}

impl Extent {
    /// The whole of a plain blob.
    pub fn whole(blob: BlobId, length: u64, crc64: u64) -> Self {
        Self { blob: blob.0, offset: 0, length, crc64, key: ExtentKey::Plain }
    }

    /// The blob.
    pub fn blob(&self) -> BlobId {
        BlobId(self.blob)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as the first format wrote them: they must open for ever.
    #[test]
    fn version_1_records_open() {
        let version = Version {
            uid: Uid([1; 16]),
            order: 1_586_542_830_000_001,
            content: Uid([2; 16]),
            size: 16,
            etag: Etag { digest: [3; 16], parts: 0 },
            crc64: 16_749_565_679_157_681_890,
            class: StorageClass::Standard,
            kind: ObjectKind::Normal,
            sse: Sse::None,
            acl: ObjectAcl::PublicRead,
            attributes: Attributes {
                system: vec![("content-type".into(), b"a/b".to_vec())],
                user: vec![("via".into(), b"x".to_vec())],
            },
            tags: vec![],
        };
        let stored = hex(
            "01 01010101010101010101010101010101 81afb6cebcdee802 02020202020202020202020202020202 \
             10 03030303030303030303030303030303 00 e2bd9282e0a79ab9e801 00 00 00 02 \
             01 0c 636f6e74656e742d74797065 03 612f62 01 03 766961 01 78 00",
        );
        assert_eq!(version.encode().unwrap(), stored);
        assert_eq!(Version::decode(&stored).unwrap(), version);
        assert_eq!(version.last_modified(), 1_586_542_830);
        assert_eq!(version.etag.to_string(), "03030303030303030303030303030303");

        let content = ContentRecord {
            size: 300,
            crc64: 1,
            md5: Some([4; 16]),
            state: ContentState::Live,
            body: Body::Extents(vec![Extent::whole(BlobId([5; 16]), 300, 1)]),
        };
        let stored = hex("01 ac02 01 01 04040404040404040404040404040404 00 01 01 \
             05050505050505050505050505050505 00 ac02 01 00");
        assert_eq!(content.encode().unwrap(), stored);
        assert_eq!(ContentRecord::decode(&stored).unwrap(), content);
    }

    #[test]
    fn version_1_of_the_small_records_opens() {
        fn check<R: Record + PartialEq + std::fmt::Debug>(record: R, stored: &str) {
            let stored = hex(stored);
            assert_eq!(record.encode().unwrap(), stored, "{record:?}");
            assert_eq!(R::decode(&stored).unwrap(), record);
        }
        let bucket = |gate| BucketRecord {
            uid: Uid([1; 16]),
            region: "ap-x".into(),
            created: 1_586_542_830,
            gate,
        };
        let head = "01 01010101010101010101010101010101 04 61702d78 dce385e90b";
        check(bucket(Gate::Open), &format!("{head} 00"));
        check(bucket(Gate::Frozen { run: 300, token: 1 }), &format!("{head} 01 ac02 01"));
        check(BucketAclRecord { acl: BucketAcl::PublicReadWrite }, "01 02");
        check(StoreRecord { id: 300 }, "01 ac02");
        check(FenceRecord { began: 300 }, "01 ac02");
        check(HeartbeatRecord { at: 300 }, "01 ac02");
        check(HeadRecord { newest: 300 }, "01 ac02");
        check(ReferenceRecord {}, "01");
        check(ReleasedRecord { at: 300 }, "01 ac02");
    }

    #[test]
    fn what_is_no_record_is_damage_and_no_panic() {
        for stored in [&b""[..], b"\x01", b"\x02\x00", b"\x01\xff\xff\xff\xff"] {
            assert!(matches!(Version::decode(stored), Err(Error::Damaged(_))));
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }
}
