//! The embedded engine's own files: whatever byte flips, the engine does not open, or the store is
//! told to be unsound, or nothing is lost. The one exception is in `docs/reliability.md`.

use std::path::Path;
use std::sync::Arc;

use cosine_kv::embedded::Options;
use cosine_kv::{Embedded, Error, Found, Kv, Revision, Scan};
use cosine_store::fsck::{FsckOptions, fsck};
use cosine_store::{Engines, Store, SystemClock};

use crate::base::{BUCKET, Tree, body, create_bucket, files, tree};
use crate::block_on;
use crate::made::put;

/// So small that there are tables, blobs and a journal.
const OPTIONS: Options = Options {
    durability: cosine_kv::embedded::Durability::Sync,
    cache_bytes: 1 << 20,
    reserve_bytes: 0,
    memtable_bytes: 64 << 10,
};

type Stamped = Vec<(Vec<u8>, Vec<u8>, Revision)>;

/// The files of an engine, and the rows in it.
struct Made {
    meta: Tree,
    rows: Stamped,
}

/// Only ever adds rows, so that what an engine held earlier are the rows of lower revisions.
fn make(runs: usize) -> Made {
    let data = tempfile::tempdir().unwrap();
    let rows = block_on(async {
        let mut rows = vec![];
        for run in 0..runs {
            let kv = Arc::new(Embedded::open(&data.path().join("meta"), OPTIONS).unwrap());
            let blobs = Arc::new(files(&data.path().join("blobs")));
            let engines = Engines { kv: Arc::clone(&kv) as Arc<dyn Kv>, blobs };
            let store = Store::open(engines, Arc::new(SystemClock), crate::support::master())
                .await
                .unwrap();
            if run == 0 {
                create_bucket(&store, BUCKET).await;
            }
            for n in 0..60 {
                let size = if n % 2 == 0 { 100 } else { 6000 };
                put(&store, (BUCKET, &format!("{run} {n}")), &body(n, size)).await;
            }
            rows = rows_of(&kv).await.unwrap();
        }
        rows
    });
    Made { meta: tree(&data.path().join("meta")), rows }
}

async fn rows_of(kv: &Embedded) -> Result<Stamped, Error> {
    let row = |found| match found {
        Found::Row(key, row) => Some((key, row.value.to_vec(), row.revision)),
        Found::CommonPrefix(_) => None,
    };
    let page = kv.scan(Scan::prefix(b"", usize::MAX)).await?;
    Ok(page.found.into_iter().filter_map(row).collect())
}

fn restore(meta: &Tree, directory: &Path) {
    for (name, content) in meta {
        match content {
            None => std::fs::create_dir(directory.join(name)).unwrap(),
            Some(content) => std::fs::write(directory.join(name), content).unwrap(),
        }
    }
}

/// What became of a damaged engine.
#[derive(Debug, PartialEq)]
enum Fate {
    Refused(String),
    Unsound,
    Whole,
    /// It holds what it held some time ago.
    Older,
    Wrong,
}

fn open(made: &Made, harm: impl FnOnce(&Path)) -> Fate {
    let directory = tempfile::tempdir().unwrap();
    restore(&made.meta, directory.path());
    harm(directory.path());
    let kv = match Embedded::open(directory.path(), OPTIONS) {
        Err(error) => return Fate::Refused(error.to_string()),
        Ok(kv) => Arc::new(kv),
    };
    block_on(async {
        let rows = match rows_of(&kv).await {
            Ok(rows) if rows == made.rows => return Fate::Whole,
            rows => rows,
        };
        let blobs = Arc::new(cosine_blob::Memory::default());
        let engines = Engines { kv: kv.clone() as Arc<dyn Kv>, blobs };
        let report = fsck(&engines, FsckOptions::default(), &mut |_| {}).await;
        let Ok(rows) = rows else {
            assert!(report.is_err(), "rows cannot be read, and fsck says {report:?}");
            return Fate::Unsound;
        };
        let newest = rows.iter().map(|(.., revision)| *revision).max().unwrap_or(Revision(0));
        let earlier = made.rows.iter().filter(|(.., revision)| *revision <= newest);
        if rows.iter().eq(earlier) { Fate::Older } else { Fate::Wrong }
    })
}

/// The ends of a file, where its form is, and some of what is between.
fn sample(content: &[u8]) -> Vec<usize> {
    let length = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let ends = (0..length.min(10)).chain(length.saturating_sub(10)..length);
    let mut places: Vec<usize> = ends.chain((0..6).map(|n| length * n / 6)).collect();
    places.retain(|at| *at < length);
    places.sort_unstable();
    places.dedup();
    places
}

#[test]
fn a_flipped_byte_in_the_engines_files_is_refused_or_told_of_or_does_nothing() {
    let made = make(3);
    let (mut refused, mut unsound) = (0, 0);
    for (name, content) in &made.meta {
        let Some(content) = content else { continue };
        // One file of values is as good as ten.
        if name.parent().is_some_and(|parent| parent.ends_with("blobs")) && !name.ends_with("0") {
            continue;
        }
        for at in sample(content) {
            let mut flipped = content.clone();
            flipped[at] ^= 1 << (at % 8);
            let fate = open(&made, |meta| std::fs::write(meta.join(name), &flipped).unwrap());
            let journal = name.extension().is_some_and(|extension| extension == "jnl");
            match fate {
                Fate::Refused(_) => refused += 1,
                Fate::Unsound => unsound += 1,
                Fate::Whole => {}
                Fate::Older if journal => {} // the exception
                fate => panic!("byte {at} of {}: {fate:?}", name.display()),
            }
        }
    }
    assert!(refused > 80 && unsound > 10, "{refused} refused, {unsound} unsound");
}

/// fjall would remove the whole tree as one that was never made to the end, or panic.
#[test]
fn a_tree_that_lost_its_manifest_is_refused_and_left_as_it_is() {
    let made = make(1);
    for file in made.meta.keys().filter(|name| name.starts_with("keyspaces")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name != "current" && !name.starts_with('v') {
            continue;
        }
        let fate = open(&made, |meta| std::fs::remove_file(meta.join(file)).unwrap());
        match fate {
            Fate::Refused(error) => assert!(error.contains("No such file"), "{error}"),
            Fate::Whole if name.starts_with('v') => {} // an older manifest
            fate => panic!("{}: {fate:?}", file.display()),
        }
    }
}

/// The exception: in the journal, a flipped mark or length cannot be told from its torn end, and
/// fjall drops what follows. The store is sound, and older.
#[test]
fn a_flipped_mark_in_the_journal_cuts_off_what_follows() {
    let made = make(1);
    let journal = Path::new("0.jnl");
    let content = made.meta[journal].clone().unwrap();
    // A batch begins with a mark, 1, and the number of its items; it ends with `FJL` and a version.
    let batch = |at: &usize| content[*at..].starts_with(b"FJL") && content[*at + 4] == 1;
    let ends: Vec<usize> = (0..content.len() - 5).filter(batch).collect();
    let mut flipped = content.clone();
    flipped[ends[ends.len() / 2] + 4] ^= 0x80;
    let fate = open(&made, |meta| std::fs::write(meta.join(journal), &flipped).unwrap());
    assert_eq!(fate, Fate::Older);
}
