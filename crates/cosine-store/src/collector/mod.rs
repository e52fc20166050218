//! The collector: what nobody refers to goes, and nothing else ever does.
//!
//! It works from the index. A commit that drops a reference leaves a row; the collector starts from
//! those rows, in pages, and never walks the store to find garbage. Any number of collectors may run
//! at once, and each may end at any point: every step is one commit, conditioned on what it read.
//!
//! 1. [`released`]: a content that lost a reference. If nobody refers to it, it is *condemned*, one
//!    looks again, and it is removed and its blobs are *doomed*. A copy that meets it condemned
//!    pardons it.
//! 2. [`ended`]: an upload that is over lets go of what did not become part of an object.
//! 3. [`doomed`]: a doomed blob goes once the grace has passed.
//! 4. [`orphans`]: a run that fell silent is over; blobs that it left in the making are doomed.
//!    What nothing explains is put aside and reported.

mod doomed;
mod ended;
mod ledger;
mod orphans;
mod released;

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use cosine_blob::RunId;
use cosine_kv::{Found, Revision, Row, Scan};

use crate::{Error, Store, key};
use orphans::Sweep;

pub use ledger::Ledger;

/// This many steps fit one commit.
const PAGE: usize = 100;
/// A tick works off this many pages of each kind. So many blobs go together that there are several of
/// them in a directory, which is synced once.
const PAGES: usize = 10;

/// How patient a collector is.
#[derive(Clone, Copy, Debug)]
pub struct CollectorOptions {
    /// A doomed blob stays this long, and so do the slices of a content that goes: longer than the
    /// longest read, and than the age of any backup of the metadata that may ever be restored.
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
    ended: Queue,
    released: Queue,
    doomed: Queue,
}

/// Rows that are worked off in pages, round and round. Each page begins where the last one ended: an
/// engine walks over what was deleted at the head of a range for a long time.
#[derive(Debug)]
struct Queue {
    prefix: Vec<u8>,
    start: Vec<u8>,
    page: usize,
    /// Whether anything was done since the rows were last asked for at their head.
    worked: bool,
}

impl Queue {
    fn new(prefix: Vec<u8>, page: usize) -> Self {
        Self { start: prefix.clone(), prefix, page, worked: false }
    }

    /// The next page, and whether there is more behind it.
    async fn next(&mut self, store: &Store) -> Result<(Vec<(Vec<u8>, Row)>, bool), Error> {
        self.worked &= self.start != self.prefix;
        let scan = Scan { start: self.start.clone(), ..Scan::prefix(&self.prefix, self.page) };
        let (rows, more) = store.rows(scan).await?;
        self.start = match rows.last() {
            Some((last, _)) if more => [&last[..], &[0]].concat(),
            _ => self.prefix.clone(),
        };
        Ok((rows, more))
    }

    /// The next page is the first one again.
    fn rewind(&mut self) {
        self.start.clone_from(&self.prefix);
    }
}

impl Collector {
    /// A collector of this store.
    pub fn new(store: Store, options: CollectorOptions) -> Self {
        Self {
            store,
            options,
            heard: BTreeMap::new(),
            sweep: None,
            ended: Queue::new(key::all_ended(), PAGE),
            released: Queue::new(key::all_released(), PAGE),
            doomed: Queue::new(key::all_doomed(), PAGES * PAGE),
        }
    }

    /// Whether the grace has passed since then: microseconds since 1970 UTC.
    fn grace_has_passed(&self, since: u64) -> bool {
        let grace = u64::try_from(self.options.grace.as_micros()).unwrap_or(u64::MAX);
        since.saturating_add(grace) <= self.store.now()
    }

    /// Does a bounded piece of work.
    ///
    /// # Errors
    /// Those of the engines. What was done stays done; the next tick goes on.
    pub async fn tick(&mut self) -> Result<Collected, Error> {
        let mut done = Collected::default();
        let more_ended = self.clear_ended_uploads().await?;
        for _ in 0..PAGES {
            let page = self.work_off_released().await?;
            let is_last = !page.more;
            done += page;
            if is_last {
                break;
            }
        }
        // What was done may have let go of more; where all wait for their grace, so does the next tick.
        done.more = self.released.worked || more_ended;
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
    /// The rows of a range, and whether there are more.
    pub(crate) async fn rows(&self, scan: Scan) -> Result<(Vec<(Vec<u8>, Row)>, bool), Error> {
        let page = self.kv().scan(scan).await?;
        let row = |found| match found {
            Found::Row(key, row) => Some((key, row)),
            Found::CommonPrefix(_) => None,
        };
        Ok((page.found.into_iter().filter_map(row).collect(), page.more))
    }

    /// Whether any row has this prefix.
    pub(crate) async fn any(&self, prefix: &[u8]) -> Result<bool, Error> {
        Ok(!self.kv().scan(Scan::prefix(prefix, 1)).await?.found.is_empty())
    }
}
