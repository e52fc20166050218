//! What a missing row of each kind leads to.

use cosine_store::fsck::Flaw::*;

use super::{APPENDED, BLOB, INLINE, ONE, Pick, TWO, first, named};
use crate::base::{BASE, BUCKET, VERSIONED};
use crate::check::{Damage, SOUND};
use crate::names::*;

/// It follows from others.
const MENDED: Damage = Damage::shows("", &[StaleRow]);
/// Nothing says any more that there was one, but the reference that it held.
const FORGOTTEN: Damage = Damage::shows("", &[StrayReference]);
/// A content, or the bytes of one.
const LOST: Damage = Damage::shows("", &[DamagedObject]).leaves(&[DamagedObject]);
/// A content that others' rows belong to.
const LEFT: Damage =
    Damage::shows("", &[DamagedObject, StrayRow]).leaves(&[DamagedObject, StrayRow]);
/// Of several to a content.
const REFERENCE: Damage = Damage::shows("", &[MissingReference]);
/// The only one to a content: and the collector does not know of it.
const ONLY_REFERENCE: Damage = Damage::shows("", &[MissingReference, StaleRow]);
const BUCKET_LOST: Damage = Damage::shows("", &[StaleRow, StrayRow]).leaves(&[StrayRow]);

pub const MISSING: &[(Pick, Damage)] = &[
    (|| bucket_row(BUCKET), named("bucket", BUCKET_LOST.costs(ONE))),
    (|| bucket_row(VERSIONED), named("bucket with versions", BUCKET_LOST.costs(TWO))),
    (|| content_row("inline"), named("content, inline", LEFT.costs(INLINE))),
    (|| content_row("blob"), named("content with a blob", LOST.costs(BLOB))),
    (|| content_row("doc null"), named("content of an older version", LOST.costs(&["doc null"]))),
    (|| content_row("parts"), named("content of slices", LEFT.costs(&["parts"]))),
    (|| content_row("appended"), named("content of slices, sliced", LEFT.costs(APPENDED))),
    (
        || row(b'c', &[&content_of_blob("parts")]),
        named("content of a slice", LOST.costs(&["parts"])),
    ),
    (
        || content_row("sliced"),
        named("content of an object and of slices", LOST.costs(&["copying", "parts", "sliced"])),
    ),
    (
        || row(b'c', &[&content_of_blob("released")]),
        Damage::shows("content that nobody needs", &[StaleRow, StrayReference]),
    ),
    (
        || row(b'c', &[&outgrown()]),
        Damage::shows("content of slices that nobody needs", &[StaleRow, StrayRow])
            .leaves(&[StrayRow]),
    ),
    (|| first(b"d"), named("doomed", SOUND)),
    (|| page_of(outgrown()), named("page that nobody needs", FORGOTTEN)),
    (|| first(b"f"), named("fence", MENDED)),
    (|| head_row(BUCKET, "large"), named("head", MENDED)),
    (|| head_row(VERSIONED, "doc"), named("head of several", MENDED.hides(&["doc null"]))),
    (|| head_row(VERSIONED, "hidden"), named("head below a delete marker", MENDED)),
    (|| head_row(VERSIONED, "faded"), named("head of nothing but a delete marker", MENDED)),
    (|| inline_row(content_of("inline")), named("inline bytes", LOST.costs(INLINE))),
    (|| inline_row(content_of("doc 2")), named("inline bytes of old", LOST.costs(&["doc 2"]))),
    (|| inline_row(appended_last()), named("inline bytes of a slice", LOST.costs(APPENDED))),
    (
        || version_row("large"),
        Damage::shows("version", &[StaleRow, StrayReference]).gives_up(&["large"]),
    ),
    (
        || version_row("parts"),
        Damage::shows("version of slices", &[StaleRow, StrayReference]).gives_up(&["parts"]),
    ),
    // The one below it is the newest now.
    (
        || version_row("doc"),
        Damage::shows("version above others", &[StaleRow, StrayReference])
            .gives_up(&["doc", "doc 3"])
            .replaces(&[("doc", "doc 2")]),
    ),
    (|| b"mstore".to_vec(), Damage::shows("store", &[WrongStore]).leaves(&[WrongStore])),
    (|| b"mledger".to_vec(), named("ledger", SOUND)),
    (|| b"mscrub".to_vec(), named("scrub", SOUND)),
    // Without it, nothing explains the blob that the run left in the making.
    (
        || row(b'o', &[&BASE.blob_of["blob"].run().0.to_be_bytes()]),
        Damage::shows("over", &[UnexplainedBlob]),
    ),
    (|| part_row("going", 1), named("part", FORGOTTEN.gives_up(&["going"]))),
    (|| part_row("copying", 1), named("part that was copied", FORGOTTEN.gives_up(&["copying"]))),
    (|| part_row("lately", 3), named("part that is a slice now", SOUND)),
    (|| part_row("lately", 9), named("part that became nothing", FORGOTTEN)),
    (|| part_row("aborted", 1), named("part of what became nothing", FORGOTTEN)),
    (|| released_row(content_of("shared copy")), named("released, in use", SOUND)),
    (|| released_row(content_of_blob("released")), named("released", MENDED)),
    (|| released_row(outgrown()), named("released, of slices", MENDED)),
    (
        || row(b'r', &[b"b", &BASE.blob_of["blob"].0, &content_of("blob")]),
        named("reference to a blob", REFERENCE),
    ),
    (|| reference_of("large"), named("reference to a content", ONLY_REFERENCE)),
    (|| reference_of("parts"), named("reference to a content of slices", ONLY_REFERENCE)),
    (|| reference_of("doc 2"), named("reference of an older version", ONLY_REFERENCE)),
    (|| reference_of_part("going", 1), named("reference of a part", ONLY_REFERENCE)),
    (|| reference_of_part("copying", 1), named("reference of a part to a range", REFERENCE)),
    (|| reference_of_part("lately", 3), named("reference of a part and of a slice", REFERENCE)),
    (|| reference_of_part("lately", 9), named("reference of what became nothing", ONLY_REFERENCE)),
    (|| references_of_slices("parts").remove(0), named("reference of a slice", ONLY_REFERENCE)),
    (
        || references_of_slices("parts").remove(1),
        named("reference of a slice to a range", REFERENCE),
    ),
    (
        || references_of_slices("appended").remove(1),
        named("reference of an append", ONLY_REFERENCE),
    ),
    (|| first(b"s"), named("bucket ACL", MENDED)),
    (|| first(b"t"), named("heartbeat", MENDED)),
    (|| upload_row("going"), named("upload", MENDED.gives_up(&["going"]))),
    (|| upload_row("copying"), named("upload of a range", MENDED.gives_up(&["copying"]))),
    (|| version_row("doc 2"), named("older version", FORGOTTEN.gives_up(&["doc 2"]))),
    (
        || version_row("hidden 1"),
        named("version below a delete marker", FORGOTTEN.gives_up(&["hidden 1"])),
    ),
    (|| version_row("hidden"), named("delete marker", MENDED.replaces(&[("hidden", "hidden 1")]))),
    (|| version_row("faded"), named("delete marker of nothing", MENDED)),
    (|| ended_row("lately"), named("ended upload", MENDED)),
    (|| ended_row("aborted"), named("ended upload that became nothing", MENDED)),
    (|| first(b"x"), named("damage", SOUND)),
    (
        || version_row("doc null"),
        Damage::shows("older version with no id", &[StaleRow, StrayReference])
            .gives_up(&["doc null"]),
    ),
    (
        || row(b'c', &[&content_of_blob("going")]),
        named("content of a part", LOST.costs(&["going"])),
    ),
    // What it said is lost; that there was one is not. What it held may be all that is left, as with
    // a lost content.
    (|| page_of(content_of("parts")), named("page", LOST.costs(&["parts"]))),
    (
        || page_of(content_of("appended")),
        named("page of a content that is sliced", LOST.costs(APPENDED)),
    ),
    (
        || page_of(content_of("lately")),
        named("page, and parts that are left", LOST.costs(&["lately"])),
    ),
];
