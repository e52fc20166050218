//! What a flipped byte in a row of each kind leads to.

use cosine_store::fsck::Flaw::*;

use super::{APPENDED, BLOB, INLINE, ONE, Pick, TWO, first, named};
use crate::base::{BUCKET, VERSIONED};
use crate::check::Damage;
use crate::names::*;

/// A record that follows from its key or can begin anew: found, and mended.
const MENDED: Damage = Damage::shows("", &[DamagedRecord]);
/// A record that says what nothing else says.
const STAYS: Damage = MENDED.leaves(&[DamagedRecord]);
/// The record of a content that is needed, or of its slices.
const CONTENT: Damage =
    Damage::shows("", &[DamagedRecord, DamagedObject]).leaves(&[DamagedRecord, DamagedObject]);
/// The bytes of one, which are no record.
const BYTES: Damage = Damage::shows("", &[DamagedObject]).leaves(&[DamagedObject]);
/// One that is mended, and found also where it is not known what it should say.
const HEAD: Damage = Damage::shows("", &[DamagedRecord, StaleRow]);

pub const FLIPPED: &[(Pick, Damage)] = &[
    (|| bucket_row(BUCKET), named("bucket", STAYS.costs(ONE))),
    (|| bucket_row(VERSIONED), named("bucket with versions", STAYS.costs(TWO))),
    (|| content_row("inline"), named("content, inline", CONTENT.costs(INLINE))),
    (|| content_row("blob"), named("content with a blob", CONTENT.costs(BLOB))),
    (|| content_row("doc 2"), named("content of an older version", CONTENT.costs(&["doc 2"]))),
    (|| content_row("parts"), named("content of slices", CONTENT.costs(&["parts"]))),
    (|| content_row("appended"), named("content of slices, sliced", CONTENT.costs(APPENDED))),
    (
        || row(b'c', &[&content_of_blob("parts")]),
        named("content of a slice", CONTENT.costs(&["parts"])),
    ),
    (
        || content_row("sliced"),
        named("content of an object and of slices", CONTENT.costs(&["copying", "parts", "sliced"])),
    ),
    (
        || row(b'c', &[&content_of_blob("going")]),
        named("content of a part", CONTENT.costs(&["going"])),
    ),
    (|| row(b'c', &[&content_of_blob("aborted")]), named("content of a part of nothing", CONTENT)),
    (|| row(b'c', &[&content_of_blob("released")]), named("content that nobody needs", STAYS)),
    (|| row(b'c', &[&outgrown()]), named("content of slices that nobody needs", STAYS)),
    (|| first(b"d"), named("doomed", MENDED)),
    (|| page_of(content_of("parts")), named("page", CONTENT.costs(&["parts"]))),
    (
        || page_of(content_of("appended")),
        named("page of a content that is sliced", CONTENT.costs(APPENDED)),
    ),
    (
        || page_of(content_of("lately")),
        named("page, and parts that are left", CONTENT.costs(&["lately"])),
    ),
    (|| page_of(outgrown()), named("page that nobody needs", STAYS)),
    (|| first(b"f"), named("fence", MENDED)),
    (|| head_row(BUCKET, "large"), named("head", HEAD)),
    (|| head_row(VERSIONED, "doc"), named("head of several", HEAD.hides(&["doc null"]))),
    (|| head_row(VERSIONED, "hidden"), named("head below a delete marker", HEAD)),
    (|| head_row(VERSIONED, "faded"), named("head of nothing but a delete marker", HEAD)),
    (|| inline_row(content_of("inline")), named("inline bytes", BYTES.costs(INLINE))),
    (|| inline_row(content_of("doc 2")), named("inline bytes of old", BYTES.costs(&["doc 2"]))),
    (|| inline_row(appended_last()), named("inline bytes of a slice", BYTES.costs(APPENDED))),
    (
        || inline_row(target_of(&reference_of_part("lately", 9))),
        named("inline bytes of a part of nothing", BYTES),
    ),
    (|| version_row("large"), named("version", STAYS.costs(&["large"]))),
    (|| version_row("doc"), named("version above others", STAYS.costs(&["doc", "doc 3"]))),
    (|| b"mstore".to_vec(), named("store", STAYS)),
    (|| b"mledger".to_vec(), named("ledger", MENDED)),
    (|| b"mscrub".to_vec(), named("scrub", MENDED)),
    (|| first(b"o"), named("over", MENDED)),
    (|| part_row("going", 1), named("part", STAYS.costs(&["going"]))),
    (|| part_row("copying", 1), named("part that was copied", STAYS.costs(&["copying"]))),
    (|| part_row("lately", 3), named("part that is a slice now", STAYS)),
    (|| part_row("lately", 9), named("part that became nothing", STAYS)),
    (|| part_row("aborted", 1), named("part of what became nothing", STAYS)),
    (|| released_row(content_of("shared copy")), named("released, in use", MENDED)),
    (|| released_row(content_of_blob("released")), named("released", MENDED)),
    (|| first(b"rb"), named("reference to a blob", MENDED)),
    (|| reference_of("parts"), named("reference to a content", MENDED)),
    (|| reference_of_part("going", 1), named("reference of a part", MENDED)),
    (|| references_of_slices("parts").remove(0), named("reference of a slice", MENDED)),
    (|| first(b"s"), named("bucket ACL", MENDED)),
    (|| first(b"t"), named("heartbeat", MENDED)),
    (|| upload_row("going"), named("upload", STAYS.costs(&["going"]))),
    (|| version_row("doc 2"), named("older version", STAYS.costs(&["doc 2"]))),
    (|| version_row("doc null"), named("older version with no id", STAYS.costs(&["doc null"]))),
    (|| version_row("hidden"), named("delete marker", STAYS)),
    // The row of a damaged content, which nobody needs any more.
    (|| first(b"x"), named("damage", MENDED)),
    (|| ended_row("lately"), named("ended upload", MENDED)),
];
