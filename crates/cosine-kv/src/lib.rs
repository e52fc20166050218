//! The metadata waist: an ordered map from bytes to bytes with three verbs.
//!
//! There are no interactive transactions. A caller reads, decides, and commits on the condition
//! that what it read is still so; on a conflict it reads again. Everything above this crate is
//! written against [`Kv`] alone, and every engine passes [`conformance`].

pub mod conformance;
pub mod embedded;
pub mod memory;
mod scan;

pub use embedded::Embedded;
pub use memory::Memory;
pub use scan::{Direction, Found, Page, Scan, Skip, successor};

use async_trait::async_trait;
use bytes::Bytes;

/// The state of one row at one time. Never reused, not even after the row was deleted and made
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A row as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The stored bytes.
    pub value: Bytes,
    /// Which state of the row this is.
    pub revision: Revision,
}

/// What must still be so for a commit to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no such row.
    Absent(Vec<u8>),
    /// The row is in this state.
    Unchanged(Vec<u8>, Revision),
}

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the row.
    Put(Vec<u8>, Bytes),
    /// Removes the row; removing what is not there is no error.
    Delete(Vec<u8>),
}

/// Conditions and writes that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// At most one a key.
    pub writes: Vec<Write>,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It happened, durably, and is visible; every row it put is at this revision.
    Committed(Revision),
    /// A condition did not hold; nothing was written.
    Conflict,
    /// Nobody can tell: the sync or the connection failed. The caller looks for the row that
    /// proves its commit.
    Unknown,
}

/// Why an engine did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The commit breaks a bound that every engine shares: the caller's mistake.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// The engine does not take commits any more: a sync failed, and until it is opened again
    /// nobody knows what is on the disk.
    #[error("the metadata engine is poisoned by a failed sync: restart to recover")]
    Poisoned,
    /// Another process has the engine open.
    #[error("another process has this data directory open")]
    Locked,
    /// The engine failed.
    #[error("metadata engine: {0}")]
    Engine(String),
}

/// A commit holds at most this many writes.
pub const WRITES_MAX: usize = 1000;
/// The keys and values of a commit hold at most this many bytes.
pub const COMMIT_BYTES_MAX: usize = 1 << 20;
/// A key holds at most this many bytes, so that every engine can index it.
pub const KEY_BYTES_MAX: usize = 2600;

impl Commit {
    /// Holds the commit against the bounds that every engine shares.
    ///
    /// # Errors
    /// [`Error::Refused`] for too many writes or bytes, too long a key, or a key written twice.
    pub fn check(&self) -> Result<(), Error> {
        if self.writes.len() > WRITES_MAX {
            return Err(Error::Refused("more than 1000 writes in a commit"));
        }
        let size = |write: &Write| match write {
            Write::Put(key, value) => key.len() + value.len(),
            Write::Delete(key) => key.len(),
        };
        if self.writes.iter().map(size).sum::<usize>() > COMMIT_BYTES_MAX {
            return Err(Error::Refused("more than 1 MiB in a commit"));
        }
        let mut keys: Vec<&[u8]> = self.writes.iter().map(Write::key).collect();
        if keys.iter().any(|key| key.len() > KEY_BYTES_MAX) {
            return Err(Error::Refused("a key is longer than 2600 bytes"));
        }
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(Error::Refused("a key is written twice in a commit"));
        }
        Ok(())
    }
}

impl Write {
    /// The key that is written.
    pub fn key(&self) -> &[u8] {
        match self {
            Write::Put(key, _) | Write::Delete(key) => key,
        }
    }
}

impl Condition {
    /// The key that is looked at.
    pub fn key(&self) -> &[u8] {
        match self {
            Condition::Absent(key) | Condition::Unchanged(key, _) => key,
        }
    }

    /// Whether the condition holds for a row in this state.
    pub fn holds(&self, current: Option<Revision>) -> bool {
        match self {
            Condition::Absent(_) => current.is_none(),
            Condition::Unchanged(_, revision) => current == Some(*revision),
        }
    }
}

/// Room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that are to stay free, so that a full disk never meets a commit. It is for the caller
    /// to grow nothing when less is free; what it removes needs a little room too.
    pub reserve: u64,
}

/// The waist itself.
#[async_trait]
pub trait Kv: std::fmt::Debug + Send + Sync + 'static {
    /// Reads one row.
    async fn get(&self, key: &[u8]) -> Result<Option<Row>, Error>;

    /// Reads one page of rows; a page is one snapshot.
    async fn scan(&self, scan: Scan) -> Result<Page, Error> {
        let mut pages = self.scan_together(vec![scan]).await?;
        Ok(pages.pop().unwrap_or_default())
    }

    /// Reads a page of each of several ranges, in their order; together they are one snapshot.
    async fn scan_together(&self, scans: Vec<Scan>) -> Result<Vec<Page>, Error>;

    /// Writes, if every condition holds. What is committed is durable and visible to every reader
    /// before this returns.
    async fn commit(&self, commit: Commit) -> Result<Outcome, Error>;

    /// Room on the disk; `None` where there is no disk to fill.
    ///
    /// # Errors
    /// [`Error::Engine`] if the disk does not tell.
    fn space(&self) -> Result<Option<Space>, Error> {
        Ok(None)
    }

    /// Whether a commit would be taken now.
    ///
    /// # Errors
    /// Those that every commit would end with.
    fn ready(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether no other process can have this engine open at the same time, so that every earlier
    /// run of the store is known to be over.
    fn exclusive(&self) -> bool;
}
