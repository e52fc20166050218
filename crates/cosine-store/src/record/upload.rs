//! Multipart uploads and their parts.

use cosine_access::ObjectAcl;
use serde::{Deserialize, Serialize};

use super::content::{Coverage, SliceKey};
use super::object::SealedContentKey;
use super::sums::{PartSums, Sums};
use super::{Attributes, Pools, StorageClass};
use crate::id::Uid;

/// An upload under way: what the object will be, but for its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// Its parts lie under this, and so will the content that is made of them.
    pub uid: Uid,
    /// When it began, microseconds since 1970 UTC.
    pub initiated: u64,
    /// The account that began it, by its uin; 0 for nobody who said so.
    pub initiator: u64,
    /// The object's class.
    pub class: StorageClass,
    /// The object's ACL.
    pub acl: ObjectAcl,
    /// The object's metadata.
    pub attributes: Attributes,
    /// The object's tags.
    pub tags: Vec<(String, String)>,
    /// Whether it must not become an object where there is one.
    pub forbid_overwrite: bool,
    /// The object's content key, should it need one.
    pub content_key: SealedContentKey,
    /// Of a customer's key, its MD5, which clients are told once more when the upload is completed, and what
    /// the object's entity tag is made with; sealed under the key of the store.
    pub customer: Option<Vec<u8>>,
}

/// A part: a slice of a content, mostly the whole of one that came with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The content.
    pub content: Uid,
    /// Owns the reference to it, now and when it is part of an object.
    pub holder: Uid,
    /// The first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// What they are held against, and known by.
    pub sums: Sums<PartSums>,
    /// When it was written, microseconds since 1970 UTC.
    pub modified: u64,
    /// Where the content's blobs lie.
    pub pools: Pools,
    /// How many levels of contents are below it.
    pub depth: u8,
    /// How much of it is sealed.
    pub coverage: Coverage,
    /// How who has the upload's content key gets that of the content.
    pub key: SliceKey,
}

/// That an upload is over, and that its parts are still to be cleared away. Was it completed, then there
/// is a content under its uid, and stays until that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedUploadRecord {}
