//! This process's run on the store: its fence and its heartbeat.
//!
//! A blob in the making is referred to by nobody, and must not be taken for an orphan. So every
//! commit that first refers to a blob has the condition that its run's fence stands unchanged, and
//! a collector that takes a run for dead removes the fence before it touches the run's blobs.

use cosine_blob::RunId;
use cosine_kv::{Commit, Condition, Found, Kv, Outcome, Revision, Scan, Write};

use crate::clock::Clock;
use crate::record::{FenceRecord, HeartbeatRecord, Record};
use crate::{Error, id, key};

/// A run that has begun.
#[derive(Debug)]
pub struct Run {
    pub id: RunId,
    fence: Revision,
}

impl Run {
    /// Begins a run. Where the engine can be open only once, every earlier run is known to be over,
    /// and its fence falls.
    pub async fn start(kv: &dyn Kv, clock: &dyn Clock) -> Result<Self, Error> {
        if kv.exclusive() {
            remove_rows(kv, &key::fences()).await?;
            remove_rows(kv, &key::heartbeats()).await?;
        }
        let id = RunId(u64::from_be_bytes(id::random()?));
        let now = clock.now_micros();
        let commit = Commit {
            conditions: vec![Condition::Absent(key::fence(id))],
            writes: vec![
                Write::Put(key::fence(id), FenceRecord { began: now }.encode()?),
                Write::Put(key::heartbeat(id), HeartbeatRecord { at: now }.encode()?),
            ],
        };
        match kv.commit(commit).await? {
            Outcome::Committed(fence) => Ok(Self { id, fence }),
            Outcome::Conflict | Outcome::Unknown => Err(Error::Unknown),
        }
    }

    /// The condition of every commit that first refers to a blob of this run.
    pub fn stands(&self) -> Condition {
        Condition::Unchanged(key::fence(self.id), self.fence)
    }

    /// Whether the fence has fallen.
    pub async fn is_over(&self, kv: &dyn Kv) -> Result<bool, Error> {
        let row = kv.get(&key::fence(self.id)).await?;
        Ok(row.is_none_or(|row| row.revision != self.fence))
    }

    /// Says that the run is alive.
    pub async fn beat(&self, kv: &dyn Kv, clock: &dyn Clock) -> Result<(), Error> {
        let beat = HeartbeatRecord { at: clock.now_micros() }.encode()?;
        let commit = Commit {
            conditions: vec![self.stands()],
            writes: vec![Write::Put(key::heartbeat(self.id), beat)],
        };
        match kv.commit(commit).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Conflict => Err(Error::Fenced),
            Outcome::Unknown => Err(Error::Unknown),
        }
    }
}

/// Whether a run may still be at work.
pub async fn is_alive(kv: &dyn Kv, run: RunId) -> Result<bool, Error> {
    Ok(kv.get(&key::fence(run)).await?.is_some())
}

async fn remove_rows(kv: &dyn Kv, prefix: &[u8]) -> Result<(), Error> {
    loop {
        let page = kv.scan(Scan::prefix(prefix, cosine_kv::WRITES_MAX)).await?;
        if page.found.is_empty() {
            return Ok(());
        }
        let delete = |found| match found {
            Found::Row(key, _) | Found::CommonPrefix(key) => Write::Delete(key),
        };
        let writes = page.found.into_iter().map(delete).collect();
        match kv.commit(Commit { conditions: vec![], writes }).await? {
            Outcome::Committed(_) => {}
            Outcome::Conflict | Outcome::Unknown => return Err(Error::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Engines, Store, SystemClock};

    #[tokio::test]
    async fn a_run_without_its_fence_is_not_ready() {
        let kv = Arc::new(cosine_kv::Memory::default());
        let blobs = Arc::new(cosine_blob::Memory::default());
        let engines = Engines { kv: Arc::clone(&kv) as Arc<dyn Kv>, blobs };
        let store = Store::open(engines, Arc::new(SystemClock)).await.unwrap();
        assert!(store.ready().await.is_ok());
        remove_rows(&*kv, &key::fences()).await.unwrap();
        assert!(matches!(store.ready().await, Err(Error::Fenced)));
    }
}
