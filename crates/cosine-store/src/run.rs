//! Runs: one for each process on a store, with a fence and a heartbeat.
//!
//! A blob in the making is referred to by nobody, and must not be taken for an orphan. So every
//! commit that first refers to a blob has the condition that its run's fence stands unchanged, and
//! whoever takes a run for dead removes the fence before anyone touches the run's blobs.

use std::collections::BTreeMap;

use cosine_blob::RunId;
use cosine_kv::{Commit, Condition, Found, Kv, Outcome, Revision, Scan, Write};

use crate::clock::Clock;
use crate::id::Random;
use crate::record::{FenceRecord, HeartbeatRecord, OverRecord, Record};
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
    pub async fn start(kv: &dyn Kv, clock: &dyn Clock, random: &dyn Random) -> Result<Self, Error> {
        if kv.exclusive() {
            for (run, fence) in standing(kv).await? {
                if !end(kv, run, vec![Condition::Unchanged(key::fence(run), fence)]).await? {
                    return Err(Error::Unknown);
                }
            }
        }
        let id = RunId(u64::from_be_bytes(id::random(random)?));
        let now = clock.now_micros();
        let commit = Commit {
            conditions: vec![Condition::Absent(key::fence(id)), Condition::Absent(key::over(id))],
            writes: vec![
                FenceRecord { began: now }.put(key::fence(id))?,
                HeartbeatRecord { at: now }.put(key::heartbeat(id))?,
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
        let beat = HeartbeatRecord { at: clock.now_micros() };
        let commit = Commit {
            conditions: vec![self.stands()],
            writes: vec![beat.put(key::heartbeat(self.id))?],
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

/// The runs whose fence stands, and in which state.
pub async fn standing(kv: &dyn Kv) -> Result<BTreeMap<RunId, Revision>, Error> {
    runs(kv, &key::fences()).await
}

/// When the runs were last heard of: which state their heartbeats are in.
pub async fn heard(kv: &dyn Kv) -> Result<BTreeMap<RunId, Revision>, Error> {
    runs(kv, &key::heartbeats()).await
}

/// The runs that are over, swept or not.
pub async fn over(kv: &dyn Kv) -> Result<BTreeMap<RunId, Revision>, Error> {
    runs(kv, &key::overs()).await
}

/// Ends a run: its fence falls, and its orphans may be looked for. `false` if a condition did not
/// hold, or nobody can tell.
pub async fn end(kv: &dyn Kv, run: RunId, conditions: Vec<Condition>) -> Result<bool, Error> {
    let writes = vec![
        Write::Delete(key::fence(run)),
        Write::Delete(key::heartbeat(run)),
        OverRecord { swept: false }.put(key::over(run))?,
    ];
    let outcome = kv.commit(Commit { conditions, writes }).await?;
    Ok(matches!(outcome, Outcome::Committed(_)))
}

/// Has the blobs of all runs that are over swept once more.
pub async fn sweep_again(kv: &dyn Kv) -> Result<(), Error> {
    for (run, revision) in over(kv).await? {
        let key = key::over(run);
        let commit = Commit {
            conditions: vec![Condition::Unchanged(key.clone(), revision)],
            writes: vec![OverRecord { swept: false }.put(key)?],
        };
        // A conflict or a doubt: the next pass says it again.
        let _ = kv.commit(commit).await?;
    }
    Ok(())
}

/// The rows of a kind that are keyed by run. There are few: one for each start of a process.
async fn runs(kv: &dyn Kv, prefix: &[u8]) -> Result<BTreeMap<RunId, Revision>, Error> {
    let page = kv.scan(Scan::prefix(prefix, usize::MAX)).await?;
    let mut runs = BTreeMap::new();
    for found in page.found {
        if let Found::Row(key, row) = found {
            let run = key::run_of(&key);
            let run = run.ok_or_else(|| Error::Damaged("a row of a run has no run".into()))?;
            runs.insert(run, row.revision);
        }
    }
    Ok(runs)
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
        let master = Arc::new(cosine_crypt::MasterKeys::parse(&"5a".repeat(32)).unwrap());
        let store = Store::open(engines, Arc::new(SystemClock), master).await.unwrap();
        assert!(store.ready().await.is_ok());
        assert!(end(&*kv, store.inner.run.id, vec![]).await.unwrap());
        assert!(matches!(store.ready().await, Err(Error::Fenced)));
    }
}
