//! Identities that the store makes.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use cosine_blob::{BlobId, RunId};
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
    /// The last millisecond and sequence given out, as one number.
    last: Mutex<u64>,
}

impl BlobIds {
    /// Ids of one run.
    pub fn new(run: RunId) -> Self {
        Self { run, last: Mutex::new(0) }
    }

    /// The next id.
    pub fn next(&self, now_micros: u64) -> BlobId {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = ((now_micros / 1000) << 16).max(*last + 1);
        BlobId::new(*last >> 16, *last as u16, self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_ids_rise_when_the_clock_stands_still_or_steps_back() {
        let ids = BlobIds::new(RunId(1));
        let given: Vec<BlobId> =
            [5_000, 5_000, 5_999, 1_000, 6_000].into_iter().map(|now| ids.next(now)).collect();
        assert!(given.windows(2).all(|pair| pair[0] < pair[1]), "{given:?}");
        let many: Vec<BlobId> = (0..70_000).map(|_| ids.next(6_000)).collect();
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
