//! The table of running checksums that lies beside every blob.
//!
//! Entry `i` is the CRC-64/XZ of the bytes from 0 to the end of chunk `i`. So the last entry is the
//! checksum of the blob, a chunk is verified by continuing from the entry before it, and the
//! checksum of any run of chunks follows from two entries without reading a byte.

use crc_fast::{CrcAlgorithm, Digest};

use crate::CHUNK_BYTES;

/// CRC-64/XZ of `bytes`, the checksum that COS calls CRC64.
pub fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Xz, bytes)
}

/// Continues a CRC-64/XZ: the checksum of what `crc` covers, followed by `bytes`.
pub fn crc64_continue(crc: u64, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc64Xz, !crc);
    digest.update(bytes);
    digest.finalize()
}

/// The polynomial of CRC-64/XZ (ECMA-182), its bits reflected: the highest bit is the constant term.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

/// `x` to the power of `8 * 2^k`, for each `k`: what a checksum is multiplied by where `2^k` bytes follow.
#[expect(clippy::indexing_slicing, reason = "computed while compiling, where a panic is an error")]
const POWERS: [u64; 64] = {
    let mut powers = [1 << (63 - 8); 64];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
};

/// The product of two polynomials modulo [`POLYNOMIAL`].
const fn multiply(a: u64, mut b: u64) -> u64 {
    let (mut product, mut bit) = (0, 1 << 63);
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 == 0 { b >> 1 } else { (b >> 1) ^ POLYNOMIAL };
        bit >>= 1;
    }
    product
}

/// The CRC-64/XZ of two runs of bytes, one after the other, of which the second is `length` bytes.
///
/// Combining is most of what a copy by reference of many parts costs, so it is done here: from a table,
/// where `crc_fast` squares matrices, which takes a hundred times as long.
pub fn crc64_combine(first: u64, second: u64, length: u64) -> u64 {
    let powers = POWERS.iter().enumerate().filter(|(k, _)| length >> k & 1 == 1);
    second ^ powers.fold(first, |crc64, (_, power)| multiply(*power, crc64))
}

/// The CRC-64/XZ of what follows a front in a run of bytes: `length` bytes.
pub fn crc64_behind(front: u64, whole: u64, length: u64) -> u64 {
    whole ^ crc64_combine(front, 0, length)
}

/// Running checksums, one for each chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    entries: Vec<u64>,
}

impl Table {
    /// A table as it was stored.
    pub fn from_entries(entries: Vec<u64>) -> Self {
        Self { entries }
    }

    /// As stored.
    pub fn entries(&self) -> &[u64] {
        &self.entries
    }

    /// CRC-64/XZ of everything up to the end of the `chunks`-th chunk; 0 for none.
    pub fn running(&self, chunks: u64) -> Option<u64> {
        match usize::try_from(chunks).ok()?.checked_sub(1) {
            None => Some(0),
            Some(last) => self.entries.get(last).copied(),
        }
    }

    /// Whether `bytes`, which begin with chunk `first` and end where a chunk ends, are what was
    /// written.
    pub fn verify(&self, first: u64, bytes: &[u8]) -> bool {
        let chunks = (bytes.len() as u64).div_ceil(CHUNK_BYTES);
        match (self.running(first), self.running(first + chunks)) {
            (Some(before), Some(after)) => crc64_continue(before, bytes) == after,
            _ => false,
        }
    }
}

/// Builds a table while a blob is written.
#[derive(Clone, Debug, Default)]
pub struct TableBuilder {
    entries: Vec<u64>,
    length: u64,
    running: u64,
}

impl TableBuilder {
    /// Takes the next bytes, in pieces of any size.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (CHUNK_BYTES - self.length % CHUNK_BYTES) as usize;
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            self.running = crc64_continue(self.running, piece);
            self.length += piece.len() as u64;
            if self.length.is_multiple_of(CHUNK_BYTES) {
                self.entries.push(self.running);
            }
            bytes = rest;
        }
    }

    /// Bytes taken so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// CRC-64/XZ of the bytes taken so far.
    pub fn crc64(&self) -> u64 {
        self.running
    }

    /// The table; a last, shorter chunk gets its entry.
    pub fn finish(mut self) -> Table {
        if !self.length.is_multiple_of(CHUNK_BYTES) {
            self.entries.push(self.running);
        }
        Table { entries: self.entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        assert_eq!(crc64(b"123456789"), 11_051_210_869_376_104_954);
        assert_eq!(crc64(b""), 0);
        assert_eq!(crc64(b"[Object Content]"), 16_749_565_679_157_681_890);
        assert_eq!(crc64_continue(crc64(b"1234"), b"56789"), crc64(b"123456789"));
        assert_eq!(crc64_combine(crc64(b"1234"), crc64(b"56789"), 5), crc64(b"123456789"));
        assert_eq!(crc64_combine(0, crc64(b"1234"), 4), crc64(b"1234"));
        assert_eq!(crc64_behind(crc64(b"1234"), crc64(b"123456789"), 5), crc64(b"56789"));
        assert_eq!(crc64_behind(crc64(b"1234"), crc64(b"1234"), 0), 0);
    }

    /// Any two runs, of any length, and none: the same as the library says.
    #[test]
    fn combining_is_what_the_library_says() {
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random ^ random >> 31
        };
        for shift in 0..64 {
            for _ in 0..4 {
                let (first, second, length) = (next(), next(), next() >> shift);
                let expected =
                    crc_fast::checksum_combine(CrcAlgorithm::Crc64Xz, first, second, length);
                assert_eq!(crc64_combine(first, second, length), expected, "{length} bytes");
            }
        }
        assert_eq!(crc64_combine(7, 0, 0), 7);
    }

    #[test]
    fn every_run_of_chunks_verifies_and_no_changed_one_does() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 3 + 7).map(|i| (i * 31 % 251) as u8).collect();
        let mut builder = TableBuilder::default();
        bytes.chunks(70_001).for_each(|piece| builder.update(piece));
        assert_eq!((builder.length(), builder.crc64()), (bytes.len() as u64, crc64(&bytes)));
        let table = builder.finish();
        assert_eq!(table.entries().len(), 4);
        let chunk = CHUNK_BYTES as usize;
        for (first, range) in
            [(0, 0..chunk), (1, chunk..3 * chunk), (3, 3 * chunk..bytes.len()), (0, 0..bytes.len())]
        {
            let mut run = bytes[range].to_vec();
            assert!(table.verify(first, &run));
            assert!(!table.verify(first + 1, &run), "another place");
            run[5] ^= 1;
            assert!(!table.verify(first, &run), "a flipped bit");
        }
    }
}
