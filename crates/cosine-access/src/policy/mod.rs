//! The policy language of CAM and of bucket policies. Source: Access Policy Language (436/18023), syntax
//! logic (598/10604), conditions (436/71306).

mod condition;
mod json;
mod parse;
mod pattern;

use std::fmt;

pub use parse::{POLICY_BYTES_MAX, PolicyError, PolicyKind, WILDCARDS_MAX};

use crate::decide::Ask;
use crate::{Caller, Resource, Who};
use condition::Condition;
use pattern::Pattern;

/// A policy that was read: what [`decide`](crate::decide) looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
    /// What the names of resources begin with where a statement can have a say, in the order of the
    /// statements, all in one place: most statements are about something else, and this tells so without a
    /// look at them.
    fronts: Vec<Front>,
    front_texts: Vec<u8>,
}

/// One front of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Front {
    statement: usize,
    start: usize,
    end: usize,
}

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    /// Whom it is for; empty in the policy of a user, which is for that user.
    principals: Vec<Principal>,
    actions: Vec<ActionPattern>,
    resources: Vec<ResourcePattern>,
    conditions: Vec<Condition>,
}

/// Whom a statement is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Principal {
    /// Everyone, signed or not.
    Anyone,
    /// Whoever is not signed; an allow is for everyone all the same, who only need not sign.
    Anonymous,
    /// An account.
    Account(u64),
    /// A sub-user.
    User(u64, u64),
    /// The account and all its users and roles.
    AllOf(u64),
    /// Whoever assumed a role.
    Role(u64, String),
}

/// How a statement reaches a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It is for everyone.
    Public,
    /// It names the account of the caller, who is not the account itself.
    Account,
    /// It names the caller.
    Itself,
}

/// Why a statement has no say, or that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    OtherPrincipal,
    OtherAction,
    OtherResource,
    /// The condition on this key does not hold.
    Unmet(usize),
    Fits(Reach),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ActionPattern {
    service: Pattern,
    name: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ResourcePattern {
    Any,
    SixParts(Box<SixParts>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SixParts {
    service: Pattern,
    region: Pattern,
    owner: OwnerPattern,
    name: Pattern,
}

/// The fifth part of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OwnerPattern {
    Any,
    Appid(NumberPattern),
    Uin(NumberPattern),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NumberPattern {
    Exactly(u64),
    Like(Pattern),
}

impl NumberPattern {
    fn new(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Self::Exactly(number),
            Err(_) => Self::Like(Pattern::new(text)),
        }
    }

    fn matches(&self, number: u64) -> bool {
        match self {
            Self::Exactly(wanted) => *wanted == number,
            Self::Like(pattern) => pattern.matches(&number.to_string()),
        }
    }
}

/// What a policy has to say to an ask: of each kind of say, the first statement that has it, counted
/// from 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Votes {
    pub(crate) denies: Says,
    pub(crate) allows: Says,
}

/// The first statement for everyone, for the caller by name, and for the account of the caller.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Says {
    pub(crate) public: Option<usize>,
    pub(crate) itself: Option<usize>,
    pub(crate) account: Option<usize>,
}

impl Says {
    fn note(&mut self, at: usize, reach: Reach) {
        let place = match reach {
            Reach::Public => &mut self.public,
            Reach::Itself => &mut self.itself,
            Reach::Account => &mut self.account,
        };
        place.get_or_insert(at);
    }
}

impl Policy {
    fn new(statements: Vec<Statement>) -> Self {
        let (mut fronts, mut front_texts) = (Vec::new(), Vec::new());
        for (at, statement) in statements.iter().enumerate() {
            for resource in &statement.resources {
                let start = front_texts.len();
                front_texts.extend_from_slice(resource.front().as_bytes());
                fronts.push(Front { statement: at, start, end: front_texts.len() });
            }
        }
        Self { statements, fronts, front_texts }
    }

    /// What it has to say: every statement is looked at once.
    pub(crate) fn votes(&self, ask: &Ask<'_>) -> Votes {
        let name = ask.resource.name.as_bytes();
        let list_of = ask.resource.list_of.map(str::as_bytes);
        let mut votes = Votes::default();
        let mut seen = None;
        for &Front { statement: at, start, end } in &self.fronts {
            let front = self.front_texts.get(start..end).unwrap_or_default();
            let may_fit =
                name.starts_with(front) || list_of.is_some_and(|of| of.starts_with(front));
            if seen == Some(at) || !may_fit {
                continue;
            }
            seen = Some(at);
            let Some(statement) = self.statements.get(at) else { continue };
            if let Fit::Fits(reach) = statement.fit(ask) {
                match statement.effect {
                    Effect::Allow => votes.allows.note(at, reach),
                    Effect::Deny => votes.denies.note(at, reach),
                }
            }
        }
        votes
    }

    /// The statements, for one who wants to know about each.
    pub(crate) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Whether a statement allows something to everyone.
    pub fn is_for_everyone(&self) -> bool {
        let everyone =
            |principal: &Principal| matches!(principal, Principal::Anyone | Principal::Anonymous);
        self.statements.iter().any(|statement| {
            statement.effect == Effect::Allow && statement.principals.iter().any(everyone)
        })
    }

    /// How many statements it has.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

impl Statement {
    pub(crate) fn fit(&self, ask: &Ask<'_>) -> Fit {
        let Some(reach) = self.reach(ask.caller) else { return Fit::OtherPrincipal };
        // What tells most statements apart comes first.
        let action = |pattern: &ActionPattern| {
            ask.action.names.iter().any(|name| pattern.name.matches(name))
                && pattern.service.matches(ask.action.service)
        };
        if !self.actions.iter().any(action) {
            return Fit::OtherAction;
        }
        if !self.resources.iter().any(|pattern| pattern.matches(&ask.resource)) {
            return Fit::OtherResource;
        }
        let closed = self.effect == Effect::Deny;
        let unmet = |condition: &Condition| !condition.holds(ask.facts, closed);
        match self.conditions.iter().position(unmet) {
            Some(at) => Fit::Unmet(at),
            None => Fit::Fits(reach),
        }
    }

    /// The key that a condition is on.
    pub(crate) fn condition_key(&self, at: usize) -> String {
        self.conditions.get(at).map(Condition::key_name).unwrap_or_default()
    }

    /// A policy of a user is for that user: it names nobody.
    fn reach(&self, caller: &Caller) -> Option<Reach> {
        if self.principals.is_empty() {
            return Some(Reach::Itself);
        }
        let reaches = self.principals.iter().filter_map(|p| p.reach(caller, self.effect));
        // To be named is the stronger claim, and to be one of everyone the one that needs nothing else.
        reaches.max_by_key(|reach| match reach {
            Reach::Account => 0,
            Reach::Itself => 1,
            Reach::Public => 2,
        })
    }
}

impl Principal {
    fn reach(&self, caller: &Caller, effect: Effect) -> Option<Reach> {
        let identity = match (self, caller) {
            (Self::Anyone, _) => return Some(Reach::Public),
            (Self::Anonymous, _) if effect == Effect::Allow => return Some(Reach::Public),
            (Self::Anonymous, Caller::Anonymous) => return Some(Reach::Public),
            (_, Caller::Anonymous) => return None,
            (_, Caller::Known(identity)) => identity,
        };
        let of = |owner: u64| identity.account.uin == owner;
        match (self, &identity.who) {
            (Self::Account(owner), Who::Root) if of(*owner) => Some(Reach::Itself),
            (Self::Account(owner), _) if of(*owner) => Some(Reach::Account),
            (Self::User(owner, uin), Who::User { uin: its, .. }) if of(*owner) && uin == its => {
                Some(Reach::Itself)
            }
            (Self::AllOf(owner), _) if of(*owner) => Some(Reach::Itself),
            (Self::Role(owner, role), Who::Role { name }) if of(*owner) && role == name => {
                Some(Reach::Itself)
            }
            _ => None,
        }
    }
}

impl ResourcePattern {
    /// What the name of every resource begins with that it fits.
    fn front(&self) -> &str {
        match self {
            Self::Any => "",
            Self::SixParts(parts) => parts.name.front(),
        }
    }

    fn matches(&self, resource: &Resource<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::SixParts(parts) => parts.matches(resource),
        }
    }
}

impl SixParts {
    fn matches(&self, resource: &Resource<'_>) -> bool {
        // A pattern without a slash may be one of buckets alone, whose names end with one here.
        let alone = |name: &str| {
            let bucket = name.strip_suffix('/').filter(|bucket| !bucket.contains('/'));
            bucket.is_some_and(|bucket| self.name.matches(bucket))
        };
        let named = |name: &str| self.name.matches(name) || alone(name);
        (named(resource.name) || resource.list_of.is_some_and(named))
            && self.service.matches(resource.service)
            && (resource.region.is_empty() || self.region.matches(resource.region))
            && match &self.owner {
                OwnerPattern::Any => true,
                OwnerPattern::Appid(pattern) => pattern.matches(resource.owner.appid),
                OwnerPattern::Uin(pattern) => pattern.matches(resource.owner.uin),
            }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherPrincipal => "is for another principal",
            Self::OtherAction => "is about another action",
            Self::OtherResource => "is about another resource",
            Self::Unmet(_) => "has a condition that does not hold",
            Self::Fits(Reach::Public) => "applies to everyone",
            Self::Fits(Reach::Account) => "applies to the account of the caller",
            Self::Fits(Reach::Itself) => "applies",
        })
    }
}
