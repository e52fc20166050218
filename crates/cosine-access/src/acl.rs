//! Access control lists. Source: ACL Overview (436/30583), PUT Bucket acl (436/7737), PUT Object acl
//! (436/7748).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Identity, Who};

/// A list has this many grants at most.
pub const GRANTS_MAX: usize = 100;

/// What a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AclPermission {
    /// To list a bucket, or to read an object.
    Read,
    /// To put objects into a bucket, and to delete them.
    Write,
    /// To see the list.
    ReadAcp,
    /// To change the list.
    WriteAcp,
    /// All of it.
    FullControl,
}

impl AclPermission {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Write, Self::ReadAcp, Self::WriteAcp, Self::FullControl];

    /// The COS name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::ReadAcp => "READ_ACP",
            Self::WriteAcp => "WRITE_ACP",
            Self::FullControl => "FULL_CONTROL",
        }
    }

    /// Whether who has this may do what takes `needed`.
    pub fn covers(self, needed: Self) -> bool {
        self == needed || self == Self::FullControl
    }
}

/// Who a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grantee {
    /// Everyone, signed or not.
    Everyone,
    /// Everyone whose signature was verified.
    Authenticated,
    /// An account, by its uin. It may let its users have it by their own policies.
    Account(u64),
    /// A sub-user.
    User {
        /// The account's uin.
        owner: u64,
        /// The sub-user's.
        uin: u64,
    },
}

impl Grantee {
    /// A user or, where both numbers are the same, the account.
    pub fn of(owner: u64, uin: u64) -> Self {
        if owner == uin { Self::Account(owner) } else { Self::User { owner, uin } }
    }

    /// Whether it is open to people whom nobody named.
    pub fn is_group(self) -> bool {
        matches!(self, Self::Everyone | Self::Authenticated)
    }

    /// Whether it names this identity, or the account that it belongs to.
    pub(crate) fn names(self, identity: &Identity) -> bool {
        match self {
            Self::Everyone | Self::Authenticated => false,
            Self::Account(uin) => identity.account.uin == uin,
            Self::User { owner, uin } => {
                identity.account.uin == owner
                    && matches!(identity.who, Who::User { uin: its, .. } if its == uin)
            }
        }
    }
}

/// One line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Who may.
    pub grantee: Grantee,
    /// What.
    pub permission: AclPermission,
}

const EVERYONE_READS: Grant = Grant { grantee: Grantee::Everyone, permission: AclPermission::Read };
const EVERYONE_WRITES: Grant =
    Grant { grantee: Grantee::Everyone, permission: AclPermission::Write };
const SIGNED_READ: Grant =
    Grant { grantee: Grantee::Authenticated, permission: AclPermission::Read };

/// What others than its owner may do with a bucket. Stored with it: variants keep their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What the list says, beside the owner's full control.
    Grants(Vec<Grant>),
}

impl BucketAcl {
    /// What `x-cos-acl` may say of a bucket.
    pub const CANNED: [(&str, Self); 4] = [
        ("private", Self::Private),
        ("public-read", Self::PublicRead),
        ("public-read-write", Self::PublicReadWrite),
        ("authenticated-read", Self::AuthenticatedRead),
    ];

    /// The grants, beside the owner's full control.
    pub fn grants(&self) -> Cow<'_, [Grant]> {
        match self {
            Self::Private => Cow::Borrowed(&[]),
            Self::PublicRead => Cow::Borrowed(&[EVERYONE_READS]),
            Self::PublicReadWrite => Cow::Borrowed(&[EVERYONE_READS, EVERYONE_WRITES]),
            Self::AuthenticatedRead => Cow::Borrowed(&[SIGNED_READ]),
            Self::Grants(grants) => Cow::Borrowed(grants),
        }
    }
}

/// What others than its owner may do with an object. An object belongs to the owner of its bucket.
/// Stored with it: variants keep their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectAcl {
    /// As the bucket says.
    #[default]
    Default,
    /// Nothing.
    Private,
    /// Everyone may read.
    PublicRead,
    /// Every signed caller may read.
    AuthenticatedRead,
    /// The bucket's owner may read, who may anyway.
    BucketOwnerRead,
    /// The bucket's owner may do everything, who may anyway.
    BucketOwnerFullControl,
    /// What the list says, beside the owner's full control.
    Grants(Vec<Grant>),
}

impl ObjectAcl {
    /// What `x-cos-acl` may say of an object (C115).
    pub const CANNED: [(&str, Self); 6] = [
        ("default", Self::Default),
        ("private", Self::Private),
        ("public-read", Self::PublicRead),
        ("authenticated-read", Self::AuthenticatedRead),
        ("bucket-owner-read", Self::BucketOwnerRead),
        ("bucket-owner-full-control", Self::BucketOwnerFullControl),
    ];

    /// The grants, beside the owner's full control; `None` where the bucket's are in force.
    pub fn grants(&self) -> Option<Cow<'_, [Grant]>> {
        Some(match self {
            Self::Default => return None,
            Self::Private | Self::BucketOwnerRead | Self::BucketOwnerFullControl => {
                Cow::Borrowed(&[])
            }
            Self::PublicRead => Cow::Borrowed(&[EVERYONE_READS]),
            Self::AuthenticatedRead => Cow::Borrowed(&[SIGNED_READ]),
            Self::Grants(grants) => Cow::Borrowed(grants),
        })
    }
}
