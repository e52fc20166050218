//! Upload Part and Upload Part - Copy.
//!
//! A part that is copied is a slice of what it is copied from, by reference. How much of the source that
//! keeps alive is bounded: a range within one slice of the source refers to that slice's own content, a
//! smaller range over several of them to each, and only a range of at least half of the source, or over
//! more slices than a commit can take, to the whole of it.

use std::ops::Range;

use cosine_access::ReadProof;
use cosine_blob::PoolId;
use cosine_crypt::{CustomerKey, Encryption, KeyError};
use cosine_kv::{Commit, Condition, Write};
use md5::{Digest, Md5};
use tracing::Instrument;

use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::content::{Arrived, Destination, INLINE_BYTES_MAX};
use crate::copy::{Announced, CopyFacts, CopyPlan, CopySource, plan};
use crate::id::Uid;
use crate::keys::{ContentKey, key_of_slice};
use crate::publish::let_go;
use crate::record::{
    Body, Etag, PartRecord, PartSums, Record, ReferenceRecord, Slice, SliceKey, Sums,
};
use crate::slices::{Below, Composed, DEPTH_MAX, Piece};
use crate::source::ByteSource;
use crate::upload::{Part, Upload};
use crate::{Error, Store, key};

/// A range over more slices than this refers to the whole content: each takes a reference and perhaps
/// a pardon in the one commit of the part.
const SLICES_MAX: usize = 256;

/// A part to store.
#[derive(Clone, Debug)]
pub struct PutPartRequest {
    /// The upload.
    pub upload: Upload,
    /// From 1 to 10,000.
    pub number: u16,
    /// The MD5 that the sender announced.
    pub md5: Option<[u8; 16]>,
    /// The customer's key that the upload is encrypted with.
    pub customer_key: Option<CustomerKey>,
}

/// A part whose bytes may come.
#[derive(Debug)]
pub struct PlannedPart {
    store: Store,
    request: PutPartRequest,
    key: Option<ContentKey>,
}

impl PlannedPart {
    /// Stores a part whose bytes another deployment sends.
    ///
    /// # Errors
    /// As for [`Store::put_part`]; [`Error::FetchMismatch`] if other bytes came.
    pub async fn fetch(
        self,
        announced: Announced,
        source: &mut dyn ByteSource,
    ) -> Result<Part, Error> {
        self.take(source, |content| announced.require(content)).await
    }

    async fn take(
        self,
        source: &mut dyn ByteSource,
        check: impl FnOnce(&Arrived) -> Result<(), Error>,
    ) -> Result<Part, Error> {
        let Self { store, request, key } = self;
        let PutPartRequest { upload, number, customer_key, .. } = request;
        let pool = store.pool_of(upload.record.class);
        let to = Destination { pool, key: key.as_ref(), hashed: true };
        let content = store.receive(source, to).await?;
        check(&content)?;
        let (length, md5) = (content.size, content.plain_etag().digest);
        let etag = shown(md5, customer_key.as_ref());
        let sums = PartSums { etag, md5, crc64: content.crc64 };
        let (holder, content) = (store.new_uid()?, PartContent::Arrived(content));
        store.publish_part(NewPart { upload, number, holder, length, sums, content }).await
    }
}

/// A part to copy: there is proof that its caller may read the source, and its caller has settled that the
/// destination may be written.
#[derive(Debug)]
pub struct PartCopyRequest {
    /// The upload.
    pub upload: Upload,
    /// From 1 to 10,000.
    pub number: u16,
    /// What is copied from.
    pub source: ReadProof<CopySource>,
    /// Which of its bytes.
    pub range: Range<u64>,
    /// The customer's key that the source is encrypted with.
    pub source_key: Option<CustomerKey>,
    /// The customer's key that the upload is encrypted with.
    pub customer_key: Option<CustomerKey>,
}

/// A copy of a part that was planned and not rejected.
#[derive(Debug)]
pub struct PlannedPartCopy {
    store: Store,
    request: PartCopyRequest,
    moves_to: Option<PoolId>,
    /// The source's content key, if any of it is sealed.
    from: Option<ContentKey>,
    /// The upload's content key, if any of the part is to be sealed.
    to: Option<ContentKey>,
    md5: [u8; 16],
}

/// What a part's bytes are.
enum PartContent {
    /// What came with it.
    Arrived(Arrived),
    /// A slice of a content that is there.
    Slice { content: Uid, range: Range<u64>, key: SliceKey },
    /// Several such slices.
    Slices { uid: Uid, pieces: Vec<Piece> },
}

/// A part that is about to be.
struct NewPart {
    upload: Upload,
    number: u16,
    holder: Uid,
    length: u64,
    sums: PartSums,
    content: PartContent,
}

impl PlannedPartCopy {
    /// Whether so many bytes move that it may take long.
    pub fn moves_bytes(&self) -> bool {
        let Range { start, end } = self.request.range;
        self.moves_to.is_some() && end - start > INLINE_BYTES_MAX as u64
    }

    /// Copies.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::Gone`] if the source went meanwhile, and where bytes move
    /// those of reading and writing them.
    pub async fn run(self) -> Result<Part, Error> {
        let Self { store, request, moves_to, from, to, md5 } = self;
        let PartCopyRequest { upload, number, source, range, customer_key, .. } = request;
        let source = source.into_inner().version;
        let length = range.end - range.start;
        let from = (source.content, from.as_ref());
        let content = match moves_to {
            Some(pool) => {
                let to = Destination { pool, key: to.as_ref(), hashed: false };
                PartContent::Arrived(store.transcode(from, range.clone(), to).await?)
            }
            None => store.part_of_content(from, range.clone(), to.as_ref()).await?,
        };
        let crc64 = match &content {
            PartContent::Arrived(arrived) => arrived.crc64,
            _ => store.crc64(source.content, range, from.1).await?,
        };
        let holder = store.new_uid()?;
        let sums = PartSums { etag: shown(md5, customer_key.as_ref()), md5, crc64 };
        store.publish_part(NewPart { upload, number, holder, length, sums, content }).await
    }
}

/// The entity tag that is shown of a part whose bytes have this MD5.
fn shown(md5: [u8; 16], customer: Option<&CustomerKey>) -> [u8; 16] {
    customer.map_or(md5, |key| key.blind(md5))
}

impl Store {
    /// Stores a part, in place of the one of the same number.
    ///
    /// # Errors
    /// [`Error::Source`], [`Error::DigestMismatch`], [`Error::NoSuchUpload`], [`Error::Key`]: then nothing
    /// is stored.
    pub async fn put_part(
        &self,
        request: PutPartRequest,
        source: &mut dyn ByteSource,
    ) -> Result<Part, Error> {
        let announced = request.md5;
        let planned = self.plan_part(request).await?;
        planned
            .take(source, |content| {
                match announced.is_some_and(|announced| Some(announced) != content.md5) {
                    true => Err(Error::DigestMismatch),
                    false => Ok(()),
                }
            })
            .await
    }

    /// Asks for every key that a part takes, before its bytes come.
    ///
    /// # Errors
    /// [`Error::UploadKey`], [`Error::Key`].
    pub async fn plan_part(&self, request: PutPartRequest) -> Result<PlannedPart, Error> {
        self.require_room()?;
        let customer = request.customer_key.as_ref();
        let key = self.key_of_upload(&request.upload, customer, false).await?;
        Ok(PlannedPart { store: self.clone(), request, key })
    }

    /// The content key of an upload, where a part takes it: where new bytes are to be sealed, or the part
    /// is of sealed ones. The customer's key is held against it in any case.
    async fn key_of_upload(
        &self,
        upload: &Upload,
        customer: Option<&CustomerKey>,
        of_sealed: bool,
    ) -> Result<Option<ContentKey>, Error> {
        let encrypted = !matches!(upload.encryption(customer)?, Encryption::None);
        if !encrypted && !self.seals_at_rest() && !of_sealed {
            return Ok(None);
        }
        let at = (&upload.bucket, &upload.key);
        let opened = self.open_envelope(at, &upload.record.content_key, customer).await;
        opened.map(Some).map_err(|error| match error {
            Error::Key(error @ KeyError::CustomerKeyWrong) => Error::UploadKey(error),
            error => error,
        })
    }

    /// Plans the copy of a part: asks for every key that it takes. Nothing is written yet.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::Key`], [`Error::Gone`] if the source went meanwhile.
    pub async fn plan_part_copy(&self, request: PartCopyRequest) -> Result<PlannedPartCopy, Error> {
        self.require_room()?;
        let (source, upload) = (request.source.get(), &request.upload);
        let customer = request.customer_key.as_ref();
        let content = self.content(source.version.content).await?;
        let wanted_in = self.pool_of(upload.record.class);
        let encryption = upload.encryption(customer)?;
        let presented = (request.source_key.as_ref(), &encryption);
        let plan = plan(CopyFacts {
            size: request.range.end - request.range.start,
            lies_in: content.pools,
            wanted_in,
            // Of a range it is not all that would have to move.
            in_one_place: false,
            coverage: content.coverage,
            encrypted: !matches!(encryption, Encryption::None),
            may_rewrap: self.may_rewrap(source, &upload.bucket, presented).await?,
            readable: self.readable(&source.version).now(),
            changes_nothing: false,
        });
        tracing::debug!(?plan, number = request.number, "copy of a part");
        let moves_to = match plan {
            CopyPlan::Reject(rejection) => return Err(Error::Rejected(rejection)),
            CopyPlan::Transcode(pool) | CopyPlan::Relocate(pool) => Some(pool),
            // Too many levels to read through: its bytes are written once more.
            _ if content.depth >= DEPTH_MAX => Some(wanted_in),
            CopyPlan::Reference | CopyPlan::Rewrap => None,
        };
        let at = (&source.bucket, &source.key);
        let from = self.unlock(at, &source.version, request.source_key.as_ref()).await?;
        let of_sealed = from.is_some() && moves_to.is_none();
        let to = self.key_of_upload(upload, customer, of_sealed).await?;
        let sums = content.sums.read(self.key(), &source.version.content.0)?;
        let whole = request.range == (0..content.size);
        let md5 = match sums.md5.filter(|_| whole) {
            Some(md5) => md5,
            None => stand_in(source.version.content, &request.range),
        };
        Ok(PlannedPartCopy { store: self.clone(), request, moves_to, from, to, md5 })
    }

    /// What a range of a content is as a part of an upload whose content key is `to`.
    async fn part_of_content(
        &self,
        (mut content, from): (Uid, Option<&ContentKey>),
        mut range: Range<u64>,
        to: Option<&ContentKey>,
    ) -> Result<PartContent, Error> {
        let mut from = from.cloned();
        loop {
            let record = self.content(content).await?;
            let slice = |range| -> Result<PartContent, Error> {
                let key = sealed_for(to, from.as_ref())?;
                Ok(PartContent::Slice { content, range, key })
            };
            let Body::Slices(ends) = &record.body else { return slice(range) };
            if (range.end - range.start).saturating_mul(2) >= record.size {
                return slice(range);
            }
            let pieces = self.pieces(content, ends, &range).await?;
            match &pieces[..] {
                [(Piece { slice, .. }, within)] => {
                    let below = self.content(slice.content).await?;
                    from = key_of_slice(&below, from.as_ref(), &slice.key)?;
                    (content, range) = (slice.content, within.clone());
                }
                _ if pieces.len() > SLICES_MAX => return slice(range),
                _ => return self.several(pieces, from.as_ref(), to).await,
            }
        }
    }

    async fn several(
        &self,
        found: Vec<(Piece, Range<u64>)>,
        from: Option<&ContentKey>,
        to: Option<&ContentKey>,
    ) -> Result<PartContent, Error> {
        let mut pieces = Vec::with_capacity(found.len());
        for (piece, within) in found {
            let (offset, length) = (within.start, within.end - within.start);
            let crc64 = self.crc64_of_piece(&piece, within, from).await?;
            let Slice { content, key, .. } = piece.slice;
            let below = key_of_slice(&self.content(content).await?, from, &key)?;
            let (holder, key) = (self.new_uid()?, sealed_for(to, below.as_ref())?);
            pieces.push(Piece { slice: Slice { content, holder, offset, length, key }, crc64 });
        }
        Ok(PartContent::Slices { uid: self.new_uid()?, pieces })
    }

    /// Publishes a part, on a task of its own.
    async fn publish_part(&self, part: NewPart) -> Result<Part, Error> {
        let store = self.clone();
        let publish = async move { store.publish_part_now(part).await };
        tokio::spawn(publish.in_current_span())
            .await
            .map_err(|error| Error::System(error.to_string()))?
    }

    async fn publish_part_now(&self, mut part: NewPart) -> Result<Part, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (record, commit) = self.build_part(&part).await?;
            let proof = Proof::Present(key::content_reference(record.content, part.holder));
            let committed = self.commit(commit, &proof).await;
            if let (PartContent::Arrived(content), Ok(true) | Err(_)) =
                (&mut part.content, &committed)
            {
                content.keep();
            }
            if committed? {
                return self.shown_part(part.number, &record);
            }
            let Upload { bucket, key, id, .. } = &part.upload;
            part.upload = self.upload(bucket, key, *id).await?;
            if self.inner.run.is_over(self.kv()).await? {
                return Err(Error::Fenced);
            }
        }
        Err(Error::Busy)
    }

    /// The part and the commit that publishes it.
    async fn build_part(&self, part: &NewPart) -> Result<(PartRecord, Commit), Error> {
        let now = self.now();
        let (before, same) = self.part(&part.upload, part.number).await?;
        let Taken { content, offset, key, below, mut conditions, mut writes } =
            self.take(part).await?;
        let owner = (&**self.key(), &part.holder.0[..]);
        let record = PartRecord {
            content,
            holder: part.holder,
            offset,
            length: part.length,
            sums: Sums::keep(part.sums, below.coverage.needs_key(), owner)?,
            modified: now,
            pools: below.pools,
            depth: below.depth,
            coverage: below.coverage,
            key,
        };
        conditions.extend([part.upload.stands(), same]);
        writes.push(record.put(key::part(part.upload.record.uid, part.number))?);
        if let Some(before) = before {
            writes.extend(let_go(before.content, before.holder, now)?);
        }
        Ok((record, Commit { conditions, writes }))
    }

    /// What it takes that a part holds its content.
    async fn take(&self, part: &NewPart) -> Result<Taken, Error> {
        let reference =
            |content| ReferenceRecord {}.put(key::content_reference(content, part.holder));
        match &part.content {
            PartContent::Arrived(content) => {
                let (conditions, mut writes) = content.rows(self.key())?;
                writes.push(reference(content.uid)?);
                let (below, key) = (content.below(), SliceKey::Same);
                Ok(Taken { content: content.uid, offset: 0, key, below, conditions, writes })
            }
            PartContent::Slice { content, range, key } => {
                let shared = self.share(*content).await?;
                let writes = shared.held_by(*content, part.holder)?;
                let (below, conditions) = (Below::from(&shared.record), vec![shared.condition]);
                let (content, offset, key) = (*content, range.start, key.clone());
                Ok(Taken { content, offset, key, below, conditions, writes })
            }
            PartContent::Slices { uid, pieces } => {
                let (mut conditions, mut writes) = (Vec::new(), Vec::new());
                let mut below = Below::default();
                for Piece { slice, .. } in pieces {
                    let shared = self.share(slice.content).await?;
                    for write in shared.held_by(slice.content, slice.holder)? {
                        // A content that is sliced twice is pardoned once.
                        if !writes.contains(&write) {
                            writes.push(write);
                        }
                    }
                    below = below.and(Below::from(&shared.record));
                    conditions.push(shared.condition);
                }
                let etag = Etag { digest: part.sums.md5, parts: 0 };
                let keyed = (part.upload.record.content_key.uid, etag);
                let composed = Composed::new(*uid, pieces.clone(), below, keyed);
                let (below, key) = (composed.below(), SliceKey::Same);
                writes.extend(composed.rows(self.key())?);
                writes.push(reference(*uid)?);
                Ok(Taken { content: *uid, offset: 0, key, below, conditions, writes })
            }
        }
    }
}

/// What it takes that a part holds its content: which one, where in it the part begins, what lies
/// below, conditions and writes.
struct Taken {
    content: Uid,
    offset: u64,
    key: SliceKey,
    below: Below,
    conditions: Vec<Condition>,
    writes: Vec<Write>,
}

/// How who has the key of an upload gets that of a content which a part is of.
fn sealed_for(
    upload: Option<&ContentKey>,
    content: Option<&ContentKey>,
) -> Result<SliceKey, Error> {
    match (upload, content) {
        (_, None) => Ok(SliceKey::Same),
        (Some(upload), Some(content)) => content.below(upload),
        (None, Some(_)) => Err(Error::System("a sealed part without the upload's key".into())),
    }
}

/// What stands for the MD5 of bytes that were not read: the same for the same range of the same
/// content.
fn stand_in(content: Uid, range: &Range<u64>) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(content.0);
    md5.update(range.start.to_be_bytes());
    md5.update(range.end.to_be_bytes());
    md5.finalize().into()
}
