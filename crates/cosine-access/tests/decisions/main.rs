//! The truth table, which `docs/access.md` shows, and what no change of the rules may change.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unwrap_used)]

mod proofs;
mod properties;
mod scene;
mod syntax;

use cosine_access::{Key, PolicyKind};
use scene::{Scene, action, bucket_acl, caller, object_acl, policy};

/// Who asks, its own policy, its session's, the bucket's, the bucket's ACL, the object's ACL, the action,
/// and the answer.
type Case<'a> = (&'a str, &'a str, Option<&'a str>, &'a str, &'a str, &'a str, &'a str, &'a str);

const P: &str = "private";
const D: &str = "default";
const GET: &str = "GetObject";
const PUT: &str = "PutObject";
const NO: &str = "no: nothing allows it";

#[rustfmt::skip]
const TABLE: &[Case<'static>] = &[
    // The account that owns it.
    ("owner", "", None, "", P, D, GET, "yes: owner"),
    ("owner", "", None, "", P, "private", PUT, "yes: owner"),
    ("owner", "", None, "deny * * to anyone", P, D, GET, "no: denied by statement 0 of the resource's policy"),
    ("owner", "", None, "deny * * to owner", P, D, GET, "no: denied by statement 0 of the resource's policy"),
    ("owner", "", None, "deny * * to anyone", P, D, "PutBucketPolicy", "yes: owner"),
    ("owner", "", None, "deny * * to other", P, D, GET, "yes: owner"),
    // Nobody who said so.
    ("anonymous", "", None, "", P, D, GET, NO),
    ("anonymous", "", None, "", "public-read", D, GET, "yes: READ granted to Everyone by ACL"),
    ("anonymous", "", None, "", "public-read", "private", GET, NO),
    ("anonymous", "", None, "", P, "public-read", GET, "yes: READ granted to Everyone by ACL"),
    ("anonymous", "", None, "", "public-read", D, PUT, NO),
    ("anonymous", "", None, "", "public-read-write", D, PUT, "yes: WRITE granted to Everyone by ACL"),
    ("anonymous", "", None, "", "public-read-write", D, "PutObjectACL", NO),
    ("anonymous", "", None, "", "authenticated-read", D, GET, NO),
    ("anonymous", "", None, "allow GetObject dir/* to anyone", P, D, GET, "yes: allowed by statement 0 of the resource's policy"),
    ("anonymous", "", None, "allow GetObject dir/* to anonymous", P, D, GET, "yes: allowed by statement 0 of the resource's policy"),
    ("anonymous", "", None, "allow GetObject other/* to anyone", P, D, GET, NO),
    ("anonymous", "", None, "deny GetObject * to anyone", P, "public-read", GET, "no: denied by statement 0 of the resource's policy"),
    ("anonymous", "", None, "deny GetObject * to anonymous", P, "public-read", GET, "no: denied by statement 0 of the resource's policy"),
    // A sub-user of the account.
    ("user", "", None, "", P, D, GET, NO),
    ("user", "allow GetObject dir/*", None, "", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow Get* *", None, "", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow GetObject dir/*", None, "", P, D, PUT, NO),
    ("user", "allow PutObjectCopy *", None, "", P, D, PUT, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow PutObject *;deny PutObjectCopy *", None, "", P, D, PUT, "no: denied by statement 1 of the user's policy"),
    ("user", "allow * *", None, "deny GetObject * to user", P, D, GET, "no: denied by statement 0 of the resource's policy"),
    ("user", "allow * *", None, "deny * * to anyone", P, D, "PutBucketPolicy", "no: denied by statement 0 of the resource's policy"),
    ("user", "allow * *", None, "deny GetObject * to anonymous", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow * *", None, "deny GetObject * to owner", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    ("user", "", None, "allow GetObject * to user", P, D, GET, "yes: allowed by statement 0 of the resource's policy"),
    ("user", "", None, "allow GetObject * to all-of-owner", P, D, GET, "yes: allowed by statement 0 of the resource's policy"),
    ("user", "", None, "allow GetObject * to owner", P, D, GET, NO),
    ("user", "", None, "", "READ user", D, GET, "yes: READ granted to User { owner: 100, uin: 101 } by ACL"),
    ("user", "", None, "", "READ owner", D, GET, NO),
    ("user", "", None, "", "public-read", D, GET, "yes: READ granted to Everyone by ACL"),
    ("user", "deny GetObject *", None, "", "public-read", D, GET, "no: denied by statement 0 of the user's policy"),
    // Whoever assumed a role.
    ("role", "allow GetObject *", None, "", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    ("role", "", None, "allow GetObject * to role", P, D, GET, "yes: allowed by statement 0 of the resource's policy"),
    ("role", "", None, "allow GetObject * to user", P, D, GET, NO),
    // Another account.
    ("other", "", None, "", P, D, GET, NO),
    ("other", "", None, "", "authenticated-read", D, GET, "yes: READ granted to Authenticated by ACL"),
    ("other", "", None, "", P, "READ other", GET, "yes: READ granted to Account(200) by ACL"),
    ("other", "", None, "", "READ other", "private", GET, NO),
    ("other", "", None, "", "WRITE other", D, PUT, "yes: WRITE granted to Account(200) by ACL"),
    ("other", "", None, "", P, "WRITE_ACP other", "PutObjectACL", "yes: WRITE_ACP granted to Account(200) by ACL"),
    ("other", "", None, "", P, "FULL_CONTROL other", "PutObjectACL", "yes: FULL_CONTROL granted to Account(200) by ACL"),
    ("other", "", None, "", "FULL_CONTROL other", D, "PutBucketVersioning", NO),
    ("other", "", None, "allow GetObject * to other", P, D, GET, "yes: allowed by statement 0 of the resource's policy"),
    ("other", "", None, "allow PutBucketPolicy * to other", P, D, "PutBucketPolicy", "yes: allowed by statement 0 of the resource's policy"),
    ("other", "", None, "deny GetObject * to other", P, "READ other", GET, "no: denied by statement 0 of the resource's policy"),
    // A sub-user of another account.
    ("other-user", "allow GetObject *", None, "", P, D, GET, NO),
    ("other-user", "", None, "allow GetObject * to other", P, D, GET, "no: not allowed by the user's policy"),
    ("other-user", "allow GetObject *", None, "allow GetObject * to other", P, D, GET, "yes: allowed by statement 0 of the resource's policy"),
    ("other-user", "", None, "allow GetObject * to other-user", P, D, GET, "no: not allowed by the user's policy"),
    ("other-user", "allow GetObject *", None, "", "READ other", D, GET, "yes: READ granted to Account(200) by ACL"),
    ("other-user", "", None, "", "READ other", D, GET, "no: not allowed by the user's policy"),
    ("other-user", "allow GetObject *", None, "deny GetObject * to other", "READ other", D, GET, "no: denied by statement 0 of the resource's policy"),
    // Temporary credentials.
    ("owner", "", Some("allow GetObject dir/*"), "", P, D, GET, "yes: owner"),
    ("owner", "", Some("allow GetObject other/*"), "", P, D, GET, "no: not allowed by the session's policy"),
    ("owner", "", Some("allow * *;deny GetObject *"), "", P, D, GET, "no: denied by statement 1 of the session's policy"),
    ("user", "allow GetObject *", Some("allow * *"), "", P, D, PUT, NO),
    ("user", "allow * *", Some("allow GetObject *"), "", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow * *", Some("allow GetObject *"), "", P, D, PUT, "no: not allowed by the session's policy"),
    ("user", "allow * *", Some("allow PutObject *"), "", P, "public-read", GET, "yes: READ granted to Everyone by ACL"),
    ("other", "", Some("allow PutObject *"), "allow * * to other", P, D, GET, "no: not allowed by the session's policy"),
    ("role", "allow GetObject *", Some(""), "", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    // Conditions. The request comes from 10.0.0.1, not over TLS, with 1,000 bytes.
    ("user", "allow * * if ip_equal qcs:ip 10.0.0.0/8", None, "", P, D, GET, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow * * if ip_equal qcs:ip 11.0.0.0/8", None, "", P, D, GET, NO),
    ("user", "allow * *;deny * * if bool_equal cos:secure-transport false", None, "", P, D, GET, "no: denied by statement 1 of the user's policy"),
    ("user", "allow * * if numeric_less_than_equal cos:content-length 1000", None, "", P, D, PUT, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow * * if numeric_less_than cos:content-length 1000", None, "", P, D, PUT, NO),
    ("user", "allow * * if string_equal cos:x-cos-acl private", None, "", P, D, PUT, NO),
    ("user", "allow * * if string_equal_if_exist cos:x-cos-acl private", None, "", P, D, PUT, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow * * if string_not_equal cos:x-cos-acl private", None, "", P, D, PUT, NO),
    ("user", "allow * *;deny * * if string_not_equal cos:x-cos-acl private", None, "", P, D, PUT, "yes: allowed by statement 0 of the user's policy"),
    ("user", "allow * *;deny * * if string_not_equal_if_exist cos:x-cos-acl private", None, "", P, D, PUT, "no: denied by statement 1 of the user's policy"),
    ("user", "allow * * if string_equal cos:nobody-knows x", None, "", P, D, GET, NO),
    ("user", "allow * * if string_equal_if_exist cos:nobody-knows x", None, "", P, D, GET, NO),
    ("user", "allow * *;deny * * if string_equal cos:nobody-knows x", None, "", P, D, GET, "no: denied by statement 1 of the user's policy"),
    ("user", "allow * *;deny * * if string_not_equal vpc:requester_vpc vpc-1", None, "", P, D, GET, "no: denied by statement 1 of the user's policy"),
];

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access.md");

#[test]
fn the_truth_table() {
    for (who, own, session, of_bucket, bucket, object, asked, expected) in TABLE {
        let scene = Scene {
            caller: caller(who, own, *session),
            policy: policy(of_bucket, PolicyKind::Resource),
            bucket_acl: bucket_acl(bucket),
            object_acl: object_acl(object),
        };
        let decision = scene.decide(action(asked));
        let said = format!("{}: {}", if decision.allowed { "yes" } else { "no" }, decision.reason);
        let case = format!("{who} [{own}] {session:?} [{of_bucket}] {bucket} {object} {asked}");
        assert_eq!(&said, expected, "{case}");
    }
}

/// `UPDATE_DOCS=1 cargo test` writes the tables into the page.
#[test]
fn the_page_shows_the_tables() {
    let mut keys = String::new();
    for key in Key::ALL {
        let names: Vec<String> = key.names().iter().map(|name| format!("`{name}`")).collect();
        keys += &format!("| {} | {} |\n", names.join(", "), key.meaning());
    }
    let mut table =
        "| who | own policy | session | bucket policy | bucket ACL | object ACL | action | may |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for (who, own, session, of_bucket, bucket, object, asked, expected) in TABLE {
        let session =
            session.map_or("", |words| if words.is_empty() { "(no policy)" } else { words });
        let cells = [who, own, session, of_bucket, bucket, object, asked, expected];
        let cells = cells.map(|cell| cell.replace(';', "; "));
        table += &format!("| {} |\n", cells.join(" | "));
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let made = place(
        &place(&page, "condition keys: made from the code", &keys),
        "truth table: made from the tests",
        &table,
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, made).unwrap();
        return;
    }
    assert!(page == made, "docs/access.md is not what is made: UPDATE_DOCS=1 cargo test writes it");
}

/// A page with a table in the place that is marked for it.
fn place(page: &str, mark: &str, table: &str) -> String {
    let begin = format!("<!-- {mark} -->\n");
    let end = format!("<!-- end of {} -->", mark.split(':').next().unwrap());
    let (head, rest) = page.split_once(&begin).expect("the page has no place for the table");
    let (_, tail) = rest.split_once(&end).expect("the page has no end of the table");
    format!("{head}{begin}{table}{end}{tail}")
}
