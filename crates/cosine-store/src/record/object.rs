//! Objects: heads, versions, delete markers.

use std::fmt;

use cosine_access::ObjectAcl;
use cosine_crypt::{Envelope, Shown};
use serde::{Deserialize, Serialize};

use super::sums::{ObjectSums, Sums};
use crate::id::Uid;

/// The order of a key's versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRecord {
    /// The newest version's order, or that of a newer one which is gone.
    pub newest: u64,
    /// The order of the version, or of the delete marker, whose id is `null`, if there is one.
    pub null: Option<u64>,
}

/// Which version of a key: what clients name it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionId {
    /// The one that was written while its bucket kept no older versions.
    Null,
    /// The one of this order.
    Order(u64),
}

/// One version of an object: everything but its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Owns the reference to the content.
    pub(crate) uid: Uid,
    /// Strictly rises within a key: microseconds since 1970 UTC, or one more than the last.
    pub(crate) order: u64,
    /// Whether its id is `null`.
    pub(crate) null: bool,
    pub(crate) content: Uid,
    /// Bytes.
    pub size: u64,
    /// Entity tag and checksum: [`Store::sums`](crate::Store::sums) reads them.
    pub(crate) sums: Sums<ObjectSums>,
    /// The storage class.
    pub class: StorageClass,
    /// What kind of object this is.
    pub kind: ObjectKind,
    /// The content key, if any of the bytes are sealed.
    pub(crate) content_key: Option<SealedContentKey>,
    /// Who may do what.
    pub acl: ObjectAcl,
    /// Metadata that came with the object.
    pub attributes: Attributes,
    /// Object tags, key and value, in the order in which they were set.
    pub tags: Vec<(String, String)>,
    /// For an archived object: when it may be read.
    pub restore: Option<Restore>,
}

impl Version {
    /// What it is named by.
    pub fn id(&self) -> VersionId {
        if self.null { VersionId::Null } else { VersionId::Order(self.order) }
    }

    /// Last modification, whole seconds since 1970 UTC.
    pub fn last_modified(&self) -> i64 {
        seconds(self.order)
    }

    /// What clients see of its encryption.
    pub fn encryption(&self) -> Shown<'_> {
        self.content_key.as_ref().map_or(Shown::Nothing, |key| key.envelope.shown())
    }
}

/// Whole seconds of so many microseconds.
fn seconds(micros: u64) -> i64 {
    (micros / 1_000_000).cast_signed()
}

/// Says that a key is deleted, and hides its older versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteMarker {
    /// As a version's.
    pub(crate) order: u64,
    /// Whether its id is `null`.
    pub(crate) null: bool,
}

impl DeleteMarker {
    /// What it is named by.
    pub fn id(self) -> VersionId {
        if self.null { VersionId::Null } else { VersionId::Order(self.order) }
    }

    /// When the key was deleted, whole seconds since 1970 UTC.
    pub fn last_modified(self) -> i64 {
        seconds(self.order)
    }
}

/// What stands beside the current version of a key: an older one, or a delete marker, which may be
/// the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OldVersion {
    /// A version.
    Version(Box<Version>),
    /// A delete marker.
    Marker(DeleteMarker),
}

impl OldVersion {
    /// What it is named by.
    pub fn id(&self) -> VersionId {
        match self {
            Self::Version(version) => version.id(),
            Self::Marker(marker) => marker.id(),
        }
    }

    /// Its place among the versions of its key.
    pub(crate) fn order(&self) -> u64 {
        match self {
            Self::Version(version) => version.order,
            Self::Marker(marker) => marker.order,
        }
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

macro_rules! storage_classes {
    ($($class:ident $name:literal $zones:ident $archive:literal $meaning:literal;)*) => {
        /// Storage classes. Source: Storage Class Overview (436/33417).
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub enum StorageClass {
            #[default]
            $(#[doc = $meaning] $class,)*
        }

        impl StorageClass {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$class,)*];

            /// The COS name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$class => $name,)* }
            }

            /// The buckets that take it.
            pub const fn zones(self) -> super::Zones {
                match self { $(Self::$class => super::Zones::$zones,)* }
            }

            /// Whether its objects have to be restored before they can be read.
            pub const fn is_archive(self) -> bool {
                match self { $(Self::$class => $archive,)* }
            }
        }
    };
}

storage_classes! {
    Standard "STANDARD" One false "`STANDARD`.";
    StandardIa "STANDARD_IA" One false "`STANDARD_IA`: read seldom, and at once.";
    IntelligentTiering "INTELLIGENT_TIERING" One false "`INTELLIGENT_TIERING`: as often as it may be.";
    Archive "ARCHIVE" One true "`ARCHIVE`: restored before it is read.";
    DeepArchive "DEEP_ARCHIVE" One true "`DEEP_ARCHIVE`: restored before it is read, slowly.";
    MazStandard "MAZ_STANDARD" Several false "`MAZ_STANDARD`.";
    MazStandardIa "MAZ_STANDARD_IA" Several false "`MAZ_STANDARD_IA`.";
    MazIntelligentTiering "MAZ_INTELLIGENT_TIERING" Several false "`MAZ_INTELLIGENT_TIERING`.";
    MazArchive "MAZ_ARCHIVE" Several true "`MAZ_ARCHIVE`.";
    MazDeepArchive "MAZ_DEEP_ARCHIVE" Several true "`MAZ_DEEP_ARCHIVE`.";
}

impl StorageClass {
    /// The class of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str().eq_ignore_ascii_case(name))
    }

    /// What an object is in where nobody says.
    pub const fn default_in(zones: super::Zones) -> Self {
        match zones {
            super::Zones::One => Self::Standard,
            super::Zones::Several => Self::MazStandard,
        }
    }

    /// Whether it is one that deep archives are in.
    pub const fn is_deep(self) -> bool {
        matches!(self, Self::DeepArchive | Self::MazDeepArchive)
    }
}

/// Kinds of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectKind {
    /// Written whole.
    Normal,
    /// Grows by `APPEND Object`.
    Appendable,
    /// Its bytes are the key of another object in its bucket, which is read in its place.
    Symlink,
}

/// A content key in its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedContentKey {
    /// Which content key it is.
    pub uid: Uid,
    /// What it takes to have it.
    pub envelope: Envelope,
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

/// How fast an archived object is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreTier {
    /// `Expedited`.
    Expedited,
    /// `Standard`.
    #[default]
    Standard,
    /// `Bulk`.
    Bulk,
}

impl RestoreTier {
    /// All of them, fastest first.
    pub const ALL: [Self; 3] = [Self::Expedited, Self::Standard, Self::Bulk];

    /// The COS name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expedited => "Expedited",
            Self::Standard => "Standard",
            Self::Bulk => "Bulk",
        }
    }
}

/// That an archived object was asked to be restored. All times are microseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// When it was asked for.
    pub requested: u64,
    /// From when on it can be read.
    pub ready: u64,
    /// Until when.
    pub expires: u64,
    /// How fast it was to be.
    pub tier: RestoreTier,
}
