//! Rows: flipped at every byte, missing, stray, and of a newer format.

mod flipped;
mod missing;
mod strays;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cosine_store::fsck::Flaw::{self, *};
use cosine_store::fsck::{FsckOptions, fsck};
use cosine_store::{Store, SystemClock};
use crc_fast::{CrcAlgorithm, Digest};

use crate::base::{BASE, BUCKET, Fixture, Rows, VERSIONED, collector, rows_of};
use crate::block_on;
use crate::check::{Damage, SOUND, check, end_uploads_of, examine, flaws, set};
use crate::names::{
    content_of_blob, content_row, ended_row_of, escaped_row, head_row, released_row, row,
    upload_uid, version_row,
};
use flipped::FLIPPED;
use missing::MISSING;
use strays::{CRAFTED, NOBODY, STRAYS};

/// Which row of the store stands for its kind.
type Pick = fn() -> Vec<u8>;

const INLINE: &[&str] = &["inline", "inline copy"];
const BLOB: &[&str] = &["blob", "blob copy"];
const APPENDED: &[&str] = &["appended", "lately"];
/// What is in the bucket that never kept older versions, ...
const ONE: &[&str] = &[
    "appended",
    "blob",
    "blob copy",
    "copying",
    "empty",
    "going",
    "inline",
    "inline copy",
    "large",
    "lately",
    "parts",
    "shared copy",
    "sliced",
];
/// ... and in the one that does.
const TWO: &[&str] = &["doc", "doc 2", "doc 3", "doc null", "hidden 1"];

const fn named(what: &'static str, damage: Damage) -> Damage {
    Damage { what, ..damage }
}

/// The first row that begins with this.
fn first(prefix: &[u8]) -> Vec<u8> {
    BASE.rows.keys().find(|key| key.starts_with(prefix)).unwrap().clone()
}

/// Tries all of a table, on two threads: what is red hides nothing.
fn each<T: Sync>(table: &[T], what: fn(&T) -> &'static str, try_it: impl Fn(&T) + Sync) {
    let is_red = |entry: &&T| catch_unwind(AssertUnwindSafe(|| try_it(entry))).is_err();
    let half = |first| table.iter().skip(first).step_by(2).filter(is_red).map(what).collect();
    let red: Vec<&str> = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let own: Vec<&str> = half(0);
        [own, other.join().unwrap()].concat()
    });
    assert!(red.is_empty(), "red: {red:?}");
}

/// What nothing is wrong with; and what stands for each kind of row.
#[test]
fn the_sound_store_is_sound_and_no_kind_of_row_is_forgotten() {
    block_on(examine(SOUND, async || Fixture::new(&BASE.rows).await));
    let kinds = |rows: &[Vec<u8>]| rows.iter().map(|row| row[0]).collect::<BTreeSet<u8>>();
    let all = kinds(&BASE.rows.keys().cloned().collect::<Vec<_>>());
    assert_eq!(all, BTreeSet::from(*b"bcdefhikmopqrstuvwx"));
    for table in [FLIPPED, MISSING] {
        assert_eq!(kinds(&table.iter().map(|(kind, _)| kind()).collect::<Vec<_>>()), all);
    }
}

#[test]
fn a_flipped_byte_in_any_row_is_found_and_hurts_nothing_else() {
    each(
        FLIPPED,
        |(_, damage)| damage.what,
        |(kind, damage)| {
            let key = kind();
            for at in 0..BASE.rows[&key].len() {
                let mut value = BASE.rows[&key].to_vec();
                value[at] ^= 1 << (at % 8);
                let rows = with(&key, Some(value));
                block_on(examine(*damage, async || Fixture::new(&rows).await));
            }
        },
    );
}

/// Who reads it for the sake of another row does not say that the other one is damaged.
#[test]
fn no_other_row_is_said_to_be_damaged() {
    each(
        FLIPPED,
        |(_, damage)| damage.what,
        |(kind, damage)| {
            let (key, mut flipped) = (kind(), BASE.rows[&kind()].to_vec());
            flipped[0] ^= 0x80;
            let rows = with(&key, Some(flipped));
            block_on(async {
                let fixture = Fixture::new(&rows).await;
                let findings = check(&fixture.engines(), FsckOptions::default()).await.findings;
                let damaged = findings.iter().filter(|finding| finding.flaw == DamagedRecord);
                let subjects: Vec<&str> = damaged.map(|finding| &finding.subject[..]).collect();
                let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                let own = if key[0] == b'i' { vec![] } else { vec![&hex[..]] };
                assert_eq!(subjects, own, "{damage:?}");
            });
        },
    );
}

/// What cannot be mended does not keep everything else from being collected.
#[test]
fn after_a_repair_the_collector_goes_on() {
    let kinds: Vec<_> = FLIPPED.iter().copied().filter(|(kind, _)| kind() != b"mstore").collect();
    each(
        &kinds,
        |(_, damage)| damage.what,
        |(kind, damage)| {
            let (key, mut flipped) = (kind(), BASE.rows[&kind()].to_vec());
            flipped[0] ^= 0x80;
            let rows = with(&key, Some(flipped));
            block_on(async {
                let fixture = Fixture::new(&rows).await;
                check(&fixture.engines(), FsckOptions { deep: false, repair: true }).await;
                let opened =
                    Store::open(fixture.engines(), Arc::new(SystemClock), crate::support::master())
                        .await;
                let collected = collector(&opened.unwrap(), Duration::ZERO).run().await;
                assert!(collected.is_ok(), "{damage:?}: {collected:?}");
                let left = rows_of(&*fixture.kv).await;
                assert!(!left.contains_key(&released_row(content_of_blob("released"))));
            });
        },
    );
}

#[test]
fn a_missing_row_is_found_and_costs_no_more_than_it_said() {
    each(
        MISSING,
        |(_, damage)| damage.what,
        |(kind, damage)| {
            let rows = with(&kind(), None);
            block_on(examine(*damage, async || Fixture::new(&rows).await));
        },
    );
}

#[test]
fn a_stray_row_of_any_kind_is_told_of_or_explained() {
    each(
        STRAYS,
        |(.., damage)| damage.what,
        |(key, like, damage)| {
            let key = key();
            let value = encode(&key, &record_of(&like()));
            let rows = with(&key, Some(value));
            block_on(examine(*damage, async || Fixture::new(&rows).await));
        },
    );
    let rows = with(&row(b'i', &[&NOBODY]), Some(b"bytes".to_vec()));
    let damage = Damage::shows("inline bytes", &[StrayRow]).leaves(&[StrayRow]);
    block_on(examine(damage, async || Fixture::new(&rows).await));
}

#[test]
fn a_row_that_says_what_is_not_so_is_told_of() {
    each(
        CRAFTED,
        |(.., damage)| damage.what,
        |(key, content, damage)| {
            let key = key();
            let rows = with(&key, Some(encode(&key, &content())));
            block_on(examine(*damage, async || Fixture::new(&rows).await));
        },
    );
}

/// Two rounds of it: the head first, and then what it shows.
#[test]
fn a_key_that_lost_its_head_and_its_current_version_is_mended_in_one_repair() {
    let mut rows = with(&head_row(VERSIONED, "doc"), None);
    rows.remove(&version_row("doc"));
    let damage = Damage::shows("head and current version", &[StaleRow, StrayReference])
        .gives_up(&["doc", "doc 3"])
        .hides(&["doc null"])
        .replaces(&[("doc", "doc 2")]);
    block_on(examine(damage, async || Fixture::new(&rows).await));
}

/// No commit leaves both. A collector that believed it would take the parts away.
#[test]
fn an_upload_under_way_that_is_said_to_be_over_is_kept_by_a_repair() {
    let key = ended_row_of(upload_uid("going"));
    let rows = with(&key, Some(encode(&key, &[1])));
    block_on(async {
        let fixture = Fixture::new(&rows).await;
        let options = FsckOptions { deep: false, repair: false };
        assert_eq!(flaws(&check(&fixture.engines(), options).await), set(&[StaleRow]));
        let repair = FsckOptions { repair: true, ..options };
        assert_eq!(flaws(&check(&fixture.engines(), repair).await), set(&[]));
        end_uploads_of(&fixture).await;
    });
}

#[test]
fn a_row_whose_key_names_nothing_is_told_of_and_left() {
    let damage = Damage::shows("a key that names nothing", &[StrayRow]).leaves(&[StrayRow]);
    let in_bucket = |kind, suffix: &[u8]| escaped_row(kind, BUCKET, "key", suffix);
    let mut keys = vec![in_bucket(b'v', b"order"), in_bucket(b'u', &[0; 35])];
    for kind in b"bcdefhikmopqrstuvwx" {
        keys.extend([vec![*kind], [&[*kind][..], b"short"].concat()]);
    }
    for key in keys {
        let rows = with(&key, Some(encode(&key, &[1])));
        block_on(examine(damage, async || Fixture::new(&rows).await));
    }
}

#[test]
fn beside_a_newer_record_nothing_is_mended() {
    // Inline bytes are no record.
    let kinds: Vec<_> = FLIPPED.iter().copied().filter(|(kind, _)| kind()[0] != b'i').collect();
    each(
        &kinds,
        |(_, damage)| damage.what,
        |(kind, damage)| {
            let key = kind();
            let mut content = record_of(&key);
            content[0] += 1;
            let mut rows = with(&key, Some(encode(&key, &content)));
            rows.remove(&head_row(BUCKET, "empty"));
            let mut expected: Vec<Flaw> = vec![NewerFormat];
            expected.extend((damage.what != "store").then_some(StaleRow));
            block_on(async {
                let fixture = Fixture::new(&rows).await;
                let before = fixture.all().await;
                let report =
                    check(&fixture.engines(), FsckOptions { deep: true, repair: true }).await;
                assert_eq!(flaws(&report), set(&expected), "{damage:?}: {:#?}", report.findings);
                assert!(fixture.all().await == before, "{damage:?}: something was changed");
            });
        },
    );
}

/// A reference that is missing does not cost the object that needs its blob, though it looks like an
/// orphan of a run that is over; the collector says so, and a repair mends it.
#[test]
fn an_object_whose_reference_to_its_blob_is_lost_keeps_its_bytes() {
    let names =
        ["blob", "large", "shared copy", "hidden 1", "parts", "sliced", "appended", "going"];
    for name in names {
        let rows = with(&first(&row(b'r', &[b"b", &BASE.blob_of[name].0])), None);
        let damage = Damage::shows("reference to a blob", &[MissingReference]);
        block_on(examine(damage, async || Fixture::new(&rows).await));
    }
}

/// What fsck says names the objects, and not only rows; also those that are made of what is damaged.
#[test]
fn damage_is_told_of_by_the_names_of_the_objects() {
    let damaged = [
        (content_row("blob"), vec!["one-1250000000/blob, one-1250000000/blob copy"], 1),
        (content_row("doc null"), vec!["two-1250000000/doc"], 1),
        // Each of both is damaged, and the one is seen through the other.
        (
            content_row("appended"),
            vec!["one-1250000000/appended, one-1250000000/lately", "one-1250000000/lately"],
            2,
        ),
    ];
    for (key, subjects, marks) in damaged {
        let rows = with(&key, None);
        block_on(async {
            let fixture = Fixture::new(&rows).await;
            let options = FsckOptions { deep: false, repair: true };
            let report = fsck(&fixture.engines(), options, &mut |_| {}).await.unwrap();
            let objects = report.findings.iter().filter(|finding| finding.flaw == DamagedObject);
            let mut named: Vec<&str> = objects.clone().map(|found| &found.subject[..]).collect();
            named.sort_unstable();
            assert_eq!(named, subjects, "{report:#?}");
            assert!(objects.clone().all(|found| found.what.starts_with("known to be damaged: ")));
            let found = rows_of(&*fixture.kv).await;
            let known = found.keys().filter(|key| key[0] == b'x').count();
            assert_eq!(known, marks + 1, "one was known before");
        });
    }
}

/// The rows with one of them changed, or taken away.
fn with(key: &[u8], value: Option<Vec<u8>>) -> Rows {
    let mut rows = BASE.rows.clone();
    match value {
        Some(value) => rows.insert(key.to_vec(), Bytes::from(value)),
        None => rows.remove(key),
    };
    rows
}

/// A record without its checksum.
fn record_of(key: &[u8]) -> Vec<u8> {
    let value = &BASE.rows[key];
    value[..value.len() - 4].to_vec()
}

/// A record with the checksum that belongs to it under this key.
fn encode(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(key);
    digest.update(content);
    [content, &(digest.finalize() as u32).to_le_bytes()].concat()
}
