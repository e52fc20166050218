//! The signature and the policy of a form.

use aws_lc_rs::{digest, hmac};
use cosine_wire::encode::hex;
use cosine_wire::post_policy::{FormSignature, PostPolicy, field};
use serde_json::{Value, json};

use crate::message;

/// No kept input is signed with it.
const SECRET_KEY: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
const NOW: u64 = 1_557_990_000;
const BUCKET: &str = "b-1250000000";
/// Where the policy has these names, the form has others.
const NAMED_OTHERWISE: [&str; 4] = ["bucket", "q-sign-time", "acl", "x-cos-acl"];

type Form = Vec<(String, String)>;

/// Lines `name=value`, an empty line, and a policy: reads whatever the form presents as a signature; signs
/// it as a client does; and holds it against the policy.
pub fn post_policy(data: &[u8]) {
    let (lines, policy) = message::head_and_body(data);
    let (Ok(lines), Ok(policy)) = (std::str::from_utf8(lines), std::str::from_utf8(policy)) else {
        return;
    };
    let fields = lines.split('\n').filter_map(|line| line.split_once('='));
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let form: Form = fields.collect();
    if let Ok(Some(found)) = FormSignature::find(&form) {
        assert!(found.verify(policy, SECRET_KEY, NOW).is_err());
    }
    signed(&form, policy);
    conditions(&form, policy);
}

fn signed(form: &Form, policy: &str) {
    let key_time = format!("{};{}", NOW - 60, NOW + 600);
    let sign_key = hmac_sha1(SECRET_KEY, &key_time);
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, policy.as_bytes());
    let signature = hmac_sha1(&sign_key, &hex(digest.as_ref()));
    let fields = [
        ("q-sign-algorithm", "sha1"),
        ("q-ak", "id"),
        ("q-key-time", &key_time),
        ("q-signature", &signature),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // They stand in front: the first of a name is the one that counts.
    let form = [&fields[..], form].concat();
    let found = FormSignature::find(&form).unwrap().unwrap();
    assert_eq!(found.secret_id, "id");
    found.verify(policy, SECRET_KEY, NOW).unwrap();
    assert!(found.verify(policy, SECRET_KEY, NOW + 600).is_err());
    assert!(found.verify(policy, "another", NOW).is_err());
    assert!(found.verify(&format!("{policy} "), SECRET_KEY, NOW).is_err());
    for (name, _) in &fields {
        let without: Form = form.iter().filter(|(other, _)| other != name).cloned().collect();
        assert!(!matches!(FormSignature::find(&without), Ok(Some(_))), "it lacks {name}");
    }
}

fn hmac_sha1(key: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

fn conditions(form: &Form, text: &str) {
    let Ok(policy) = PostPolicy::parse(text) else { return };
    for name in ["q-sign-algorithm", "q-ak", "q-sign-time"] {
        assert!(policy.covers(name), "{text}");
    }
    let fits = |policy: &PostPolicy, form: &Form| policy.check(form, BUCKET, NOW).is_ok();
    let range = policy.length_range();
    // As it is written again, since a number may lose a digit on the way.
    let document: Value = serde_json::from_str(text).unwrap();
    let policy = PostPolicy::parse(&document.to_string()).unwrap();
    if !fits(&policy, form) {
        let worse = with(&document, json!(["starts-with", "$key", ""]));
        return assert!(!fits(&worse, form), "a condition more lets it through: {text}");
    }
    assert!(
        policy.check(form, BUCKET, 0).is_ok()
            && policy.check(form, BUCKET, i64::MAX as u64).is_err()
    );
    needs_what_it_covers(&policy, form);
    let (least, most) = with(&document, json!(["content-length-range", 5, 9])).length_range();
    assert_eq!((least, most), (range.0.max(5), range.1.min(9)));
    let bucket = with(&document, json!({ "bucket": "another" }));
    assert!(!fits(&bucket, form));
    for (name, _) in form.iter().filter(|(name, _)| !NAMED_OTHERWISE.contains(&name.as_str())) {
        let value = field(form, name).unwrap();
        // What only the rest of the value begins with is not in front of it.
        let rest: String = value.chars().skip(1).collect();
        let is_front = value.starts_with(rest.strip_suffix('*').unwrap_or(&rest));
        let rest = with(&document, json!(["starts-with", format!("${name}"), rest]));
        assert_eq!(fits(&rest, form), is_front, "{name}: {text}");
        let (upper, longer) = (name.to_ascii_uppercase(), format!("{value}x"));
        let same = with(&document, json!({ upper: value }));
        assert!(same.covers(name) && fits(&same, form), "{name}: {text}");
        let front = with(&document, json!(["starts-with", format!("${name}"), value]));
        assert!(front.covers(name) && fits(&front, form), "{name}: {text}");
        for condition in [
            json!(["eq", format!("${name}"), longer]),
            json!(["starts-with", format!("${name}"), longer]),
        ] {
            assert!(!fits(&with(&document, condition), form), "{name}: {text}");
        }
    }
}

/// A form that fits a policy has every field that the policy is about; what is behind it changes nothing.
fn needs_what_it_covers(policy: &PostPolicy, form: &Form) {
    let is_acl = |name: &str| name == "acl" || name == "x-cos-acl";
    for (name, value) in form {
        let mut more = form.clone();
        more.push((name.clone(), format!("{value}x")));
        assert!(policy.check(&more, BUCKET, NOW).is_ok(), "a second {name} counts");
        let covered = match name.as_str() {
            "bucket" | "q-sign-time" => continue, // not taken from these fields
            "q-key-time" => policy.covers("q-sign-time"),
            name => policy.covers(name),
        };
        let others =
            form.iter().filter(|(other, _)| other != name && !(is_acl(name) && is_acl(other)));
        let without: Form = others.cloned().collect();
        assert_eq!(policy.check(&without, BUCKET, NOW).is_ok(), !covered, "without {name}");
    }
}

/// The policy with one condition more.
fn with(document: &Value, condition: Value) -> PostPolicy {
    let mut document = document.clone();
    document["conditions"].as_array_mut().unwrap().push(condition);
    PostPolicy::parse(&document.to_string()).unwrap()
}
