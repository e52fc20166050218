//! Rows: flipped at every byte, missing, stray, and of a newer format.

use bytes::Bytes;
use cosine_store::fsck::Flaw::{self, *};
use cosine_store::fsck::{FsckOptions, fsck};
use crc_fast::{CrcAlgorithm, Digest};

use crate::base::{BASE, Fixture, Rows, live_contents, rows_of};
use crate::block_on;
use crate::check::{Damage, SOUND, check, examine, flaws, set};

/// Which row of the store stands for its kind.
type Pick = fn(&[u8]) -> bool;

fn pick(pick: Pick) -> Vec<u8> {
    BASE.rows.keys().find(|key| pick(key)).unwrap().clone()
}

fn is_live(key: &[u8]) -> bool {
    live_contents(&BASE.rows).contains(&key[1..17])
}

/// The content of the object `blob` and of its copy.
fn is_of_blob(owner: &[u8]) -> bool {
    let references = [b"rb", &BASE.blob_of["blob"].0[..]].concat();
    BASE.rows.keys().any(|key| key.starts_with(&references) && key.ends_with(owner))
}

/// Of an inline content that has bytes: that of `inline` and of its copy.
fn is_of_inline(content: &[u8]) -> bool {
    BASE.rows.get(&[b"i", content].concat()).is_some_and(|bytes| !bytes.is_empty())
}

/// Whether only the one version refers to the content, and the collector does not know of it.
fn is_of_large(content: &[u8]) -> bool {
    let references = [b"rb", &BASE.blob_of["large"].0[..]].concat();
    BASE.rows.keys().any(|key| key.starts_with(&references) && key.ends_with(content))
}

fn is_version(key: &[u8], name: &str) -> bool {
    key[0] == b'k' && key[17..] == *name.as_bytes()
}

fn is_doom(key: &[u8]) -> bool {
    key[0] == b'd'
}

const INLINE: &[&str] = &["inline", "inline copy"];
const BLOB: &[&str] = &["blob", "blob copy"];
const ALL: &[&str] =
    &["blob", "blob copy", "empty", "inline", "inline copy", "large", "shared copy"];

/// A record that follows from its key or can begin anew: found, and mended.
const MENDED: Damage = Damage::shows("", &[DamagedRecord]);
/// A record that says what nothing else says.
const STAYS: Damage = MENDED.leaves(&[DamagedRecord]);

const fn named(what: &'static str, damage: Damage) -> Damage {
    Damage { what, ..damage }
}

/// What a flipped byte in a row of each kind leads to.
const FLIPPED: [(Pick, Damage); 19] = [
    (|key| key.ends_with(b"one-1250000000"), named("bucket", STAYS.costs(ALL))),
    (
        |key| key[0] == b'c' && is_of_inline(&key[1..]),
        Damage::shows("content, inline", &[DamagedRecord, DamagedObject])
            .leaves(&[DamagedRecord, DamagedObject])
            .costs(INLINE),
    ),
    (
        |key| key[0] == b'c' && is_of_blob(&key[1..]),
        Damage::shows("content with a blob", &[DamagedRecord, DamagedObject])
            .leaves(&[DamagedRecord, DamagedObject])
            .costs(BLOB),
    ),
    (|key| key[0] == b'c' && !is_live(key), named("content that nobody needs", STAYS)),
    (is_doom, named("doomed", MENDED)),
    (|key| key[0] == b'f', named("fence", MENDED)),
    (
        |key| key[0] == b'h' && key.ends_with(b"large"),
        Damage::shows("head", &[DamagedRecord, StaleRow]),
    ),
    (
        |key| key[0] == b'i' && is_of_inline(&key[1..]),
        Damage::shows("inline bytes", &[DamagedObject]).leaves(&[DamagedObject]).costs(INLINE),
    ),
    (|key| is_version(key, "large"), named("version", STAYS.costs(&["large"]))),
    (|key| key == b"mstore", named("store", STAYS)),
    (|key| key == b"mledger", named("ledger", MENDED)),
    (|key| key == b"mscrub", named("scrub", MENDED)),
    (|key| key[0] == b'o', named("over", MENDED)),
    (|key| key[0] == b'q' && is_live(key), named("released, in use", MENDED)),
    (|key| key[0] == b'q' && !is_live(key), named("released", MENDED)),
    (|key| key.starts_with(b"rb"), named("reference to a blob", MENDED)),
    (|key| key.starts_with(b"rc"), named("reference to a content", MENDED)),
    (|key| key[0] == b's', named("bucket ACL", MENDED)),
    (|key| key[0] == b't', named("heartbeat", MENDED)),
];

/// The row of a damaged content, which nobody needs any more.
const FLIPPED_DAMAGE: (Pick, Damage) = (|key| key[0] == b'x', named("damage", MENDED));

#[test]
fn a_flipped_byte_in_any_row_is_found_and_hurts_nothing_else() {
    for (kind, damage) in FLIPPED.into_iter().chain([FLIPPED_DAMAGE]) {
        let key = pick(kind);
        for at in 0..BASE.rows[&key].len() {
            let mut value = BASE.rows[&key].to_vec();
            value[at] ^= 1 << (at % 8);
            let rows = with(&key, Some(value));
            block_on(examine(damage, async || Fixture::new(&rows).await));
        }
    }
}

/// What a missing row of each kind leads to.
const MISSING: [(Pick, Damage); 18] = [
    (
        |key| key.ends_with(b"one-1250000000"),
        Damage::shows("bucket", &[StaleRow, StrayRow]).leaves(&[StrayRow]).costs(ALL),
    ),
    (
        |key| key[0] == b'c' && is_of_inline(&key[1..]),
        Damage::shows("content, inline", &[DamagedObject, StrayRow])
            .leaves(&[DamagedObject, StrayRow])
            .costs(INLINE),
    ),
    (
        |key| key[0] == b'c' && is_of_blob(&key[1..]),
        Damage::shows("content with a blob", &[DamagedObject]).leaves(&[DamagedObject]).costs(BLOB),
    ),
    (
        |key| key[0] == b'c' && !is_live(key),
        Damage::shows("content that nobody needs", &[StaleRow, StrayReference]),
    ),
    (is_doom, named("doomed", SOUND)),
    (|key| key[0] == b'f', Damage::shows("fence", &[StaleRow])),
    (|key| key[0] == b'h', Damage::shows("head", &[StaleRow])),
    (
        |key| key[0] == b'i' && is_of_inline(&key[1..]),
        Damage::shows("inline bytes", &[DamagedObject]).leaves(&[DamagedObject]).costs(INLINE),
    ),
    (
        |key| is_version(key, "large"),
        Damage {
            given_up: &["large"],
            ..Damage::shows("version", &[StaleRow, StrayReference]).costs(&["large"])
        },
    ),
    (|key| key == b"mstore", Damage::shows("store", &[WrongStore]).leaves(&[WrongStore])),
    (|key| key == b"mledger", named("ledger", SOUND)),
    (|key| key == b"mscrub", named("scrub", SOUND)),
    (|key| key[0] == b'q' && is_live(key), named("released, in use", SOUND)),
    (|key| key[0] == b'q' && !is_live(key), Damage::shows("released", &[StaleRow])),
    (
        |key| key.starts_with(b"rb") && is_of_blob(&key[18..]),
        Damage::shows("reference to a blob", &[MissingReference]),
    ),
    (
        |key| key.starts_with(b"rc") && is_of_large(&key[2..18]),
        Damage::shows("reference to a content", &[MissingReference, StaleRow]),
    ),
    (|key| key[0] == b's', Damage::shows("bucket ACL", &[StaleRow])),
    (|key| key[0] == b't', Damage::shows("heartbeat", &[StaleRow])),
];

#[test]
fn a_missing_row_is_found_and_costs_no_more_than_it_said() {
    // Without the row of the run, nothing explains the blob that it left in the making.
    let over: (Pick, Damage) = (|key| key[0] == b'o', Damage::shows("over", &[UnexplainedBlob]));
    let damage: (Pick, Damage) = (|key| key[0] == b'x', named("damage", SOUND));
    for (kind, damage) in MISSING.into_iter().chain([over, damage]) {
        let rows = with(&pick(kind), None);
        block_on(examine(damage, async || Fixture::new(&rows).await));
    }
}

/// A row that should not be there: its key, whose record it gets, and what it leads to.
type Stray = (fn() -> Vec<u8>, Pick, Damage);

/// An identity that nothing has.
const NOBODY: [u8; 16] = [0xee; 16];

fn live_content() -> Vec<u8> {
    live_contents(&BASE.rows).into_iter().find(|content| is_of_blob(content)).unwrap()
}

fn in_bucket(prefix: u8, name: &str) -> Vec<u8> {
    let bucket = pick(|key| is_version(key, "large"))[1..17].to_vec();
    [&[prefix], &bucket[..], name.as_bytes()].concat()
}

fn bucket_row(name: &str) -> Vec<u8> {
    [b"b", &1_250_000_000u64.to_be_bytes()[..], name.as_bytes()].concat()
}

const UNMENDED: Damage = Damage::shows("", &[StrayRow]).leaves(&[StrayRow]);

const STRAYS: [Stray; 20] = [
    (
        || bucket_row("ghost-1250000000"),
        |k| k[0] == b'b',
        named("the uid of another bucket", UNMENDED),
    ),
    (|| bucket_row("Not A Name"), |k| k[0] == b'b', named("a bucket with no name", UNMENDED)),
    (
        || [b"c", &NOBODY[..]].concat(),
        |k| k[0] == b'c' && is_of_inline(&k[1..]),
        Damage::shows("content, inline", &[StaleRow]),
    ),
    (
        || [b"c", &NOBODY[..]].concat(),
        |k| k[0] == b'c' && is_of_blob(&k[1..]),
        Damage::shows("content with the blob of another", &[StaleRow, MissingReference]),
    ),
    (
        || [b"d", &[0; 8][..], &BASE.blob_of["blob"].0[..], &NOBODY].concat(),
        is_doom,
        named("doom of a blob in use", SOUND),
    ),
    (|| [b"d", &[0; 8][..], &NOBODY[..]].concat(), is_doom, named("doom of no blob", SOUND)),
    (|| b"f12345678".to_vec(), |k| k[0] == b'f', Damage::shows("fence", &[StaleRow])),
    (|| b"t12345678".to_vec(), |k| k[0] == b't', Damage::shows("heartbeat", &[StaleRow])),
    (|| b"o12345678".to_vec(), |k| k[0] == b'o', named("over", SOUND)),
    (|| in_bucket(b'h', "ghost"), |k| k[0] == b'h', Damage::shows("head", &[StaleRow])),
    (|| [b"h", &NOBODY[..], b"x"].concat(), |k| k[0] == b'h', named("head in no bucket", UNMENDED)),
    (
        || in_bucket(b'k', "ghost"),
        |k| is_version(k, "large"),
        Damage::shows("version with another's uid", &[StaleRow, StrayRow]).leaves(&[StrayRow]),
    ),
    (|| b"mother".to_vec(), |k| k == b"mledger", named("of the store", UNMENDED)),
    (|| [b"q", &NOBODY[..]].concat(), |k| k[0] == b'q', Damage::shows("released", &[StaleRow])),
    (|| [b"q", &live_content()[..]].concat(), |k| k[0] == b'q', named("released, in use", SOUND)),
    (
        || [b"rb", &BASE.blob_of["released"].0[..], &NOBODY].concat(),
        |k| k[0] == b'r',
        Damage::shows("reference to a blob", &[StrayReference]),
    ),
    (
        || [b"rc", &live_content()[..], &NOBODY].concat(),
        |k| k[0] == b'r',
        Damage::shows("reference to a content", &[StrayReference]),
    ),
    (|| [b"s", &NOBODY[..], b"acl"].concat(), |k| k[0] == b's', Damage::shows("ACL", &[StaleRow])),
    (|| [b"x", &NOBODY[..]].concat(), |k| k[0] == b'x', Damage::shows("damage", &[StaleRow])),
    (|| b"zebra".to_vec(), |k| k[0] == b'q', named("of no kind", UNMENDED)),
];

#[test]
fn a_stray_row_of_any_kind_is_told_of_or_explained() {
    for (key, like, damage) in STRAYS {
        let key = key();
        let value = encode(&key, &content_of(&pick(like)));
        let rows = with(&key, Some(value));
        block_on(examine(damage, async || Fixture::new(&rows).await));
    }
    let rows = with(&[b"i", &NOBODY[..]].concat(), Some(b"bytes".to_vec()));
    let damage = named("inline bytes", UNMENDED);
    block_on(examine(damage, async || Fixture::new(&rows).await));
}

#[test]
fn a_row_whose_key_names_nothing_is_told_of_and_left() {
    for kind in b"bcdfhikmoqrstx" {
        for key in [vec![*kind], [&[*kind][..], b"short"].concat()] {
            let rows = with(&key, Some(encode(&key, &[1])));
            let damage = named("a key that names nothing", UNMENDED);
            block_on(examine(damage, async || Fixture::new(&rows).await));
        }
    }
}

#[test]
fn beside_a_newer_record_nothing_is_mended() {
    let kinds = FLIPPED.into_iter().chain([FLIPPED_DAMAGE]);
    for (kind, damage) in kinds.filter(|(_, damage)| damage.what != "inline bytes") {
        let key = pick(kind);
        let mut content = content_of(&key);
        content[0] += 1;
        let mut rows = with(&key, Some(encode(&key, &content)));
        rows.remove(&pick(|key| key[0] == b'h' && key.ends_with(b"empty")));
        let mut expected: Vec<Flaw> = vec![NewerFormat];
        expected.extend((damage.what != "store").then_some(StaleRow));
        block_on(async {
            let fixture = Fixture::new(&rows).await;
            let before = fixture.all().await;
            let report = check(&fixture.engines(), FsckOptions { deep: true, repair: true }).await;
            assert_eq!(flaws(&report), set(&expected), "{damage:?}: {:#?}", report.findings);
            assert!(fixture.all().await == before, "{damage:?}: something was changed");
        });
    }
}

/// A reference that is missing does not cost the object that needs its blob, though it looks like an
/// orphan of a run that is over; the collector says so, and a repair mends it.
#[test]
fn an_object_whose_reference_to_its_blob_is_lost_keeps_its_bytes() {
    for name in ["blob", "large", "shared copy"] {
        let reference = [b"rb", &BASE.blob_of[name].0[..]].concat();
        let key = BASE.rows.keys().find(|key| key.starts_with(&reference)).unwrap();
        let rows = with(key, None);
        let damage = Damage::shows("reference to a blob", &[MissingReference]);
        block_on(examine(damage, async || Fixture::new(&rows).await));
    }
}

/// What fsck says names the objects, and not only rows.
#[test]
fn damage_is_told_of_by_the_names_of_the_objects() {
    block_on(async {
        let rows = with(&pick(|key| key[0] == b'c' && is_of_blob(&key[1..])), None);
        let fixture = Fixture::new(&rows).await;
        let options = FsckOptions { deep: false, repair: true };
        let report = fsck(&fixture.engines(), options, &mut |_| {}).await.unwrap();
        assert_eq!(report.mended.len(), 2);
        let [finding] = &report.findings[..] else { panic!("{:#?}", report.findings) };
        assert_eq!(finding.subject, "one-1250000000/blob, one-1250000000/blob copy");
        assert_eq!(finding.what, "known to be damaged: its content is missing");
        let marks = rows_of(&*fixture.kv).await;
        assert_eq!(marks.keys().filter(|key| key[0] == b'x').count(), 2);
    });
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
fn content_of(key: &[u8]) -> Vec<u8> {
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
