//! Files under a blob's name.
//!
//! The format's page (`docs/format.md`) is written here a second time, as the shortest program that
//! says what such a file holds. Whatever is in it, the engine says the same.

use std::fs::File;
use std::io::Write;
use std::ops::Range;

use cosine_blob::files::read_file;
use cosine_blob::{BlobId, Error};
use crc_fast::{CrcAlgorithm, checksum, checksum_combine};

const ID: BlobId = BlobId([7; 16]);
const CHUNK: usize = 131_072;
const TRAILER_BYTES: usize = 48;
/// Chunk bytes, version, magic.
const FIXED: &[u8; 16] = b"\0\0\x02\0\x01\0\0\0COSBLOB\n";

/// Flags of a plan: the file is built whole and then damaged; its sum is made to fit.
const BUILT: u8 = 1;
const SEALED: u8 = 2;

/// A byte of flags, what makes the file, and a range: opens the file, and reads all of it and the
/// range.
pub fn blob(data: &[u8]) {
    let Some((plan, range)) = data.split_last_chunk::<8>() else { return };
    let Some(bytes) = file(plan) else { return };
    let mut stored = tempfile::tempfile().unwrap();
    stored.write_all(&bytes).unwrap();
    let footer = footer(&bytes);
    let length = footer.as_ref().map_or(0, |(length, _)| *length as u64);
    let [from, to] = [0, 4].map(|at| u32::from_le_bytes(range[at..at + 4].try_into().unwrap()));
    for range in [0..0, 0..length, u64::from(from)..u64::from(to)] {
        check(&bytes, footer.as_ref(), stored.try_clone().unwrap(), range);
    }
}

fn check(bytes: &[u8], footer: Option<&(usize, Vec<u64>)>, stored: File, range: Range<u64>) {
    let read = read_file(ID, stored, range.clone());
    let Some((length, table)) = footer else {
        return assert!(matches!(read, Err(Error::Damaged(ID, _))), "{read:?}");
    };
    let range = range.start as usize..range.end as usize;
    if range.start > range.end || range.end > *length {
        return assert!(matches!(read, Err(Error::OutOfRange(ID))), "{read:?}");
    }
    if is_whole(bytes, *length, table, &range) {
        let (finished, read) = read.unwrap();
        assert_eq!(finished.length as usize, *length);
        assert!(read == bytes[range], "other bytes than were stored");
    } else {
        assert!(matches!(read, Err(Error::Damaged(ID, _))), "{read:?}");
    }
}

/// The file of a plan: the bytes themselves, or a whole blob that was damaged.
fn file(plan: &[u8]) -> Option<Vec<u8>> {
    let (&flags, rest) = plan.split_first()?;
    let mut bytes = if flags & BUILT == 0 { rest.to_vec() } else { damaged(rest)? };
    if flags & SEALED != 0 {
        seal(&mut bytes);
    }
    Some(bytes)
}

/// A blob of as many bytes as the first three say; then steps of five bytes each change one byte,
/// counted from the end of the file; what is left over cuts the file.
fn damaged(plan: &[u8]) -> Option<Vec<u8>> {
    let (&[low, middle, high], steps) = plan.split_first_chunk::<3>()?;
    let mut bytes = whole(u32::from_le_bytes([low, middle, high & 3, 0]) as usize);
    let (steps, cut) = steps.as_chunks::<5>();
    for &[a, b, c, d, xor] in steps {
        let back = u32::from_le_bytes([a, b, c, d]) as usize % bytes.len();
        let at = bytes.len() - 1 - back;
        bytes[at] ^= xor;
    }
    bytes.truncate(bytes.len().saturating_sub(cut.first().map_or(0, |&bytes| bytes.into())));
    Some(bytes)
}

/// The file of a blob.
fn whole(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
    let ends = (0..length.div_ceil(CHUNK)).map(|chunk| length.min((chunk + 1) * CHUNK));
    let table: Vec<u64> = ends.map(|end| crc64(&bytes[..end])).collect();
    table.iter().for_each(|entry| bytes.extend_from_slice(&entry.to_le_bytes()));
    bytes.extend_from_slice(&ID.0);
    bytes.extend_from_slice(&(length as u64).to_le_bytes());
    bytes.extend_from_slice(FIXED);
    bytes.extend_from_slice(&[0; 8]);
    seal(&mut bytes);
    bytes
}

/// Makes the sum of the footer fit, as one who wants to be believed would.
fn seal(bytes: &mut [u8]) {
    let Some(length) = length(bytes) else { return };
    let (covered, sum) = bytes.split_last_chunk_mut::<8>().unwrap();
    *sum = crc64(covered.get(length..).unwrap_or_default()).to_le_bytes();
}

/// The length field, if there is one and it can be true.
fn length(bytes: &[u8]) -> Option<usize> {
    let trailer = bytes.last_chunk::<TRAILER_BYTES>()?;
    let length = u64::from_le_bytes(trailer[16..24].try_into().unwrap());
    usize::try_from(length).ok().filter(|length| *length <= bytes.len())
}

/// The length of the data and the table, if the footer is whole.
fn footer(bytes: &[u8]) -> Option<(usize, Vec<u64>)> {
    let length = length(bytes)?;
    let (table, trailer) = bytes[length..].split_last_chunk::<TRAILER_BYTES>()?;
    let fits = table.len() == length.div_ceil(CHUNK) * 8
        && trailer[..16] == ID.0
        && trailer[24..40] == *FIXED
        && trailer[40..] == crc64(&bytes[length..bytes.len() - 8]).to_le_bytes();
    let entries = table.as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry));
    fits.then(|| (length, entries.collect()))
}

/// Whether the chunks that a range touches are what the table covers.
fn is_whole(bytes: &[u8], length: usize, table: &[u64], range: &Range<usize>) -> bool {
    if range.is_empty() {
        return true;
    }
    let (first, end) = (range.start / CHUNK, range.end.div_ceil(CHUNK));
    let before = if first == 0 { 0 } else { table[first - 1] };
    let chunks = &bytes[first * CHUNK..length.min(end * CHUNK)];
    let after = checksum_combine(CrcAlgorithm::Crc64Xz, before, crc64(chunks), chunks.len() as u64);
    after == table[end - 1]
}

fn crc64(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Xz, bytes)
}
