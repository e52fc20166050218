//! Both engines against the conformance suite, and what only the embedded one must do.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking"
)]

use bytes::Bytes;
use cosine_kv::embedded::Options;
use cosine_kv::{Commit, Condition, Embedded, Error, Kv, Memory, Outcome, Write, conformance};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_conforms() {
    conformance::all(Memory::default).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_conforms() {
    let parent = tempfile::tempdir().unwrap();
    let mut n = 0;
    conformance::all(|| {
        n += 1;
        Embedded::open(&parent.path().join(n.to_string()), Options::default()).unwrap()
    })
    .await;
}

fn put(key: &str, value: &'static str) -> Write {
    Write::Put(key.into(), Bytes::from_static(value.as_bytes()))
}

#[tokio::test]
async fn rows_and_revisions_survive_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Embedded::open(directory.path(), Options::default()).unwrap();
    let kv = open();
    let writes = vec![put("a", "1"), put("b", "2")];
    let outcome = kv.commit(Commit { conditions: vec![], writes }).await.unwrap();
    let Outcome::Committed(first) = outcome else { panic!("{outcome:?}") };
    drop(kv);

    let kv = open();
    assert_eq!(kv.get(b"a").await.unwrap().unwrap().revision, first);
    let commit = Commit {
        conditions: vec![Condition::Unchanged("a".into(), first)],
        writes: vec![put("a", "3")],
    };
    let outcome = kv.commit(commit).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed(second) if second > first), "{outcome:?}");
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let _owner = Embedded::open(directory.path(), Options::default()).unwrap();
    let second = Embedded::open(directory.path(), Options::default());
    assert!(matches!(second, Err(Error::Locked)), "{second:?}");
}

#[tokio::test]
async fn commits_and_conflicts_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let kv = Embedded::open(directory.path(), Options::default()).unwrap();
    for (value, expected) in [("1", true), ("2", false), ("3", false)] {
        let conditions = vec![Condition::Absent("a".into())];
        let outcome = kv.commit(Commit { conditions, writes: vec![put("a", value)] }).await;
        assert_eq!(matches!(outcome, Ok(Outcome::Committed(_))), expected, "{outcome:?}");
    }
    assert!(kv.ready().is_ok());

    let (mut registry, mut page) = (Registry::default(), String::new());
    kv.register(&mut registry);
    encode(&mut page, &registry).unwrap();
    for line in [
        "kv_commits_total 1",
        "kv_conflicts_total 2",
        "kv_batch_commits_count 1",
        "kv_batch_commits_bucket{le=\"1.0\"} 1",
        "kv_sync_seconds_count 1",
        "kv_queue_depth 0",
        "kv_poisoned 0",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
    }
}
