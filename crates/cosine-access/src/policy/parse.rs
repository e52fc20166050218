//! From JSON to a policy, with what is wrong and where.
//!
//! What is not understood is refused: a member that is ignored would make a policy mean something else.

use std::borrow::Cow;
use std::collections::HashSet;

use super::condition::Condition;
use super::json::Json;
use super::pattern::Pattern;
use super::{
    ActionPattern, Effect, NumberPattern, OwnerPattern, Policy, Principal, ResourcePattern,
    SixParts, Statement,
};

/// A policy holds at most this many bytes.
pub const POLICY_BYTES_MAX: usize = 20 << 10;

/// And this many `*`: each is one search through a name of at most a kilobyte.
pub const WILDCARDS_MAX: usize = 1000;

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// A bucket, or a role that says who may assume it: each statement says whom it is for.
    Resource,
    /// A user, a role, or temporary credentials: it is for whoever has it.
    Identity,
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct PolicyError {
    /// Such as `statement[2].effect`.
    pub at: String,
    /// Such as `it is neither allow nor deny`.
    pub what: String,
}

fn wrong<T>(at: impl Into<String>, what: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError { at: at.into(), what: what.into() })
}

impl Policy {
    /// Reads a policy. Names of members, and effects, in any case; one value may stand for a list of one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return wrong("policy", "it is larger than 20 KiB");
        }
        if text.bytes().filter(|byte| *byte == b'*').count() > WILDCARDS_MAX {
            return wrong("policy", "it has more than 1000 wildcards");
        }
        let json: Json = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(error) => return wrong("policy", format!("it is not JSON: {error}")),
        };
        let mut members = Members::of(json, "policy")?;
        if let Some(version) = members.take("version") {
            match version {
                Json::Text(version) if version == "2.0" => {}
                _ => return wrong("version", "it is not \"2.0\""),
            }
        }
        let everyones = members.take("principal");
        let everyones = everyones.map(|json| principals(json, "principal")).transpose()?;
        members.take("id");
        let statements = match members.take("statement") {
            Some(Json::List(list)) if !list.is_empty() => list,
            Some(one @ Json::Object(_)) => vec![one],
            Some(_) => return wrong("statement", "it is not a list of statements"),
            None => return wrong("statement", "it is missing"),
        };
        members.end()?;
        let read = |(at, json)| statement(json, &format!("statement[{at}]"), &everyones, kind);
        let statements = statements.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self::new(statements))
    }
}

/// The members of an object, by their names in lower case, each once.
struct Members {
    at: String,
    left: Vec<(String, Json)>,
}

impl Members {
    fn of(json: Json, at: &str) -> Result<Self, PolicyError> {
        let Json::Object(members) = json else {
            return wrong(at, format!("it is {}, not an object", json.kind()));
        };
        let mut left: Vec<(String, Json)> = Vec::with_capacity(members.len());
        for (name, value) in members {
            let name = name.to_ascii_lowercase();
            if left.iter().any(|(other, _)| *other == name) {
                return wrong(at, format!("{name} is there twice"));
            }
            left.push((name, value));
        }
        Ok(Self { at: at.to_owned(), left })
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.left.iter().position(|(other, _)| other == name)?;
        Some(self.left.swap_remove(at).1)
    }

    /// Sees to it that nothing is left.
    fn end(self) -> Result<(), PolicyError> {
        match self.left.first() {
            Some((name, _)) => wrong(self.at, format!("{name} is not known here")),
            None => Ok(()),
        }
    }
}

fn statement(
    json: Json,
    at: &str,
    everyones: &Option<Vec<Principal>>,
    kind: PolicyKind,
) -> Result<Statement, PolicyError> {
    let mut members = Members::of(json, at)?;
    let sid = match members.take("sid") {
        None => None,
        Some(Json::Text(sid)) => Some(sid),
        Some(_) => return wrong(format!("{at}.sid"), "it is not text"),
    };
    let effect = match members.take("effect") {
        Some(Json::Text(text)) if text.eq_ignore_ascii_case("allow") => Effect::Allow,
        Some(Json::Text(text)) if text.eq_ignore_ascii_case("deny") => Effect::Deny,
        Some(_) => return wrong(format!("{at}.effect"), "it is neither allow nor deny"),
        None => return wrong(format!("{at}.effect"), "it is missing"),
    };
    let own = members.take("principal");
    let own = own.map(|json| principals(json, &format!("{at}.principal"))).transpose()?;
    let principals = match (kind, own.or_else(|| everyones.clone())) {
        (PolicyKind::Resource, Some(principals)) => principals,
        (PolicyKind::Resource, None) => return wrong(format!("{at}.principal"), "it is missing"),
        // SDKs that make policies for temporary credentials say `"principal": {"qcs": "*"}`.
        (PolicyKind::Identity, None) => vec![],
        (PolicyKind::Identity, Some(principals)) if principals == [Principal::Anyone] => vec![],
        (PolicyKind::Identity, Some(_)) => {
            return wrong(format!("{at}.principal"), "the policy is for whoever has it");
        }
    };
    let mut list = |name: &str| texts(members.take(name), &format!("{at}.{name}"));
    let actions = each(list("action")?, &format!("{at}.action"), action)?;
    let resources = match (kind, list("resource")) {
        (_, Ok(resources)) => each(resources, &format!("{at}.resource"), resource)?,
        (_, Err(error)) => return Err(error),
    };
    let conditions = match members.take("condition") {
        None => vec![],
        Some(json) => conditions(json, &format!("{at}.condition"))?,
    };
    members.end()?;
    Ok(Statement { sid, effect, principals, actions, resources, conditions })
}

/// A list of texts, or one; numbers and booleans as text. Not empty.
fn texts(json: Option<Json>, at: &str) -> Result<Vec<String>, PolicyError> {
    let list = match json {
        None => return wrong(at, "it is missing"),
        Some(Json::List(list)) if list.is_empty() => return wrong(at, "it is empty"),
        Some(Json::List(list)) => list,
        Some(one) => vec![one],
    };
    let text = |(n, json): (usize, Json)| match json {
        Json::Text(text) | Json::Number(text) => Ok(text),
        Json::Bool(value) => Ok(value.to_string()),
        // Some tools put a list of one into a list.
        Json::List(list) => match <[Json; 1]>::try_from(list) {
            Ok([Json::Text(text)]) => Ok(text),
            _ => wrong(format!("{at}[{n}]"), "it is a list, not text"),
        },
        other => wrong(format!("{at}[{n}]"), format!("it is {}, not text", other.kind())),
    };
    let mut texts: Vec<String> =
        list.into_iter().enumerate().map(text).collect::<Result<_, _>>()?;
    // Said twice is said once.
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    Ok(texts)
}

fn each<T>(
    texts: Vec<String>,
    at: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, PolicyError> {
    let one = |(n, text): (usize, &String)| {
        read(text).map_err(|what| PolicyError { at: format!("{at}[{n}]"), what })
    };
    texts.iter().enumerate().map(one).collect()
}

/// `"*"`, or `{"qcs": [...]}`.
fn principals(json: Json, at: &str) -> Result<Vec<Principal>, PolicyError> {
    let list = match json {
        Json::Text(text) if text == "*" => return Ok(vec![Principal::Anyone]),
        object @ Json::Object(_) => {
            let mut members = Members::of(object, at)?;
            let list = texts(members.take("qcs"), &format!("{at}.qcs"))?;
            members.end()?;
            list
        }
        other => return wrong(at, format!("it is {}, not {{\"qcs\": [...]}}", other.kind())),
    };
    each(list, &format!("{at}.qcs"), principal)
}

fn principal(text: &str) -> Result<Principal, String> {
    match text {
        "*" | "qcs::cam::anyone:anyone" => return Ok(Principal::Anyone),
        "qcs::cam::anonymous:anonymous" => return Ok(Principal::Anonymous),
        _ => {}
    }
    let unknown = || format!("{text:?} is no principal such as qcs::cam::uin/1:uin/2");
    let (owner, who) = text
        .strip_prefix("qcs::cam::uin/")
        .and_then(|rest| rest.split_once(':'))
        .ok_or_else(unknown)?;
    let owner: u64 = number(owner).ok_or_else(unknown)?;
    let (kind, name) = who.split_once('/').unwrap_or((who, ""));
    match (kind, name) {
        ("root", "") => Ok(Principal::Account(owner)),
        ("uin", "*") => Ok(Principal::AllOf(owner)),
        ("uin", uin) => {
            let uin = number(uin).ok_or_else(unknown)?;
            Ok(if uin == owner { Principal::Account(owner) } else { Principal::User(owner, uin) })
        }
        ("roleName" | "role", name) if !name.is_empty() => {
            Ok(Principal::Role(owner, name.to_owned()))
        }
        _ => Err(unknown()),
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// `name/cos:PutObject`, `cos:Put*`, `*`.
fn action(text: &str) -> Result<ActionPattern, String> {
    let bare = text.strip_prefix("name/").unwrap_or(text);
    let (service, name) = match bare.split_once(':') {
        Some(parts) => parts,
        None if bare == "*" => ("*", "*"),
        None => return Err(format!("{text:?} is no action such as name/cos:GetObject")),
    };
    if service.is_empty() || name.is_empty() {
        return Err(format!("{text:?} is no action such as name/cos:GetObject"));
    }
    Ok(ActionPattern { service: Pattern::new(service), name: Pattern::new(name) })
}

/// `qcs:<project>:<service>:<region>:<account>:<resource>`, or `*`. An empty part is every one.
fn resource(text: &str) -> Result<ResourcePattern, String> {
    if text == "*" {
        return Ok(ResourcePattern::Any);
    }
    let no_resource = || {
        let form = "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/*";
        format!("{text:?} is no resource such as {form}")
    };
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["qcs", _, service, region, owner, name] = parts[..] else { return Err(no_resource()) };
    if name.is_empty() {
        return Err(no_resource());
    }
    let or_any = |part: &str| Pattern::new(if part.is_empty() { "*" } else { part });
    let owner = match owner.split_once('/') {
        None if owner.is_empty() || owner == "*" => OwnerPattern::Any,
        Some(("uid", appid)) => OwnerPattern::Appid(NumberPattern::new(appid)),
        Some(("uin", uin)) => OwnerPattern::Uin(NumberPattern::new(uin)),
        _ => return Err(no_resource()),
    };
    let name = match service {
        "cos" | "" | "*" => bucket_and_key(name),
        _ => Cow::Borrowed(name),
    };
    let (service, region, name) = (or_any(service), or_any(region), Pattern::new(&name));
    Ok(ResourcePattern::SixParts(Box::new(SixParts { service, region, owner, name })))
}

/// Every way to write `<bucket-appid>/<key>`: the old `prefix//<appid>/<bucket>/<key>`, the host of a
/// bucket in the place of its name, and a bucket alone.
fn bucket_and_key(name: &str) -> Cow<'_, str> {
    if let Some(old) = name.strip_prefix("prefix//") {
        let mut parts = old.splitn(3, '/');
        if let (Some(appid), Some(bucket)) = (parts.next(), parts.next()) {
            let key = parts.next().unwrap_or("*");
            let bucket = match bucket.ends_with(&format!("-{appid}")) || bucket == "*" {
                true => bucket.to_owned(),
                false => format!("{bucket}-{appid}"),
            };
            return Cow::Owned(format!("{bucket}/{key}"));
        }
    }
    match name.split_once('/') {
        Some((host, key)) if host.contains('.') => {
            let bucket = host.split('.').next().unwrap_or(host);
            Cow::Owned(format!("{bucket}/{key}"))
        }
        None if !name.contains('*') => Cow::Owned(format!("{name}/")),
        _ => Cow::Borrowed(name),
    }
}

/// `{operator: {key: [values]}}`.
fn conditions(json: Json, at: &str) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (operator, keys) in Members::of(json, at)?.left {
        let at = format!("{at}.{operator}");
        let Json::Object(keys) = keys else {
            return wrong(at, format!("it is {}, not an object of keys", keys.kind()));
        };
        let twice = |(at, (key, _)): (usize, &(String, Json))| {
            keys.iter().take(at).any(|(other, _)| other == key)
        };
        if keys.iter().enumerate().any(twice) {
            return wrong(at, "it names a key twice");
        }
        if keys.is_empty() {
            return wrong(at, "it names no key");
        }
        for (key, values) in keys {
            let at = format!("{at}.{key}");
            let values = texts(Some(values), &at)?;
            let condition = Condition::parse(&operator, &key, &values);
            conditions.push(condition.map_err(|what| PolicyError { at, what })?);
        }
    }
    Ok(conditions)
}
