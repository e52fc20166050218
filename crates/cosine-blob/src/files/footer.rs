//! What follows the data in a blob's file: the table of running checksums, then a trailer.
//!
//! ```text
//! data | table: u64 x chunks | id: 16 | length: u64 | chunk bytes: u32 | version: u32
//!      | magic: 8 | CRC-64/XZ of table and trailer up to here: u64
//! ```
//! Numbers are little-endian. See `docs/format.md`.

use crate::table::{Table, crc64};
use crate::{BlobId, CHUNK_BYTES, Error};

const MAGIC: &[u8; 8] = b"COSBLOB\n";
const VERSION: u32 = 1;

/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: u64 = 48;

/// The footer of a blob of `length` bytes.
pub(super) fn encode(id: BlobId, length: u64, table: &Table) -> Vec<u8> {
    let mut out = Vec::with_capacity(table.entries().len() * 8 + TRAILER_BYTES as usize);
    table.entries().iter().for_each(|entry| out.extend_from_slice(&entry.to_le_bytes()));
    out.extend_from_slice(&id.0);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(CHUNK_BYTES as u32).to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&crc64(&out).to_le_bytes());
    out
}

/// Where the footer of a file of `file_bytes` begins, by its last [`TRAILER_BYTES`] bytes, of which
/// nothing has been verified yet.
pub(super) fn begin(id: BlobId, file_bytes: u64, trailer: &[u8]) -> Result<u64, Error> {
    let length = length(trailer).ok_or(Error::Damaged(id, "it has no trailer"))?;
    let table = length.div_ceil(CHUNK_BYTES).checked_mul(8);
    let whole = table.and_then(|table| table.checked_add(length)?.checked_add(TRAILER_BYTES));
    if whole == Some(file_bytes) {
        Ok(length)
    } else {
        Err(Error::Damaged(id, "it was never finished, or cut"))
    }
}

/// Reads and verifies a whole footer; returns the blob's length and its table.
pub(super) fn decode(id: BlobId, footer: &[u8]) -> Result<(u64, Table), Error> {
    let damaged = |why| Error::Damaged(id, why);
    let (covered, sum) = footer.split_last_chunk::<8>().ok_or(damaged("it has no trailer"))?;
    if crc64(covered) != u64::from_le_bytes(*sum) {
        return Err(damaged("its table of checksums is damaged"));
    }
    let unknown = || damaged("its format is unknown");
    let form = covered.strip_suffix(MAGIC).ok_or_else(unknown)?;
    let (form, version) = form.split_last_chunk::<4>().ok_or_else(unknown)?;
    if u32::from_le_bytes(*version) > VERSION {
        return Err(damaged("it is of a newer format: written by a newer version of Cosine"));
    }
    let named = form
        .strip_suffix(&(CHUNK_BYTES as u32).to_le_bytes())
        .filter(|_| u32::from_le_bytes(*version) == VERSION)
        .and_then(|rest| rest.split_last_chunk::<8>())
        .and_then(|(rest, _)| rest.split_last_chunk::<16>());
    let (table, stored_id) = named.ok_or_else(unknown)?;
    if *stored_id != id.0 {
        return Err(damaged("it is another blob"));
    }
    let entries = table.as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry)).collect();
    let length = length(footer).ok_or(damaged("it has no trailer"))?;
    Ok((length, Table::from_entries(entries)))
}

/// The length field of a trailer that ends `bytes`.
fn length(bytes: &[u8]) -> Option<u64> {
    let trailer = bytes.last_chunk::<{ TRAILER_BYTES as usize }>()?;
    trailer.get(16..24)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer as the first format wrote it: it must open for ever.
    #[test]
    fn version_1_opens() {
        let id = BlobId([7; 16]);
        let table = Table::from_entries(vec![0x995d_c9bb_df19_39fa]); // of "123456789"
        let covered = [
            &[0xfa, 0x39, 0x19, 0xdf, 0xbb, 0xc9, 0x5d, 0x99][..],
            &[7; 16],
            &[9, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 2, 0],
            &[1, 0, 0, 0],
            b"COSBLOB\n",
        ]
        .concat();
        let stored = [&covered[..], &crc64(&covered).to_le_bytes()].concat();
        assert_eq!(encode(id, 9, &table), stored);
        assert_eq!(decode(id, &stored).unwrap(), (9, table));
        assert_eq!(begin(id, 9 + 8 + TRAILER_BYTES, &stored).unwrap(), 9);
    }
}
