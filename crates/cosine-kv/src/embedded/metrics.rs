//! What the engine tells of itself.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Batches are counted by powers of two, up to the largest there can be.
const BATCH_SIZES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// From a disk that has a cache with a battery to one that is about to fail, seconds.
const SYNC_SECONDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// The engine's figures. Clones show the same ones; the committer's thread alone writes the
/// histograms, so that their locks are free.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) commits: Counter,
    pub(super) conflicts: Counter,
    pub(super) batch_commits: Histogram,
    pub(super) sync_seconds: Histogram,
    pub(super) queue: Gauge,
    pub(super) poisoned: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            commits: Counter::default(),
            conflicts: Counter::default(),
            batch_commits: Histogram::new(BATCH_SIZES),
            sync_seconds: Histogram::new(SYNC_SECONDS),
            queue: Gauge::default(),
            poisoned: Gauge::default(),
        }
    }
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { commits, conflicts, batch_commits, sync_seconds, queue, poisoned } =
            self.clone();
        registry.register("kv_commits", "Metadata commits that happened", commits);
        registry.register(
            "kv_conflicts",
            "Metadata commits that were refused since a condition did not hold; the callers read \
             again and retry",
            conflicts,
        );
        registry.register(
            "kv_batch_commits",
            "Commits that shared one write to the journal, and one sync",
            batch_commits,
        );
        registry.register_with_unit(
            "kv_sync",
            "Time to write a batch to the journal and sync it",
            Unit::Seconds,
            sync_seconds,
        );
        registry.register("kv_queue_depth", "Commits that wait for the next batch", queue);
        registry.register(
            "kv_poisoned",
            "1 after a failed sync: no writes are taken until a restart",
            poisoned,
        );
    }
}
