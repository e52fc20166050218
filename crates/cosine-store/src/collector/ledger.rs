//! The ledger: what collectors did, kept in the very commits in which they did it.

use cosine_kv::{Commit, Condition, Outcome, Revision, Scan, Write};

use crate::record::{ContentRecord, ContentState, LedgerRecord, Record};
use crate::{Error, Store, key};

use super::Collector;

/// A step of a collector: what it depends on, what it writes, what it means for the ledger.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub conditions: Vec<Condition>,
    pub writes: Vec<Write>,
    pub tally: Tally,
    /// Whether a content is gone with it.
    pub gone: bool,
}

/// A change of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub doomed_blobs: i64,
    pub doomed_bytes: i64,
    pub reclaimed_blobs: u64,
    pub reclaimed_inline: u64,
    pub reclaimed_bytes: u64,
    pub quarantined_blobs: u64,
}

impl Tally {
    /// A blob is doomed.
    pub fn of_doom(bytes: u64) -> Self {
        let doomed_bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        Self { doomed_blobs: 1, doomed_bytes, ..Self::default() }
    }

    /// A blob is doomed no more.
    pub fn taken_back(self) -> Self {
        let (doomed_blobs, doomed_bytes) = (-self.doomed_blobs, -self.doomed_bytes);
        Self { doomed_blobs, doomed_bytes, ..self }
    }

    fn apply(self, ledger: &mut LedgerRecord) {
        ledger.doomed_blobs = ledger.doomed_blobs.saturating_add_signed(self.doomed_blobs);
        ledger.doomed_bytes = ledger.doomed_bytes.saturating_add_signed(self.doomed_bytes);
        ledger.reclaimed_blobs += self.reclaimed_blobs;
        ledger.reclaimed_inline += self.reclaimed_inline;
        ledger.reclaimed_bytes += self.reclaimed_bytes;
        ledger.quarantined_blobs += self.quarantined_blobs;
    }
}

impl Collector {
    /// Takes steps, all in one commit; if somebody else was at one of them, each in its own. Says of
    /// each at which revision it happened; `None` if it did not, or nobody can tell: then the next
    /// tick finds what there is.
    pub(super) async fn take(&self, steps: &[Step]) -> Result<Vec<Option<Revision>>, Error> {
        if steps.is_empty() {
            return Ok(vec![]);
        }
        match self.take_together(steps).await? {
            Outcome::Committed(revision) => return Ok(vec![Some(revision); steps.len()]),
            Outcome::Unknown => return Ok(vec![None; steps.len()]),
            Outcome::Conflict => {}
        }
        let mut taken = Vec::with_capacity(steps.len());
        for step in steps {
            taken.push(match self.take_together(std::slice::from_ref(step)).await? {
                Outcome::Committed(revision) => Some(revision),
                Outcome::Conflict | Outcome::Unknown => None,
            });
        }
        Ok(taken)
    }

    async fn take_together(&self, steps: &[Step]) -> Result<Outcome, Error> {
        let mut commit = Commit::default();
        for step in steps {
            commit.conditions.extend(step.conditions.iter().cloned());
            commit.writes.extend(step.writes.iter().cloned());
        }
        if steps.iter().any(|step| step.tally != Tally::default()) {
            let (mut ledger, condition) = self.store.ledger_record().await?;
            steps.iter().for_each(|step| step.tally.apply(&mut ledger));
            commit.conditions.push(condition);
            commit.writes.push(ledger.put(key::ledger())?);
        }
        Ok(self.store.kv().commit(commit).await?)
    }
}

/// What becomes of the bytes in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Contents that lost a reference and were not looked at yet.
    pub released: u64,
    /// Of these, contents that are condemned.
    pub condemned: u64,
    /// Bytes in them.
    pub condemned_bytes: u64,
    /// What collectors did.
    pub collected: LedgerRecord,
    /// Contents in use, as the last complete pass of the scrub found them.
    pub census: crate::record::Census,
    /// When that pass ended, microseconds since 1970 UTC.
    pub census_at: Option<u64>,
}

impl Store {
    /// What becomes of the bytes in the store. Reads the contents that wait for a collector, of
    /// which there are few while one runs.
    ///
    /// # Errors
    /// Those of the engines.
    pub async fn ledger(&self) -> Result<Ledger, Error> {
        let mut ledger = Ledger { collected: self.ledger_record().await?.0, ..Ledger::default() };
        let (waiting, _) = self.rows(Scan::prefix(&key::all_released(), usize::MAX)).await?;
        ledger.released = waiting.len() as u64;
        for (released, _) in waiting {
            let Some(uid) = key::content_uid(&released) else { continue };
            let content = key::content(uid);
            let Some(row) = self.kv().get(&content).await? else { continue };
            let Ok(record) = ContentRecord::decode(&content, &row.value) else { continue };
            if record.state == ContentState::Condemned {
                ledger.condemned += 1;
                ledger.condemned_bytes += record.size;
            }
        }
        let scrub = self.scrub_record().await?.0;
        (ledger.census, ledger.census_at) = (scrub.last, scrub.last_ended);
        Ok(ledger)
    }

    async fn ledger_record(&self) -> Result<(LedgerRecord, Condition), Error> {
        self.kept(key::ledger()).await
    }

    /// A record that the store keeps one of, as it was read or else empty, and the condition that
    /// it is still so.
    pub(crate) async fn kept<R: Record + Default>(
        &self,
        key: Vec<u8>,
    ) -> Result<(R, Condition), Error> {
        match self.kv().get(&key).await? {
            Some(row) => {
                Ok((R::decode(&key, &row.value)?, Condition::Unchanged(key, row.revision)))
            }
            None => Ok((R::default(), Condition::Absent(key))),
        }
    }
}
