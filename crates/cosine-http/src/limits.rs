//! What clients may hold of a server: connections, requests, memory, and time.

use std::sync::Arc;
use std::time::Duration;

use cosine_wire::{ApiError, Code};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A request that finds a budget used up waits this long for others to end.
const PATIENCE: Duration = Duration::from_secs(1);
/// This many requests wait for a budget; one more is refused at once.
const QUEUE_MAX: usize = 1024;

/// How much of a server its clients may hold, all together, and for how long one may hold his part
/// without moving.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections.
    pub connections: u32,
    /// Requests under way, from their head to the end of their answer.
    pub requests: u32,
    /// Bytes of bodies that are in memory, on their way in or out.
    pub memory: u64,
    /// A connection without a request under way is closed after this long: the time for the first
    /// head with everything before it, for every later head, and for keeping still.
    pub header_time: Duration,
    /// A client that neither sends the body nor takes the answer that it owes for this long is
    /// given up.
    pub stall_time: Duration,
    /// After the word to stop, requests under way have this long.
    pub drain_time: Duration,
}

/// A part of a [`Budget`], given back when it is dropped.
pub type Share = OwnedSemaphorePermit;

/// There is nothing left, and waiting did not help.
#[derive(Debug, PartialEq, Eq)]
pub struct Exhausted;

impl From<Exhausted> for ApiError {
    fn from(_: Exhausted) -> Self {
        Code::SlowDown.into()
    }
}

/// Something that there is only so much of.
#[derive(Debug)]
pub struct Budget {
    left: Arc<Semaphore>,
    total: u32,
    /// What one permit stands for.
    unit: u64,
    queue: Semaphore,
}

impl Budget {
    /// A budget of `total`, counted in whole `unit`s.
    pub fn new(total: u64, unit: u64) -> Self {
        let total = u32::try_from(total / unit).unwrap_or(u32::MAX);
        let left = Arc::new(Semaphore::new(total as usize));
        Self { left, total, unit, queue: Semaphore::new(QUEUE_MAX) }
    }

    /// Takes a share. What is more than there is at all is taken for all there is, so that a large
    /// request can be served when it is alone.
    ///
    /// # Errors
    /// [`Exhausted`] if it does not come free in time, or too many wait already.
    pub async fn take(&self, amount: u64) -> Result<Share, Exhausted> {
        self.take_permits(self.permits(amount)).await
    }

    /// Takes as much more as is missing to `amount`.
    ///
    /// # Errors
    /// As [`take`](Self::take); what is held already is kept.
    pub async fn grow(&self, share: &mut Option<Share>, amount: u64) -> Result<(), Exhausted> {
        let held = share.as_ref().map_or(0, |share| share.num_permits());
        let missing = (self.permits(amount) as usize).saturating_sub(held);
        let Some(missing) = u32::try_from(missing).ok().filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let more = self.take_permits(missing).await?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }

    fn permits(&self, amount: u64) -> u32 {
        u32::try_from(amount.div_ceil(self.unit)).unwrap_or(u32::MAX).min(self.total)
    }

    async fn take_permits(&self, permits: u32) -> Result<Share, Exhausted> {
        if let Ok(share) = Arc::clone(&self.left).try_acquire_many_owned(permits) {
            return Ok(share);
        }
        let _place = self.queue.try_acquire().map_err(|_| Exhausted)?;
        let share = Arc::clone(&self.left).acquire_many_owned(permits);
        let share = tokio::time::timeout(PATIENCE, share).await;
        share.ok().and_then(Result::ok).ok_or(Exhausted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_share_comes_back_when_it_is_dropped() {
        let budget = Budget::new(10 << 10, 1 << 10);
        let large = budget.take(9 << 10).await.unwrap();
        let small = budget.take(1).await.unwrap();
        assert_eq!(budget.take(1).await.unwrap_err(), Exhausted);
        drop(small);
        let small = budget.take(1 << 10).await.unwrap();
        let (waited, ()) = tokio::join!(budget.take(2 << 10), async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop((large, small));
        });
        drop(waited.unwrap());
        assert_eq!(budget.left.available_permits(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_grows_to_all_there_is_and_no_further() {
        let budget = Budget::new(10 << 10, 1 << 10);
        let mut share = None;
        for (amount, held) in [(0, 0), (4 << 10, 4), (1, 4), (99 << 10, 10), (99 << 10, 10)] {
            budget.grow(&mut share, amount).await.unwrap();
            assert_eq!(share.as_ref().map_or(0, Share::num_permits), held, "{amount}");
        }
        assert_eq!(budget.grow(&mut None, 1).await, Err(Exhausted));
        drop(share);
        assert_eq!(budget.left.available_permits(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait() {
        let budget = Arc::new(Budget::new(1, 1));
        let _all = budget.take(1).await.unwrap();
        let wait = |_| {
            let budget = Arc::clone(&budget);
            tokio::spawn(async move { budget.take(1).await.map(drop) })
        };
        let waiting: Vec<_> = (0..QUEUE_MAX).map(wait).collect();
        while budget.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let asked = tokio::time::Instant::now();
        assert!(budget.take(1).await.is_err());
        assert_eq!(asked.elapsed(), Duration::ZERO, "one too many waits");
        for one in waiting {
            assert_eq!(one.await.unwrap(), Err(Exhausted));
        }
        assert!((PATIENCE..PATIENCE * 2).contains(&asked.elapsed()));
    }
}
