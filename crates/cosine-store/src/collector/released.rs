//! Contents that lost a reference: condemned, looked at again, removed.

use std::collections::BTreeMap;

use cosine_kv::{Condition, Revision, Row, Write};

use crate::id::Uid;
use crate::record::{Body, ContentRecord, ContentState, DamageRecord, DoomedRecord, Record};
use crate::{Error, key};

use super::ledger::{Step, Tally};
use super::{Collected, Collector};

/// A content that lost a reference, as it was found.
struct Case {
    uid: Uid,
    /// Its row in the collector's list.
    released: Condition,
    found: Content,
}

/// What became of it.
enum Content {
    /// It has been removed already.
    Gone,
    /// Its record cannot be read.
    Damaged(String),
    /// It is there.
    There { record: ContentRecord, revision: Revision, referenced: bool },
}

impl Collector {
    /// Deals with a page of the contents that lost a reference.
    pub(super) async fn work_off_released(&mut self) -> Result<Collected, Error> {
        let (rows, more) = self.released.next(&self.store).await?;
        let mut done = Collected { more, ..Collected::default() };
        let mut cases = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            cases.push(self.look(key, row).await?);
        }
        let firsts: Vec<Step> =
            cases.iter().map(|case| self.first(case)).collect::<Result<_, _>>()?;
        let taken = self.take(&firsts).await?;
        let mut removals = Vec::new();
        for (case, taken) in cases.into_iter().zip(taken) {
            match case.found {
                Content::There { record, referenced: false, .. } => {
                    if let Some(condemned) = taken {
                        removals
                            .extend(self.again(case.uid, case.released, record, condemned).await?);
                    }
                }
                Content::There { .. } if taken.is_some() => done.kept += 1,
                _ => {}
            }
        }
        for (removal, taken) in removals.iter().zip(self.take(&removals).await?) {
            if taken.is_some() {
                done.contents += 1;
                done.bytes += removal.tally.reclaimed_bytes;
            }
        }
        Ok(done)
    }

    async fn look(&self, released: Vec<u8>, row: Row) -> Result<Case, Error> {
        let malformed = || Error::Damaged("a row of the collector's list names no content".into());
        let uid = key::content_uid(&released).ok_or_else(malformed)?;
        let released = Condition::Unchanged(released, row.revision);
        let key = key::content(uid);
        let found = match self.store.kv().get(&key).await? {
            None => Content::Gone,
            Some(row) => match ContentRecord::decode(&key, &row.value) {
                Err(Error::Damaged(what)) => Content::Damaged(what),
                record => {
                    let record = record?;
                    // After the row: a reference that is taken later has the row as a condition.
                    let referenced = self.store.any(&key::content_references(uid)).await?;
                    Content::There { record, revision: row.revision, referenced }
                }
            },
        };
        Ok(Case { uid, released, found })
    }

    /// The first step with a content. One that nobody refers to is condemned, again if need be, so
    /// that the condemnation is this collector's own.
    fn first(&self, case: &Case) -> Result<Step, Error> {
        let mut step = Step { conditions: vec![case.released.clone()], ..Step::default() };
        match &case.found {
            Content::Gone => {
                step.writes.push(Write::Delete(case.released.key().to_vec()));
                step.writes.push(Write::Delete(key::damage(case.uid)));
            }
            Content::Damaged(what) => {
                let (at, objects) = (self.store.now(), Vec::new());
                tracing::error!(content = %case.uid, what, "a content is damaged, and stays");
                let damage = DamageRecord { at, what: what.clone(), objects };
                step.writes.push(Write::Delete(case.released.key().to_vec()));
                step.writes.push(damage.put(key::damage(case.uid))?);
            }
            Content::There { record, revision, referenced } => {
                let key = key::content(case.uid);
                let state = if *referenced { ContentState::Live } else { ContentState::Condemned };
                if *referenced && record.state == ContentState::Live {
                    step.writes.push(Write::Delete(case.released.key().to_vec()));
                } else {
                    step.conditions.push(Condition::Unchanged(key.clone(), *revision));
                    step.writes.push(ContentRecord { state, ..record.clone() }.put(key)?);
                }
            }
        }
        Ok(step)
    }

    /// The second look at a content that this collector has condemned. Whoever takes a reference
    /// from now on rewrites the content's row, so what is not referred to now can go as long as
    /// the row is unchanged.
    async fn again(
        &self,
        uid: Uid,
        released: Condition,
        record: ContentRecord,
        condemned: Revision,
    ) -> Result<Option<Step>, Error> {
        if self.store.any(&key::content_references(uid)).await? {
            return Ok(None); // the next tick takes the condemnation back
        }
        let key = key::content(uid);
        let mut step = Step::default();
        step.writes.push(Write::Delete(released.key().to_vec()));
        step.writes.push(Write::Delete(key.clone()));
        step.writes.push(Write::Delete(key::damage(uid)));
        step.conditions = vec![released, Condition::Unchanged(key, condemned)];
        match record.body {
            Body::Inline => {
                step.writes.push(Write::Delete(key::inline(uid)));
                step.tally.reclaimed_inline = 1;
                step.tally.reclaimed_bytes = record.size;
            }
            Body::Extents(extents) => {
                let mut blobs = BTreeMap::new();
                for extent in &extents {
                    *blobs.entry(extent.blob()).or_insert(0) += extent.length;
                }
                let now = self.store.now();
                for (blob, bytes) in blobs {
                    step.writes.push(Write::Delete(key::blob_reference(blob, uid)));
                    step.writes.push(DoomedRecord { bytes }.put(key::doomed(
                        now,
                        blob,
                        Some(uid),
                    ))?);
                    let doom = Tally::of_doom(bytes);
                    step.tally.doomed_blobs += doom.doomed_blobs;
                    step.tally.doomed_bytes += doom.doomed_bytes;
                }
            }
        }
        Ok(Some(step))
    }
}
