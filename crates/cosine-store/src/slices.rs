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
use cosine_crypt::Key;
use cosine_crypt::segment::{Segments, Stream};
use cosine_kv::{Condition, Found, Kv, Scan, Write};

use crate::id::Uid;
use crate::keys::{ContentKey, key_of_slice, require_key};
use crate::list::after;
use crate::record::{
    Body, ContentRecord, ContentState, ContentSums, Coverage, DataKey, Etag, PageEnd, PageRecord,
    Pools, Record, ReferenceRecord, Slice, Sums,
};
use crate::sealed::SealedBlob;
use crate::spans::within;
use crate::verify::require_fit;
use crate::{Error, Store, key};

/// A page holds this many slices: some 13 KB, or 26 where each has a key.
pub const PAGE_SLICES: usize = 256;

/// Pages are read this many at a time.
const PAGES: usize = 64;

/// So many levels of contents may lie below one: what would be deeper is copied byte by byte.
pub const DEPTH_MAX: u8 = 8;

/// A slice, and what its bytes are held against.
#[derive(Clone, Debug)]
pub struct Piece {
    pub slice: Slice,
    /// CRC-64/XZ of the plain bytes.
    pub crc64: u64,
}

/// A content that is about to be made of slices, whose references are held already or are taken in
/// the commit that makes it.
#[derive(Clone, Debug)]
pub struct Composed {
    pub uid: Uid,
    pub size: u64,
    pub crc64: u64,
    below: Below,
    content_key: Option<Uid>,
    etag: Etag,
    pieces: Vec<Piece>,
}

impl Composed {
    /// Of these pieces, in order, none of them empty. `content_key` is what those below are sealed under,
    /// or would be; `etag` that of an object that shows the content plain.
    pub fn new(
        uid: Uid,
        pieces: Vec<Piece>,
        below: Below,
        (content_key, etag): (Uid, Etag),
    ) -> Self {
        let size = pieces.iter().map(|piece| piece.slice.length).sum();
        let crc64 = pieces
            .iter()
            .fold(0, |crc64, piece| crc64_combine(crc64, piece.crc64, piece.slice.length));
        let content_key = Some(content_key).filter(|_| below.coverage.needs_key());
        let below = Below { depth: below.depth + 1, ..below };
        Self { uid, size, crc64, below, content_key, etag, pieces }
    }

    /// What lies below whoever refers to it.
    pub fn below(&self) -> Below {
        self.below
    }

    /// The writes that bring it into being. Checksums of sealed bytes are sealed under the key of the
    /// store.
    pub fn rows(&self, store_key: &Key) -> Result<Vec<Write>, Error> {
        let sealed = self.content_key.is_some();
        let (mut writes, mut ends, mut end) = (Vec::new(), Vec::new(), 0);
        for (number, pieces) in (0..).zip(self.pieces.chunks(PAGE_SLICES)) {
            end += pieces.iter().map(|piece| piece.slice.length).sum::<u64>();
            ends.push(PageEnd { end });
            let crc64 = pieces.iter().map(|piece| piece.crc64).collect();
            let page = PageRecord {
                slices: pieces.iter().map(|piece| piece.slice.clone()).collect(),
                crc64: Sums::keep(crc64, sealed, (store_key, &page_owner(self.uid, number)))?,
            };
            writes.push(page.put(key::page(self.uid, number))?);
        }
        let sums = ContentSums { crc64: self.crc64, md5: None, etag: self.etag };
        let record = ContentRecord {
            size: self.size,
            sums: Sums::keep(sums, sealed, (store_key, &self.uid.0))?,
            state: ContentState::Live,
            pools: self.below.pools,
            depth: self.below.depth,
            coverage: self.below.coverage,
            content_key: self.content_key,
            body: Body::Slices(ends),
        };
        writes.push(record.put(key::content(self.uid))?);
        Ok(writes)
    }
}

/// Who the checksums of a page belong to.
pub fn page_owner(content: Uid, number: u32) -> Vec<u8> {
    [&content.0[..], &number.to_be_bytes()].concat()
}

/// What lies below a content: where, how deep, and how much of it sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Below {
    pub pools: Pools,
    pub depth: u8,
    pub coverage: Coverage,
}

impl Below {
    /// Below both.
    pub fn and(self, other: Self) -> Self {
        Self {
            pools: self.pools.and(other.pools),
            depth: self.depth.max(other.depth),
            coverage: self.coverage.and(other.coverage),
        }
    }
}

impl From<&ContentRecord> for Below {
    fn from(content: &ContentRecord) -> Self {
        let ContentRecord { pools, depth, coverage, .. } = *content;
        Self { pools, depth, coverage }
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

    /// The bytes of an inline content; `key` is its content key, if it is sealed.
    pub(crate) async fn inline(
        &self,
        uid: Uid,
        (record, data_key): (&ContentRecord, &DataKey),
        key: Option<&ContentKey>,
    ) -> Result<Bytes, Error> {
        let damaged = || Error::Damaged("an inline content is not what was written".into());
        let row = self.kv().get(&key::inline(uid)).await?;
        let bytes = row.ok_or(Error::Gone)?.value;
        let stored = record.stored(data_key)?;
        if (bytes.len() as u64, crc64(&bytes)) != (stored.length, stored.crc64) {
            return Err(damaged());
        }
        match (data_key, require_key(record, key)?) {
            (DataKey::Plain, _) => Ok(bytes),
            (DataKey::Sealed { .. }, None) => Err(damaged()),
            (DataKey::Sealed { key: sealed, .. }, Some(key)) => {
                let data_key = key.open_data_key(sealed)?;
                let segments = Segments::new(&data_key, Stream::Data).map_err(|_| damaged())?;
                let opened = segments.open_whole(bytes.to_vec()).map_err(|_| damaged())?;
                Ok(opened.into())
            }
        }
    }

    /// The sealed blob of a content.
    pub(crate) async fn sealed_blob(
        &self,
        blob: BlobId,
        (record, sealed): (&ContentRecord, &[u8]),
        key: Option<&ContentKey>,
    ) -> Result<SealedBlob, Error> {
        let missing = || Error::Damaged("a sealed content without a content key".into());
        let data_key = require_key(record, key)?.ok_or_else(missing)?.open_data_key(sealed)?;
        let reader = self.blobs().open(blob).await?;
        if let Body::Blob { key: stored, .. } = &record.body {
            require_fit(blob, record.stored(stored)?, reader.finished())?;
        }
        SealedBlob::new(reader, record.size, &data_key)
    }

    /// The pieces that a range falls on, each with the range of its own content that is meant.
    pub(crate) async fn pieces(
        &self,
        uid: Uid,
        ends: &[PageEnd],
        range: &Range<u64>,
    ) -> Result<Vec<(Piece, Range<u64>)>, Error> {
        let mut found = Vec::new();
        let mut begin = 0;
        for (number, page) in (0..).zip(ends) {
            if begin < range.end && range.start < page.end {
                let PageRecord { slices, crc64 } = self.page(uid, number).await?;
                let sums = crc64.read(self.key(), &page_owner(uid, number))?;
                if sums.len() != slices.len() {
                    return Err(Error::Damaged("a page lacks checksums of its slices".into()));
                }
                let sum_of = |at: usize| sums.get(at).copied().unwrap_or_default();
                for (at, slice, meant) in within(slices, begin, range) {
                    found.push((Piece { slice, crc64: sum_of(at) }, meant));
                }
            }
            begin = page.end;
        }
        Ok(found)
    }

    /// A page of the slices of a content.
    pub(crate) async fn page(&self, uid: Uid, number: u32) -> Result<PageRecord, Error> {
        let key = key::page(uid, number);
        let row = self.kv().get(&key).await?.ok_or(Error::Gone)?;
        PageRecord::decode(&key, &row.value)
    }

    /// CRC-64/XZ of a range of a content. Reads no more than the ragged ends of the range.
    pub(crate) async fn crc64(
        &self,
        content: Uid,
        range: Range<u64>,
        key: Option<&ContentKey>,
    ) -> Result<u64, Error> {
        let record = self.content(content).await?;
        if range == (0..record.size) {
            return Ok(record.sums.read(self.key(), &content.0)?.crc64);
        }
        match &record.body {
            Body::Inline(data_key) => {
                let bytes = self.inline(content, (&record, data_key), key).await?;
                let slice = bytes.get(range.start as usize..range.end as usize);
                Ok(crc64(slice.ok_or_else(|| Error::Damaged("a range behind the end".into()))?))
            }
            Body::Blob { id, key: DataKey::Plain } => {
                let blob = self.blobs().open(BlobId(*id)).await?;
                Ok(blob.crc64(range).await?)
            }
            Body::Blob { id, key: DataKey::Sealed { key: sealed, .. } } => {
                let blob = self.sealed_blob(BlobId(*id), (&record, sealed), key).await?;
                blob.crc64(range).await
            }
            Body::Slices(ends) => {
                let mut crc64 = 0;
                for (piece, part) in self.pieces(content, ends, &range).await? {
                    let length = part.end - part.start;
                    let sum = self.crc64_of_piece(&piece, part, key).await?;
                    crc64 = crc64_combine(crc64, sum, length);
                }
                Ok(crc64)
            }
        }
    }

    /// CRC-64/XZ of a range of a piece of a content whose key is `parent`.
    pub(crate) async fn crc64_of_piece(
        &self,
        piece: &Piece,
        part: Range<u64>,
        parent: Option<&ContentKey>,
    ) -> Result<u64, Error> {
        let Piece { slice, crc64 } = piece;
        if part.end - part.start == slice.length {
            return Ok(*crc64);
        }
        let record = self.content(slice.content).await?;
        let key = key_of_slice(&record, parent, &slice.key)?;
        Box::pin(self.crc64(slice.content, part, key.as_ref())).await
    }
}
