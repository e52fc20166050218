//! Time, handed in.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

/// Completes when a time has passed.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the time comes from, so that tests never sleep for it.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// Microseconds since 1970 UTC. May stand still or step back; whoever needs order makes it.
    fn now_micros(&self) -> u64;

    /// Whole seconds since 1970 UTC.
    fn now_seconds(&self) -> u64 {
        self.now_micros() / 1_000_000
    }

    /// Time since some moment of this process. Never steps, whatever is done to the calendar: what
    /// silence and throttles are measured by.
    fn elapsed(&self) -> Duration;

    /// Completes when so much time has passed, as [`elapsed`](Self::elapsed) tells it.
    fn sleep(&self, time: Duration) -> Sleep;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn now_micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn elapsed(&self) -> Duration {
        ORIGIN.elapsed()
    }

    fn sleep(&self, time: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(time))
    }
}

/// A clock that stands where it is put.
#[derive(Debug, Default)]
pub struct ManualClock {
    calendar: AtomicU64,
    elapsed: Arc<AtomicU64>,
    advanced: Arc<Notify>,
}

impl ManualClock {
    /// A clock at this many microseconds since 1970 UTC.
    pub fn at(micros: u64) -> Self {
        Self { calendar: AtomicU64::new(micros), ..Self::default() }
    }

    /// Puts the calendar to this many microseconds since 1970 UTC: forward or back.
    pub fn set(&self, micros: u64) {
        self.calendar.store(micros, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.calendar.fetch_add(micros, Ordering::Relaxed);
        self.elapsed.fetch_add(micros, Ordering::Relaxed);
        self.advanced.notify_waiters();
    }
}

impl Clock for ManualClock {
    fn now_micros(&self) -> u64 {
        self.calendar.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.load(Ordering::Relaxed))
    }

    fn sleep(&self, time: Duration) -> Sleep {
        let due = self.elapsed() + time;
        let (elapsed, advanced) = (Arc::clone(&self.elapsed), Arc::clone(&self.advanced));
        Box::pin(async move {
            loop {
                // Before the look: an advance in between is not missed.
                let advance = advanced.notified();
                if Duration::from_micros(elapsed.load(Ordering::Relaxed)) >= due {
                    return;
                }
                advance.await;
            }
        })
    }
}
