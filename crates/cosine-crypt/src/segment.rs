//! Sealed segments: bytes of any length under one key, of which any range can be opened by itself.
//!
//! A run of bytes is cut into segments of 64 KiB, each sealed by AES-256-GCM with the segment's place as
//! nonce. The last one is always shorter than the others, empty if need be, and sealed as the last: so
//! a run that was cut, or whose segments were swapped, repeated or changed, does not open. The key
//! seals one blob and nothing else: its data, and the table of the data's checksums.

use std::ops::Range;

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use bytes::Bytes;

use crate::{Key, SealError};

/// Bytes in a segment before it is sealed; the last one holds fewer.
pub const SEGMENT_BYTES: u64 = 64 << 10;
/// What sealing adds to each segment.
pub const TAG_BYTES: u64 = 16;
/// A whole segment as it is stored.
const STORED_BYTES: u64 = SEGMENT_BYTES + TAG_BYTES;

/// What a run of segments is of. One key seals one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The bytes themselves.
    Data = 0,
    /// The table of their running checksums.
    Table = 1,
}

/// Bytes of a run of `length` bytes once it is sealed; `None` for more than can be.
pub const fn sealed_length(length: u64) -> Option<u64> {
    match (length / SEGMENT_BYTES + 1).checked_mul(TAG_BYTES) {
        Some(tags) => length.checked_add(tags),
        None => None,
    }
}

/// Where the segments lie that hold `range`, which is not empty, of a run of `length` bytes, among its
/// stored bytes. `None` for a range behind the end.
pub fn stored_range(length: u64, range: &Range<u64>) -> Option<Range<u64>> {
    if range.is_empty() || range.end > length {
        return None;
    }
    let end = (range.end - 1) / SEGMENT_BYTES + 1;
    let first = (range.start / SEGMENT_BYTES).checked_mul(STORED_BYTES)?;
    Some(first..end.checked_mul(STORED_BYTES)?.min(sealed_length(length)?))
}

/// Seals and opens the segments of one run.
pub struct Segments {
    cipher: LessSafeKey,
    stream: Stream,
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segments").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Segments {
    /// Those of a stream under a key.
    ///
    /// # Errors
    /// [`SealError::Unsealable`], if the cipher refuses the key: it never does.
    pub fn new(key: &Key, stream: Stream) -> Result<Self, SealError> {
        Ok(Self { cipher: key.cipher()?, stream })
    }

    /// The number of a segment is in its nonce, and with whether it is the last, in the data that is
    /// authenticated with it.
    fn labels(&self, number: u64, is_last: bool) -> (Nonce, Aad<[u8; 9]>) {
        let mut nonce = [0; NONCE_LEN];
        let mut label = [0; 9];
        if let Some((stream, place)) = nonce.split_first_chunk_mut::<4>() {
            *stream = (self.stream as u32).to_be_bytes();
            place.copy_from_slice(&number.to_be_bytes());
        }
        if let Some((last, place)) = label.split_last_mut() {
            *last = u8::from(is_last);
            place.copy_from_slice(&number.to_be_bytes());
        }
        (Nonce::assume_unique_for_key(nonce), Aad::from(label))
    }

    fn seal_one(
        &self,
        (number, is_last): (u64, bool),
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let (nonce, label) = self.labels(number, is_last);
        let at = out.len();
        out.extend_from_slice(plain);
        let text = out.get_mut(at..).ok_or(SealError::Unsealable)?;
        let tag = self.cipher.seal_in_place_separate_tag(nonce, label, text);
        out.extend_from_slice(tag.map_err(|_| SealError::Unsealable)?.as_ref());
        Ok(())
    }

    fn open_one(&self, (number, is_last): (u64, bool), sealed: &mut [u8]) -> Result<(), SealError> {
        let (nonce, label) = self.labels(number, is_last);
        let opened = self.cipher.open_in_place(nonce, label, sealed);
        opened.map(drop).map_err(|_| SealError::Unsealable)
    }

    /// Opens the segments that hold `range` of a run of `length` bytes: `stored` is what lies in its
    /// [`stored_range`]. What comes back is the range, and no byte more.
    ///
    /// # Errors
    /// [`SealError::Unsealable`] if any of them is not what was sealed there.
    pub fn open(
        &self,
        length: u64,
        range: &Range<u64>,
        mut stored: Vec<u8>,
    ) -> Result<Bytes, SealError> {
        let wanted = stored_range(length, range).ok_or(SealError::Unsealable)?;
        if stored.len() as u64 != wanted.end - wanted.start {
            return Err(SealError::Unsealable);
        }
        let (first, last) = (range.start / SEGMENT_BYTES, length / SEGMENT_BYTES);
        for (number, sealed) in (first..).zip(stored.chunks_mut(STORED_BYTES as usize)) {
            self.open_one((number, number == last), sealed)?;
        }
        join_opened(&mut stored);
        let begin = first * SEGMENT_BYTES;
        let (from, to) = (range.start - begin, range.end - begin);
        Ok(Bytes::from(stored).slice(from as usize..to as usize))
    }

    /// Opens a whole run.
    ///
    /// # Errors
    /// [`SealError::Unsealable`] if it is not what was sealed, whole.
    pub fn open_whole(&self, mut stored: Vec<u8>) -> Result<Vec<u8>, SealError> {
        // A run that ends where a segment does lacks its last one.
        if (stored.len() as u64).is_multiple_of(STORED_BYTES) {
            return Err(SealError::Unsealable);
        }
        let last = stored.len() as u64 / STORED_BYTES;
        for (number, sealed) in (0..).zip(stored.chunks_mut(STORED_BYTES as usize)) {
            self.open_one((number, number == last), sealed)?;
        }
        join_opened(&mut stored);
        Ok(stored)
    }
}

/// Closes the gaps that tags leave between opened segments, and cuts the last one off.
fn join_opened(opened: &mut Vec<u8>) {
    let (mut from, mut to) = (0, 0);
    while from < opened.len() {
        let stored = (opened.len() - from).min(STORED_BYTES as usize);
        let plain = stored.saturating_sub(TAG_BYTES as usize);
        opened.copy_within(from..from + plain, to);
        (from, to) = (from + stored, to + plain);
    }
    opened.truncate(to);
}

/// Seals a run from its first byte to its last.
#[derive(Debug)]
pub struct Sealer {
    segments: Segments,
    next: u64,
}

impl Sealer {
    /// The run of a stream under a key.
    ///
    /// # Errors
    /// As for [`Segments::new`].
    pub fn new(key: &Key, stream: Stream) -> Result<Self, SealError> {
        Ok(Self { segments: Segments::new(key, stream)?, next: 0 })
    }

    /// Seals the next bytes, which are whole segments.
    ///
    /// # Errors
    /// [`SealError::Unsealable`] if they are not: the caller's mistake.
    pub fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if !(plain.len() as u64).is_multiple_of(SEGMENT_BYTES) {
            return Err(SealError::Unsealable);
        }
        self.seal_segments(plain, 0)
    }

    /// Seals the rest, which may be nothing.
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub fn finish(mut self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let whole = plain.len() - plain.len() % SEGMENT_BYTES as usize;
        let (front, last) = plain.split_at(whole);
        let room = last.len() + TAG_BYTES as usize;
        let mut out = self.seal_segments(front, room)?;
        self.segments.seal_one((self.next, true), last, &mut out)?;
        Ok(out)
    }

    fn seal_segments(&mut self, plain: &[u8], room: usize) -> Result<Vec<u8>, SealError> {
        let whole = plain.chunks(SEGMENT_BYTES as usize);
        let mut out = Vec::with_capacity(whole.len() * STORED_BYTES as usize + room);
        for segment in whole {
            self.segments.seal_one((self.next, false), segment, &mut out)?;
            self.next += 1;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
