//! The scrub: reads every content now and then, so that damage is known before the bytes are needed.
//!
//! It goes through the contents in the order of their uids, at a bounded rate, and remembers in the
//! store how far it has come. On its way it counts what is live and what is shared. After each pass,
//! what ended runs left is swept once more: a process that was taken for dead may have finished a
//! blob since.

use std::collections::BTreeSet;
use std::time::Duration;

use cosine_kv::{Commit, Condition, Outcome, Row, Scan, Write};

use crate::damage::{self, Damage};
use crate::id::Uid;
use crate::list::after;
use crate::record::{Census, ContentRecord, DamageRecord, Record, ScrubRecord};
use crate::verify::{Depth, Pace, verify};
use crate::{Error, Store, key, run};

/// A tick ends after this many contents, ...
const CONTENTS: usize = 64;
/// ... or this many bytes.
const BYTES: u64 = 16 << 20;
/// References are counted in pages of this many.
const REFERENCES: usize = 1000;
/// What looking at a content costs beside its bytes.
const CONTENT_COST: u64 = 4096;

/// How hard a scrub works.
#[derive(Clone, Copy, Debug)]
pub struct ScrubOptions {
    /// Bytes read in a second, at most.
    pub bytes_per_second: u64,
    /// From the end of one pass to the beginning of the next.
    pub interval: Duration,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self { bytes_per_second: 16 << 20, interval: Duration::from_secs(7 * 86_400) }
    }
}

/// How far the scrub has come, and what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubStatus {
    /// Whether a pass is under way.
    pub running: bool,
    /// The pass under way, or the last one; 0 before the first.
    pub pass: u64,
    /// When it began, microseconds since 1970 UTC.
    pub began: u64,
    /// What it has seen so far.
    pub seen: Census,
    /// What the last complete pass saw.
    pub last: Census,
    /// When that one ended, microseconds since 1970 UTC.
    pub last_ended: Option<u64>,
    /// Contents that are known to be damaged.
    pub damaged: Vec<Damage>,
}

/// A scrub. All that it remembers is in the store.
#[derive(Debug)]
pub struct Scrub {
    store: Store,
    options: ScrubOptions,
}

impl Scrub {
    /// A scrub of this store.
    pub fn new(store: Store, options: ScrubOptions) -> Self {
        Self { store, options }
    }

    /// Goes on for a bounded piece, at the rate of the options; begins a pass if it is time for
    /// one. Returns whether a pass is under way.
    ///
    /// # Errors
    /// Those of the engines; damage is no error.
    pub async fn tick(&self) -> Result<bool, Error> {
        let (mut record, condition) = self.store.scrub_record().await?;
        if !record.running() {
            let interval = u64::try_from(self.options.interval.as_micros()).unwrap_or(u64::MAX);
            let due = record.last_ended.is_none_or(|at| at.saturating_add(interval) <= self.now());
            if !due {
                return Ok(false);
            }
            record.begin(self.now());
        }
        let cursor = record.cursor;
        self.go_on(&mut record).await?;
        if record.cursor == cursor {
            record.end(self.now());
            run::sweep_again(self.store.kv()).await?;
        }
        let commit =
            Commit { conditions: vec![condition], writes: vec![record.put(key::scrub())?] };
        // A conflict: another scrub was faster, and this tick was in vain.
        match self.store.kv().commit(commit).await? {
            Outcome::Committed(_) => Ok(record.running()),
            Outcome::Conflict | Outcome::Unknown => Ok(true),
        }
    }

    fn now(&self) -> u64 {
        self.store.now()
    }

    async fn go_on(&self, record: &mut ScrubRecord) -> Result<(), Error> {
        let mut scan = Scan::prefix(&key::contents(), CONTENTS);
        if let Some(cursor) = record.cursor {
            scan.start = [&key::content(cursor)[..], &[0]].concat();
        }
        let page = self.store.kv().scan(scan).await?;
        let mut read = 0;
        for found in page.found {
            let cosine_kv::Found::Row(key, row) = found else { continue };
            let Some(uid) = key::content_uid(&key) else { continue };
            read += self.look(uid, &key, &row, &mut record.seen).await?;
            record.cursor = Some(uid);
            if read >= BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Verifies one content, and counts it; returns its size.
    async fn look(&self, uid: Uid, key: &[u8], row: &Row, seen: &mut Census) -> Result<u64, Error> {
        let pace = Pace::at_most(self.options.bytes_per_second);
        pace.keep(CONTENT_COST).await;
        let unchanged = Condition::Unchanged(key.to_vec(), row.revision);
        let prefix = key::content_references(uid);
        let references = self.count_rows(&prefix).await?;
        if references == 0 {
            self.remember(uid, unchanged, None).await?; // it goes, whole or not
            return Ok(0);
        }
        let (size, wrong) = match ContentRecord::decode(key, &row.value) {
            Ok(content) => {
                let (kv, blobs) = (self.store.kv(), self.store.blobs());
                let how = (Depth::Bytes, pace, Some(&**self.store.key()));
                let wrong = verify(kv, blobs, (uid, &content), how).await?;
                seen.count(&content, references);
                (content.size, wrong)
            }
            Err(Error::Damaged(what)) => (0, Some(what)),
            Err(error) => return Err(error),
        };
        if self.remember(uid, unchanged, wrong).await? {
            seen.damaged += 1;
        }
        Ok(size)
    }

    /// How many rows have this prefix: a content may have millions of references.
    async fn count_rows(&self, prefix: &[u8]) -> Result<u64, Error> {
        let (mut count, mut scan) = (0, Scan::prefix(prefix, REFERENCES));
        loop {
            let (rows, more) = self.store.rows(scan.clone()).await?;
            count += rows.len() as u64;
            match rows.last() {
                Some((last, _)) if more => scan.start = after(last),
                _ => return Ok(count),
            }
        }
    }

    /// Remembers damage, or forgets it if the content is whole. A content that the collector was at
    /// meanwhile is neither.
    async fn remember(
        &self,
        uid: Uid,
        unchanged: Condition,
        wrong: Option<String>,
    ) -> Result<bool, Error> {
        let (kv, key) = (self.store.kv(), key::damage(uid));
        let write = match wrong {
            None if kv.get(&key).await?.is_none() => return Ok(false),
            None => Write::Delete(key),
            Some(what) => {
                let mut places = damage::objects_of(kv, &BTreeSet::from([uid])).await?;
                let objects = places.remove(&uid).unwrap_or_default();
                DamageRecord { at: self.now(), what, objects }.put(key)?
            }
        };
        let damaged = matches!(write, Write::Put(..));
        let commit = Commit { conditions: vec![unchanged], writes: vec![write] };
        let remembered = matches!(kv.commit(commit).await?, Outcome::Committed(_));
        if damaged && remembered {
            self.report(uid).await?;
        }
        Ok(damaged && remembered)
    }

    async fn report(&self, uid: Uid) -> Result<(), Error> {
        let key = key::damage(uid);
        let Some(row) = self.store.kv().get(&key).await? else { return Ok(()) };
        let DamageRecord { what, objects, .. } = DamageRecord::decode(&key, &row.value)?;
        for (bucket, key, version) in &objects {
            tracing::error!(bucket, key, version, content = %uid, what, "an object is damaged");
        }
        Ok(())
    }
}

impl ScrubRecord {
    fn running(&self) -> bool {
        self.pass > 0 && self.last_ended.is_none_or(|ended| ended < self.began)
    }

    fn begin(&mut self, now: u64) {
        self.pass += 1;
        self.began = self.last_ended.map_or(now, |ended| now.max(ended + 1));
        (self.cursor, self.seen) = (None, Census::default());
    }

    fn end(&mut self, now: u64) {
        (self.last, self.last_ended) = (self.seen, Some(now.max(self.began)));
    }
}

impl Census {
    /// Counts a content that so many versions, slices and parts refer to. The bytes of one that is made
    /// of slices are those of what it is made of.
    pub(crate) fn count(&mut self, content: &ContentRecord, references: u64) {
        let size = content.size;
        self.live += 1;
        self.live_bytes += if content.is_leaf() { size } else { 0 };
        if references > 1 {
            self.shared += 1;
            self.shared_bytes += size.saturating_mul(references - 1);
        }
    }
}

impl Store {
    /// How far the scrub has come, and what it knows.
    ///
    /// # Errors
    /// Those of the metadata engine.
    pub async fn scrub_status(&self) -> Result<ScrubStatus, Error> {
        let (record, _) = self.scrub_record().await?;
        let ScrubRecord { pass, began, seen, last, last_ended, .. } = record;
        let (running, damaged) = (record.running(), damage::known(self.kv()).await?);
        Ok(ScrubStatus { running, pass, began, seen, last, last_ended, damaged })
    }

    /// Begins a pass of the scrub now, from the start if one is under way.
    ///
    /// # Errors
    /// [`Error::Busy`] if a scrub is just then writing how far it has come.
    pub async fn begin_scrub(&self) -> Result<(), Error> {
        let (mut record, condition) = self.scrub_record().await?;
        record.begin(self.now());
        let commit =
            Commit { conditions: vec![condition], writes: vec![record.put(key::scrub())?] };
        match self.kv().commit(commit).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Conflict => Err(Error::Busy),
            Outcome::Unknown => Err(Error::Unknown),
        }
    }

    /// How far the scrub has come, and the condition that it is still so.
    pub(crate) async fn scrub_record(&self) -> Result<(ScrubRecord, Condition), Error> {
        self.kept(key::scrub()).await
    }
}
