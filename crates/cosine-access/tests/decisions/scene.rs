//! Callers and policies for the tests, in words: a statement is
//! `<allow|deny> <action> <key pattern> [to <principal>] [if <operator> <key> <value>]`.

use std::borrow::Cow;
use std::sync::Arc;

use cosine_access::{
    Account, AclNeed, Action, Ask, BucketAcl, Caller, Decision, Fact, Facts, Grant, Grantee,
    Identity, Key, ObjectAcl, Policy, PolicyKind, Resource, Rules, Session, Who, decide,
};

pub const OWNER: Account = Account { appid: 1, uin: 100 };
pub const OTHER: Account = Account { appid: 2, uin: 200 };
/// What is asked of.
pub const NAME: &str = "b-1/dir/key";

/// The actions of the tests, as the routing table has them.
pub const ACTIONS: [Action; 6] = [
    Action::cos(&["GetObject"], AclNeed::ObjectRead),
    Action::cos(&["PutObject", "PutObjectCopy"], AclNeed::BucketWrite),
    Action::cos(&["GetBucket"], AclNeed::BucketRead),
    Action::cos(&["PutObjectACL"], AclNeed::ObjectWriteAcp),
    Action::cos(&["PutBucketVersioning"], AclNeed::Nothing),
    Action::cos(&["PutBucketPolicy"], AclNeed::Nothing),
];

pub fn action(name: &str) -> Action {
    *ACTIONS.iter().find(|action| action.names.contains(&name)).expect(name)
}

/// The circumstances of every request of the tests.
pub struct Here;

impl Facts for Here {
    fn fact(&self, key: Key) -> Fact<'_> {
        let value: Option<Cow<'_, str>> = match key {
            Key::Ip => Some("10.0.0.1".into()),
            Key::SecureTransport => Some("false".into()),
            Key::CurrentTime => Some("2026-11-27T00:00:00Z".into()),
            Key::ContentLength => Some("1000".into()),
            Key::Prefix => Some("dir/".into()),
            _ => None,
        };
        value.into()
    }
}

fn principal(word: &str) -> &'static str {
    match word {
        "anyone" => "qcs::cam::anyone:anyone",
        "anonymous" => "qcs::cam::anonymous:anonymous",
        "owner" => "qcs::cam::uin/100:uin/100",
        "user" => "qcs::cam::uin/100:uin/101",
        "all-of-owner" => "qcs::cam::uin/100:uin/*",
        "role" => "qcs::cam::uin/100:roleName/worker",
        "other" => "qcs::cam::uin/200:uin/200",
        "other-user" => "qcs::cam::uin/200:uin/201",
        _ => panic!("{word} is nobody"),
    }
}

/// One statement as JSON.
pub fn statement(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    let [effect, action, key, rest @ ..] = &words[..] else { panic!("{words:?}") };
    let after = |word: &str| {
        let at = rest.iter().position(|other| *other == word)?;
        Some(&rest[at + 1..])
    };
    let mut json = format!(
        "{{\"effect\":\"{effect}\",\"action\":[\"name/cos:{action}\"],\
         \"resource\":[\"qcs::cos::uid/1:b-1/{key}\"]"
    );
    if let Some([whom, ..]) = after("to") {
        json += &format!(",\"principal\":{{\"qcs\":[\"{}\"]}}", principal(whom));
    }
    if let Some([operator, key, value, ..]) = after("if") {
        json += &format!(",\"condition\":{{\"{operator}\":{{\"{key}\":[\"{value}\"]}}}}");
    }
    json + "}"
}

/// A policy of such statements, separated by `;`; `None` for none.
pub fn policy(words: &str, kind: PolicyKind) -> Option<Arc<Policy>> {
    if words.is_empty() {
        return None;
    }
    let statements: Vec<String> = words.split(';').map(statement).collect();
    let text = format!("{{\"version\":\"2.0\",\"statement\":[{}]}}", statements.join(","));
    Some(Arc::new(Policy::parse(&text, kind).expect(&text)))
}

/// A caller by its word, with its own policy and, where it has one, that of its session.
pub fn caller(word: &str, own: &str, session: Option<&str>) -> Caller {
    let user = |account, uin| (account, Who::User { uin, name: "u".into() });
    let (account, who) = match word {
        "anonymous" => return Caller::Anonymous,
        "owner" => (OWNER, Who::Root),
        "user" => user(OWNER, 101),
        "role" => (OWNER, Who::Role { name: "worker".into() }),
        "other" => (OTHER, Who::Root),
        "other-user" => user(OTHER, 201),
        _ => panic!("{word} is nobody"),
    };
    let session = session
        .map(|words| Session { name: "s".into(), policy: policy(words, PolicyKind::Identity) });
    let policy = policy(own, PolicyKind::Identity);
    Caller::Known(Arc::new(Identity { account, who, policy, session }))
}

/// An ACL by its canned name, or grants such as `READ other`.
pub fn bucket_acl(words: &str) -> BucketAcl {
    let canned = BucketAcl::CANNED.into_iter().find(|(name, _)| *name == words);
    canned.map_or_else(|| BucketAcl::Grants(grants(words)), |(_, acl)| acl)
}

pub fn object_acl(words: &str) -> ObjectAcl {
    let canned = ObjectAcl::CANNED.into_iter().find(|(name, _)| *name == words);
    canned.map_or_else(|| ObjectAcl::Grants(grants(words)), |(_, acl)| acl)
}

fn grants(words: &str) -> Vec<Grant> {
    let one = |words: &str| {
        let (permission, whom) = words.trim().split_once(' ').expect(words);
        let all = cosine_access::AclPermission::ALL;
        let permission = all.into_iter().find(|p| p.as_str() == permission).expect(words);
        let grantee = match whom {
            "everyone" => Grantee::Everyone,
            "signed" => Grantee::Authenticated,
            "owner" => Grantee::Account(100),
            "user" => Grantee::User { owner: 100, uin: 101 },
            "other" => Grantee::Account(200),
            "other-user" => Grantee::User { owner: 200, uin: 201 },
            _ => panic!("{whom} is nobody"),
        };
        Grant { grantee, permission }
    };
    words.split(',').map(one).collect()
}

/// What bears on a decision.
pub struct Scene {
    pub caller: Caller,
    pub policy: Option<Arc<Policy>>,
    pub bucket_acl: BucketAcl,
    pub object_acl: ObjectAcl,
}

impl Scene {
    pub fn decide(&self, action: Action) -> Decision {
        decide(&Ask {
            caller: &self.caller,
            action,
            resource: Resource {
                service: "cos",
                region: "r",
                owner: OWNER,
                name: NAME,
                list_of: None,
            },
            facts: &Here,
            rules: Rules {
                policy: self.policy.as_deref(),
                bucket_acl: Some(&self.bucket_acl),
                object_acl: Some(&self.object_acl),
                is_trust: false,
            },
        })
    }
}
