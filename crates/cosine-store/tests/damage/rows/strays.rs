//! What a row that should not be there leads to, or one that says what is not so.

use cosine_store::fsck::Flaw::*;

use super::{Pick, first, named, record_of};
use crate::base::{BASE, BUCKET, VERSIONED};
use crate::check::{Damage, SOUND};
use crate::names::*;

/// A row that should not be there: its key, whose record it gets, and what it leads to.
type Stray = (fn() -> Vec<u8>, Pick, Damage);
/// A row that says what is not so: its key, its record, and what it leads to.
type Crafted = (fn() -> Vec<u8>, fn() -> Vec<u8>, Damage);

/// An identity that nothing has.
pub const NOBODY: Uid = [0xee; 16];

const UNMENDED: Damage = Damage::shows("", &[StrayRow]).leaves(&[StrayRow]);
const MENDED: Damage = Damage::shows("", &[StaleRow]);

fn in_bucket(prefix: u8, name: &str) -> Vec<u8> {
    row(prefix, &[&bucket_uid(BUCKET), name.as_bytes()])
}

pub const STRAYS: &[Stray] = &[
    (
        || bucket_row("ghost-1250000000"),
        || first(b"b"),
        named("the uid of another bucket", UNMENDED),
    ),
    (|| bucket_row("Not A Name"), || first(b"b"), named("a bucket with no name", UNMENDED)),
    (|| row(b'c', &[&NOBODY]), || content_row("inline"), named("content, inline", MENDED)),
    (
        || row(b'c', &[&NOBODY]),
        || content_row("blob"),
        Damage::shows("content with the blob of another", &[StaleRow, MissingReference]),
    ),
    (
        || row(b'd', &[&[0; 8], &BASE.blob_of["blob"].0, &NOBODY]),
        || first(b"d"),
        named("doom of a blob in use", SOUND),
    ),
    (|| row(b'd', &[&[0; 8], &NOBODY]), || first(b"d"), named("doom of no blob", SOUND)),
    (
        || row(b'e', &[&NOBODY, &[0; 4]]),
        || page_of(content_of("parts")),
        named("page of no content", UNMENDED),
    ),
    (
        || row(b'e', &[&content_of("parts"), &[0, 0, 0, 1]]),
        || page_of(content_of("parts")),
        named("page behind the last", UNMENDED),
    ),
    (
        || page_of(content_of("blob")),
        || page_of(content_of("parts")),
        named("page of a content with a blob", UNMENDED),
    ),
    (|| b"f12345678".to_vec(), || first(b"f"), named("fence", MENDED)),
    (|| b"t12345678".to_vec(), || first(b"t"), named("heartbeat", MENDED)),
    (|| b"o12345678".to_vec(), || first(b"o"), named("over", SOUND)),
    (|| in_bucket(b'h', "ghost"), || first(b"h"), named("head", MENDED)),
    (|| row(b'h', &[&NOBODY, b"x"]), || first(b"h"), named("head in no bucket", UNMENDED)),
    (
        || in_bucket(b'k', "ghost"),
        || version_row("large"),
        Damage::shows("version with another's uid", &[StaleRow, StrayRow]).leaves(&[StrayRow]),
    ),
    (|| b"mother".to_vec(), || b"mledger".to_vec(), named("of the store", UNMENDED)),
    (|| row(b'q', &[&NOBODY]), || first(b"q"), named("released", MENDED)),
    (|| released_row(content_of("blob")), || first(b"q"), named("released, in use", SOUND)),
    (
        || row(b'r', &[b"b", &BASE.blob_of["released"].0, &NOBODY]),
        || first(b"r"),
        Damage::shows("reference to a blob", &[StrayReference]),
    ),
    (
        || row(b'r', &[b"c", &content_of("blob"), &NOBODY]),
        || first(b"r"),
        Damage::shows("reference to a content", &[StrayReference]),
    ),
    (
        || row(b'r', &[b"c", &content_of("parts"), &NOBODY]),
        || first(b"r"),
        Damage::shows("reference to a content of slices", &[StrayReference]),
    ),
    (|| row(b's', &[&NOBODY, b"acl"]), || first(b"s"), named("ACL", MENDED)),
    (
        || escaped_row(b'u', BUCKET, "ghost", &[7; 36]),
        || upload_row("going"),
        named("upload with another's uid", UNMENDED),
    ),
    (
        || row(b'u', &[&NOBODY, b"ghost", &[0, 0], &[7; 36]]),
        || upload_row("going"),
        named("upload in no bucket", UNMENDED),
    ),
    (|| old_row("doc", 5), || version_row("doc 2"), named("older version twice", UNMENDED)),
    (
        || row(b'v', &[&NOBODY, b"doc", &[0, 0], &[7; 8]]),
        || version_row("doc 2"),
        named("older version in no bucket", UNMENDED),
    ),
    (|| old_row("ghost", 5), || version_row("hidden"), named("delete marker of nothing", MENDED)),
    (|| ended_row_of(NOBODY), || ended_row("lately"), named("ended upload", SOUND)),
    (
        || ended_row_of(content_of("parts")),
        || ended_row("lately"),
        named("ended upload that was cleared", SOUND),
    ),
    (|| row(b'x', &[&NOBODY]), || first(b"x"), named("damage", MENDED)),
    (|| b"Zebra".to_vec(), || first(b"q"), named("of no kind", UNMENDED)),
    // The head that is mended has no current version: the next round of the repair mends that.
    (
        || old_row("ghost", order_of("doc 2")),
        || version_row("doc 2"),
        Damage::shows("older version with another's uid", &[StaleRow, StrayRow])
            .leaves(&[StrayRow]),
    ),
];

/// The record of the head of `doc`, or of another key of its bucket.
fn head(newest: &str, null: Option<&str>) -> Vec<u8> {
    let null = match null {
        None => vec![0],
        Some(name) => [vec![1], number(order_of(name))].concat(),
    };
    [vec![1], number(order_of(newest)), null].concat()
}

/// A record with the uid of nobody in the place of that which begins at this byte.
fn of_nobody(mut record: Vec<u8>, at: usize) -> Vec<u8> {
    record[at..at + 16].copy_from_slice(&NOBODY);
    record
}

pub const CRAFTED: &[Crafted] = &[
    (
        || head_row(VERSIONED, "doc"),
        || head("doc 3", None),
        named("a head that does not know its null version", MENDED.hides(&["doc null"])),
    ),
    (
        || head_row(VERSIONED, "doc"),
        || head("doc 3", Some("doc 2")),
        named("a head that takes another for its null version", MENDED.hides(&["doc null"])),
    ),
    (
        || head_row(VERSIONED, "doc"),
        || head("doc 2", Some("doc null")),
        named("a head that does not know its newest version", MENDED),
    ),
    // One that is gone may have been newer.
    (
        || head_row(VERSIONED, "doc"),
        || head("hidden 1", Some("doc null")),
        named("a head that knew a newer version", SOUND),
    ),
    (
        || old_row("doc", order_of("doc 3")),
        || [&[1, 0], &record_of(&version_row("doc"))[1..]].concat(),
        named("the current version, also beside itself", UNMENDED),
    ),
    (
        || old_row("doc", order_of("hidden 1")),
        || {
            let record = of_nobody(record_of(&version_row("doc 2")), 2);
            let behind = &record[18 + number(order_of("doc 2")).len()..];
            [&record[..18], &number(order_of("hidden 1")), behind].concat()
        },
        Damage::shows("an older version that is newer", &[StaleRow, MissingReference, StrayRow])
            .leaves(&[StrayRow]),
    ),
    (
        || head_row(VERSIONED, "hidden"),
        || head("hidden", Some("hidden 1")),
        named("a head that takes any for its null version", MENDED),
    ),
    // Its reference is mended first, so that the collector finds what to take away.
    (
        || row(b'p', &[&NOBODY, &[0, 1]]),
        || of_nobody(record_of(&part_row("going", 1)), 17),
        Damage::shows("a part of no upload", &[StaleRow, MissingReference]),
    ),
    (
        || row(b'e', &[&NOBODY, &[0; 4]]),
        || of_nobody(record_of(&page_of(content_of("lately"))), 18),
        Damage::shows("a page of no content that holds something", &[StrayRow, MissingReference])
            .leaves(&[StrayRow]),
    ),
    (
        || row(b'e', &[&NOBODY, &[0; 4]]),
        || of_nobody(of_nobody(record_of(&page_of(content_of("lately"))), 18), 2),
        Damage::shows("a slice of no content", &[StrayRow, MissingReference]).leaves(&[StrayRow]),
    ),
    // All that was read of it is right, and it is another upload's.
    (
        || escaped_row(b'u', BUCKET, "ghost", &[7; 36]),
        || of_nobody(record_of(&upload_row("going")), 1),
        named("an upload without parts", SOUND),
    ),
    (
        || head_row(VERSIONED, "hidden"),
        || head("hidden", Some("doc null")),
        named("a head that knows a null version that is not there", MENDED),
    ),
];
