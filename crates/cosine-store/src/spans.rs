//! Where the bytes of a content lie, found on the way: a range is followed down to its leaves one by one, so
//! that it takes the same memory however many there are.

use std::ops::Range;

use bytes::Bytes;
use cosine_blob::{BlobId, Finished};

use crate::id::Uid;
use crate::keys::{ContentKey, key_of_slice, require_key};
use crate::record::{Body, ContentRecord, DataKey, PageEnd, Slice, SliceKey};
use crate::sealed::SealedBlob;
use crate::slices::DEPTH_MAX;
use crate::{Error, Store};

/// A run of bytes in the one place where it lies.
#[derive(Clone, Debug)]
pub enum Span {
    /// Bytes that were in a row, verified.
    Inline(Bytes),
    /// A range of a blob that was of this size and checksum.
    Blob { blob: BlobId, whole: Finished, range: Range<u64> },
    /// A range of the bytes that are sealed in a blob.
    Sealed { blob: SealedBlob, range: Range<u64> },
}

/// The spans of a range of a content, in order. They stay where they are for the collector's grace,
/// whatever becomes of the content.
#[derive(Debug)]
pub struct Spans {
    store: Store,
    /// The first one, found already: whoever asks learns at once if there is none.
    first: Option<Span>,
    /// The way down to the next one.
    levels: Vec<Level>,
}

/// A content of slices that is being gone through.
#[derive(Debug)]
struct Level {
    content: Uid,
    /// Its content key, if anything in it is sealed.
    key: Option<ContentKey>,
    ends: Vec<PageEnd>,
    range: Range<u64>,
    /// The page that comes next, and where it begins.
    page: usize,
    begin: u64,
    /// What is left of this one.
    slices: std::vec::IntoIter<(usize, Slice, Range<u64>)>,
}

impl Store {
    /// Begins to follow a range; `key` is the content key, if anything in the content is sealed.
    ///
    /// # Errors
    /// [`Error::Gone`] if nobody refers to the content any more, and the collector has been there.
    pub(crate) async fn spans(
        &self,
        content: Uid,
        range: Range<u64>,
        key: Option<&ContentKey>,
    ) -> Result<Spans, Error> {
        let mut spans = Spans { store: self.clone(), first: None, levels: vec![] };
        let record = self.content(content).await?;
        let key = require_key(&record, key)?.cloned();
        spans.first = match spans.enter((content, record, key), range).await? {
            None => spans.next().await?,
            span => span,
        };
        Ok(spans)
    }
}

impl Spans {
    /// The store that they are of.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The next one.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Damaged`].
    pub async fn next(&mut self) -> Result<Option<Span>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while let Some(level) = self.levels.last_mut() {
            if let Some((_, Slice { content, key, .. }, range)) = level.slices.next() {
                let below = below(&self.store, level.key.as_ref(), (content, &key)).await?;
                if let Some(span) = self.enter(below, range).await? {
                    return Ok(Some(span));
                }
            } else if !level.turn_page(&self.store).await? {
                self.levels.pop();
            }
        }
        Ok(None)
    }

    /// Goes into a content: it is a span, or one more level.
    async fn enter(
        &mut self,
        (content, record, key): (Uid, ContentRecord, Option<ContentKey>),
        range: Range<u64>,
    ) -> Result<Option<Span>, Error> {
        if range.end > record.size {
            return Err(Error::Damaged("a slice ends behind its content".to_owned()));
        }
        match &record.body {
            Body::Inline(data_key) => {
                let bytes = self.store.inline(content, (&record, data_key), key.as_ref()).await?;
                Ok(Some(Span::Inline(bytes.slice(range.start as usize..range.end as usize))))
            }
            Body::Blob { id, key: data_key @ DataKey::Plain } => {
                let whole = record.stored(data_key)?;
                Ok(Some(Span::Blob { blob: BlobId(*id), whole, range }))
            }
            Body::Blob { id, key: DataKey::Sealed { key: sealed, .. } } => {
                let (blob, record) = (BlobId(*id), &record);
                let blob = self.store.sealed_blob(blob, (record, sealed), key.as_ref()).await?;
                Ok(Some(Span::Sealed { blob, range }))
            }
            Body::Slices(_) if self.levels.len() > usize::from(DEPTH_MAX) => {
                Err(Error::Damaged("a content is made of itself".to_owned()))
            }
            Body::Slices(ends) => {
                let (ends, slices) = (ends.clone(), vec![].into_iter());
                self.levels.push(Level { content, key, ends, range, page: 0, begin: 0, slices });
                Ok(None)
            }
        }
    }
}

/// A content that a content under the key `parent` is made of.
async fn below(
    store: &Store,
    parent: Option<&ContentKey>,
    (content, key): (Uid, &SliceKey),
) -> Result<(Uid, ContentRecord, Option<ContentKey>), Error> {
    let record = store.content(content).await?;
    let key = key_of_slice(&record, parent, key)?;
    Ok((content, record, key))
}

impl Level {
    /// Goes on to the next page that the range falls on; `false` if there is none.
    async fn turn_page(&mut self, store: &Store) -> Result<bool, Error> {
        while let Some(end) = self.ends.get(self.page).map(|page| page.end) {
            let (number, begin) = (self.page, std::mem::replace(&mut self.begin, end));
            self.page += 1;
            if begin < self.range.end && self.range.start < end {
                let page = store.page(self.content, number as u32).await?;
                self.slices = within(page.slices, begin, &self.range).into_iter();
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The slices of a page that a range falls on, each with its place in the page and the range of its own
/// content that is meant. `begin` is where the page begins.
pub fn within(page: Vec<Slice>, begin: u64, range: &Range<u64>) -> Vec<(usize, Slice, Range<u64>)> {
    let mut found = Vec::new();
    let mut at = begin;
    for (number, slice) in page.into_iter().enumerate() {
        let (from, to) = (range.start.max(at), range.end.min(at + slice.length));
        let (offset, length) = (slice.offset, slice.length);
        if from < to {
            let place = |byte: u64| byte - at + offset;
            found.push((number, slice, place(from)..place(to)));
        }
        at += length;
    }
    found
}
