//! Who may: policies, accounts, users, roles, and keys.

use serde::{Deserialize, Serialize};

use crate::id::Uid;

/// That a bucket has a policy, and which. The text lies in a row of its own: every request asks for
/// this one, and few have not seen that one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketPolicyRecord {
    /// Another one for each text.
    pub version: Uid,
}

/// A bucket's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTextRecord {
    /// As in the row that says that there is one.
    pub version: Uid,
    /// The policy, as it was sent.
    pub text: String,
}

/// A bucket's CORS rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketCorsRecord {
    /// The document.
    pub document: String,
}

/// How often identities have changed. Whoever remembers one looks here whether that still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentitiesRecord {
    /// One more at each change.
    pub changes: u64,
}

/// A root account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Its number.
    pub uin: u64,
    /// Seconds since 1970 UTC.
    pub created: i64,
}

/// Whose a number is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UinRecord {
    /// The account.
    pub appid: u64,
    /// The user of it; `None` for the account itself.
    pub user: Option<String>,
}

/// A sub-user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its number.
    pub uin: u64,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// What it may do.
    pub policy: Option<String>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRecord {
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// Who may assume it.
    pub trust: String,
    /// What it may do.
    pub policy: Option<String>,
}

/// A pair of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyRecord {
    /// The account.
    pub appid: u64,
    /// The user of it; `None` for the account itself.
    pub user: Option<String>,
    /// The secret half, sealed.
    pub secret: Vec<u8>,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// Whether it opens anything.
    pub enabled: bool,
}
