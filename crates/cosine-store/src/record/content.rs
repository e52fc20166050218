//! Contents: immutable bytes, whole in one place or made of slices of others.

use cosine_blob::{BlobId, PoolId};
use serde::{Deserialize, Serialize};

use super::sums::{ContentSums, Sums};
use crate::id::Uid;

/// A content: immutable bytes that any number of versions, and of other contents, share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRecord {
    /// Bytes.
    pub size: u64,
    /// What they are held against.
    pub sums: Sums<ContentSums>,
    /// Whether new references may be taken.
    pub state: ContentState,
    /// Where its blobs lie.
    pub pools: Pools,
    /// How many levels of contents are below it.
    pub depth: u8,
    /// How much of it is sealed.
    pub coverage: Coverage,
    /// The content key, if anything is: whoever shows the content has it in an envelope.
    pub content_key: Option<Uid>,
    /// Where the bytes are.
    pub body: Body,
}

/// How much of some bytes is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coverage {
    /// There are none.
    #[default]
    Nothing,
    /// None.
    Plain,
    /// Some, and some not.
    Mixed,
    /// All.
    Sealed,
}

impl Coverage {
    /// Of both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, only) | (only, Self::Nothing) => only,
            (one, other) if one == other => one,
            _ => Self::Mixed,
        }
    }

    /// Whether it takes a key to read all of them.
    pub fn needs_key(self) -> bool {
        matches!(self, Self::Mixed | Self::Sealed)
    }
}

impl ContentRecord {
    /// Whether what it says of its encryption cannot be.
    pub fn contradicts_itself(&self) -> bool {
        let keyed = self.content_key.is_some();
        let sealed = match &self.body {
            Body::Inline(key) | Body::Blob { key, .. } => matches!(key, DataKey::Sealed { .. }),
            Body::Slices(_) => keyed,
        };
        keyed != self.coverage.needs_key()
            || keyed != sealed
            || keyed != self.sums.clear().is_none()
    }

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
    Inline(DataKey),
    /// In a blob, all of it.
    Blob {
        /// The blob's id.
        id: [u8; 16],
        /// What it takes to read it.
        key: DataKey,
    },
    /// In slices of other contents, in pages beside the content's row. Of each page: where it ends.
    Slices(Vec<PageEnd>),
}

impl Body {
    /// The blob, if it is one.
    pub fn blob(&self) -> Option<BlobId> {
        match self {
            Self::Blob { id, .. } => Some(BlobId(*id)),
            Self::Inline(_) | Self::Slices(_) => None,
        }
    }
}

/// What bytes in one place are sealed under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataKey {
    /// Nothing: they are plain.
    Plain,
    /// A key of their own.
    Sealed {
        /// That key, sealed under the content key.
        key: Vec<u8>,
        /// CRC-64/XZ of the bytes as they are stored.
        crc64: u64,
    },
}

/// Where a page of slices ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEnd {
    /// Bytes of the content up to here.
    pub end: u64,
}

/// A page of the slices that a content is made of, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRecord {
    /// At least one.
    pub slices: Vec<Slice>,
    /// CRC-64/XZ of each.
    pub crc64: Sums<Vec<u64>>,
}

/// A run of another content's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The other content.
    pub content: Uid,
    /// Owns the reference to it. Random, and never used again: one content may be sliced often.
    pub holder: Uid,
    /// The first byte.
    pub offset: u64,
    /// Bytes, at least one.
    pub length: u64,
    /// What the other content's key is sealed under.
    pub key: SliceKey,
}

/// How who has a content's key gets the key of what the content is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SliceKey {
    /// It is the same, or there is none.
    Same,
    /// It is another one, sealed under the content's.
    Sealed(Vec<u8>),
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
