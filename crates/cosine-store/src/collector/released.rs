//! Contents that lost a reference: condemned, looked at again, removed.
//!
//! A content of one place is removed in one commit. One that is made of slices is taken apart: it lets go
//! of them page by page, each in a commit of its own, and of its row last. Nobody can refer to it by then,
//! and whoever finds it in the middle goes on. Before the first of these the grace passes: a read finds
//! where its bytes are page by page, on its way.

use std::collections::BTreeMap;

use cosine_blob::BlobId;
use cosine_kv::{Commit, Condition, Outcome, Revision, Row, Scan, Write};

use crate::id::Uid;
use crate::publish::let_go;
use crate::record::{
    Body, ContentRecord, ContentState, DamageRecord, DoomedRecord, PageRecord, Record,
    ReleasedRecord,
};
use crate::{Error, key};

use super::PAGES;
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
            let released_at = ReleasedRecord::decode(&key, &row.value).map_or(0, |row| row.at);
            let case = self.look(key, row).await?;
            match case.found {
                Content::There { ref record, .. }
                    if record.state == ContentState::Removing
                        && !self.grace_has_passed(released_at) => {}
                Content::There { ref record, revision, .. }
                    if record.state == ContentState::Removing =>
                {
                    match self.take_apart(&case, revision).await {
                        Err(Error::Damaged(what)) => {
                            tracing::error!(content = %case.uid, what, "it cannot be taken apart");
                        }
                        gone => {
                            done.contents += u64::from(gone?);
                            self.released.worked = true;
                        }
                    }
                }
                _ => cases.push(case),
            }
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
                found if taken.is_some() => {
                    done.kept += u64::from(matches!(found, Content::There { .. }));
                    self.released.worked = true;
                }
                _ => {}
            }
        }
        for (removal, taken) in removals.iter().zip(self.take(&removals).await?) {
            if taken.is_some() {
                self.released.worked = true;
                done.contents += u64::from(removal.gone);
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
        if self.store.kv().get(&key::ended(uid)).await?.is_some() {
            return Ok(None); // the parts that it was made of still say so, and are cleared away first
        }
        let key = key::content(uid);
        let conditions = vec![released.clone(), Condition::Unchanged(key.clone(), condemned)];
        let mut step = Step { conditions, ..Step::default() };
        match record.body {
            Body::Slices(_) => {
                let removing = ContentRecord { state: ContentState::Removing, ..record };
                step.writes.push(removing.put(key)?);
                let released = released.key().to_vec();
                step.writes.push(ReleasedRecord { at: self.store.now() }.put(released)?);
                return Ok(Some(step));
            }
            Body::Inline(_) => {
                step.writes.push(Write::Delete(key::inline(uid)));
                step.tally.reclaimed_inline = 1;
                step.tally.reclaimed_bytes = record.size;
            }
            Body::Blob { id, .. } => {
                let (blob, bytes) = (BlobId(id), record.size);
                step.writes.push(Write::Delete(key::blob_reference(blob, uid)));
                let doomed = key::doomed(self.store.now(), blob, Some(uid));
                step.writes.push(DoomedRecord { bytes }.put(doomed)?);
                step.tally = Tally::of_doom(bytes);
            }
        }
        step.gone = true;
        step.writes.extend([released.key().to_vec(), key, key::damage(uid)].map(Write::Delete));
        Ok(Some(step))
    }

    /// Takes a content apart that nobody can refer to any more; returns whether it is gone.
    async fn take_apart(&self, case: &Case, revision: Revision) -> Result<bool, Error> {
        let row = key::content(case.uid);
        let unchanged = Condition::Unchanged(row.clone(), revision);
        let (pages, more) = self.store.rows(Scan::prefix(&key::pages(case.uid), PAGES)).await?;
        for (page, found) in pages {
            let mut writes = BTreeMap::new();
            for slice in PageRecord::decode(&page, &found.value)?.slices {
                for write in let_go(slice.content, slice.holder, self.store.now())? {
                    writes.insert(write.key().to_vec(), write);
                }
            }
            let writes = writes.into_values().chain([Write::Delete(page)]).collect();
            let commit = Commit { conditions: vec![unchanged.clone()], writes };
            match self.store.kv().commit(commit).await? {
                Outcome::Committed(_) => {}
                Outcome::Conflict | Outcome::Unknown => return Ok(false),
            }
        }
        if more {
            return Ok(false);
        }
        let writes = [case.released.key().to_vec(), row, key::damage(case.uid)];
        let commit =
            Commit { conditions: vec![unchanged], writes: writes.map(Write::Delete).to_vec() };
        Ok(matches!(self.store.kv().commit(commit).await?, Outcome::Committed(_)))
    }
}
