//! Files of blobs: flipped in each part, missing, cut, swapped, too many, of a newer format.

use std::path::Path;

use bytes::Bytes;
use cosine_blob::table::crc64;
use cosine_blob::{BlobId, Blobs, PoolId, RunId};
use cosine_store::fsck::Flaw::{DamagedObject, UnexplainedBlob};
use cosine_store::fsck::{FsckOptions, fsck};
use cosine_store::{Store, SystemClock};

use crate::base::{BASE, BUCKET, Fixture, body, files, scrub};
use crate::block_on;
use crate::check::{Damage, SOUND, check, examine};
use crate::made::{PART, bucket};

/// Of the object `large`: three chunks, their table, and the trailer.
const DATA: usize = 300_000;
const TABLE: usize = 3 * 8;
const TRAILER: usize = 48;

/// Damage of the object `large`.
const LARGE: Damage =
    Damage::shows("", &[DamagedObject]).leaves(&[DamagedObject]).costs(&["large"]);

fn large(fixture: &Fixture) -> std::path::PathBuf {
    fixture.path_of(BASE.blob_of["large"])
}

/// Writes a file anew.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn examine_files(damage: Damage, harm: impl Fn(&Fixture)) {
    block_on(examine(damage, async || {
        let fixture = Fixture::in_files().await;
        harm(&fixture);
        fixture
    }));
}

/// Only whoever reads the bytes finds it; the table and the trailer are read at every look.
#[test]
fn a_flipped_byte_in_any_part_of_a_blob_is_found() {
    let deep = Damage { what: "flipped data", shallow: &[], ..LARGE };
    for at in [0, 1, (128 << 10) - 1, 128 << 10, 200_000, (256 << 10) + 1, DATA - 1] {
        examine_files(deep, |fixture| rewrite(&large(fixture), |bytes| bytes[at] ^= 0x20));
    }
    block_on(async {
        let fixture = Fixture::in_files().await;
        for at in DATA..DATA + TABLE + TRAILER {
            let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (at % 8);
            rewrite(&large(&fixture), flip);
            let report = check(&fixture.engines(), FsckOptions::default()).await;
            let [finding] = &report.findings[..] else { panic!("byte {at}: {report:#?}") };
            assert_eq!(finding.flaw, DamagedObject);
            assert_eq!(finding.subject, "one-1250000000/large");
            rewrite(&large(&fixture), flip);
        }
    });
    for at in [DATA, DATA + TABLE, DATA + TABLE + TRAILER - 1] {
        examine_files(LARGE, |fixture| rewrite(&large(fixture), |bytes| bytes[at] ^= 4));
    }
}

#[test]
fn a_blob_that_is_missing_cut_or_longer_is_found() {
    examine_files(LARGE, |fixture| std::fs::remove_file(large(fixture)).unwrap());
    for length in [0, 1, TRAILER - 1, TRAILER, DATA, DATA + TABLE + TRAILER - 1] {
        examine_files(LARGE, |fixture| rewrite(&large(fixture), |bytes| bytes.truncate(length)));
    }
    examine_files(LARGE, |fixture| rewrite(&large(fixture), |bytes| bytes.push(0)));
    examine_files(LARGE, |fixture| {
        std::fs::remove_file(large(fixture)).unwrap();
        std::fs::create_dir(large(fixture)).unwrap();
    });
}

/// The bytes of older versions, of slices, and of parts.
const OTHERS: [(&str, Damage); 6] = [
    ("hidden 1", LARGE.costs(&["hidden 1"])),
    ("parts", LARGE.costs(&["parts"])),
    ("sliced", LARGE.costs(&["copying", "parts", "sliced"])),
    ("appended", LARGE.costs(&["appended", "lately"])),
    ("going", LARGE.costs(&["going"])),
    // It is known to be damaged until it is gone.
    ("aborted", LARGE.costs(&[])),
];

#[test]
fn damage_of_what_objects_are_made_of_is_theirs() {
    for (name, damage) in OTHERS {
        let path = |fixture: &Fixture| fixture.path_of(BASE.blob_of[name]);
        let missing = Damage { what: name, ..damage };
        examine_files(missing, |fixture| std::fs::remove_file(path(fixture)).unwrap());
        let flipped = Damage { shallow: &[], ..missing };
        examine_files(flipped, |fixture| rewrite(&path(fixture), |bytes| bytes[16_000] ^= 8));
    }
    // The eight chunks before are whole.
    let (_, parts) = OTHERS[1];
    let late = Damage { what: "late", shallow: &[], ..parts };
    let path = |fixture: &Fixture| fixture.path_of(BASE.blob_of["parts"]);
    examine_files(late, |fixture| rewrite(&path(fixture), |bytes| bytes[PART - 1] ^= 8));
}

/// Also those in which it is not by itself.
#[test]
fn damage_of_a_slice_is_told_of_by_the_names_of_all_objects_that_show_it() {
    let names = [
        ("hidden 1", "two-1250000000/hidden"),
        ("sliced", "one-1250000000/parts, one-1250000000/sliced"),
        ("appended", "one-1250000000/appended, one-1250000000/lately"),
    ];
    for (name, subject) in names {
        block_on(async {
            let fixture = Fixture::in_files().await;
            std::fs::remove_file(fixture.path_of(BASE.blob_of[name])).unwrap();
            let report = check(&fixture.engines(), FsckOptions::default()).await;
            let [finding] = &report.findings[..] else { panic!("{report:#?}") };
            assert_eq!(finding.subject, subject);
        });
    }
}

#[test]
fn blobs_in_each_others_place_are_found() {
    let both = Damage { lost: &["large", "blob", "blob copy"], what: "swapped", ..LARGE };
    examine_files(both, |fixture| {
        let (one, two) = (large(fixture), fixture.path_of(BASE.blob_of["blob"]));
        let aside = fixture.data().join("aside");
        std::fs::rename(&one, &aside).unwrap();
        std::fs::rename(&two, &one).unwrap();
        std::fs::rename(&aside, &two).unwrap();
    });
    // Whole, of the right id and length, and yet not what the content was made of.
    let other = Damage { what: "another blob of the same id", ..LARGE };
    examine_files(other, |fixture| {
        std::fs::remove_file(large(fixture)).unwrap();
        let blobs = files(&fixture.data().join("blobs"));
        let id = BASE.blob_of["large"];
        let finish = async move { blobs.create(id).finish(Bytes::from(body(99, DATA))).await };
        let thread = std::thread::spawn(|| block_on(finish));
        thread.join().unwrap().unwrap();
    });
}

#[test]
fn a_blob_of_a_newer_format_says_so() {
    let newer = |fixture: &Fixture| {
        rewrite(&large(fixture), |bytes| {
            let end = bytes.len() - 8;
            bytes[end - 12] += 1;
            let sum = crc64(&bytes[DATA..end]);
            bytes[end..].copy_from_slice(&sum.to_le_bytes());
        });
    };
    examine_files(Damage { what: "newer", ..LARGE }, newer);
    block_on(async {
        let fixture = Fixture::in_files().await;
        newer(&fixture);
        let report = check(&fixture.engines(), FsckOptions::default()).await;
        let what = &report.findings[0].what;
        assert!(what.contains("written by a newer version of Cosine"), "{what}");
    });
}

/// A file that should not be there.
fn add(fixture: &Fixture, name: &str) {
    std::fs::write(fixture.data().join("blobs").join(name), body(3, 1000)).unwrap();
}

#[test]
fn what_a_known_run_left_is_explained_and_what_nobody_left_is_put_aside() {
    let known = BlobId::new(1, PoolId::default(), 1, BASE.blob_of["large"].run());
    examine_files(SOUND, |fixture| add(fixture, &format!("00/{known}")));
    let unknown = BlobId::new(1, PoolId::default(), 1, RunId(42));
    let unexplained = Damage::shows("of a run that nobody knows", &[UnexplainedBlob]);
    examine_files(unexplained, |fixture| add(fixture, &format!("00/{unknown}")));
    block_on(async {
        let fixture = Fixture::in_files().await;
        add(&fixture, &format!("00/{unknown}"));
        let options = FsckOptions { deep: false, repair: true };
        let report = fsck(&fixture.engines(), options, &mut |_| {}).await.unwrap();
        assert_eq!((report.mended.len(), report.counts.quarantined_blobs), (1, 1));
        let aside = fixture.data().join("blobs/quarantine").join(unknown.to_string());
        assert_eq!(std::fs::read(aside).unwrap(), body(3, 1000));
    });
}

/// They are nobody's business; and a walk over all blobs comes to its end.
#[test]
fn files_that_are_no_blobs_are_left_alone() {
    let blob = BASE.blob_of["large"];
    let elsewhere = Damage { what: "a copy in another directory", ..SOUND };
    examine_files(elsewhere, |fixture| add(fixture, &format!("ff/{blob}")));
    examine_files(Damage { what: "a note", ..SOUND }, |fixture| add(fixture, "00/README"));
}

#[test]
fn what_becomes_of_bytes_that_nobody_needs_is_no_damage() {
    for name in ["doomed", "released"] {
        let path = |fixture: &Fixture| fixture.path_of(BASE.blob_of[name]);
        examine_files(SOUND, |fixture| std::fs::remove_file(path(fixture)).unwrap());
        examine_files(SOUND, |fixture| rewrite(&path(fixture), |bytes| bytes[0] ^= 1));
    }
}

/// What the scrub finds is in its status until the bytes are whole again, or gone.
#[test]
fn damage_is_known_until_it_is_mended() {
    block_on(async {
        let fixture = Fixture::in_files().await;
        let sound = std::fs::read(large(&fixture)).unwrap();
        rewrite(&large(&fixture), |bytes| bytes[200_000] ^= 1);
        let store = Store::open(
            fixture.engines(),
            std::sync::Arc::new(SystemClock),
            crate::support::master(),
        )
        .await
        .unwrap();
        let version = {
            let key = cosine_store::ObjectKey::parse("large").unwrap();
            store.object(&bucket(&store, BUCKET).await, &key, None).await.unwrap()
        };
        scrub(&store).await;
        let status = store.scrub_status().await.unwrap();
        let [damage] = &status.damaged[..] else { panic!("{status:#?}") };
        let (bucket, key, order) = &damage.record.objects[0];
        assert_eq!((bucket.as_str(), key.as_str()), ("one-1250000000", "large"));
        assert_eq!((*order / 1_000_000).cast_signed(), version.last_modified());
        assert_eq!(status.last.damaged, 1, "nobody needs the other one");
        let shallow = check(&fixture.engines(), FsckOptions::default()).await;
        assert_eq!(shallow.findings[0].flaw, DamagedObject, "it is known");

        std::fs::write(large(&fixture), sound).unwrap();
        scrub(&store).await;
        let report = check(&fixture.engines(), FsckOptions { deep: true, repair: false }).await;
        assert!(report.is_sound(), "{report:#?}");
    });
}
