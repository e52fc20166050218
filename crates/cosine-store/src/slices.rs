//! Contents that are made of slices of others: how they are made, and where their bytes are.
//!
//! A content of one blob, or of a few bytes in a row, is a *leaf*. Completing an upload, appending,
//! and copying a range make contents of contents: no byte moves, and each slice holds a reference of
//! its own. So a content never changes, and what it is made of cannot go before it does.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use cosine_blob::BlobId;
use cosine_blob::table::{crc64, crc64_combine};
use cosine_kv::{Condition, Found, Kv, Scan, Write};

use crate::id::Uid;
use crate::list::after;
use crate::record::{
    Body, ContentRecord, ContentState, PageEnd, PageRecord, Pools, Record, ReferenceRecord, Slice,
};
use crate::spans::within;
use crate::{Error, Store, key};

/// A page holds this many slices: some 13 KB.
pub const PAGE_SLICES: usize = 256;

/// Pages are read this many at a time.
const PAGES: usize = 64;

/// So many levels of contents may lie below one: what would be deeper is copied byte by byte.
pub const DEPTH_MAX: u8 = 8;

/// A content that is about to be made of slices, whose references are held already or are taken in
/// the commit that makes it.
#[derive(Clone, Debug)]
pub struct Composed {
    pub uid: Uid,
    pub size: u64,
    pub crc64: u64,
    pub pools: Pools,
    depth: u8,
    slices: Vec<Slice>,
}

impl Composed {
    /// Of these slices, in order, none of them empty.
    pub fn new(uid: Uid, slices: Vec<Slice>, below: Below) -> Self {
        let size = slices.iter().map(|slice| slice.length).sum();
        let crc64 = combine(0, &slices);
        Self { uid, size, crc64, pools: below.pools, depth: below.depth + 1, slices }
    }

    /// What lies below whoever refers to it.
    pub fn below(&self) -> Below {
        Below { pools: self.pools, depth: self.depth }
    }

    /// The writes that bring it into being.
    pub fn rows(&self) -> Result<Vec<Write>, Error> {
        let (mut writes, mut ends) = (Vec::new(), Vec::new());
        let (mut end, mut crc64) = (0, 0);
        for (number, slices) in (0..).zip(self.slices.chunks(PAGE_SLICES)) {
            end += slices.iter().map(|slice| slice.length).sum::<u64>();
            crc64 = combine(crc64, slices);
            ends.push(PageEnd { end, crc64 });
            let page = PageRecord { slices: slices.to_vec() };
            writes.push(page.put(key::page(self.uid, number))?);
        }
        let record = ContentRecord {
            size: self.size,
            crc64: self.crc64,
            md5: None,
            state: ContentState::Live,
            pools: self.pools,
            depth: self.depth,
            body: Body::Slices(ends),
        };
        writes.push(record.put(key::content(self.uid))?);
        Ok(writes)
    }
}

/// What lies below a content: where, and how deep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Below {
    pub pools: Pools,
    pub depth: u8,
}

impl Below {
    /// Below both.
    pub fn and(self, other: Self) -> Self {
        Self { pools: self.pools.and(other.pools), depth: self.depth.max(other.depth) }
    }
}

impl From<&ContentRecord> for Below {
    fn from(content: &ContentRecord) -> Self {
        Self { pools: content.pools, depth: content.depth }
    }
}

/// The holders of the slices of a content, all of them; none if there is no such content.
pub async fn holders(kv: &dyn Kv, content: Uid) -> Result<BTreeSet<Uid>, Error> {
    let (mut holders, mut pages) = (BTreeSet::new(), 0);
    let mut scan = Scan::prefix(&key::pages(content), PAGES);
    loop {
        let page = kv.scan(scan.clone()).await?;
        for found in page.found {
            let Found::Row(row, found) = found else { continue };
            let slices = PageRecord::decode(&row, &found.value)?.slices;
            holders.extend(slices.iter().map(|slice| slice.holder));
            scan.start = after(&row);
            pages += 1;
        }
        if !page.more {
            break;
        }
    }
    let row = key::content(content);
    if let Some(found) = kv.get(&row).await?
        && let Body::Slices(ends) = ContentRecord::decode(&row, &found.value)?.body
        && pages < ends.len()
    {
        return Err(Error::Damaged("a page of slices is missing".to_owned()));
    }
    Ok(holders)
}

/// CRC-64/XZ of what `front` covers, followed by these slices.
fn combine(front: u64, slices: &[Slice]) -> u64 {
    slices.iter().fold(front, |crc64, s| crc64_combine(crc64, s.crc64, s.length))
}

/// What it takes to refer to a content that is there.
#[derive(Debug)]
pub struct Shared {
    pub record: ContentRecord,
    /// That its row is unchanged since it was read.
    pub condition: Condition,
    /// A pardon, if the collector has condemned it.
    pub pardon: Option<Write>,
}

impl Shared {
    /// The writes by which `holder` takes its reference.
    pub fn held_by(&self, content: Uid, holder: Uid) -> Result<Vec<Write>, Error> {
        let reference = ReferenceRecord {}.put(key::content_reference(content, holder))?;
        Ok(self.pardon.iter().cloned().chain([reference]).collect())
    }
}

impl Store {
    /// Reads a content's record.
    ///
    /// # Errors
    /// [`Error::Gone`] if nobody referred to it any more, and the collector has been there.
    pub(crate) async fn content(&self, uid: Uid) -> Result<ContentRecord, Error> {
        let key = key::content(uid);
        let row = self.kv().get(&key).await?.ok_or(Error::Gone)?;
        ContentRecord::decode(&key, &row.value)
    }

    /// Reads what a commit depends on that takes a reference to a content.
    pub(crate) async fn share(&self, content: Uid) -> Result<Shared, Error> {
        let key = key::content(content);
        let row = self.kv().get(&key).await?.ok_or(Error::Gone)?;
        let record = ContentRecord::decode(&key, &row.value)?;
        let condition = Condition::Unchanged(key.clone(), row.revision);
        let pardon = match record.state {
            ContentState::Live => None,
            ContentState::Condemned => {
                Some(ContentRecord { state: ContentState::Live, ..record.clone() }.put(key)?)
            }
            ContentState::Removing => return Err(Error::Gone),
        };
        Ok(Shared { record, condition, pardon })
    }

    /// The bytes of an inline content.
    pub(crate) async fn inline(&self, uid: Uid, record: &ContentRecord) -> Result<Bytes, Error> {
        let row = self.kv().get(&key::inline(uid)).await?;
        let bytes = row.ok_or(Error::Gone)?.value;
        if crc64(&bytes) != record.crc64 || bytes.len() as u64 != record.size {
            return Err(Error::Damaged("an inline content is not what was written".into()));
        }
        Ok(bytes)
    }

    /// The slices that a range falls on, each with the range of its own content that is meant.
    pub(crate) async fn slices(
        &self,
        uid: Uid,
        ends: &[PageEnd],
        range: &Range<u64>,
    ) -> Result<Vec<(Slice, Range<u64>)>, Error> {
        let mut found = Vec::new();
        let mut begin = 0;
        for (number, page) in (0..).zip(ends) {
            if begin < range.end && range.start < page.end {
                found.extend(within(self.page(uid, number).await?, begin, range));
            }
            begin = page.end;
        }
        Ok(found)
    }

    /// A page of the slices of a content.
    pub(crate) async fn page(&self, uid: Uid, number: u32) -> Result<Vec<Slice>, Error> {
        let key = key::page(uid, number);
        let row = self.kv().get(&key).await?.ok_or(Error::Gone)?;
        Ok(PageRecord::decode(&key, &row.value)?.slices)
    }

    /// CRC-64/XZ of a range of a content. Reads no more than the ragged ends of the range.
    pub(crate) async fn crc64(&self, content: Uid, range: Range<u64>) -> Result<u64, Error> {
        let record = self.content(content).await?;
        if range == (0..record.size) {
            return Ok(record.crc64);
        }
        match &record.body {
            Body::Inline => {
                let bytes = self.inline(content, &record).await?;
                let slice = bytes.get(range.start as usize..range.end as usize);
                Ok(crc64(slice.ok_or_else(|| Error::Damaged("a range behind the end".into()))?))
            }
            Body::Blob { id, .. } => {
                let blob = self.blobs().open(BlobId(*id)).await?;
                Ok(blob.crc64(range).await?)
            }
            Body::Slices(ends) => {
                let mut crc64 = 0;
                for (slice, part) in self.slices(content, ends, &range).await? {
                    let length = part.end - part.start;
                    let sum = match length == slice.length {
                        true => slice.crc64,
                        false => Box::pin(self.crc64(slice.content, part)).await?,
                    };
                    crc64 = crc64_combine(crc64, sum, length);
                }
                Ok(crc64)
            }
        }
    }
}
