//! Time, handed in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from, so that tests never sleep for it.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// Microseconds since 1970 UTC. May stand still or step back; whoever needs order makes it.
    fn now_micros(&self) -> u64;

    /// Whole seconds since 1970 UTC.
    fn now_seconds(&self) -> u64 {
        self.now_micros() / 1_000_000
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands where it is put.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock at this many microseconds since 1970 UTC.
    pub fn at(micros: u64) -> Self {
        Self(AtomicU64::new(micros))
    }

    /// Puts the clock to this many microseconds since 1970 UTC.
    pub fn set(&self, micros: u64) {
        self.0.store(micros, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
