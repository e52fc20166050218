//! Identities that the store makes.

use std::sync::{Mutex, PoisonError};

use cosine_blob::{BlobId, RunId};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The internal identity of a bucket, a version or a content: random, and never used again. It is
/// not the public version id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Uid(pub [u8; 16]);

impl Uid {
    /// A new one.
    pub fn random() -> Result<Self, Error> {
        Ok(Self(random()?))
    }
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::System(error.to_string()))?;
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
