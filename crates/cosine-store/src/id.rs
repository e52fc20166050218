//! Identities that the store makes.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use cosine_blob::{BlobId, PoolId, RunId};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The internal identity of a bucket, a version or a content: random, and never used again. It is
/// not the public version id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uid(pub [u8; 16]);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What clients name an upload by: the second in which it began, since 1970 UTC, in ten digits, and 32 random bytes
/// in lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadId {
    seconds: u32,
    random: [u8; 32],
}

impl UploadId {
    /// Bytes of one as it is stored.
    pub(crate) const BYTES: usize = 36;
    /// Characters of one as clients see it.
    const CHARACTERS: usize = 74;

    pub(crate) fn new(seconds: u32, random: [u8; 32]) -> Self {
        Self { seconds, random }
    }

    /// Reads what clients send; `None` for what was never given out.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if text.len() != Self::CHARACTERS || !text.as_bytes().iter().all(digits) {
            return None;
        }
        let (seconds, hex) = text.split_at_checked(10)?;
        let mut random = [0; 32];
        for (byte, pair) in random.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self { seconds: seconds.parse().ok()?, random })
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (front, rest) = bytes.split_at_mut(4);
        front.copy_from_slice(&self.seconds.to_be_bytes());
        rest.copy_from_slice(&self.random);
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (mut seconds, mut random) = ([0; 4], [0; 32]);
        let (front, rest) = bytes.split_at(4);
        seconds.copy_from_slice(front);
        random.copy_from_slice(rest);
        Self { seconds: u32::from_be_bytes(seconds), random }
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.seconds)?;
        self.random.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where random bytes come from, so that a test can run twice the same way.
pub trait Random: std::fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes`. What is drawn must not be guessable, nor come again.
    ///
    /// # Errors
    /// [`Error::System`] if there are none.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error>;
}

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(bytes).map_err(|error| Error::System(error.to_string()))
    }
}

/// `N` random bytes.
pub fn random<const N: usize>(source: &dyn Random) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    source.fill(&mut bytes)?;
    Ok(bytes)
}

/// Gives out blob ids that rise, whatever the clock does.
#[derive(Debug)]
pub struct BlobIds {
    run: RunId,
    /// Milliseconds times the sequences in one, and the sequence: the last one given out.
    last: Mutex<u64>,
}

impl BlobIds {
    /// Ids of one run.
    pub fn new(run: RunId) -> Self {
        Self { run, last: Mutex::new(0) }
    }

    /// The next id, of a blob in `pool`.
    pub fn next(&self, now_micros: u64, pool: PoolId) -> BlobId {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (now_micros / 1000 * BlobId::SEQUENCES).max(*last + 1);
        let (millisecond, sequence) = (*last / BlobId::SEQUENCES, *last % BlobId::SEQUENCES);
        BlobId::new(millisecond, pool, sequence as u16, self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_ids_rise_when_the_clock_stands_still_or_steps_back() {
        let ids = BlobIds::new(RunId(1));
        let given: Vec<BlobId> = [5_000, 5_000, 5_999, 1_000, 6_000]
            .into_iter()
            .map(|now| ids.next(now, PoolId::default()))
            .collect();
        assert!(given.windows(2).all(|pair| pair[0] < pair[1]), "{given:?}");
        let many: Vec<BlobId> = (0..70_000).map(|_| ids.next(6_000, PoolId::default())).collect();
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn upload_ids_survive_both_forms() {
        let id = UploadId::new(1_586_542_830, [0xa5; 32]);
        let text = id.to_string();
        assert_eq!(text.len(), 74);
        assert_eq!(UploadId::parse(&text), Some(id));
        assert_eq!(UploadId::from_bytes(id.to_bytes()), id);
        for bad in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &"9".repeat(74)] {
            assert_eq!(UploadId::parse(bad), None, "{bad}");
        }
    }
}
