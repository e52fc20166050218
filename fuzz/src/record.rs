//! Rows of metadata.

use cosine_store::Error;
use cosine_store::fsck::recode_row;
use crc_fast::{CrcAlgorithm, checksum};

/// A byte that says how long the key is, the key, and what is stored under it: once as it is, and
/// once with the checksum that makes it pass for whole. A row is refused as damaged or as too new;
/// or it is a record, which is written as it was read. (Postcard takes a number in more bytes than it
/// needs; it is written in as few as it needs, and from then on as it was read.)
pub fn record(data: &[u8]) {
    let Some((&key_bytes, rest)) = data.split_first() else { return };
    let Some((key, content)) = rest.split_at_checked(usize::from(key_bytes)) else { return };
    check(key, content);
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, &[key, content].concat()) as u32;
    check(key, &[content, &sum.to_le_bytes()].concat());
}

fn check(key: &[u8], stored: &[u8]) {
    match recode_row(key, stored) {
        Ok(again) if again.len() < stored.len() => {
            assert_eq!(recode_row(key, &again).unwrap(), again);
        }
        Ok(again) => assert_eq!(again, stored),
        Err(Error::Damaged(_) | Error::NewerFormat { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}
