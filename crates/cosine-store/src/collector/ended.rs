//! Uploads that are over: what did not become part of an object is let go of.

use std::collections::BTreeMap;

use cosine_kv::{Commit, Condition, Outcome, Row, Scan, Write};

use crate::id::Uid;
use crate::publish::let_go;
use crate::record::{EndedUploadRecord, PartRecord, Record};
use crate::slices::holders;
use crate::{Error, key};

use super::Collector;

/// So many parts are cleared away in one commit: three rows each.
const PARTS: usize = 300;

impl Collector {
    /// Clears away the parts of a page of uploads that are over; returns whether there are more.
    pub(super) async fn clear_ended_uploads(&mut self) -> Result<bool, Error> {
        let (ended, more) = self.ended.next(&self.store).await?;
        for (row, found) in ended {
            let Some(upload) = key::content_uid(&row) else { continue };
            match self.clear(upload, row, found).await {
                Err(Error::Damaged(what)) => {
                    tracing::error!(%upload, what, "parts of an upload that is over stay");
                }
                cleared => {
                    cleared?;
                    self.ended.worked = true;
                }
            }
        }
        Ok(more && self.ended.worked)
    }

    async fn clear(&self, upload: Uid, row: Vec<u8>, found: Row) -> Result<(), Error> {
        let unchanged = Condition::Unchanged(row.clone(), found.revision);
        EndedUploadRecord::decode(&row, &found.value)?;
        // What became part of an object has the object's content as its owner now.
        let kept = holders(self.store.kv(), upload).await?;
        loop {
            let (parts, more) = self.store.rows(Scan::prefix(&key::parts(upload), PARTS)).await?;
            let mut writes = BTreeMap::new();
            for (part, found) in parts {
                let record = PartRecord::decode(&part, &found.value)?;
                writes.insert(part.clone(), Write::Delete(part));
                if !kept.contains(&record.holder) {
                    for write in let_go(record.content, record.holder, self.store.now())? {
                        writes.insert(write.key().to_vec(), write);
                    }
                }
            }
            if !more {
                writes.insert(row.clone(), Write::Delete(row.clone()));
            }
            let writes = writes.into_values().collect();
            let commit = Commit { conditions: vec![unchanged.clone()], writes };
            // A conflict: another collector was faster.
            match self.store.kv().commit(commit).await? {
                Outcome::Committed(_) if more => {}
                _ => return Ok(()),
            }
        }
    }
}
