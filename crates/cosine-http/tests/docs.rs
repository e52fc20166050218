//! `docs/operations.md` is made from the routing table. `UPDATE_DOCS=1 cargo test` writes it.
#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use cosine_http::operation::{Row, Scope, State, TABLE, When};

const HEAD: &str = "# Supported operations

Made from the routing table (`crates/cosine-http/src/operation.rs`); a test holds the two together.

- **works**: built, and driven by the tests.
- **not set**: what it reads cannot be set yet, and it gives the answer that COS documents for that:
  SDKs probe these and take it for \"none\".
- **501**: answers `NotImplemented` (to unsigned callers, 403). A header or parameter that a working
  operation does not know is refused in the same way on a write; a read ignores what cannot change its
  answer.

The action is what policies name (`name/cos:...`): [access.md](access.md). Where there are several, an
allow of one allows, and a deny of one denies.
";

#[test]
fn the_page_of_operations_is_the_table() {
    let mut page = HEAD.to_owned();
    for (scope, title) in [
        (Scope::Service, "Service"),
        (Scope::Bucket, "Buckets"),
        (Scope::Object, "Objects"),
        (Scope::Control, "Batch jobs (`<uin>.cos-control.<region>`)"),
    ] {
        page += &format!(
            "\n## {title}\n\n| operation | request | action | S3 action | state |\n| --- | --- | --- | --- | --- |\n"
        );
        TABLE.iter().filter(|row| row.scope == scope).for_each(|row| page += &line(row));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/operations.md is not the table: UPDATE_DOCS=1 cargo test writes it"
    );
}

fn line(row: &Row) -> String {
    let query: Vec<&str> = row
        .when
        .iter()
        .filter_map(|when| if let When::Query(q) = when { Some(*q) } else { None })
        .collect();
    let header =
        row.when.iter().find_map(|when| if let When::Header(h) = when { Some(h) } else { None });
    let path =
        row.when.iter().find_map(|when| if let When::Path(p) = when { Some(*p) } else { None });
    let path = path.unwrap_or(if row.scope == Scope::Object { "<key>" } else { "" });
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let header = header.map(|header| format!(" with `{header}`")).unwrap_or_default();
    let state = match row.state {
        State::Built => "**works**".to_owned(),
        State::NotSet(code) => {
            format!("not set: {} `{}`", code.status(), code.as_str())
        }
        State::NotSetDocument(root) => format!("not set: 200 `{root}`"),
        State::Planned => "501".to_owned(),
    };
    let (name, method, s3) = (row.name, &row.method, row.s3_action);
    let action = row.action.names.join(", ");
    format!("| {name} | `{method} /{path}{query}`{header} | {action} | {s3} | {state} |\n")
}
