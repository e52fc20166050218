//! The in-memory engine: the reference that the others are held against, and what `cosine dev`
//! runs on. Nothing survives the process.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;

use crate::{Commit, Error, Kv, Outcome, Page, Revision, Row, Scan, Write};

/// Rows in a sorted map.
#[derive(Debug, Default)]
pub struct Memory {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Vec<u8>, Row>,
    last_revision: u64,
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Kv for Memory {
    async fn get(&self, key: &[u8]) -> Result<Option<Row>, Error> {
        Ok(self.read().rows.get(key).cloned())
    }

    async fn scan_together(&self, scans: Vec<Scan>) -> Result<Vec<Page>, Error> {
        let state = self.read();
        let page = |scan: Scan| {
            scan.run(|scan| {
                let rows = match &scan.end {
                    Some(end) => state.rows.range(scan.start.clone()..end.clone()),
                    None => state.rows.range(scan.start.clone()..),
                };
                let item = |(key, row): (&Vec<u8>, &Row)| {
                    Ok((key.clone(), row.value.clone(), row.revision))
                };
                scan.direction.walk(rows.map(item))
            })
        };
        scans.into_iter().map(page).collect()
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        commit.check()?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let revision_of = |key: &[u8]| state.rows.get(key).map(|row| row.revision);
        if !commit.conditions.iter().all(|c| c.holds(revision_of(c.key()))) {
            return Ok(Outcome::Conflict);
        }
        state.last_revision += 1;
        let revision = Revision(state.last_revision);
        for write in commit.writes {
            match write {
                Write::Put(key, value) => drop(state.rows.insert(key, Row { value, revision })),
                Write::Delete(key) => drop(state.rows.remove(&key)),
            }
        }
        Ok(Outcome::Committed(revision))
    }

    fn exclusive(&self) -> bool {
        true
    }
}
