//! Doomed blobs: deleted once the grace has passed.

use cosine_kv::{Condition, Write};

use crate::record::{DoomedRecord, Record};
use crate::{Error, key};

use super::ledger::{Step, Tally};
use super::{Collected, Collector, PAGE};

impl Collector {
    /// Deletes a page of the blobs whose grace has passed. That nobody refers to a blob then is
    /// final: a reference is only ever taken through a live content that holds one.
    pub(super) async fn delete_doomed(&mut self) -> Result<Collected, Error> {
        let (rows, more) = self.doomed.next(&self.store).await?;
        let (mut due, mut steps) = (Vec::new(), Vec::new());
        let mut all_due = true;
        for (key, row) in rows {
            let (at, blob) = key::doom_of(&key)
                .ok_or_else(|| Error::Damaged("a row of a doomed blob names none".into()))?;
            if !self.grace_has_passed(at) {
                all_due = false;
                self.doomed.rewind();
                break;
            }
            let bytes = DoomedRecord::decode(&key, &row.value)?.bytes;
            let mut tally = Tally::of_doom(bytes).taken_back();
            if !self.store.any(&key::blob_references(blob)).await? {
                due.push(blob);
                (tally.reclaimed_blobs, tally.reclaimed_bytes) = (1, bytes);
            }
            let conditions = vec![Condition::Unchanged(key.clone(), row.revision)];
            steps.push(Step { conditions, writes: vec![Write::Delete(key)], tally, gone: false });
        }
        // First the blobs, durably, then the rows: a crash between the two deletes them again.
        self.store.blobs().delete(&due).await?;
        let mut done = Collected { more: more && all_due, ..Collected::default() };
        for steps in steps.chunks(PAGE) {
            for (step, taken) in steps.iter().zip(self.take(steps).await?) {
                if taken.is_some() {
                    done.blobs += step.tally.reclaimed_blobs;
                    done.bytes += step.tally.reclaimed_bytes;
                }
            }
        }
        Ok(done)
    }
}
