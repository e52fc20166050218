//! fsck: every promise about the store at rest, checked from scratch, and mended where it can be.
//!
//! It works on the engines of a stopped store, and believes nothing that can be derived: references
//! are recounted, every record is read, every blob is opened. Without `repair` it writes nothing.

mod blobs;
mod contents;
mod identities;
mod objects;
mod recode;
mod references;
mod repair;
mod rows;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};

use cosine_blob::{BlobId, Blobs, RunId, StoreId};
use cosine_kv::{Found, Kv, Row, Scan};
use serde::Serialize;

use crate::damage::Place;
use crate::id::Uid;
use crate::record::{Record, StoreRecord};
use crate::{Clock, Engines, Error, SystemClock, key};
#[doc(hidden)]
pub use recode::recode_row;
use repair::Mend;

/// Rows are read in pages of this many.
const PAGE: usize = 1000;
/// This many findings are kept with their mends; a repair of more takes several rounds.
const FINDINGS_MAX: usize = 10_000;
/// A repair goes on for so many rounds: what one mends may show what the next has to.
const REPAIRS_MAX: usize = 4;

/// What to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsckOptions {
    /// Read every byte of every content.
    pub deep: bool,
    /// Mend what can be mended.
    pub repair: bool,
}

/// What is wrong with a thing. Each has a name in reports, and stands for one thing that a sound
/// store does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Metadata and blobs belong to different stores.
    WrongStore,
    /// A record of a format that a newer program wrote.
    NewerFormat,
    /// A record that is not what was written.
    DamagedRecord,
    /// A row of which nobody knows what it is, or that belongs to nothing.
    StrayRow,
    /// A row that can be derived from others is missing or says something else: a head, an ACL, a
    /// row of the collector's list.
    StaleRow,
    /// Something refers to a thing, and its reference is missing.
    MissingReference,
    /// A reference from something that does not exist, or does not refer.
    StrayReference,
    /// An object whose bytes are missing, or not what was written.
    DamagedObject,
    /// A blob that nobody refers to, nobody doomed, and no run left behind.
    UnexplainedBlob,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub flaw: Flaw,
    /// Where: a row's key in hex, a content, a blob, an object.
    pub subject: String,
    /// What is wrong with it.
    pub what: String,
    /// Whether it can be mended.
    pub mendable: bool,
    #[serde(skip)]
    mend: Mend,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows of metadata.
    pub rows: u64,
    /// Buckets.
    pub buckets: u64,
    /// Versions of objects.
    pub versions: u64,
    /// Delete markers.
    pub delete_markers: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Parts of uploads.
    pub parts: u64,
    /// Contents, referred to or not.
    pub contents: u64,
    /// Bytes in them.
    pub content_bytes: u64,
    /// References to contents and to blobs.
    pub references: u64,
    /// Blobs.
    pub blobs: u64,
    /// Blobs that wait for their grace to pass.
    pub doomed_blobs: u64,
    /// Blobs that a run left in the making: the collector dooms them.
    pub orphaned_blobs: u64,
    /// Blobs that were put aside earlier.
    pub quarantined_blobs: u64,
    /// Bytes that were read and verified.
    pub verified_bytes: u64,
}

/// What came out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What was counted.
    pub counts: Counts,
    /// What is wrong; the first ten thousand.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub flaws: u64,
    /// What was wrong before and is mended.
    pub mended: Vec<Finding>,
    /// Whether a newer program wrote any of it.
    #[serde(skip)]
    is_newer: bool,
}

impl Report {
    /// Whether all is sound.
    pub fn is_sound(&self) -> bool {
        self.flaws == 0
    }
}

/// How far a check has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being looked at.
    pub phase: &'static str,
    /// How many (bytes, when contents are read; else things) are done.
    pub done: u64,
    /// Of how many, where that is known.
    pub total: Option<u64>,
}

/// Told of progress now and then.
pub type Watch<'w> = &'w mut (dyn FnMut(Progress) + Send);

/// Checks a store that nobody has open. With `repair`, mends, and checks again: the report is of the
/// store as it is left. Nothing is mended beside a record of a newer format: what it says of the
/// rest, this program cannot know.
///
/// # Errors
/// Those of the engines: what cannot be read at all cannot be checked.
pub async fn fsck(
    engines: &Engines,
    options: FsckOptions,
    watch: Watch<'_>,
) -> Result<Report, Error> {
    let mut report = Check::new(engines, options).run(watch).await?;
    let mut mended = Vec::new();
    for _ in 0..REPAIRS_MAX {
        let mendable = report.findings.iter().any(|finding| finding.mendable);
        if !options.repair || !mendable || report.is_newer {
            break;
        }
        mended.extend(repair::repair(engines, &report.findings).await?);
        report = Check::new(engines, options).run(watch).await?;
    }
    Ok(Report { mended, ..report })
}

/// A check under way.
struct Check<'e> {
    kv: &'e dyn Kv,
    blobs: &'e dyn Blobs,
    options: FsckOptions,
    report: Report,
    /// Microseconds since 1970 UTC, for what a repair writes.
    now: u64,
    buckets: BTreeMap<Uid, String>,
    /// Whether the record of a bucket cannot be read: then a row of an unknown bucket may be of it.
    bucket_unread: bool,
    doomed: BTreeSet<BlobId>,
    /// Uploads that are under way, or over and known to be.
    uploads: BTreeSet<Uid>,
    /// Whether the record of an upload cannot be read.
    upload_unread: bool,
    /// Uploads that have parts.
    uploads_of_parts: BTreeSet<Uid>,
    /// An upload, and the holders of its parts that are slices of an object now.
    kept: (Option<Uid>, BTreeSet<Uid>),
    /// Whether a content lacks a page: then a reference that nobody holds may be of a slice on it.
    page_missing: bool,
    /// Runs that are known: what they left unreferenced is for the collector to find.
    runs: BTreeSet<RunId>,
    /// References that versions, slices and parts have.
    held: u64,
    /// References to contents that there are.
    counted: u64,
}

impl<'e> Check<'e> {
    fn new(engines: &'e Engines, options: FsckOptions) -> Self {
        Self {
            kv: &*engines.kv,
            blobs: &*engines.blobs,
            options,
            report: Report::default(),
            now: SystemClock.now_micros(),
            buckets: BTreeMap::new(),
            bucket_unread: false,
            doomed: BTreeSet::new(),
            uploads: BTreeSet::new(),
            upload_unread: false,
            uploads_of_parts: BTreeSet::new(),
            kept: (None, BTreeSet::new()),
            page_missing: false,
            runs: BTreeSet::new(),
            held: 0,
            counted: 0,
        }
    }

    async fn run(mut self, watch: Watch<'_>) -> Result<Report, Error> {
        if self.check_identity().await? {
            self.check_rows(watch).await?;
            self.check_contents(watch).await?;
            self.check_blobs(watch).await?;
        }
        Ok(self.report)
    }

    /// Whether metadata and blobs are one store. If not, nothing else can be said of them.
    async fn check_identity(&mut self) -> Result<bool, Error> {
        let key = key::store();
        let known = match self.kv.get(&key).await? {
            None => None,
            Some(row) => match StoreRecord::decode(&key, &row.value) {
                Ok(record) => Some(StoreId(record.id)),
                Err(error) => {
                    self.record_flaw(&key, &error)?;
                    return Ok(false);
                }
            },
        };
        let marked = self.blobs.store_id().await?;
        // A store that was never opened to the end has marked blobs and no metadata yet.
        let new = Walk::new(self.kv, b"").next().await?.is_empty()
            && self.blobs.list(None, 1).await?.is_empty();
        if known != marked && !new {
            let name =
                |id: Option<StoreId>| id.map_or("none".into(), |id| format!("{:032x}", id.0));
            let what = format!("metadata of store {}, blobs of {}", name(known), name(marked));
            self.find(Flaw::WrongStore, "the store".into(), what, Mend::No);
            return Ok(false);
        }
        let store_key = key::store_key();
        if known.is_some() && self.kv.get(&store_key).await?.is_none() {
            let what = "the key of the store is missing: put it back from a backup".into();
            self.find(Flaw::DamagedRecord, hex(&store_key), what, Mend::No);
        }
        Ok(true)
    }

    fn find(&mut self, flaw: Flaw, subject: String, what: String, mend: Mend) {
        self.report.flaws += 1;
        self.report.is_newer |= flaw == Flaw::NewerFormat;
        if self.report.findings.len() < FINDINGS_MAX {
            let mendable = mend != Mend::No;
            self.report.findings.push(Finding { flaw, subject, what, mendable, mend });
        }
    }

    /// A record that cannot be read.
    fn record_flaw(&mut self, key: &[u8], error: &Error) -> Result<(), Error> {
        let (flaw, mend) = match error {
            Error::NewerFormat { .. } => (Flaw::NewerFormat, Mend::No),
            _ => (Flaw::DamagedRecord, Mend::remake(key)?),
        };
        self.find(flaw, hex(key), error.to_string(), mend);
        Ok(())
    }
}

/// All rows behind a prefix, a page at a time.
struct Walk<'e> {
    kv: &'e dyn Kv,
    scan: Scan,
    more: bool,
}

impl<'e> Walk<'e> {
    fn new(kv: &'e dyn Kv, prefix: &[u8]) -> Self {
        Self { kv, scan: Scan::prefix(prefix, PAGE), more: true }
    }

    /// The next page; empty at the end.
    async fn next(&mut self) -> Result<Vec<(Vec<u8>, Row)>, Error> {
        if !self.more {
            return Ok(vec![]);
        }
        let page = self.kv.scan(self.scan.clone()).await?;
        self.more = page.more;
        let row = |found| match found {
            Found::Row(key, row) => Some((key, row)),
            Found::CommonPrefix(_) => None,
        };
        let rows: Vec<_> = page.found.into_iter().filter_map(row).collect();
        if let Some((last, _)) = rows.last() {
            self.scan.start = [&last[..], &[0]].concat();
        }
        Ok(rows)
    }
}

/// A content in words: the objects that show it.
fn names_of(uid: Uid, objects: &[Place]) -> String {
    let names: Vec<String> =
        objects.iter().map(|(bucket, key, _)| format!("{bucket}/{key}")).collect();
    match names.is_empty() {
        true => format!("content {uid}, of no known object"),
        false => names.join(", "),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
