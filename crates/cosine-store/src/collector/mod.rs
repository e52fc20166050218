//! The collector: what nobody refers to goes, and nothing else ever does.
//!
//! It works from the index. A commit that drops a reference leaves a row; the collector starts from
//! those rows, in pages, and never walks the store to find garbage. Any number of collectors may run
//! at once, and each may end at any point: every step is one commit, conditioned on what it read.
//!
//! 1. [`released`]: a content that lost a reference. If nobody refers to it, it is *condemned*, one
//!    looks again, and it is removed and its blobs are *doomed*. A copy that meets it condemned
//!    pardons it.
//! 2. [`doomed`]: a doomed blob goes once the grace has passed.
//! 3. [`orphans`]: a run that fell silent is over; blobs that it left in the making are doomed.
//!    What nothing explains is put aside and reported.

mod doomed;
mod ledger;
mod orphans;
mod released;

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use cosine_blob::RunId;
use cosine_kv::{Found, Revision, Row, Scan};

use crate::{Error, Store};
use orphans::Sweep;

pub use ledger::Ledger;

/// A tick takes this many rows of each kind. Together they fit one commit.
const PAGE: usize = 100;

/// How patient a collector is.
#[derive(Clone, Copy, Debug)]
pub struct CollectorOptions {
    /// A doomed blob stays this long: longer than the longest read, and than the age of any backup
    /// of the metadata that may ever be restored.
    pub grace: Duration,
    /// A run that has not been heard of for this long is over. Measured by this process's own
    /// monotonic clock, from when it first saw the heartbeat.
    pub silence: Duration,
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Self { grace: Duration::from_secs(3600), silence: Duration::from_secs(300) }
    }
}

/// What a collector did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Contents that were removed.
    pub contents: u64,
    /// Contents that turned out to be referred to.
    pub kept: u64,
    /// Blobs that were deleted.
    pub blobs: u64,
    /// Bytes of data in the blobs that were deleted and in inline contents that were removed.
    pub bytes: u64,
    /// Runs that were found to be over.
    pub runs: u64,
    /// Blobs that were doomed since their run ended before anyone referred to them.
    pub orphans: u64,
    /// Blobs that were put aside, since nothing explains them.
    pub quarantined: u64,
    /// Whether there is more to do at once.
    pub more: bool,
}

impl AddAssign for Collected {
    fn add_assign(&mut self, other: Self) {
        self.contents += other.contents;
        self.kept += other.kept;
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.runs += other.runs;
        self.orphans += other.orphans;
        self.quarantined += other.quarantined;
        self.more |= other.more;
    }
}

/// One collector. What it remembers is how long runs have been silent, and how far a sweep has come;
/// all else is in the store.
#[derive(Debug)]
pub struct Collector {
    store: Store,
    options: CollectorOptions,
    /// In which state each run's heartbeat was seen, and since when.
    heard: BTreeMap<RunId, (Option<Revision>, Duration)>,
    sweep: Option<Sweep>,
}

impl Collector {
    /// A collector of this store.
    pub fn new(store: Store, options: CollectorOptions) -> Self {
        Self { store, options, heard: BTreeMap::new(), sweep: None }
    }

    /// Does a bounded piece of work.
    ///
    /// # Errors
    /// Those of the engines. What was done stays done; the next tick goes on.
    pub async fn tick(&mut self) -> Result<Collected, Error> {
        let mut done = self.work_off_released().await?;
        done += self.delete_doomed().await?;
        done += self.end_silent_runs().await?;
        done += self.sweep_orphans().await?;
        Ok(done)
    }

    /// Ticks until there is nothing to do but wait.
    ///
    /// # Errors
    /// As for [`tick`](Self::tick).
    pub async fn run(&mut self) -> Result<Collected, Error> {
        let mut total = Collected::default();
        loop {
            let done = self.tick().await?;
            total += done;
            if !done.more {
                return Ok(Collected { more: false, ..total });
            }
        }
    }
}

impl Store {
    /// The rows behind a prefix, up to `limit`, and whether there are more.
    async fn rows(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<(Vec<(Vec<u8>, Row)>, bool), Error> {
        let page = self.kv().scan(Scan::prefix(prefix, limit)).await?;
        let row = |found| match found {
            Found::Row(key, row) => Some((key, row)),
            Found::CommonPrefix(_) => None,
        };
        Ok((page.found.into_iter().filter_map(row).collect(), page.more))
    }

    /// Whether any row has this prefix.
    async fn any(&self, prefix: &[u8]) -> Result<bool, Error> {
        Ok(!self.kv().scan(Scan::prefix(prefix, 1)).await?.found.is_empty())
    }
}
