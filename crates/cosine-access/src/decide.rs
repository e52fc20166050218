//! The decision.
//!
//! 1. A deny that applies, in the policy of the user, of its session or of the bucket, denies. Only one
//!    thing is beyond it: the account that owns a bucket always keeps control of the bucket's policy.
//! 2. What everyone may do, everyone may do.
//! 3. The account may do everything with what it owns. Its users and roles may do what their policy
//!    allows, or what the resource allows to them by name.
//! 4. Others may do what the resource, by policy or by ACL, allows to them or to their account; a user or
//!    a role of that account needs its own policy's leave as well.
//! 5. Temporary credentials may do what whoever made them may do, and of that only what their own policy
//!    allows.

use std::fmt;

use crate::policy::{Effect, Policy, Says, Votes};
use crate::{
    AclNeed, AclPermission, Action, BucketAcl, Caller, Facts, Grant, Grantee, Identity, ObjectAcl,
    Resource, Who,
};

/// What is asked.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// For what.
    pub action: Action,
    /// Of which resource.
    pub resource: Resource<'a>,
    /// Under which circumstances.
    pub facts: &'a dyn Facts,
    /// What the resource says.
    pub rules: Rules<'a>,
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} asks for {} of {}", self.caller, self.action.name(), self.resource.name)
    }
}

/// The policy and the ACLs of a resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<'a> {
    /// The bucket's policy; for a role, who may assume it.
    pub policy: Option<&'a Policy>,
    /// The bucket's ACL.
    pub bucket_acl: Option<&'a BucketAcl>,
    /// The object's ACL, where there is an object.
    pub object_acl: Option<&'a ObjectAcl>,
    /// Whether to belong to the owner's account is not enough: a role is assumed by whom it trusts.
    pub is_trust: bool,
}

/// The answer, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the caller may.
    pub allowed: bool,
    /// Why, or why not.
    pub reason: Reason,
}

/// Which policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of the user or the role.
    Identity,
    /// That of the temporary credentials.
    Session,
    /// That of the bucket, or of the role that is to be assumed.
    Resource,
}

/// Why, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller is the account that owns it.
    Owner,
    /// A statement allows it, counted from 0.
    Allowed(Place, usize),
    /// An ACL grants it.
    Granted(Grant),
    /// A statement denies it, counted from 0.
    Denied(Place, usize),
    /// Nothing allows it.
    NothingAllows,
    /// The resource would, but the user's own policy does not allow it.
    NotInPolicy,
    /// The policy of the temporary credentials does not allow it.
    NotInSession,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |place: &Place| match place {
            Place::Identity => "the user's policy",
            Place::Session => "the session's policy",
            Place::Resource => "the resource's policy",
        };
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Allowed(at, n) => write!(f, "allowed by statement {n} of {}", place(at)),
            Self::Denied(at, n) => write!(f, "denied by statement {n} of {}", place(at)),
            Self::Granted(Grant { grantee, permission }) => {
                write!(f, "{} granted to {grantee:?} by ACL", permission.as_str())
            }
            Self::NothingAllows => f.write_str("nothing allows it"),
            Self::NotInPolicy => f.write_str("not allowed by the user's policy"),
            Self::NotInSession => f.write_str("not allowed by the session's policy"),
        }
    }
}

/// Something that a decision can be about.
pub trait Subject {
    /// Whether it is this resource.
    fn is(&self, resource: &Resource<'_>) -> bool;
}

/// A thing that its caller was allowed to read. Only [`allow_read`] makes one.
#[derive(Clone, Debug)]
pub struct ReadProof<T>(T);

impl<T> ReadProof<T> {
    /// What may be read.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// What may be read.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// Decides, and wraps what was asked of, if it may be read.
///
/// # Errors
/// The decision, where it may not; also where `what` is not what was asked of, or was not asked to be read.
pub fn allow_read<T: Subject>(ask: &Ask<'_>, what: T) -> Result<ReadProof<T>, Decision> {
    let decision = decide(ask);
    if !decision.allowed {
        return Err(decision);
    }
    match what.is(&ask.resource) && ask.action.names.contains(&"GetObject") {
        true => Ok(ReadProof(what)),
        false => Err(Decision { allowed: false, reason: Reason::NothingAllows }),
    }
}

/// What every policy has to say.
struct Heard {
    identity: Votes,
    session: Votes,
    resource: Votes,
}

/// Decides.
pub fn decide(ask: &Ask<'_>) -> Decision {
    let votes =
        |policy: Option<&Policy>| policy.map(|policy| policy.votes(ask)).unwrap_or_default();
    let identity = ask.caller.identity();
    let session = identity.and_then(|identity| identity.session.as_ref());
    let heard = Heard {
        identity: votes(identity.and_then(|identity| identity.policy.as_deref())),
        session: votes(session.and_then(|session| session.policy.as_deref())),
        resource: votes(ask.rules.policy),
    };
    let reason = match (denial(ask, &heard), public(ask, &heard)) {
        (Some(reason), _) => Err(reason),
        (None, Some(reason)) => Ok(reason),
        (None, None) => match ask.caller {
            Caller::Anonymous => Err(Reason::NothingAllows),
            Caller::Known(identity) => by_name(ask, &heard, identity),
        },
    };
    match reason {
        Ok(reason) => Decision { allowed: true, reason },
        Err(reason) => Decision { allowed: false, reason },
    }
}

fn owns(ask: &Ask<'_>, identity: &Identity) -> bool {
    identity.account.appid == ask.resource.owner.appid
}

/// The statement that denies.
fn denial(ask: &Ask<'_>, heard: &Heard) -> Option<Reason> {
    if let Some(at) = heard.identity.denies.itself {
        return Some(Reason::Denied(Place::Identity, at));
    }
    if let Some(at) = heard.session.denies.itself {
        return Some(Reason::Denied(Place::Session, at));
    }
    let identity = ask.caller.identity();
    let is_owner = identity.is_some_and(|i| owns(ask, i) && i.who == Who::Root);
    if is_owner && ask.action.is_policy_control() {
        return None;
    }
    // A deny of an account is a deny of its users, but for the owner's: there it is of the account itself.
    let is_foreign = identity.is_none_or(|identity| !owns(ask, identity)) || ask.rules.is_trust;
    let Says { public, itself, account } = heard.resource.denies;
    let denies = [public, itself, account.filter(|_| is_foreign)];
    let at = denies.into_iter().flatten().min()?;
    Some(Reason::Denied(Place::Resource, at))
}

/// What the resource allows to everyone, or to everyone who signs.
fn public(ask: &Ask<'_>, heard: &Heard) -> Option<Reason> {
    if let Some(at) = heard.resource.allows.public {
        return Some(Reason::Allowed(Place::Resource, at));
    }
    let signed = !ask.caller.is_anonymous();
    granted(ask, |grantee| {
        grantee == Grantee::Everyone || (grantee == Grantee::Authenticated && signed)
    })
}

/// What somebody may who is known.
fn by_name(ask: &Ask<'_>, heard: &Heard, identity: &Identity) -> Result<Reason, Reason> {
    let reason = by_maker(ask, heard, identity)?;
    let narrows = identity.session.as_ref().is_some_and(|session| session.policy.is_some());
    match narrows && heard.session.allows.itself.is_none() {
        true => Err(Reason::NotInSession),
        false => Ok(reason),
    }
}

/// The same, apart from what temporary credentials are narrowed to.
fn by_maker(ask: &Ask<'_>, heard: &Heard, identity: &Identity) -> Result<Reason, Reason> {
    let is_root = identity.who == Who::Root;
    let is_inside = owns(ask, identity) && !ask.rules.is_trust;
    if is_inside && is_root {
        return Ok(Reason::Owner);
    }
    let users = heard.identity.allows.itself.map(|at| Reason::Allowed(Place::Identity, at));
    let resources = by_resource(ask, heard, identity, is_inside);
    match (is_inside, users, resources) {
        (true, Some(reason), _) | (true, None, Some(reason)) => Ok(reason),
        (false, _, Some(reason)) if is_root => Ok(reason),
        (false, Some(_), Some(reason)) => Ok(reason),
        (false, None, Some(_)) => Err(Reason::NotInPolicy),
        (_, _, None) => Err(Reason::NothingAllows),
    }
}

/// What the resource allows to somebody by name, or, from outside, to its account.
fn by_resource(
    ask: &Ask<'_>,
    heard: &Heard,
    identity: &Identity,
    is_inside: bool,
) -> Option<Reason> {
    let Says { itself, account, .. } = heard.resource.allows;
    let allows = [itself, account.filter(|_| !is_inside)];
    if let Some(at) = allows.into_iter().flatten().min() {
        return Some(Reason::Allowed(Place::Resource, at));
    }
    granted(ask, |grantee| {
        grantee.names(identity) && !(is_inside && matches!(grantee, Grantee::Account(_)))
    })
}

/// The first grant to such a grantee that is enough.
fn granted(ask: &Ask<'_>, is_for: impl Fn(Grantee) -> bool) -> Option<Reason> {
    use AclPermission::{Read, ReadAcp, Write, WriteAcp};
    let (needed, of_object) = match ask.action.acl {
        AclNeed::Nothing => return None,
        AclNeed::BucketRead => (Read, false),
        AclNeed::BucketWrite => (Write, false),
        AclNeed::BucketReadAcp => (ReadAcp, false),
        AclNeed::BucketWriteAcp => (WriteAcp, false),
        AclNeed::ObjectRead => (Read, true),
        AclNeed::ObjectReadAcp => (ReadAcp, true),
        AclNeed::ObjectWriteAcp => (WriteAcp, true),
    };
    let objects = ask.rules.object_acl.filter(|_| of_object).and_then(ObjectAcl::grants);
    let grants = match objects {
        Some(grants) => grants,
        None => ask.rules.bucket_acl?.grants(),
    };
    let grant =
        grants.iter().find(|grant| grant.permission.covers(needed) && is_for(grant.grantee))?;
    Some(Reason::Granted(*grant))
}

/// What one statement has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Which policy it is of.
    pub place: Place,
    /// Its place there, from 0.
    pub statement: usize,
    /// Its `sid`, if it has one.
    pub sid: Option<String>,
    /// `allow` or `deny`.
    pub effect: &'static str,
    /// Whether it applies, and if not, why.
    pub says: String,
}

/// Decides, and says of every statement what it had to say.
pub fn explain(ask: &Ask<'_>) -> (Decision, Vec<Considered>) {
    let identity = ask.caller.identity();
    let users = identity.and_then(|identity| identity.policy.as_deref());
    let sessions = identity.and_then(|identity| identity.session.as_ref()?.policy.as_deref());
    let policies =
        [(Place::Identity, users), (Place::Session, sessions), (Place::Resource, ask.rules.policy)];
    let mut considered = Vec::new();
    for (place, policy) in policies {
        for (at, statement) in policy.map(Policy::statements).unwrap_or_default().iter().enumerate()
        {
            let fit = statement.fit(ask);
            let says = match fit {
                crate::policy::Fit::Unmet(n) => format!("{fit}: {}", statement.condition_key(n)),
                _ => fit.to_string(),
            };
            considered.push(Considered {
                place,
                statement: at,
                sid: statement.sid.clone(),
                effect: if statement.effect == Effect::Allow { "allow" } else { "deny" },
                says,
            });
        }
    }
    (decide(ask), considered)
}
