//! Multipart uploads and their parts.

use cosine_access::ObjectAcl;
use serde::{Deserialize, Serialize};

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
}

/// A part: a slice of a content, mostly the whole of one that came with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The content.
    pub content: Uid,
    /// Owns the reference to it, now and when it is part of an object.
    pub holder: Uid,
    /// The first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// CRC-64/XZ of them.
    pub crc64: u64,
    /// MD5 of them, or what stands for it.
    pub etag: [u8; 16],
    /// When it was written, microseconds since 1970 UTC.
    pub modified: u64,
    /// Where the content's blobs lie.
    pub pools: Pools,
    /// How many levels of contents are below it.
    pub depth: u8,
}

/// That an upload is over, and that its parts are still to be cleared away. Was it completed, then there
/// is a content under its uid, and stays until that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedUploadRecord {}
