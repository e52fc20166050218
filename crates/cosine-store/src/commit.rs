//! How operations commit: read, decide, commit; on a conflict, again.

use cosine_kv::{Commit, Outcome};

use crate::{Error, Store};

/// An operation that loses this many times in a row gives up: the key is too hot.
pub const ATTEMPTS_MAX: usize = 200;

/// How often a commit whose outcome is unknown is sent again.
const UNKNOWN_MAX: usize = 3;

impl Store {
    /// Commits, and finds out what became of it. `proof` is a row that this commit alone writes:
    /// where the engine cannot tell, the row can. Returns `false` on a conflict.
    pub(crate) async fn commit(&self, commit: Commit, proof: &[u8]) -> Result<bool, Error> {
        let mut doubtful = false;
        for _ in 0..UNKNOWN_MAX {
            match self.kv().commit(commit.clone()).await? {
                Outcome::Committed(_) => return Ok(true),
                Outcome::Conflict if !doubtful => return Ok(false),
                Outcome::Conflict => return Ok(self.kv().get(proof).await?.is_some()),
                Outcome::Unknown if self.kv().get(proof).await?.is_some() => return Ok(true),
                Outcome::Unknown => doubtful = true,
            }
        }
        Err(Error::Unknown)
    }
}
