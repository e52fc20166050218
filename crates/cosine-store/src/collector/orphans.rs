//! Runs that are over, and the blobs that they left in the making.

use std::collections::{BTreeMap, BTreeSet};

use cosine_blob::{BlobId, RunId};
use cosine_kv::{Condition, Revision};

use crate::record::{DoomedRecord, OverRecord, Record};
use crate::{Error, key, run};

use super::ledger::{Step, Tally};
use super::{Collected, Collector};

/// A sweep looks at this many names of blobs in a tick.
const NAMES: usize = 5000;

/// A walk over the names of all blobs for those of runs that are over and were not swept. A process
/// that ends in the middle begins again; dooming twice does no harm.
#[derive(Debug)]
pub(super) struct Sweep {
    runs: BTreeMap<RunId, Revision>,
    after: Option<BlobId>,
}

impl Collector {
    /// Ends runs whose heart has not beaten for too long. The fence falls first; from then on the
    /// run cannot refer to what it has written, should it be alive after all.
    pub(super) async fn end_silent_runs(&mut self) -> Result<Collected, Error> {
        let mut done = Collected::default();
        let now = self.store.inner.clock.elapsed();
        let kv = self.store.kv();
        let standing = run::standing(kv).await?;
        let beats = run::heard(kv).await?;
        self.heard.retain(|run, _| standing.contains_key(run));
        for (run, fence) in standing {
            if run == self.store.inner.run.id {
                continue;
            }
            let beat = beats.get(&run).copied();
            let (seen, since) = self.heard.entry(run).or_insert((beat, now));
            if *seen != beat {
                (*seen, *since) = (beat, now);
            } else if now.saturating_sub(*since) >= self.options.silence {
                let heartbeat = key::heartbeat(run);
                let silent = match beat {
                    Some(beat) => Condition::Unchanged(heartbeat, beat),
                    None => Condition::Absent(heartbeat),
                };
                let stands = Condition::Unchanged(key::fence(run), fence);
                if run::end(kv, run, vec![stands, silent]).await? {
                    tracing::warn!(run = run.0, "a run fell silent and was ended");
                    done.runs += 1;
                }
            }
        }
        Ok(done)
    }

    /// Goes on with the sweep under way, or begins one if a run has ended since the last.
    pub(super) async fn sweep_orphans(&mut self) -> Result<Collected, Error> {
        let Some(sweep) = self.current_sweep().await? else { return Ok(Collected::default()) };
        let page = self.store.blobs().list(sweep.after, NAMES).await?;
        let Some(last) = page.last().copied() else {
            self.end_sweep(sweep).await?;
            return Ok(Collected::default());
        };
        let mut done = self.deal_with(&page, &sweep.runs).await?;
        self.sweep = Some(Sweep { after: Some(last), ..sweep });
        done.more = true;
        Ok(done)
    }

    async fn current_sweep(&mut self) -> Result<Option<Sweep>, Error> {
        if let Some(sweep) = self.sweep.take() {
            return Ok(Some(sweep));
        }
        let (rows, _) = self.store.rows(&key::overs(), usize::MAX).await?;
        let mut runs = BTreeMap::new();
        for (key, row) in rows {
            if !OverRecord::decode(&key, &row.value)?.swept {
                runs.extend(key::run_of(&key).map(|run| (run, row.revision)));
            }
        }
        Ok((!runs.is_empty()).then_some(Sweep { runs, after: None }))
    }

    async fn end_sweep(&self, sweep: Sweep) -> Result<(), Error> {
        let step = |(run, revision)| {
            let key = key::over(run);
            let conditions = vec![Condition::Unchanged(key.clone(), revision)];
            let writes = vec![OverRecord { swept: true }.put(key)?];
            Ok(Step { conditions, writes, tally: Tally::default() })
        };
        let steps = sweep.runs.into_iter().map(step).collect::<Result<Vec<_>, Error>>()?;
        for page in steps.chunks(super::PAGE) {
            self.take(page).await?;
        }
        Ok(())
    }

    /// Dooms the orphans in a page of names, and puts aside what nothing explains.
    async fn deal_with(
        &self,
        page: &[BlobId],
        ended: &BTreeMap<RunId, Revision>,
    ) -> Result<Collected, Error> {
        let mut done = Collected::default();
        // After the names: a run that has written one of them has left its row before.
        let kv = self.store.kv();
        let (standing, over) = (run::standing(kv).await?, run::over(kv).await?);
        let mut orphans = Vec::new();
        for id in page {
            let (run, unknown) = (id.run(), !over.contains_key(&id.run()));
            let looked_at = ended.contains_key(&run) || (unknown && !standing.contains_key(&run));
            if !looked_at || self.store.any(&key::blob_references(*id)).await? {
                continue;
            }
            if unknown {
                self.put_aside(*id).await?;
                done.quarantined += 1;
            } else {
                orphans.push(*id);
            }
        }
        if !orphans.is_empty() {
            let doomed = self.doomed_blobs().await?;
            orphans.retain(|id| !doomed.contains(id));
        }
        for page in orphans.chunks(super::PAGE) {
            let mut steps = Vec::with_capacity(page.len());
            for id in page {
                steps.push(self.doom(*id).await?);
            }
            done.orphans += self.take(&steps).await?.iter().flatten().count() as u64;
        }
        Ok(done)
    }

    async fn doom(&self, orphan: BlobId) -> Result<Step, Error> {
        // One that was never finished has no length that anyone knows.
        let bytes = match self.store.blobs().open(orphan).await {
            Ok(blob) => blob.finished().length,
            Err(_) => 0,
        };
        let key = key::doomed(self.store.now(), orphan, None);
        let conditions = vec![Condition::Absent(key.clone())];
        let writes = vec![DoomedRecord { bytes }.put(key)?];
        Ok(Step { conditions, writes, tally: Tally::of_doom(bytes) })
    }

    async fn doomed_blobs(&self) -> Result<BTreeSet<BlobId>, Error> {
        let (rows, _) = self.store.rows(&key::all_doomed(), usize::MAX).await?;
        Ok(rows.iter().filter_map(|(key, _)| key::doom_of(key)).map(|(_, blob)| blob).collect())
    }

    async fn put_aside(&self, id: BlobId) -> Result<(), Error> {
        tracing::error!(blob = %id, "nobody refers to a blob of a run that nobody knows: it is put aside");
        self.store.blobs().quarantine(id).await?;
        let tally = Tally { quarantined_blobs: 1, ..Tally::default() };
        self.take(&[Step { tally, ..Step::default() }]).await?;
        Ok(())
    }
}
