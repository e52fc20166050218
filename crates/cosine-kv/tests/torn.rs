//! Holes in the journal: in the last batch a power cut made them, and they hurt nobody; elsewhere
//! they are damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test reports by panicking")]

use std::os::unix::fs::FileExt;
use std::path::Path;

use cosine_kv::{Commit, Embedded, Error, Kv, Outcome, Write};

/// Bytes that nothing can compress.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as u8
    };
    (0..16_384).map(step).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn commit_two(directory: &Path) {
    let kv = Embedded::open(directory, Default::default()).unwrap();
    for (key, seed) in [("first", 1), ("second", 2)] {
        let writes = vec![Write::Put(key.into(), noise(seed).into())];
        let committed = block_on(kv.commit(Commit { conditions: vec![], writes }));
        assert!(matches!(committed, Ok(Outcome::Committed(_))), "{committed:?}");
    }
}

/// Overwrites a sector in the middle of a value.
fn spoil(journal: &Path, seed: u64, with: u8) {
    let bytes = std::fs::read(journal).unwrap();
    let sample = &noise(seed)[4000..4032];
    let at = bytes.windows(32).position(|window| window == sample).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(journal).unwrap();
    file.write_all_at(&[with; 512], at as u64 / 512 * 512).unwrap();
}

#[test]
fn a_torn_last_batch_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    commit_two(directory.path());
    spoil(&directory.path().join("0.jnl"), 2, 0);
    for _ in 0..2 {
        let kv = Embedded::open(directory.path(), Default::default()).unwrap();
        assert_eq!(block_on(kv.get(b"first")).unwrap().unwrap().value, noise(1));
        assert_eq!(block_on(kv.get(b"second")).unwrap(), None);
    }
}

#[test]
fn damage_is_refused_and_left_as_it_is() {
    for (seed, with) in [(1, 0), (1, 9), (2, 9)] {
        let directory = tempfile::tempdir().unwrap();
        commit_two(directory.path());
        let journal = directory.path().join("0.jnl");
        spoil(&journal, seed, with);
        let before = std::fs::read(&journal).unwrap();
        for _ in 0..2 {
            let opened = Embedded::open(directory.path(), Default::default());
            assert!(matches!(opened, Err(Error::Engine(_))), "{opened:?}");
        }
        let after = std::fs::read(&journal).unwrap();
        let written = before.len() - before.iter().rev().take_while(|byte| **byte == 0).count();
        assert!(before[..written] == after[..written.min(after.len())], "value {seed}, {with}");
    }
}
