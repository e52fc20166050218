//! Policies of buckets, users and sessions, and what they decide.

use std::sync::{Arc, LazyLock};

use cosine_access::{
    Account, AclNeed, Action, Ask, BucketAcl, Caller, Fact, Facts, Identity, Key, POLICY_BYTES_MAX,
    Policy, PolicyKind, Reason, Resource, Rules, Session, Who, decide, explain,
};
use serde_json::Value;

use crate::message;

const OWNER: Account = Account { appid: 1, uin: 100 };
const OTHER: Account = Account { appid: 2, uin: 200 };

/// What is asked for; the last is asked of a role.
const ACTIONS: [Action; 6] = [
    Action::cos(&["GetObject"], AclNeed::ObjectRead),
    Action::cos(&["PutObject", "PutObjectCopy"], AclNeed::BucketWrite),
    Action::cos(&["GetBucket"], AclNeed::BucketRead),
    Action::cos(&["PutObjectACL"], AclNeed::ObjectWriteAcp),
    Action::cos(&["PutBucketPolicy"], AclNeed::Nothing),
    Action { service: "sts", names: &["AssumeRole"], acl: AclNeed::Nothing },
];

/// Statements about everything.
static ALLOW: LazyLock<Rule> = LazyLock::new(|| Rule::new("allow"));
static DENY: LazyLock<Rule> = LazyLock::new(|| Rule::new("deny"));

/// Who asks, by their places in what is allowed; `OWNER_ROOT` and all after it are known.
const ANONYMOUS: usize = 0;
const OWNER_ROOT: usize = 1;
const USER: usize = 2;
const ROLE: usize = 3;
const OTHER_USER: usize = 5;

/// The places of two actions.
const PUT_POLICY: usize = 4;
const TRUST: usize = 5;

/// For each of who asks, and each action, whether it is allowed.
type Allowed = [[bool; ACTIONS.len()]; 6];
const NOTHING: Allowed = [[false; ACTIONS.len()]; 6];

/// More than a condition looks at.
const LONG: &str = match std::str::from_utf8(&[b'1'; 1025]) {
    Ok(text) => text,
    Err(_) => panic!(),
};

/// A statement in both kinds of a policy.
struct Rule {
    statement: Value,
    of_user: Arc<Policy>,
    of_bucket: Arc<Policy>,
}

impl Rule {
    fn new(effect: &str) -> Self {
        let text =
            format!(r#"{{"effect":"{effect}","principal":"*","action":"*","resource":"*"}}"#);
        let policy = format!(r#"{{"version":"2.0","statement":{text}}}"#);
        let parse = |kind| Arc::new(Policy::parse(&policy, kind).unwrap());
        Self {
            statement: serde_json::from_str(&text).unwrap(),
            of_user: parse(PolicyKind::Identity),
            of_bucket: parse(PolicyKind::Resource),
        }
    }
}

/// Lines `key: value` of what a request has, and `resource: name` of what it asks; an empty line; and a
/// policy. Whatever it says in the place of a user's, a session's or a bucket's: it is decided as it is
/// explained; a deny more, a session, or a fact that nobody can read never allows more.
pub fn policy(data: &[u8]) {
    let (lines, text) = message::head_and_body(data);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let request = Request::read(lines);
    let of_user = parsed(text, PolicyKind::Identity);
    let of_bucket = parsed(text, PolicyKind::Resource);
    if let Some(policy) = &of_user {
        as_a_users(policy, &request);
        as_a_sessions(policy, &request);
        let denied = with_a_deny(text, PolicyKind::Identity);
        denied.iter().for_each(|policy| denies_everything(policy, &request));
    }
    if let Some(policy) = &of_bucket {
        as_a_buckets(policy, &request);
        let denied = with_a_deny(text, PolicyKind::Resource);
        denied.iter().for_each(|policy| locks_everyone_out(policy, &request));
    }
    if let (Some(own), Some(bucket)) = (&of_user, &of_bucket) {
        // It is for everyone, who are each allowed what the user would be.
        let users = Scene { own: Some(own), ..Scene::default() }.allowed(&request);
        let public = Scene { bucket: Some(bucket), ..Scene::default() }.allowed(&request);
        assert_eq!(users[USER][..TRUST], public[ANONYMOUS][..TRUST], "{text}");
    }
}

fn parsed(text: &str, kind: PolicyKind) -> Option<Arc<Policy>> {
    match Policy::parse(text, kind) {
        Ok(policy) => {
            assert!(text.len() <= POLICY_BYTES_MAX && !policy.is_empty());
            Some(Arc::new(policy))
        }
        Err(error) => {
            assert!(!error.at.is_empty() && !error.what.is_empty(), "{error:?}");
            None
        }
    }
}

/// The policy with a statement more, which denies everything; `None` if that is more than a policy holds.
fn with_a_deny(text: &str, kind: PolicyKind) -> Option<Arc<Policy>> {
    let mut document: Value = serde_json::from_str(text).unwrap();
    let mut members = document.as_object_mut().unwrap().iter_mut();
    let (_, statement) = members.find(|(name, _)| name.eq_ignore_ascii_case("statement")).unwrap();
    match statement {
        Value::Array(statements) => statements.push(DENY.statement.clone()),
        one => *one = Value::Array(vec![one.take(), DENY.statement.clone()]),
    }
    Policy::parse(&document.to_string(), kind).ok().map(Arc::new)
}

fn as_a_users(policy: &Arc<Policy>, request: &Request<'_>) {
    let scene = Scene { own: Some(policy), ..Scene::default() };
    let allowed = scene.allowed(request);
    within(&allowed, &Scene { own: Some(&ALLOW.of_user), ..scene.clone() }.allowed(request));
    within(&allowed, &Scene { bucket: Some(&ALLOW.of_bucket), ..scene.clone() }.allowed(request));
    fails_closed(&scene, request);
    let open = Scene { bucket: Some(&ALLOW.of_bucket), acl: BucketAcl::PublicReadWrite, ..scene };
    let narrowed = Scene { session: Some(&DENY.of_user), ..open }.allowed(request);
    assert_eq!(
        narrowed[OWNER_ROOT..],
        NOTHING[OWNER_ROOT..],
        "a session that is denied everything"
    );
}

fn as_a_sessions(policy: &Arc<Policy>, request: &Request<'_>) {
    let own = Scene { own: Some(policy), ..Scene::default() }.allowed(request);
    for (bucket, acl) in [
        (None, BucketAcl::Private),
        (None, BucketAcl::PublicReadWrite),
        (Some(&ALLOW.of_bucket), BucketAcl::Private),
    ] {
        let maker = Scene { own: Some(&ALLOW.of_user), bucket, acl, session: None };
        let session = Scene { session: Some(policy), ..maker.clone() };
        let allowed = session.allowed(request);
        within(&allowed, &maker.allowed(request));
        let denied = Scene { own: Some(&DENY.of_user), ..session.clone() }.allowed(request);
        let none = Scene { own: None, ..session.clone() }.allowed(request);
        within(&none, &Scene { own: None, ..maker.clone() }.allowed(request));
        for who in [USER, ROLE, OTHER_USER] {
            assert_eq!(denied[who], NOTHING[who], "a session of one who is denied everything");
        }
        if bucket.is_none() && maker.acl == BucketAcl::Private {
            // Who may do everything is, narrowed to a policy, a user with that policy.
            for who in [OWNER_ROOT, USER, ROLE] {
                assert_eq!(allowed[who][..TRUST], own[USER][..TRUST], "{who}");
            }
            fails_closed(&session, request);
        }
    }
}

fn as_a_buckets(policy: &Arc<Policy>, request: &Request<'_>) {
    let scene = Scene { bucket: Some(policy), ..Scene::default() };
    let allowed = scene.allowed(request);
    assert!(allowed[OWNER_ROOT][PUT_POLICY], "the owner is locked out");
    assert!(policy.is_for_everyone() || allowed[ANONYMOUS] == NOTHING[ANONYMOUS]);
    let with_own = Scene { own: Some(&ALLOW.of_user), ..scene.clone() };
    within(&allowed, &with_own.allowed(request));
    within(&allowed, &Scene { acl: BucketAcl::PublicReadWrite, ..scene.clone() }.allowed(request));
    let session = Scene { session: Some(&ALLOW.of_user), ..with_own.clone() };
    assert_eq!(session.allowed(request), with_own.allowed(request));
    let session = Scene { session: Some(&DENY.of_user), ..with_own.clone() }.allowed(request);
    assert_eq!(session[OWNER_ROOT..], NOTHING[OWNER_ROOT..]);
    let denied = Scene { own: Some(&DENY.of_user), ..scene.clone() }.allowed(request);
    for who in [USER, ROLE, OTHER_USER] {
        assert_eq!(denied[who], NOTHING[who]);
    }
    fails_closed(&scene, request);
    fails_closed(&with_own, request);
}

/// A policy of a user or a session that denies everything, whatever else it says.
fn denies_everything(policy: &Arc<Policy>, request: &Request<'_>) {
    let acl = BucketAcl::PublicReadWrite;
    let (bucket, allow) = (Some(&ALLOW.of_bucket), Some(&ALLOW.of_user));
    let own = Scene { own: Some(policy), bucket, acl: acl.clone(), session: None }.allowed(request);
    for who in [USER, ROLE, OTHER_USER] {
        assert_eq!(own[who], NOTHING[who]);
    }
    let session = Scene { own: allow, bucket, acl, session: Some(policy) }.allowed(request);
    assert_eq!(session[OWNER_ROOT..], NOTHING[OWNER_ROOT..]);
}

/// A policy of a bucket that denies everything, whatever else it says. Its owner can mend it.
fn locks_everyone_out(policy: &Arc<Policy>, request: &Request<'_>) {
    let (own, acl) = (Some(&ALLOW.of_user), BucketAcl::PublicReadWrite);
    let mut left = NOTHING;
    left[OWNER_ROOT][PUT_POLICY] = true;
    assert_eq!(Scene { own, bucket: Some(policy), acl, session: None }.allowed(request), left);
}

/// What nobody can read is taken the safe way, and so is what is too long to be looked at.
fn fails_closed(scene: &Scene<'_>, request: &Request<'_>) {
    let with = |instead| scene.allowed(&Request { instead: Some(instead), ..request.clone() });
    let unreadable = with(Fact::Unreadable);
    within(&unreadable, &scene.allowed(request));
    assert_eq!(with(Fact::Value(LONG.into())), unreadable);
}

/// Nothing is allowed in `less` that is not in `more`.
fn within(less: &Allowed, more: &Allowed) {
    let mut both = less.as_flattened().iter().zip(more.as_flattened());
    assert!(both.all(|(less, more)| less <= more), "{less:?} is not within {more:?}");
}

/// What a request has, and what it asks of.
#[derive(Clone)]
struct Request<'a> {
    facts: Vec<(Key, &'a [u8])>,
    resource: &'a str,
    /// What every fact is that is there, and that is not empty.
    instead: Option<Fact<'a>>,
}

impl<'a> Request<'a> {
    fn read(lines: &'a [u8]) -> Self {
        let mut request = Self { facts: vec![], resource: "b-1/dir/key", instead: None };
        for line in lines.split(|byte| *byte == b'\n') {
            let Some(at) = line.windows(2).position(|two| two == b": ") else { continue };
            let (Ok(name), value) = (std::str::from_utf8(&line[..at]), &line[at + 2..]) else {
                continue;
            };
            match (Key::named(name), std::str::from_utf8(value)) {
                (Some(key), _) => request.facts.push((key, value)),
                (None, Ok(resource)) if name == "resource" => request.resource = resource,
                _ => {}
            }
        }
        request
    }

    /// What the action of this place is asked of: a role, a bucket and what is listed there, or an object.
    fn resource(&self, at: usize) -> Resource<'_> {
        let bucket_bytes = self.resource.find('/').map_or(0, |slash| slash + 1);
        let object = Resource {
            service: "cos",
            region: "ap-x",
            owner: OWNER,
            name: self.resource,
            list_of: None,
        };
        match (at, ACTIONS[at].acl) {
            (TRUST, _) => {
                Resource { service: "cam", region: "", name: "roleName/worker", ..object }
            }
            (_, AclNeed::BucketRead | AclNeed::Nothing) => {
                let name = &self.resource[..bucket_bytes];
                Resource { name, list_of: Some(self.resource), ..object }
            }
            _ => object,
        }
    }
}

impl Facts for Request<'_> {
    fn fact(&self, key: Key) -> Fact<'_> {
        let fact = self.facts.iter().find(|(known, _)| *known == key);
        match (fact, &self.instead) {
            (None, _) => Fact::Absent,
            (Some((_, value)), Some(instead)) if !value.is_empty() => instead.clone(),
            (Some((_, value)), _) => {
                let text = std::str::from_utf8(value);
                text.map_or(Fact::Unreadable, |text| Fact::Value(text.into()))
            }
        }
    }
}

/// Who has which policy.
#[derive(Clone, Default)]
struct Scene<'a> {
    /// Each user and role.
    own: Option<&'a Arc<Policy>>,
    /// Each caller that is known.
    session: Option<&'a Arc<Policy>>,
    /// The bucket, and the role that is asked for.
    bucket: Option<&'a Arc<Policy>>,
    acl: BucketAcl,
}

impl Scene<'_> {
    fn allowed(&self, request: &Request<'_>) -> Allowed {
        let user = |uin| Who::User { uin, name: "u".to_owned() };
        let who = [
            (OWNER, Who::Root),
            (OWNER, user(101)),
            (OWNER, Who::Role { name: "worker".to_owned() }),
            (OTHER, Who::Root),
            (OTHER, user(201)),
        ];
        let [root, one, role, other, other_user] =
            who.map(|(account, who)| self.caller(account, who));
        let callers = [Caller::Anonymous, root, one, role, other, other_user];
        callers.map(|caller| std::array::from_fn(|at| self.is_allowed(&caller, at, request)))
    }

    fn caller(&self, account: Account, who: Who) -> Caller {
        let policy = self.own.filter(|_| who != Who::Root).cloned();
        let session = self.session.cloned();
        let session = session.map(|policy| Session { name: "s".to_owned(), policy: Some(policy) });
        Caller::Known(Arc::new(Identity { account, who, policy, session }))
    }

    fn is_allowed(&self, caller: &Caller, at: usize, request: &Request<'_>) -> bool {
        let is_trust = at == TRUST;
        let bucket_acl = Some(&self.acl).filter(|_| !is_trust);
        let policy = self.bucket.map(Arc::as_ref);
        is_allowed(&Ask {
            caller,
            action: ACTIONS[at],
            resource: request.resource(at),
            facts: request,
            rules: Rules { policy, bucket_acl, object_acl: None, is_trust },
        })
    }
}

/// Decides. What each statement says for itself is what the decision is made of.
fn is_allowed(ask: &Ask<'_>) -> bool {
    let decision = decide(ask);
    let (explained, considered) = explain(ask);
    assert_eq!(decision, explained);
    let applies = |effect: &str| {
        let of_effect = considered.iter().filter(move |statement| statement.effect == effect);
        of_effect.filter(|statement| statement.says.starts_with("applies")).collect::<Vec<_>>()
    };
    let (allows, denies) = (applies("allow"), applies("deny"));
    let is_inside = ask.caller.is_of(OWNER.appid) && !ask.rules.is_trust;
    match decision.reason {
        Reason::Allowed(place, at) => {
            assert!(
                allows.iter().any(|one| (one.place, one.statement) == (place, at)),
                "{allows:?}"
            );
        }
        Reason::Denied(place, at) => {
            assert!(
                denies.iter().any(|one| (one.place, one.statement) == (place, at)),
                "{denies:?}"
            );
        }
        Reason::NothingAllows => {
            let to_all = |says: &str| says == "applies to everyone";
            let to_it = |says: &str| says == "applies" && is_inside;
            let session = ask.caller.identity().is_some_and(|identity| identity.session.is_some());
            let enough = |says: &str| to_all(says) || (to_it(says) && !session);
            assert!(!allows.iter().any(|one| enough(&one.says)), "{allows:?}");
        }
        _ => {}
    }
    // The account that owns the bucket can mend its policy, and users are not denied what their account is.
    let can_mend = ask.caller.is_root_of(OWNER.appid) && ask.action == ACTIONS[PUT_POLICY];
    let is_for_it = |says: &str| !(is_inside && says == "applies to the account of the caller");
    let denied = denies.iter().any(|one| is_for_it(&one.says));
    assert!(!decision.allowed || !denied || can_mend, "{denies:?}");
    decision.allowed
}
