//! How operations commit: read, decide, commit; on a conflict, again.

use cosine_kv::{Commit, Outcome};

use crate::{Error, Store};

/// An operation that loses this many times in a row gives up: the key is too hot.
pub const ATTEMPTS_MAX: usize = 200;

/// How often a commit whose outcome is unknown is sent again.
const UNKNOWN_MAX: usize = 3;

/// The row that tells whether a commit happened, where the engine cannot.
pub enum Proof {
    /// A row that this commit alone writes. It may be gone again by the time one looks.
    Present(Vec<u8>),
    /// A row that is there until this commit, or one to the same effect, removes it for good.
    Absent(Vec<u8>),
}

impl Store {
    /// Commits, and finds out what became of it. Returns `false` on a conflict: it did not happen.
    ///
    /// # Errors
    /// [`Error::Unknown`] if it may or may not have happened: then whatever it refers to must stay.
    pub(crate) async fn commit(&self, commit: Commit, proof: &Proof) -> Result<bool, Error> {
        let mut doubtful = false;
        for _ in 0..UNKNOWN_MAX {
            match self.kv().commit(commit.clone()).await? {
                Outcome::Committed(_) => return Ok(true),
                Outcome::Conflict if !doubtful => return Ok(false),
                Outcome::Conflict => return self.judge_conflict_in_doubt(proof).await,
                Outcome::Unknown if self.is_proven(proof).await? => return Ok(true),
                Outcome::Unknown => doubtful = true,
            }
        }
        Err(Error::Unknown)
    }

    async fn is_proven(&self, proof: &Proof) -> Result<bool, Error> {
        Ok(match proof {
            Proof::Present(key) => self.kv().get(key).await?.is_some(),
            Proof::Absent(key) => self.kv().get(key).await?.is_none(),
        })
    }

    /// The commit was sent again and conflicted: with itself, or with somebody else.
    async fn judge_conflict_in_doubt(&self, proof: &Proof) -> Result<bool, Error> {
        match (self.is_proven(proof).await?, proof) {
            (true, _) => Ok(true),
            (false, Proof::Absent(_)) => Ok(false),
            // Not written, or written and removed again by whoever came after.
            (false, Proof::Present(_)) => Err(Error::Unknown),
        }
    }
}
