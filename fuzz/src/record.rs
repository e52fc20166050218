//! Rows of metadata.

use cosine_store::Error;
use cosine_store::fsck::recode_row;
use crc_fast::{CrcAlgorithm, checksum};

/// A byte that says how long the key is, the key, and what is stored under it: once as it is, and
/// once with the checksum that makes it pass for whole. A row is refused as damaged or as too new;
/// or it is a record, of which every byte counts, and which is written as it was read. (Postcard
/// takes a number in more bytes than it needs. It is written in as few as it needs.)
pub fn record(data: &[u8]) {
    let Some((&key_bytes, rest)) = data.split_first() else { return };
    let Some((key, content)) = rest.split_at_checked(usize::from(key_bytes)) else { return };
    let _ = recode(key, content);
    let stored = sealed(key, content);
    match recode(key, &stored) {
        Some(shorter) if shorter.len() < stored.len() => {
            assert_eq!(recode(key, &shorter).as_ref(), Some(&shorter));
            let cut = &content[..content.len() - 1];
            assert_eq!(recode(key, &sealed(key, cut)), None, "the last byte is nothing");
        }
        Some(again) => assert_eq!(again, stored),
        None => {}
    }
}

/// Content as it is stored: with its checksum.
fn sealed(key: &[u8], content: &[u8]) -> Vec<u8> {
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, &[key, content].concat()) as u32;
    [content, &sum.to_le_bytes()].concat()
}

/// What is read, written again; `None` for what is refused.
fn recode(key: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
    match recode_row(key, stored) {
        Ok(again) => Some(again.to_vec()),
        Err(Error::Damaged(_) | Error::NewerFormat { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}
