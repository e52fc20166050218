//! Policies as they are written.

use cosine_access::{
    AclNeed, Action, Ask, Fact, Facts, Key, NoFacts, POLICY_BYTES_MAX, Policy, PolicyKind,
    Resource, Rules, WILDCARDS_MAX, decide,
};

use crate::scene::{Here, OWNER, caller};

fn parse(text: &str, kind: PolicyKind) -> Result<Policy, String> {
    Policy::parse(text, kind).map_err(|error| error.to_string())
}

/// A policy for everyone and everything, with one more member.
fn with(member: &str) -> String {
    format!(
        r#"{{"statement":[{{"effect":"allow","principal":"*","action":"*","resource":"*"{member}}}]}}"#
    )
}

/// What is wrong with a policy, and where.
#[test]
fn a_malformed_policy_is_told_what_is_wrong_and_where() {
    let table = [
        ("{", "policy: it is not JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "policy: it is a list, not an object"),
        ("{}", "statement: it is missing"),
        (r#"{"statement":[]}"#, "statement: it is not a list of statements"),
        (r#"{"version":"1.0","statement":[{}]}"#, "version: it is not \"2.0\""),
        (r#"{"statement":[{}]}"#, "statement[0].effect: it is missing"),
        (
            r#"{"statement":[{"effect":"maybe"}]}"#,
            "statement[0].effect: it is neither allow nor deny",
        ),
        (r#"{"statement":[{"effect":"allow"}]}"#, "statement[0].principal: it is missing"),
        (
            r#"{"statement":[{"effect":"allow","Effect":"deny"}]}"#,
            "statement[0]: effect is there twice",
        ),
        (
            r#"{"statement":[{"effect":"deny","effect":"allow"}]}"#,
            "statement[0]: effect is there twice",
        ),
        (
            r#"{"statement":[{"effect":"allow","principal":{"qcs":["me"]},"action":"*","resource":"*"}]}"#,
            "statement[0].principal.qcs[0]: \"me\" is no principal such as qcs::cam::uin/1:uin/2",
        ),
        (
            r#"{"statement":[{"effect":"allow","principal":"*","action":["*","GetObject"],"resource":"*"}]}"#,
            "statement[0].action[1]: \"GetObject\" is no action such as name/cos:GetObject",
        ),
        (
            r#"{"statement":[{"effect":"allow","principal":"*","action":"*","resource":["b-1/*"]}]}"#,
            "statement[0].resource[0]: \"b-1/*\" is no resource such as \
             qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/*",
        ),
        (
            r#"{"statement":[{"effect":"allow","principal":"*","action":"*","resource":[]}]}"#,
            "statement[0].resource: it is empty",
        ),
    ];
    for (text, what) in table {
        assert_eq!(parse(text, PolicyKind::Resource).unwrap_err(), what, "{text}");
    }
}

/// What is wrong with a member of a statement.
#[test]
fn a_malformed_member_is_told_what_is_wrong_and_where() {
    let table = [
        (r#","notaction":"*""#, "statement[0]: notaction is not known here"),
        (r#","condition":[]"#, "statement[0].condition: it is a list, not an object"),
        (
            r#","condition":{"like":{"qcs:ip":"1"}}"#,
            "statement[0].condition.like.qcs:ip: like is no operator",
        ),
        (
            r#","condition":{"ip_equal":{"qcs:ip":["10.0.0.0/33"]}}"#,
            "statement[0].condition.ip_equal.qcs:ip: \"10.0.0.0/33\" is not an address or a network \
             such as 10.0.0.0/8",
        ),
        (
            r#","condition":{"numeric_equal":{"cos:content-length":["a"]}}"#,
            "statement[0].condition.numeric_equal.cos:content-length: \"a\" is not a number",
        ),
        (
            r#","condition":{"string_equal":{}}"#,
            "statement[0].condition.string_equal: it names no key",
        ),
        (
            r#","condition":{"ip_equal":{"qcs:ip":"10.0.0.1","qcs:ip":"10.0.0.2"}}"#,
            "statement[0].condition.ip_equal: it names a key twice",
        ),
    ];
    for (member, what) in table {
        assert_eq!(parse(&with(member), PolicyKind::Resource).unwrap_err(), what, "{member}");
    }
    let named = r#"{"statement":[{"effect":"allow","principal":{"qcs":["qcs::cam::uin/1:uin/2"]},"action":"*","resource":"*"}]}"#;
    assert!(parse(named, PolicyKind::Identity).unwrap_err().contains("for whoever has it"));
}

#[test]
fn a_policy_has_bounds() {
    let stars = with(&format!(r#","sid":"{}""#, "*a".repeat(WILDCARDS_MAX)));
    assert_eq!(
        parse(&stars, PolicyKind::Resource).unwrap_err(),
        "policy: it has more than 1000 wildcards"
    );
    let large = with(&format!(r#","sid":"{}""#, "x".repeat(POLICY_BYTES_MAX)));
    assert_eq!(
        parse(&large, PolicyKind::Resource).unwrap_err(),
        "policy: it is larger than 20 KiB"
    );
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse(&deep, PolicyKind::Resource).unwrap_err().contains("recursion"));
}

fn get_object(text: &str, name: &str) -> bool {
    let policy = Policy::parse(text, PolicyKind::Resource).unwrap();
    let ask = Ask {
        caller: &caller("other", "", None),
        action: Action::cos(&["GetObject"], AclNeed::ObjectRead),
        resource: Resource { service: "cos", region: "ap-x", owner: OWNER, name, list_of: None },
        facts: &NoFacts,
        rules: Rules { policy: Some(&policy), ..Rules::default() },
    };
    decide(&ask).allowed
}

/// Names of members and effects in any case; one for a list of one; every form of a resource.
#[test]
fn every_spelling() {
    let python = r#"{"Statement":[{"Principal":{"qcs":["qcs::cam::uin/200:uin/200"]},"Effect":"Allow",
        "Action":["cos:Get*"],"Resource":["qcs::cos:ap-x:uid/1:b-1/a/*"],"Sid":"x"}],"version":"2.0"}"#;
    assert!(get_object(python, "b-1/a/k") && !get_object(python, "b-1/b"));
    let outside =
        r#"{"principal":{"qcs":"*"},"statement":{"effect":"allow","action":"*","resource":"*"}}"#;
    assert!(get_object(outside, "b-1/k"));
    for (resource, fits) in [
        ("qcs::cos:ap-x:uid/1:b-1/*", true),
        ("qcs::cos::uid/1:b-1/*", true),
        ("qcs::cos:::b-1/*", true),
        ("qcs::cos:*:*:*", true),
        ("qcs:0:cos:ap-x:uin/100:b-1/k", true),
        ("qcs::cos:ap-x:uid/1:prefix//1/b/k", true),
        ("qcs::cos:ap-x:uid/1:prefix//1/b/*", true),
        ("qcs::cos:ap-x:uid/1:b-1.cos.ap-x.myqcloud.com/*", true),
        ("qcs::cos:ap-x:uid/1:b-1*", true),
        ("qcs::cos:ap-x:uid/1:*k", true),
        ("qcs::cos:ap-x:uid/1*:b-1/*", true),
        ("qcs::cos:ap-y:uid/1:b-1/*", false),
        ("qcs::cos:ap-x:uid/2:b-1/*", false),
        ("qcs::cos:ap-x:uin/1:b-1/*", false),
        ("qcs::cam:ap-x:uid/1:b-1/*", false),
        ("qcs::cos:ap-x:uid/1:b-1", false),
        ("qcs::cos:ap-x:uid/1:b-1/K", false),
        ("qcs::cos:ap-x:uid/1:prefix//2/b/*", false),
    ] {
        let text = format!(
            r#"{{"statement":[{{"effect":"allow","principal":"*","action":"*","resource":"{resource}"}}]}}"#
        );
        assert_eq!(get_object(&text, "b-1/k"), fits, "{resource}");
    }
    // A bucket alone is the bucket itself.
    let bucket = r#"{"statement":[{"effect":"allow","principal":"*","action":"*","resource":"qcs::cos:::b-1"}]}"#;
    assert!(get_object(bucket, "b-1/"));
    let buckets = bucket.replace("b-1", "b*-1");
    assert!(get_object(&buckets, "bet-1/") && !get_object(&buckets, "bet-2/"));
    assert!(!get_object(&buckets, "bet-1/dir/"));
}

/// Every operator, met and not met, by the circumstances of the scene.
#[test]
fn every_operator() {
    for (operator, key, values, holds) in [
        ("string_equal", "cos:prefix", r#"["a","dir%2F"]"#, true),
        ("string_equal", "cos:prefix", r#"["dir/"]"#, true),
        ("string_equal", "cos:prefix", r#"["DIR/"]"#, false),
        ("string_equal_ignore_case", "cos:prefix", r#""DIR/""#, true),
        ("string_not_equal_ignore_case", "cos:prefix", r#""DIR/""#, false),
        ("string_not_equal", "cos:prefix", r#"["a","dir/"]"#, false),
        ("string_not_equal", "cos:prefix", r#"["a","b"]"#, true),
        ("string_like", "cos:prefix", r#""d*""#, true),
        ("string_like", "cos:prefix", r#""d%2A""#, false),
        ("string_not_like", "cos:prefix", r#"["x*","d*"]"#, false),
        ("numeric_equal", "cos:content-length", "1000", true),
        ("numeric_equal", "cos:content-length", r#""1000.0""#, true),
        ("numeric_not_equal", "cos:content-length", "1000", false),
        ("numeric_less_than", "cos:content-length", "1000", false),
        ("numeric_less_than_equal", "cos:content-length", "1000", true),
        ("numeric_greater_than", "cos:content-length", "999", true),
        ("numeric_greater_than_equal", "cos:content-length", "1001", false),
        ("date_less_than", "qcs:current_time", r#""2026-11-28T00:00:00Z""#, true),
        ("date_greater_than", "qcs:current_time", r#""2026-11-27T08:00:00+08:00""#, false),
        ("date_equal", "qcs:current_time", r#""2026-11-27T08:00:00+08:00""#, true),
        ("date_not_equal", "qcs:current_time", r#""2026-11-27T08:00:00+08:00""#, false),
        ("date_less_than_equal", "qcs:current_time", r#""2026-11-26T00:00:00Z""#, false),
        ("date_greater_than_equal", "qcs:current_time", r#""2026-11-27T00:00:00Z""#, true),
        ("bool_equal", "cos:secure-transport", "false", true),
        ("bool_equal", "cos:secure-transport", r#""True""#, false),
        ("ip_equal", "qcs:ip", r#"["192.168.0.0/16","10.0.0.1"]"#, true),
        ("ip_equal", "qcs:ip", r#""::/0""#, false),
        ("ip_equal", "qcs:ip", r#""::ffff:10.0.0.0/104""#, true),
        ("ip_not_equal", "qcs:ip", r#""::ffff:10.0.0.1""#, false),
        ("ip_not_equal", "qcs:ip", r#""10.0.0.0/30""#, false),
        ("null_equal", "cos:versionid", r#""true""#, true),
        ("null_equal", "cos:prefix", r#""true""#, false),
        ("null_equal", "cos:prefix", r#""false""#, true),
        ("for_any_value:string_equal", "cos:prefix", r#""dir/""#, true),
        ("for_all_value:string_equal_if_exist", "cos:versionid", r#""x""#, true),
        ("numeric_equal_if_exist", "cos:max-keys", "1", true),
        ("numeric_equal", "cos:max-keys", "1", false),
        ("ip_equal", "vpc:requester_vpc", r#""10.0.0.1""#, false),
    ] {
        let text = format!(
            r#"{{"statement":[{{"effect":"allow","principal":"*","action":"*","resource":"*",
               "condition":{{"{operator}":{{"{key}":{values}}}}}}}]}}"#
        );
        let policy = Policy::parse(&text, PolicyKind::Resource).expect(&text);
        let ask = Ask {
            caller: &caller("anonymous", "", None),
            action: Action::cos(&["GetObject"], AclNeed::ObjectRead),
            resource: Resource {
                service: "cos",
                region: "r",
                owner: OWNER,
                name: "b-1/k",
                list_of: None,
            },
            facts: &Here,
            rules: Rules { policy: Some(&policy), ..Rules::default() },
        };
        assert_eq!(decide(&ask).allowed, holds, "{operator} {key} {values}");
    }
}

/// What nobody can read, and what is too long to be looked at, is taken the safe way.
#[test]
fn what_cannot_be_read_fails_closed() {
    struct Odd(Fact<'static>);
    impl Facts for Odd {
        fn fact(&self, _: Key) -> Fact<'_> {
            self.0.clone()
        }
    }
    let long = Fact::Value("a".repeat(1025).into());
    for (fact, read) in [(Fact::Value("a".into()), true), (long, false), (Fact::Unreadable, false)]
    {
        let facts = Odd(fact);
        let decided = |effect: &str, operator: &str| {
            let text = format!(
                r#"{{"statement":[{{"effect":"allow","principal":"*","action":"*","resource":"*"}},
                   {{"effect":"{effect}","principal":"*","action":"*","resource":"*",
                   "condition":{{"{operator}":{{"cos:content-type":"a*"}}}}}}]}}"#
            );
            let policy = Policy::parse(&text, PolicyKind::Resource).unwrap();
            let ask = Ask {
                caller: &caller("anonymous", "", None),
                action: Action::cos(&["GetObject"], AclNeed::ObjectRead),
                resource: Resource {
                    service: "cos",
                    region: "r",
                    owner: OWNER,
                    name: "b-1/k",
                    list_of: None,
                },
                facts: &facts,
                rules: Rules { policy: Some(&policy), ..Rules::default() },
            };
            decide(&ask).allowed
        };
        assert!(!decided("deny", "string_like"));
        assert_eq!(decided("deny", "string_not_like"), read);
        assert_eq!(decided("deny", "string_not_like_if_exist"), read);
    }
}
