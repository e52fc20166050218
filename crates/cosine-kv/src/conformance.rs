//! What every engine must do. Each function takes an empty engine, and panics with what is wrong.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test suite reports by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Commit, Condition, Direction, Error, Found, KEY_BYTES_MAX, Kv, Outcome, Revision, Row, Scan,
    Skip, Write,
};

/// Runs every check; `open` gives an empty engine each time.
pub async fn all<K: Kv>(mut open: impl FnMut() -> K) {
    get_returns_what_was_put(&open()).await;
    keys_that_no_row_can_have_are_not_there(&open()).await;
    conditions_decide(&open()).await;
    revisions_are_never_reused(&open()).await;
    refused_commits_change_nothing(&open()).await;
    scans_walk_both_ways_in_pages(&open()).await;
    a_delimiter_folds_keys(&open()).await;
    a_delimiter_in_the_suffix_is_none(&open()).await;
    pages_that_are_scanned_together_are_one_snapshot(Arc::new(open())).await;
    sixty_four_readers_of_one_row_do_not_conflict(Arc::new(open())).await;
    of_concurrent_writers_of_one_row_one_wins_each_round(Arc::new(open())).await;
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(key.into(), Bytes::copy_from_slice(value.as_bytes()))
}

fn commit(conditions: Vec<Condition>, writes: Vec<Write>) -> Commit {
    Commit { conditions, writes }
}

async fn keys_that_no_row_can_have_are_not_there<K: Kv>(kv: &K) {
    for length in [KEY_BYTES_MAX + 1, 65_536, 1 << 20] {
        assert_eq!(kv.get(&vec![b'k'; length]).await.unwrap(), None);
    }
}

async fn must<K: Kv + ?Sized>(kv: &K, writes: Vec<Write>) -> Revision {
    match kv.commit(commit(vec![], writes)).await {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("an unconditional commit gave {other:?}"),
    }
}

async fn read<K: Kv + ?Sized>(kv: &K, key: &str) -> Option<(String, Revision)> {
    let Row { value, revision } = kv.get(key.as_bytes()).await.unwrap()?;
    Some((String::from_utf8(value.to_vec()).unwrap(), revision))
}

async fn get_returns_what_was_put<K: Kv>(kv: &K) {
    assert_eq!(read(kv, "a").await, None);
    let revision = must(kv, vec![put("a", "1"), put("b", ""), Write::Delete("none".into())]).await;
    assert_eq!(read(kv, "a").await, Some(("1".into(), revision)));
    assert_eq!(read(kv, "b").await, Some((String::new(), revision)));
    let later = must(kv, vec![Write::Delete("a".into()), put("b", "2")]).await;
    assert!(later > revision);
    assert_eq!(read(kv, "a").await, None);
    assert_eq!(read(kv, "b").await, Some(("2".into(), later)));
}

async fn conditions_decide<K: Kv>(kv: &K) {
    let first = must(kv, vec![put("a", "1")]).await;
    let absent = |key: &str| Condition::Absent(key.into());
    let unchanged = |key: &str, revision| Condition::Unchanged(key.into(), revision);
    let table = [
        (vec![absent("b")], true),
        (vec![absent("a")], false),
        (vec![unchanged("a", first)], true),
        (vec![unchanged("a", Revision(first.0 + 1000))], false),
        (vec![unchanged("b", first)], false),
        (vec![absent("b"), unchanged("a", first)], true),
        (vec![absent("b"), absent("a")], false),
    ];
    for (conditions, holds) in table {
        let outcome = kv.commit(commit(conditions.clone(), vec![put("c", "x")])).await.unwrap();
        assert_eq!(matches!(outcome, Outcome::Committed(_)), holds, "{conditions:?}");
        assert_eq!(outcome == Outcome::Conflict, !holds, "{conditions:?}");
        assert_eq!(read(kv, "c").await.is_some(), holds, "a conflict writes nothing");
        must(kv, vec![Write::Delete("c".into())]).await;
    }
}

async fn revisions_are_never_reused<K: Kv>(kv: &K) {
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        assert!(seen.insert(must(kv, vec![put("a", "same")]).await));
        must(kv, vec![Write::Delete("a".into())]).await;
    }
    for revision in seen {
        let stale = vec![Condition::Unchanged("a".into(), revision)];
        let outcome = kv.commit(commit(stale, vec![put("a", "no")])).await.unwrap();
        assert_eq!(outcome, Outcome::Conflict);
    }
}

async fn refused_commits_change_nothing<K: Kv>(kv: &K) {
    let many = (0..1001).map(|i| put(&format!("k{i}"), "")).collect();
    let large = vec![put("k", &"x".repeat(1 << 20))];
    let long = vec![put(&"k".repeat(2601), "")];
    let twice = vec![put("k", "1"), put("l", ""), Write::Delete("k".into())];
    for writes in [many, large, long, twice] {
        let refused = kv.commit(commit(vec![], writes)).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
    assert!(kv.scan(Scan::prefix(b"k", 10)).await.unwrap().found.is_empty());
    must(kv, (0..1000).map(|i| put(&format!("k{i}"), "")).collect()).await;
    must(kv, vec![put(&"k".repeat(2600), "")]).await;
}

/// The keys that a scan finds, common prefixes marked with `*`.
async fn keys<K: Kv>(kv: &K, scan: Scan) -> (Vec<String>, bool) {
    let page = kv.scan(scan).await.unwrap();
    let name = |found| match found {
        Found::Row(key, _) => String::from_utf8(key).unwrap(),
        Found::CommonPrefix(prefix) => String::from_utf8(prefix).unwrap() + "*",
    };
    (page.found.into_iter().map(name).collect(), page.more)
}

async fn scans_walk_both_ways_in_pages<K: Kv>(kv: &K) {
    must(kv, ["a", "b", "b\u{7f}", "ba", "c", "d"].map(|k| put(k, k)).into()).await;
    let scan = |start: &str, end: Option<&str>, direction, limit| Scan {
        start: start.into(),
        end: end.map(Into::into),
        direction,
        limit,
        skip: None,
    };
    use Direction::{Backward, Forward};
    let table = [
        (scan("", None, Forward, 9), vec!["a", "b", "ba", "b\u{7f}", "c", "d"], false),
        (scan("b", Some("c"), Forward, 9), vec!["b", "ba", "b\u{7f}"], false),
        (scan("b", Some("c"), Forward, 2), vec!["b", "ba"], true),
        (scan("b", Some("c"), Forward, 3), vec!["b", "ba", "b\u{7f}"], false),
        (scan("b", Some("d"), Backward, 2), vec!["c", "b\u{7f}"], true),
        (scan("", None, Backward, 9), vec!["d", "c", "b\u{7f}", "ba", "b", "a"], false),
        (scan("x", None, Forward, 9), vec![], false),
        (scan("c", Some("b"), Forward, 9), vec![], false),
        (scan("a", Some("c"), Forward, 0), vec![], true),
        (Scan::prefix(b"b", 9), vec!["b", "ba", "b\u{7f}"], false),
    ];
    for (scan, expected, more) in table {
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(keys(kv, scan.clone()).await, (expected, more), "{scan:?}");
    }
}

async fn a_delimiter_folds_keys<K: Kv>(kv: &K) {
    let names = ["p/a", "p/d/1", "p/d/2", "p/d/e/3", "p/d0", "p/f/", "p/\u{ff}/x", "q"];
    must(kv, names.map(|k| put(k, "")).into()).await;
    let scan = |start: &str, limit, direction| Scan {
        start: start.into(),
        end: Some("p0".into()),
        direction,
        limit,
        skip: Some(Skip::new(2, "/")),
    };
    use Direction::{Backward, Forward};
    let table = [
        (scan("p/", 9, Forward), vec!["p/a", "p/d/*", "p/d0", "p/f/*", "p/\u{ff}/*"], false),
        (scan("p/", 2, Forward), vec!["p/a", "p/d/*"], true),
        (scan("p/d/2", 2, Forward), vec!["p/d/*", "p/d0"], true),
        (scan("p/d0", 9, Backward), vec!["p/\u{ff}/*", "p/f/*", "p/d0"], false),
        (scan("p/", 4, Backward), vec!["p/\u{ff}/*", "p/f/*", "p/d0", "p/d/*"], true),
    ];
    for (scan, expected, more) in table {
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(keys(kv, scan.clone()).await, (expected, more), "{scan:?}");
    }
}

async fn a_delimiter_in_the_suffix_is_none<K: Kv>(kv: &K) {
    must(kv, ["s/a/1//", "s/a/2//", "s/b//", "s/c/x"].map(|k| put(k, "")).into()).await;
    let skip = Some(Skip { suffix: 2, ..Skip::new(2, "/") });
    let scan = Scan { skip, ..Scan::prefix(b"s/", 9) };
    let expected = vec!["s/a/*".to_owned(), "s/b//".to_owned(), "s/c/x".to_owned()];
    assert_eq!(keys(kv, scan).await, (expected, false));
}

/// Two ranges between which a writer moves a row back and forth: each look at both finds it once.
async fn pages_that_are_scanned_together_are_one_snapshot<K: Kv>(kv: Arc<K>) {
    must(&*kv, vec![put("one/x", "")]).await;
    let writer = Arc::clone(&kv);
    let moves = tokio::spawn(async move {
        for (from, to) in [("one/x", "two/x"), ("two/x", "one/x")].into_iter().cycle().take(200) {
            must(&*writer, vec![Write::Delete(from.into()), put(to, "")]).await;
        }
    });
    while !moves.is_finished() {
        let scans = vec![Scan::prefix(b"one/", 9), Scan::prefix(b"two/", 9)];
        let pages = kv.scan_together(scans).await.unwrap();
        assert_eq!(pages.len(), 2, "a page for each range");
        assert_eq!(pages.iter().map(|page| page.found.len()).sum::<usize>(), 1);
        tokio::task::yield_now().await;
    }
    moves.await.unwrap();
}

async fn sixty_four_readers_of_one_row_do_not_conflict<K: Kv>(kv: Arc<K>) {
    let gate = must(&*kv, vec![put("gate", "open")]).await;
    let tasks: Vec<_> = (0..64)
        .map(|i| {
            let kv = Arc::clone(&kv);
            let conditions = vec![
                Condition::Unchanged("gate".into(), gate),
                Condition::Absent(format!("row{i}").into_bytes()),
            ];
            let commit = commit(conditions, vec![put(&format!("row{i}"), "x")]);
            tokio::spawn(async move { kv.commit(commit).await.unwrap() })
        })
        .collect();
    let mut revisions = BTreeSet::new();
    for task in tasks {
        match task.await.unwrap() {
            Outcome::Committed(revision) => assert!(revisions.insert(revision)),
            other => panic!("a commit that only reads the gate gave {other:?}"),
        }
    }
    assert_eq!(kv.scan(Scan::prefix(b"row", 100)).await.unwrap().found.len(), 64);
}

async fn of_concurrent_writers_of_one_row_one_wins_each_round<K: Kv>(kv: Arc<K>) {
    let mut revision = must(&*kv, vec![put("a", "0")]).await;
    for round in 0..20 {
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let kv = Arc::clone(&kv);
                let condition = vec![Condition::Unchanged("a".into(), revision)];
                let commit = commit(condition, vec![put("a", &format!("{round}.{i}"))]);
                tokio::spawn(async move { kv.commit(commit).await.unwrap() })
            })
            .collect();
        let mut winners = vec![];
        for task in tasks {
            if let Outcome::Committed(won) = task.await.unwrap() {
                winners.push(won);
            }
        }
        let seen = read(&*kv, "a").await.unwrap().1;
        assert_eq!(winners, vec![seen], "one writer wins, and its state is the one that stands");
        revision = seen;
    }
}
