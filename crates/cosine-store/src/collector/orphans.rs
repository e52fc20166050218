//! Runs that are over, and the blobs that they left in the making.

use std::collections::{BTreeMap, BTreeSet};

use cosine_blob::{BlobId, RunId};
use cosine_kv::{Condition, Found, Revision, Scan};

use crate::record::{ContentRecord, DoomedRecord, OverRecord, Record};
use crate::{Error, key, run};

use super::ledger::{Step, Tally};
use super::{Collected, Collector};

/// A sweep looks at this many names of blobs in a tick, ...
const NAMES: usize = 5000;
/// ... or at this many contents.
const CONTENTS: usize = 1000;

/// A walk over the names of all blobs for those of runs that are over and were not swept. What seems
/// to be an orphan is looked for in all contents before it is doomed: there are few orphans, and a
/// lost reference shall not cost an object. A process that ends in the middle begins again; dooming
/// twice does no harm.
#[derive(Debug)]
pub(super) struct Sweep {
    runs: BTreeMap<RunId, Revision>,
    orphans: BTreeSet<BlobId>,
    next: Next,
}

/// What a sweep does next.
#[derive(Debug)]
enum Next {
    /// Look at the names of blobs after this one.
    Names(Option<BlobId>),
    /// Look at the contents whose rows come after this key.
    Contents(Option<Vec<u8>>),
    /// Doom what is left.
    Doom,
}

impl Collector {
    /// Ends runs whose heart has not beaten for too long. The fence falls first; from then on the
    /// run cannot refer to what it has written, should it be alive after all.
    pub(super) async fn end_silent_runs(&mut self) -> Result<Collected, Error> {
        let mut done = Collected::default();
        let now = self.store.inner.options.clock.elapsed();
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
        let Some(mut sweep) = self.current_sweep().await? else { return Ok(Collected::default()) };
        let mut done = Collected::default();
        match sweep.next {
            Next::Names(after) => {
                let page = self.store.blobs().list(after, NAMES).await?;
                done.quarantined = self.look_at_names(&page, &mut sweep).await?;
                sweep.next = match page.last().copied() {
                    Some(last) => Next::Names(Some(last)),
                    None if sweep.orphans.is_empty() => Next::Doom,
                    None => Next::Contents(None),
                };
            }
            Next::Contents(after) => {
                let last = self.look_at_contents(after, &mut sweep.orphans).await?;
                sweep.next = last.map_or(Next::Doom, |last| Next::Contents(Some(last)));
            }
            Next::Doom => {
                done.orphans = self.doom_all(&sweep.orphans).await?;
                self.end_sweep(sweep).await?;
                return Ok(done);
            }
        }
        self.sweep = Some(sweep);
        done.more = true;
        Ok(done)
    }

    async fn current_sweep(&mut self) -> Result<Option<Sweep>, Error> {
        if let Some(sweep) = self.sweep.take() {
            return Ok(Some(sweep));
        }
        let (rows, _) = self.store.rows(Scan::prefix(&key::overs(), usize::MAX)).await?;
        let mut runs = BTreeMap::new();
        for (key, row) in rows {
            if !OverRecord::decode(&key, &row.value)?.swept {
                runs.extend(key::run_of(&key).map(|run| (run, row.revision)));
            }
        }
        let sweep = Sweep { runs, orphans: BTreeSet::new(), next: Next::Names(None) };
        Ok((!sweep.runs.is_empty()).then_some(sweep))
    }

    async fn end_sweep(&self, sweep: Sweep) -> Result<(), Error> {
        let step = |(run, revision)| {
            let key = key::over(run);
            let conditions = vec![Condition::Unchanged(key.clone(), revision)];
            let writes = vec![OverRecord { swept: true }.put(key)?];
            Ok(Step { conditions, writes, ..Step::default() })
        };
        let steps = sweep.runs.into_iter().map(step).collect::<Result<Vec<_>, Error>>()?;
        for page in steps.chunks(super::PAGE) {
            self.take(page).await?;
        }
        Ok(())
    }

    /// Remembers what seems to be an orphan in a page of names, and puts aside what nothing
    /// explains; returns how many blobs that were.
    async fn look_at_names(&self, page: &[BlobId], sweep: &mut Sweep) -> Result<u64, Error> {
        let mut quarantined = 0;
        // After the names: a run that has written one of them has left its row before.
        let kv = self.store.kv();
        let (standing, over) = (run::standing(kv).await?, run::over(kv).await?);
        for id in page {
            let (run, unknown) = (id.run(), !over.contains_key(&id.run()));
            let looked_at =
                sweep.runs.contains_key(&run) || (unknown && !standing.contains_key(&run));
            if !looked_at || self.store.any(&key::blob_references(*id)).await? {
                continue;
            }
            if unknown {
                self.put_aside(*id).await?;
                quarantined += 1;
            } else {
                sweep.orphans.insert(*id);
            }
        }
        Ok(quarantined)
    }

    /// Takes the blobs that a page of contents needs from the orphans; returns where the next page
    /// begins, if there is one. No run that is over can add a content any more.
    async fn look_at_contents(
        &self,
        after: Option<Vec<u8>>,
        orphans: &mut BTreeSet<BlobId>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut scan = Scan::prefix(&key::contents(), CONTENTS);
        if let Some(after) = after {
            scan.start = [&after[..], &[0]].concat();
        }
        let page = self.store.kv().scan(scan).await?;
        let mut last = None;
        for found in page.found {
            let Found::Row(key, row) = found else { continue };
            let content = ContentRecord::decode(&key, &row.value);
            last = Some(key);
            let blob = content.ok().and_then(|content| content.body.blob());
            if let Some(blob) = blob.filter(|blob| orphans.remove(blob)) {
                tracing::error!(%blob, "a content's reference to a blob is missing: run fsck");
            }
        }
        Ok(last.filter(|_| page.more))
    }

    async fn doom_all(&self, orphans: &BTreeSet<BlobId>) -> Result<u64, Error> {
        if orphans.is_empty() {
            return Ok(0);
        }
        let doomed = self.doomed_blobs().await?;
        let orphans: Vec<BlobId> = orphans.difference(&doomed).copied().collect();
        let mut count = 0;
        for page in orphans.chunks(super::PAGE) {
            let mut steps = Vec::with_capacity(page.len());
            for id in page {
                steps.push(self.doom(*id).await?);
            }
            count += self.take(&steps).await?.iter().flatten().count() as u64;
        }
        Ok(count)
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
        Ok(Step { conditions, writes, tally: Tally::of_doom(bytes), gone: false })
    }

    async fn doomed_blobs(&self) -> Result<BTreeSet<BlobId>, Error> {
        let (rows, _) = self.store.rows(Scan::prefix(&key::all_doomed(), usize::MAX)).await?;
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
