//! What a connection is doing, and since when it is doing nothing.
//!
//! One rule for every way in which a client can hold a connection without using it, whatever the
//! protocol: while an operation works there is no limit; while a client owes us a read, it has the
//! stall time; and while there is no request under way, the header time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What is going on on one connection.
#[derive(Debug)]
pub struct Activity {
    born: Instant,
    /// When something last moved, in milliseconds after `born`.
    moved: AtomicU64,
    working: AtomicU32,
    sending: AtomicU32,
    /// The socket took less than it was given.
    blocked: AtomicBool,
}

/// How long a connection may be without a movement.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a request under way.
    pub idle: Duration,
    /// With an answer that the client does not take.
    pub stalled: Duration,
}

impl Activity {
    /// Of a connection that begins now.
    pub fn begin() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            moved: AtomicU64::new(0),
            working: AtomicU32::new(0),
            sending: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
        })
    }

    /// An operation is at work until the guard is dropped.
    pub fn work(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Ordering::AcqRel);
        Working(Arc::clone(self))
    }

    /// An answer is on its way until the guard is dropped.
    pub fn send(self: &Arc<Self>) -> Sending {
        self.sending.fetch_add(1, Ordering::AcqRel);
        Sending(Arc::clone(self))
    }

    fn touch(&self) {
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.fetch_max(since, Ordering::Release);
    }

    /// The socket takes what it is given, or does not.
    pub fn set_blocked(&self, is_blocked: bool) {
        if is_blocked {
            self.blocked.store(true, Ordering::Release);
        } else if self.blocked.load(Ordering::Acquire) {
            self.touch();
            self.blocked.store(false, Ordering::Release);
        }
    }

    /// When there is no more patience; `None` while we work.
    fn due(&self, patience: Patience) -> Option<Instant> {
        if self.working.load(Ordering::Acquire) > 0 {
            return None;
        }
        let owes_a_read =
            self.sending.load(Ordering::Acquire) > 0 || self.blocked.load(Ordering::Acquire);
        let moved = self.born + Duration::from_millis(self.moved.load(Ordering::Acquire));
        Some(moved + if owes_a_read { patience.stalled } else { patience.idle })
    }

    /// Whether nothing has moved for as long as there is patience.
    pub fn is_over(&self, patience: Patience) -> bool {
        self.due(patience).is_some_and(|due| due <= Instant::now())
    }

    /// Completes when nothing has moved for as long as there is patience.
    pub async fn standstill(&self, patience: Patience) {
        // No state can run out sooner than this after it began, so looking this often is enough.
        let shortest = patience.idle.min(patience.stalled);
        loop {
            let now = Instant::now();
            let look_again = match self.due(patience) {
                Some(due) if due <= now => return,
                Some(due) => due.min(now + shortest),
                None => now + shortest,
            };
            tokio::time::sleep_until(look_again).await;
        }
    }
}

/// An operation at work. Dropping it is a movement.
#[derive(Debug)]
pub struct Working(Arc<Activity>);

impl Working {
    /// More work on the same connection.
    pub fn again(&self) -> Self {
        self.0.work()
    }

    /// The answer to what is worked on, on its way.
    pub fn send(&self) -> Sending {
        self.0.send()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.touch();
        self.0.working.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer on its way. Dropping it is a movement.
#[derive(Debug)]
pub struct Sending(Arc<Activity>);

impl Sending {
    /// Another piece of the answer was asked for.
    pub fn moved(&self) {
        self.0.touch();
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.touch();
        self.0.sending.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { idle: Duration::from_secs(30), stalled: Duration::from_secs(60) };

    /// How long it takes until the connection is given up, if nothing else happens.
    async fn given_up_after(activity: &Activity) -> u64 {
        let asked = Instant::now();
        activity.standstill(PATIENCE).await;
        asked.elapsed().as_secs()
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_state_has_its_time_counted_from_the_last_movement() {
        let activity = Activity::begin();
        pass(10).await;
        assert_eq!(given_up_after(&activity).await, 20, "no request yet: counted from the start");
        let working = activity.work();
        pass(1000).await;
        let sending = working.send();
        drop(working);
        assert_eq!(given_up_after(&activity).await, 60, "an answer that nobody takes");
        sending.moved();
        assert_eq!(given_up_after(&activity).await, 60, "a piece was taken");
        drop(sending);
        assert_eq!(given_up_after(&activity).await, 30, "no request any more");
        activity.touch();
        activity.set_blocked(true);
        assert_eq!(given_up_after(&activity).await, 60, "the end of an answer lies in the buffers");
        activity.set_blocked(false);
        assert_eq!(given_up_after(&activity).await, 30, "it was taken");
    }

    #[tokio::test(start_paused = true)]
    async fn what_begins_and_ends_while_one_waits_is_seen_in_time() {
        let activity = Activity::begin();
        let (waited, ()) = tokio::join!(given_up_after(&activity), async {
            pass(29).await;
            let working = activity.work();
            pass(100).await;
            let sending = working.send();
            drop(working);
            pass(50).await;
            drop(sending);
        });
        assert_eq!(waited, 29 + 100 + 50 + 30);
    }
}
