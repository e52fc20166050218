//! Who is asking.

use std::fmt;
use std::sync::Arc;

use crate::Policy;

/// A root account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// What its buckets' names end with.
    pub appid: u64,
    /// Its number in policies and ACLs.
    pub uin: u64,
}

/// A pair of keys. The secret never shows in debug output.
#[derive(Clone)]
pub struct Credential {
    /// The public half, `SecretId`.
    pub secret_id: String,
    /// The secret half, `SecretKey`.
    pub secret_key: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

/// Who somebody is within an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The account itself.
    Root,
    /// One of its sub-users.
    User {
        /// Its number.
        uin: u64,
        /// Its name, unique within the account.
        name: String,
    },
    /// Somebody who assumed one of its roles.
    Role {
        /// The role's name.
        name: String,
    },
}

/// Temporary credentials: what they were made with.
#[derive(Clone, Debug)]
pub struct Session {
    /// What the maker called it.
    pub name: String,
    /// What it is narrowed to; `None` leaves it what its maker is.
    pub policy: Option<Arc<Policy>>,
}

/// Somebody whose signature was verified.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The account.
    pub account: Account,
    /// Who within it.
    pub who: Who,
    /// The policy of a sub-user or a role. The account itself has none, and may do everything with what
    /// it owns.
    pub policy: Option<Arc<Policy>>,
    /// Set where the credentials are temporary.
    pub session: Option<Session>,
}

impl Identity {
    /// The account itself, with credentials that last.
    pub fn root(account: Account) -> Self {
        Self { account, who: Who::Root, policy: None, session: None }
    }

    /// Its number: the account's own, or a sub-user's. A role has that of its account.
    pub fn uin(&self) -> u64 {
        match self.who {
            Who::Root | Who::Role { .. } => self.account.uin,
            Who::User { uin, .. } => uin,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.account.uin;
        match &self.who {
            Who::Root => write!(f, "qcs::cam::uin/{owner}:uin/{owner}")?,
            Who::User { uin, .. } => write!(f, "qcs::cam::uin/{owner}:uin/{uin}")?,
            Who::Role { name } => write!(f, "qcs::cam::uin/{owner}:roleName/{name}")?,
        }
        match &self.session {
            Some(session) => write!(f, " session {}", session.name),
            None => Ok(()),
        }
    }
}

/// Who is asking.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody who said so.
    Anonymous,
    /// Somebody, by a signature.
    Known(Arc<Identity>),
}

impl Caller {
    /// Whether nobody said who it is.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Who it is, if that is known.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Anonymous => None,
            Self::Known(identity) => Some(identity),
        }
    }

    /// Whether it belongs to the account of this APPID.
    pub fn is_of(&self, appid: u64) -> bool {
        self.identity().is_some_and(|identity| identity.account.appid == appid)
    }

    /// Whether it is the account of this APPID itself.
    pub fn is_root_of(&self, appid: u64) -> bool {
        self.is_of(appid) && self.identity().is_some_and(|identity| identity.who == Who::Root)
    }

    /// Its number; 0 for nobody who said so.
    pub fn uin(&self) -> u64 {
        self.identity().map_or(0, Identity::uin)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Known(identity) => identity.fmt(f),
        }
    }
}
