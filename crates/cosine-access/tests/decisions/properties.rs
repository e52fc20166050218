//! What no policy may ever do.

use std::sync::Arc;

use cosine_access::{Caller, Identity, Policy, PolicyKind, Session};
use proptest::prelude::*;

use crate::scene::{ACTIONS, Scene, bucket_acl, caller, object_acl, policy, statement};

const WHO: [&str; 6] = ["anonymous", "owner", "user", "role", "other", "other-user"];
const TO: [&str; 8] =
    ["anyone", "anonymous", "owner", "user", "all-of-owner", "role", "other", "other-user"];
const ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "READ other,WRITE_ACP user",
    "FULL_CONTROL other-user",
    "WRITE owner",
];
const OBJECT_ACLS: [&str; 5] =
    ["default", "private", "public-read", "authenticated-read", "READ other,READ user"];

const ACTION_WORDS: [&str; 6] =
    ["*", "GetObject", "Get*", "PutObject", "PutObjectCopy", "PutBucketPolicy"];
const KEYS: [&str; 5] = ["*", "dir/*", "dir/key", "other/*", "*key"];
const CONDITIONS: [&str; 8] = [
    "",
    "if ip_equal qcs:ip 10.0.0.0/8",
    "if ip_not_equal qcs:ip 10.0.0.1",
    "if string_not_equal cos:x-cos-acl private",
    "if string_not_equal_if_exist cos:x-cos-acl private",
    "if string_equal cos:nobody-knows x",
    "if null_equal cos:versionid true",
    "if string_like cos:prefix d*",
];

/// A statement; whom it is for stands in the middle, if it is of a bucket.
#[derive(Clone, Debug)]
struct Words {
    effect: &'static str,
    front: String,
    to: &'static str,
    condition: &'static str,
}

impl Words {
    fn of_user(&self) -> String {
        format!("{} {} {}", self.effect, self.front, self.condition)
    }

    fn of_bucket(&self) -> String {
        format!("{} {} to {} {}", self.effect, self.front, self.to, self.condition)
    }
}

fn pick(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(words)
}

fn words() -> impl Strategy<Value = Words> {
    (pick(&["allow", "deny"]), pick(&ACTION_WORDS), pick(&KEYS), pick(&TO), pick(&CONDITIONS))
        .prop_map(|(effect, action, key, to, condition)| Words {
            effect,
            front: format!("{action} {key}"),
            to,
            condition,
        })
}

fn several() -> impl Strategy<Value = Vec<Words>> {
    proptest::collection::vec(words(), 0..4)
}

fn user_policy(words: &[Words]) -> String {
    words.iter().map(Words::of_user).collect::<Vec<_>>().join(";")
}

fn bucket_policy(words: &[Words]) -> Option<Arc<Policy>> {
    let words: Vec<String> = words.iter().map(Words::of_bucket).collect();
    policy(&words.join(";"), PolicyKind::Resource)
}

/// Everything that bears on a decision, at random.
#[derive(Clone, Debug)]
struct World {
    who: &'static str,
    own: Vec<Words>,
    session: Option<Vec<Words>>,
    bucket: Vec<Words>,
    bucket_acl: &'static str,
    object_acl: &'static str,
}

fn world() -> impl Strategy<Value = World> {
    let acls = (pick(&ACLS), pick(&OBJECT_ACLS));
    (pick(&WHO), several(), proptest::option::of(several()), several(), acls).prop_map(
        |(who, own, session, bucket, (bucket_acl, object_acl))| World {
            who,
            // An account has no policy of its own.
            own: if matches!(who, "owner" | "other" | "anonymous") { vec![] } else { own },
            session,
            bucket,
            bucket_acl,
            object_acl,
        },
    )
}

impl World {
    /// Which of the actions are allowed.
    fn allowed(&self) -> Vec<bool> {
        let session = self.session.as_deref().map(user_policy);
        let scene = Scene {
            caller: caller(self.who, &user_policy(&self.own), session.as_deref()),
            policy: bucket_policy(&self.bucket),
            bucket_acl: bucket_acl(self.bucket_acl),
            object_acl: object_acl(self.object_acl),
        };
        ACTIONS.iter().map(|action| scene.decide(*action).allowed).collect()
    }
}

/// That nothing is allowed in `less` that is not in `more`.
fn is_within(less: &World, more: &World) -> bool {
    less.allowed().into_iter().zip(more.allowed()).all(|(less, more)| !less || more)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_deny_more_never_allows_more(world in world(), deny in words(), place in 0..3) {
        let deny = Words { effect: "deny", ..deny };
        let mut denied = world.clone();
        match (place, &mut denied.session) {
            (0, _) if matches!(world.who, "user" | "role" | "other-user") => denied.own.push(deny),
            (1, Some(session)) if world.who != "anonymous" => session.push(deny),
            _ => denied.bucket.push(deny),
        }
        // A session without a policy is all that its maker is; a policy of denies allows nothing.
        prop_assert!(is_within(&denied, &world), "{:?}", denied);
    }

    #[test]
    fn an_allow_less_never_allows_more(world in world(), at in any::<proptest::sample::Index>(), place in 0..3) {
        let mut without = world.clone();
        let statements = match (place, &mut without.session) {
            (0, _) => &mut without.own,
            (1, Some(session)) if session.len() > 1 => session,
            _ => &mut without.bucket,
        };
        if statements.is_empty() {
            return Ok(());
        }
        let removed = statements.remove(at.index(statements.len()));
        if removed.effect == "allow" {
            prop_assert!(is_within(&without, &world), "{:?}", without);
        }
    }

    #[test]
    fn temporary_credentials_are_never_more_than_their_maker(world in world()) {
        let maker = World { session: None, ..world.clone() };
        prop_assert!(is_within(&world, &maker), "{:?}", world);
    }

    /// The name of a role and that of a user are not one: nor is anyone by a name the account itself.
    #[test]
    fn who_is_named_is_who_is_meant(world in world()) {
        let Caller::Known(identity) = caller(world.who, "", None) else { return Ok(()) };
        let session = Some(Session { name: "s".into(), policy: None });
        let of_session = Caller::Known(Arc::new(Identity { session, ..(*identity).clone() }));
        for caller in [Caller::Known(identity), of_session] {
            let scene = Scene {
                caller,
                policy: bucket_policy(&world.bucket),
                bucket_acl: bucket_acl(world.bucket_acl),
                object_acl: object_acl(world.object_acl),
            };
            let named = World { own: vec![], session: None, ..world.clone() };
            let allowed: Vec<bool> = ACTIONS.iter().map(|a| scene.decide(*a).allowed).collect();
            prop_assert_eq!(allowed, named.allowed());
        }
    }
}

/// The statements of the tests are what they say.
#[test]
fn words_are_statements() {
    assert!(
        statement("allow GetObject a/* to user if ip_equal qcs:ip 1.2.3.4").contains("uin/101")
    );
}
