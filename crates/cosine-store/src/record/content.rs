//! Contents: immutable bytes, whole in one place or made of slices of others.

use cosine_blob::{BlobId, PoolId};
use serde::{Deserialize, Serialize};

use crate::id::Uid;

/// A content: immutable bytes that any number of versions, and of other contents, share.
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
    /// Where its blobs lie.
    pub pools: Pools,
    /// How many levels of contents are below it.
    pub depth: u8,
    /// Where the bytes are.
    pub body: Body,
}

impl ContentRecord {
    /// Whether its bytes are its own: in one place, and not in slices of others.
    pub fn is_leaf(&self) -> bool {
        !matches!(self.body, Body::Slices(_))
    }
}

/// Whether new references may be taken to a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentState {
    /// They may.
    Live,
    /// The collector is about to remove it, unless somebody pardons it first.
    Condemned,
    /// It is being taken apart: nobody can refer to it any more.
    Removing,
}

/// Where a content's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// In a row beside the content's.
    Inline,
    /// In a blob, all of it.
    Blob {
        /// The blob's id.
        id: [u8; 16],
        /// How the data key is wrapped.
        key: BlobKey,
    },
    /// In slices of other contents, in pages beside the content's row. Of each page: where it ends.
    Slices(Vec<PageEnd>),
}

impl Body {
    /// A plain blob.
    pub fn plain(id: BlobId) -> Self {
        Self::Blob { id: id.0, key: BlobKey::Plain }
    }

    /// The blob, if it is one.
    pub fn blob(&self) -> Option<BlobId> {
        match self {
            Self::Blob { id, .. } => Some(BlobId(*id)),
            Self::Inline | Self::Slices(_) => None,
        }
    }
}

/// How a blob's data key is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlobKey {
    /// There is none: the bytes are plain.
    Plain,
}

/// Where a page of slices ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEnd {
    /// Bytes of the content up to here.
    pub end: u64,
    /// CRC-64/XZ of them.
    pub crc64: u64,
}

/// A page of the slices that a content is made of, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRecord {
    /// At least one.
    pub slices: Vec<Slice>,
}

/// A run of another content's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The other content.
    pub content: Uid,
    /// Owns the reference to it. Random, and never used again: one content may be sliced often.
    pub holder: Uid,
    /// The first byte.
    pub offset: u64,
    /// Bytes, at least one.
    pub length: u64,
    /// CRC-64/XZ of them.
    pub crc64: u64,
}

/// A set of storage pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pools(u16);

impl Pools {
    /// One pool.
    pub fn of(pool: PoolId) -> Self {
        Self(1 << pool.number())
    }

    /// Both sets.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is in any other pool.
    pub fn all_in(self, pool: PoolId) -> bool {
        self.0 & !Self::of(pool).0 == 0
    }
}
