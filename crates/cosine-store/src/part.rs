//! Upload Part and Upload Part - Copy.
//!
//! A part that is copied is a slice of what it is copied from, by reference. How much of the source that
//! keeps alive is bounded: a range within one slice of the source refers to that slice's own content, a
//! smaller range over several of them to each, and only a range of at least half of the source, or over
//! more slices than a commit can take, to the whole of it.

use std::ops::Range;

use cosine_access::ReadProof;
use cosine_blob::PoolId;
use cosine_kv::{Commit, Condition, Write};
use md5::{Digest, Md5};
use tracing::Instrument;

use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::content::Arrived;
use crate::copy::{Announced, CopyFacts, CopyPlan, CopySource, plan};
use crate::id::Uid;
use crate::publish::let_go;
use crate::record::{Body, PartRecord, Record, ReferenceRecord, Slice};
use crate::slices::{Below, Composed, DEPTH_MAX};
use crate::source::ByteSource;
use crate::upload::{Part, Upload};
use crate::{Error, Store, key};

/// A range over more slices than this refers to the whole content: each takes a reference and perhaps
/// a pardon in the one commit of the part.
const SLICES_MAX: usize = 256;

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
}

/// A copy of a part that was planned and not rejected.
#[derive(Debug)]
pub struct PlannedPartCopy {
    store: Store,
    request: PartCopyRequest,
    moves_to: Option<PoolId>,
    etag: [u8; 16],
}

/// What a part's bytes are.
enum PartContent {
    /// What came with it.
    Arrived(Arrived),
    /// A slice of a content that is there.
    Slice { content: Uid, range: Range<u64> },
    /// Several such slices.
    Slices { uid: Uid, slices: Vec<Slice> },
}

/// A part that is about to be.
struct NewPart {
    upload: Upload,
    number: u16,
    holder: Uid,
    length: u64,
    crc64: u64,
    etag: [u8; 16],
    content: PartContent,
}

impl PlannedPartCopy {
    /// Whether bytes move: then it may take long.
    pub fn moves_bytes(&self) -> bool {
        self.moves_to.is_some()
    }

    /// Copies.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::Gone`] if the source went meanwhile, and where bytes move
    /// those of reading and writing them.
    pub async fn run(self) -> Result<Part, Error> {
        let Self { store, request, moves_to, etag } = self;
        let PartCopyRequest { upload, number, source, range } = request;
        let source = source.into_inner().version;
        let length = range.end - range.start;
        let content = match moves_to {
            Some(pool) => {
                PartContent::Arrived(store.transcode(source.content, range.clone(), pool).await?)
            }
            None => store.part_of_content(source.content, range.clone()).await?,
        };
        let crc64 = match &content {
            PartContent::Arrived(arrived) => arrived.crc64,
            _ => store.crc64(source.content, range).await?,
        };
        let holder = store.new_uid()?;
        store.publish_part(NewPart { upload, number, holder, length, crc64, etag, content }).await
    }
}

impl Store {
    /// Stores a part, in place of the one of the same number.
    ///
    /// # Errors
    /// [`Error::Source`], [`Error::DigestMismatch`], [`Error::NoSuchUpload`]: then nothing is stored.
    pub async fn put_part(
        &self,
        upload: Upload,
        number: u16,
        md5: Option<[u8; 16]>,
        source: &mut dyn ByteSource,
    ) -> Result<Part, Error> {
        self.require_room()?;
        let content = self.receive(source, self.pool_of(upload.record.class)).await?;
        if md5.is_some_and(|announced| announced != content.md5) {
            return Err(Error::DigestMismatch);
        }
        self.publish_arrived(upload, number, content).await
    }

    /// Stores a part whose bytes another deployment sends.
    ///
    /// # Errors
    /// As for [`put_part`](Self::put_part); [`Error::FetchMismatch`] if other bytes came.
    pub async fn fetch_part(
        &self,
        upload: Upload,
        number: u16,
        announced: Announced,
        source: &mut dyn ByteSource,
    ) -> Result<Part, Error> {
        self.require_room()?;
        let content = self.receive(source, self.pool_of(upload.record.class)).await?;
        announced.require(&content)?;
        self.publish_arrived(upload, number, content).await
    }

    /// Plans the copy of a part. Nothing is written yet.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::Gone`] if the source went meanwhile.
    pub async fn plan_part_copy(&self, request: PartCopyRequest) -> Result<PlannedPartCopy, Error> {
        self.require_room()?;
        let source = &request.source.get().version;
        let content = self.content(source.content).await?;
        let wanted_in = self.pool_of(request.upload.record.class);
        let plan = plan(CopyFacts {
            size: request.range.end - request.range.start,
            lies_in: content.pools,
            wanted_in,
            readable: self.readable(source).now(),
            changes_nothing: false,
        });
        tracing::debug!(?plan, number = request.number, "copy of a part");
        let moves_to = match plan {
            CopyPlan::Reject(rejection) => return Err(Error::Rejected(rejection)),
            CopyPlan::Transcode(pool) => Some(pool),
            // Too many levels to read through: its bytes are written once more.
            CopyPlan::Reference if content.depth >= DEPTH_MAX => Some(wanted_in),
            CopyPlan::Reference => None,
        };
        let whole = request.range == (0..content.size);
        let etag = match content.md5.filter(|_| whole) {
            Some(md5) => md5,
            None => stand_in(source.content, &request.range),
        };
        Ok(PlannedPartCopy { store: self.clone(), request, moves_to, etag })
    }

    /// What a range of a content is as a part.
    async fn part_of_content(
        &self,
        mut content: Uid,
        mut range: Range<u64>,
    ) -> Result<PartContent, Error> {
        loop {
            let record = self.content(content).await?;
            let Body::Slices(ends) = &record.body else {
                return Ok(PartContent::Slice { content, range });
            };
            if (range.end - range.start).saturating_mul(2) >= record.size {
                return Ok(PartContent::Slice { content, range });
            }
            let slices = self.slices(content, ends, &range).await?;
            match &slices[..] {
                [(slice, within)] => (content, range) = (slice.content, within.clone()),
                _ if slices.len() > SLICES_MAX => {
                    return Ok(PartContent::Slice { content, range });
                }
                _ => return self.several(slices).await,
            }
        }
    }

    async fn several(&self, found: Vec<(Slice, Range<u64>)>) -> Result<PartContent, Error> {
        let mut slices = Vec::with_capacity(found.len());
        for (slice, within) in found {
            let length = within.end - within.start;
            let crc64 = match length == slice.length {
                true => slice.crc64,
                false => self.crc64(slice.content, within.clone()).await?,
            };
            let holder = self.new_uid()?;
            slices.push(Slice {
                content: slice.content,
                holder,
                offset: within.start,
                length,
                crc64,
            });
        }
        Ok(PartContent::Slices { uid: self.new_uid()?, slices })
    }

    async fn publish_arrived(
        &self,
        upload: Upload,
        number: u16,
        content: Arrived,
    ) -> Result<Part, Error> {
        let (length, crc64, etag) = (content.size, content.crc64, content.md5);
        let (holder, content) = (self.new_uid()?, PartContent::Arrived(content));
        self.publish_part(NewPart { upload, number, holder, length, crc64, etag, content }).await
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
                return Ok(Part::of(part.number, &record));
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
        let (content, offset, below, mut conditions, mut writes) = self.take(part).await?;
        let record = PartRecord {
            content,
            holder: part.holder,
            offset,
            length: part.length,
            crc64: part.crc64,
            etag: part.etag,
            modified: now,
            pools: below.pools,
            depth: below.depth,
        };
        conditions.extend([part.upload.stands(), same]);
        writes.push(record.put(key::part(part.upload.record.uid, part.number))?);
        if let Some(before) = before {
            writes.extend(let_go(before.content, before.holder, now)?);
        }
        Ok((record, Commit { conditions, writes }))
    }

    /// What it takes that a part holds its content: which one, where in it the part begins, what lies
    /// below, conditions and writes.
    async fn take(
        &self,
        part: &NewPart,
    ) -> Result<(Uid, u64, Below, Vec<Condition>, Vec<Write>), Error> {
        let reference =
            |content| ReferenceRecord {}.put(key::content_reference(content, part.holder));
        match &part.content {
            PartContent::Arrived(content) => {
                let (conditions, mut writes) = content.rows()?;
                writes.push(reference(content.uid)?);
                let below = Below { pools: content.pools(), depth: 0 };
                Ok((content.uid, 0, below, conditions, writes))
            }
            PartContent::Slice { content, range } => {
                let shared = self.share(*content).await?;
                let writes = shared.held_by(*content, part.holder)?;
                let below = Below::from(&shared.record);
                Ok((*content, range.start, below, vec![shared.condition], writes))
            }
            PartContent::Slices { uid, slices } => {
                let (mut conditions, mut writes) = (Vec::new(), Vec::new());
                let mut below = Below::default();
                for slice in slices {
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
                let composed = Composed::new(*uid, slices.clone(), below);
                let below = composed.below();
                writes.extend(composed.rows()?);
                writes.push(reference(*uid)?);
                Ok((*uid, 0, below, conditions, writes))
            }
        }
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
