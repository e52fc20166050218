//! Rows of the sound store, found by the names of what they are of. Keys and records are read by
//! hand, as `docs/format.md` has them.

use crate::base::{BASE, BUCKET, Rows, VERSIONED};

pub type Uid = [u8; 16];

/// The number that a record's field begins with, and what follows.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let length = bytes.iter().position(|byte| *byte < 0x80).unwrap() + 1;
    let (bytes, rest) = bytes.split_at(length);
    let digits = bytes.iter().rev().map(|byte| u64::from(byte & 0x7f));
    (digits.fold(0, |number, digit| number << 7 | digit), rest)
}

/// A number as records have it.
pub fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn uid(bytes: &[u8]) -> Uid {
    bytes[..16].try_into().unwrap()
}

pub fn row(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[prefix], &parts.concat()[..]].concat()
}

pub fn bucket_row(name: &str) -> Vec<u8> {
    row(b'b', &[&1_250_000_000u64.to_be_bytes(), name.as_bytes()])
}

pub fn bucket_uid(name: &str) -> Uid {
    uid(&BASE.rows[&bucket_row(name)][1..])
}

/// A row of a key of a bucket, where the key is followed by others.
pub fn escaped_row(prefix: u8, bucket: &str, key: &str, suffix: &[u8]) -> Vec<u8> {
    row(prefix, &[&bucket_uid(bucket), key.as_bytes(), &[0, 0], suffix])
}

/// The row of a version of this order that is not the current one.
pub fn old_row(key: &str, order: u64) -> Vec<u8> {
    escaped_row(b'v', VERSIONED, key, &(!order).to_be_bytes())
}

/// Of the versions and delete markers of a key that are not current, the newest but `n`.
fn nth_old(key: &str, n: usize) -> Vec<u8> {
    let prefix = escaped_row(b'v', VERSIONED, key, &[]);
    BASE.rows.keys().filter(|row| row.starts_with(&prefix)).nth(n).unwrap().clone()
}

/// The row of a version or a delete marker.
pub fn version_row(name: &str) -> Vec<u8> {
    match name {
        "faded" => nth_old("faded", 0),
        "doc" | "doc 3" => row(b'k', &[&bucket_uid(VERSIONED), b"doc"]),
        "doc 2" => nth_old("doc", 0),
        "doc null" => nth_old("doc", 1),
        "hidden" => nth_old("hidden", 0),
        "hidden 1" => nth_old("hidden", 1),
        _ => row(b'k', &[&bucket_uid(BUCKET), name.as_bytes()]),
    }
}

pub fn head_row(bucket: &str, key: &str) -> Vec<u8> {
    row(b'h', &[&bucket_uid(bucket), key.as_bytes()])
}

/// The uid, the order and the content in a version's record.
fn version_in(name: &str) -> (Uid, u64, Uid) {
    let key = version_row(name);
    // An older version is one of two things that may be there.
    let fields = &BASE.rows[&key][if key[0] == b'v' { 2 } else { 1 }..];
    let (order, rest) = varint(&fields[16..]);
    (uid(fields), order, uid(&rest[1..]))
}

pub fn order_of(name: &str) -> u64 {
    match name {
        // A delete marker has nothing in front of it.
        "hidden" | "faded" => varint(&BASE.rows[&version_row(name)][2..]).0,
        _ => version_in(name).1,
    }
}

/// The content of a version.
pub fn content_of(name: &str) -> Uid {
    version_in(name).2
}

pub fn content_row(name: &str) -> Vec<u8> {
    row(b'c', &[&content_of(name)])
}

pub fn inline_row(content: Uid) -> Vec<u8> {
    row(b'i', &[&content])
}

pub fn released_row(content: Uid) -> Vec<u8> {
    row(b'q', &[&content])
}

/// The reference that a version has to its content.
pub fn reference_of(name: &str) -> Vec<u8> {
    let (owner, _, content) = version_in(name);
    row(b'r', &[b"c", &content, &owner])
}

/// The row of an upload under way, by its key.
pub fn upload_row(key: &str) -> Vec<u8> {
    let prefix = escaped_row(b'u', BUCKET, key, &[]);
    BASE.rows.keys().find(|row| row.starts_with(&prefix)).unwrap().clone()
}

/// An upload, by its key, whether it is over or not.
pub fn upload_uid(key: &str) -> Uid {
    match key {
        // What it became has its uid.
        "lately" => content_of("lately"),
        // It became nothing.
        "aborted" => {
            let ended = BASE.rows.keys().filter(|row| row[0] == b'w').map(|row| uid(&row[1..]));
            ended.filter(|upload| *upload != content_of("lately")).last().unwrap()
        }
        _ => uid(&BASE.rows[&upload_row(key)][1..]),
    }
}

pub fn ended_row(upload: &str) -> Vec<u8> {
    ended_row_of(upload_uid(upload))
}

pub fn ended_row_of(upload: Uid) -> Vec<u8> {
    row(b'w', &[&upload])
}

pub fn part_row(upload: &str, number: u16) -> Vec<u8> {
    row(b'p', &[&upload_uid(upload), &number.to_be_bytes()])
}

/// The reference that a part has to its content.
pub fn reference_of_part(upload: &str, number: u16) -> Vec<u8> {
    let record = &BASE.rows[&part_row(upload, number)][1..];
    row(b'r', &[b"c", &record[..32]])
}

/// The first page of the slices of a content.
pub fn page_of(content: Uid) -> Vec<u8> {
    row(b'e', &[&content, &[0; 4]])
}

/// The references that the slices of a version's content have to theirs.
pub fn references_of_slices(name: &str) -> Vec<Vec<u8>> {
    let record = &BASE.rows[&page_of(content_of(name))][1..];
    let (count, mut rest) = varint(record);
    let mut references = vec![];
    for _ in 0..count {
        references.push(row(b'r', &[b"c", &rest[..32]]));
        // Where it begins, how long it is, its checksum.
        rest = (0..3).fold(&rest[32..], |rest, _| varint(rest).1);
    }
    references
}

/// The content that a reference is to.
pub fn target_of(reference: &[u8]) -> Uid {
    uid(&reference[2..])
}

/// What came with the last append.
pub fn appended_last() -> Uid {
    target_of(&references_of_slices("appended")[1])
}

/// What an appendable object was made of before the last append: pages, and nobody needs them.
pub fn outgrown() -> Uid {
    let is_needed = |content: &Uid| {
        let references = row(b'r', &[b"c", content]);
        BASE.rows.keys().any(|row| row.starts_with(&references))
    };
    let pages = BASE.rows.keys().filter(|row| row[0] == b'e').map(|row| uid(&row[1..]));
    pages.filter(|content| !is_needed(content)).last().unwrap()
}

/// The content that a blob is the bytes of.
pub fn content_of_blob(name: &str) -> Uid {
    let references = row(b'r', &[b"b", &BASE.blob_of[name].0]);
    let reference = BASE.rows.keys().find(|row| row.starts_with(&references)).unwrap();
    uid(&reference[18..])
}

/// Whether an older version is the current one in these rows: all of it but that it is one.
pub fn is_current(old: &[u8], value: &[u8], rows: &Rows) -> bool {
    let current = row(b'k', &[&old[1..old.len() - 10]]);
    let fields = |value: &[u8], from: usize| value[from..value.len() - 4].to_vec();
    rows.get(&current).is_some_and(|current| fields(current, 1) == fields(value, 2))
}
