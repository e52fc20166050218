//! Who is asking, and may they.
//!
//! Nothing here knows HTTP, or how anything is stored; nothing here waits, or looks at a clock. The one
//! decision is [`decide`]: a pure function of who asks ([`Caller`]), for what ([`Action`]), of which
//! [`Resource`], under which circumstances ([`Facts`]), with the policies and ACLs that bear on it
//! ([`Rules`]). Its answer says why. [`allow_read`] gives a proof with it, which only it can make.
//!
//! How the rules are read is in `docs/access.md`.

mod acl;
mod action;
mod caller;
mod decide;
mod facts;
mod policy;
mod resource;

pub use acl::{AclPermission, BucketAcl, GRANTS_MAX, Grant, Grantee, ObjectAcl};
pub use action::{AclNeed, Action};
pub use caller::{Account, Caller, Credential, Identity, Session, Who};
pub use decide::{
    Ask, Considered, Decision, ReadProof, Reason, Rules, Subject, allow_read, decide, explain,
};
pub use facts::{Fact, Facts, Key, NoFacts};
pub use policy::{POLICY_BYTES_MAX, Policy, PolicyError, PolicyKind, WILDCARDS_MAX};
pub use resource::Resource;
