//! GET and HEAD Object.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_blob::{BlobReader, CHUNK_BYTES};
use cosine_kv::{Found, Revision, Row, Scan};

use crate::commit::ATTEMPTS_MAX;
use crate::keys::ContentKey;
use crate::record::{HeadRecord, OldVersion, Record, Version, VersionId};
use crate::sealed::SealedBlob;
use crate::source::{ByteSource, SourceError};
use crate::spans::{Span, Spans};
use crate::verify::require_fit;
use crate::{Bucket, Error, ObjectKey, Store, key};

/// Blobs are read this many bytes at a time.
const READ_BYTES: u64 = 4 * CHUNK_BYTES;

impl Store {
    /// Everything about an object but its bytes: its current version, or the one that is named.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::NoSuchVersion`]; [`Error::DeleteMarker`] where one stands in
    /// the place of the version.
    pub async fn object(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: Option<VersionId>,
    ) -> Result<Version, Error> {
        match id {
            None => self.current(bucket, key).await,
            Some(id) => match self.find_version(bucket, key, id).await? {
                Some(OldVersion::Version(version)) => Ok(*version),
                Some(OldVersion::Marker(marker)) => Err(Error::DeleteMarker(marker)),
                None => Err(Error::NoSuchVersion),
            },
        }
    }

    async fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Version, Error> {
        let row_key = key::current(bucket.uid(), key);
        if let Some(row) = self.kv().get(&row_key).await? {
            return Version::decode(&row_key, &row.value);
        }
        if !bucket.keeps_versions() {
            return Err(Error::NoSuchKey);
        }
        // Both in one look: what becomes current, or ceases to be, changes its row.
        let scans =
            vec![Scan::prefix(&row_key, 1), Scan::prefix(&key::olds_of(bucket.uid(), key), 1)];
        let mut pages = self.kv().scan_together(scans).await?.into_iter();
        match (first_row(pages.next()), first_row(pages.next())) {
            (Some((found, row)), _) if found == row_key => Version::decode(&found, &row.value),
            (_, Some((found, row))) => match OldVersion::decode(&found, &row.value)? {
                OldVersion::Marker(marker) => Err(Error::DeleteMarker(marker)),
                OldVersion::Version(_) => {
                    Err(Error::Damaged("the newest version of a key is not its current one".into()))
                }
            },
            _ => Err(Error::NoSuchKey),
        }
    }

    /// A version or a delete marker by its id.
    pub(crate) async fn find_version(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: VersionId,
    ) -> Result<Option<OldVersion>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (order, head) = match id {
                VersionId::Order(order) => (order, None),
                VersionId::Null => match self.head(bucket, key).await? {
                    Some((HeadRecord { null: Some(order), .. }, revision)) => {
                        (order, Some(revision))
                    }
                    _ => return Ok(None),
                },
            };
            let found = self.version_at(bucket, key, order).await?;
            let found = found.filter(|found| found.id() == id);
            // That of the id `null` may have got another place meanwhile.
            let moved = found.is_none()
                && head.is_some()
                && self.head(bucket, key).await?.map(|(_, revision)| revision) != head;
            if !moved {
                return Ok(found);
            }
        }
        Err(Error::Busy)
    }

    /// The version or delete marker in a place of the order of its key.
    async fn version_at(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        order: u64,
    ) -> Result<Option<OldVersion>, Error> {
        let (current, old) = (key::current(bucket.uid(), key), key::old(bucket.uid(), key, order));
        let scans = vec![Scan::prefix(&current, 1), Scan::prefix(&old, 1)];
        let mut pages = self.kv().scan_together(scans).await?.into_iter();
        let (first, second) = (first_row(pages.next()), first_row(pages.next()));
        let found = match (first.filter(|(found, _)| *found == current), second) {
            (_, Some((found, row))) => OldVersion::decode(&found, &row.value)?,
            (Some((found, row)), None) => {
                OldVersion::Version(Box::new(Version::decode(&found, &row.value)?))
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(found).filter(|found| found.order() == order))
    }

    async fn head(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
    ) -> Result<Option<(HeadRecord, Revision)>, Error> {
        let head = key::head(bucket.uid(), key);
        let Some(row) = self.kv().get(&head).await? else { return Ok(None) };
        Ok(Some((HeadRecord::decode(&head, &row.value)?, row.revision)))
    }

    /// The order of the version of a key whose id is `null`.
    pub(crate) async fn null_order(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
    ) -> Result<Option<u64>, Error> {
        Ok(self.head(bucket, key).await?.and_then(|(head, _)| head.null))
    }

    /// Opens a range of a version's bytes; `key` is what [`unlock`](Self::unlock) gave.
    ///
    /// # Errors
    /// [`Error::Gone`] if the version went meanwhile, [`Error::Damaged`].
    pub async fn read(
        &self,
        version: &Version,
        range: Range<u64>,
        key: Option<&ContentKey>,
    ) -> Result<ObjectReader, Error> {
        self.read_content((version.content, key), range, None).await
    }

    /// Opens a range of a content's bytes, each blob through `lens` if there is one.
    pub(crate) async fn read_content(
        &self,
        (content, key): (crate::Uid, Option<&ContentKey>),
        range: Range<u64>,
        lens: Option<Lens>,
    ) -> Result<ObjectReader, Error> {
        if range.is_empty() {
            return Ok(ObjectReader::default());
        }
        let spans = Some(self.spans(content, range, key).await?);
        Ok(ObjectReader { lens, spans, ..ObjectReader::default() })
    }
}

fn first_row(page: Option<cosine_kv::Page>) -> Option<(Vec<u8>, Row)> {
    match page?.found.into_iter().next()? {
        Found::Row(key, row) => Some((key, row)),
        Found::CommonPrefix(_) => None,
    }
}

/// What a blob is looked at through: for faults.
pub type Lens = fn(Arc<dyn BlobReader>) -> Arc<dyn BlobReader>;

/// Reads a range of an object, piece by verified piece.
#[derive(Debug, Default)]
pub struct ObjectReader {
    lens: Option<Lens>,
    /// Where the bytes lie that come next; `None` for an empty range.
    spans: Option<Spans>,
    /// The blob that is being read, and what is left to read of it.
    open: Option<(Open, Range<u64>)>,
}

/// A blob that is being read.
#[derive(Debug)]
enum Open {
    Plain(Arc<dyn BlobReader>),
    Sealed(SealedBlob),
}

impl Open {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        match self {
            Self::Plain(reader) => Ok(reader.read(range).await?),
            Self::Sealed(blob) => blob.read(range).await,
        }
    }
}

impl ObjectReader {
    /// The next piece, of at most 512 KiB; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Blob`] and [`Error::Damaged`] where stored bytes are not what was written: no wrong byte
    /// is returned.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some((open, range)) = self.open.as_mut().filter(|(_, range)| !range.is_empty()) {
                // Ends where chunks and segments end, so that none is read twice.
                let end = (range.start / READ_BYTES + 1) * READ_BYTES;
                let piece = range.start..end.min(range.end);
                let bytes = open.read(piece.clone()).await?;
                range.start = piece.end;
                return Ok(Some(bytes));
            }
            let Some(spans) = &mut self.spans else { return Ok(None) };
            match spans.next().await? {
                None => return Ok(None),
                Some(Span::Inline(bytes)) => return Ok(Some(bytes)),
                Some(Span::Blob { blob, whole, range }) => {
                    let reader = spans.store().blobs().open(blob).await?;
                    require_fit(blob, whole, reader.finished())?;
                    let reader = match self.lens {
                        Some(lens) => lens(reader),
                        None => reader,
                    };
                    self.open = Some((Open::Plain(reader), range));
                }
                Some(Span::Sealed { blob, range }) => {
                    let blob = match self.lens {
                        Some(lens) => blob.through(lens),
                        None => blob,
                    };
                    self.open = Some((Open::Sealed(blob), range));
                }
            }
        }
    }
}

/// Stored bytes that are written once more. What breaks the reading is kept, since a source can only
/// say that it was cut off.
#[derive(Debug)]
pub struct Reread {
    reader: ObjectReader,
    /// Why it was cut off.
    pub broken: Option<Error>,
}

impl Reread {
    /// Of what this reads.
    pub fn new(reader: ObjectReader) -> Self {
        Self { reader, broken: None }
    }
}

#[async_trait]
impl ByteSource for Reread {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        self.reader.next().await.map_err(|error| {
            self.broken = Some(error);
            SourceError::Cut
        })
    }
}
