//! APPEND Object.
//!
//! Contents never change, so an append makes a new one, of what was there and of what came. Where the
//! slices at the end have not grown geometrically, they are written once more together with what came:
//! so an object of many appends has few slices, and each byte is written again only as often as its
//! slice doubles, up to [`MERGED_BYTES_MAX`].

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_crypt::{Encryption, KeyError, Shown};
use cosine_kv::Condition;
use md5::{Digest, Md5};
use tracing::Instrument;

use crate::commit::ATTEMPTS_MAX;
use crate::content::{Arrived, Destination};
use crate::copy::MOVED_BYTES_MAX;
use crate::get::Reread;
use crate::keys::ContentKey;
use crate::publish::{ContentLink, KeyState, Publication};
use crate::record::{
    Body, ContentRecord, Coverage, Etag, ObjectKind, ObjectSums, Pools, Record, ReferenceRecord,
    SealedContentKey, Slice, SliceKey, Version,
};
use crate::slices::{Below, Composed, Piece};
use crate::source::{ByteSource, SourceError};
use crate::{Error, PutRequest, Store, key};

/// Slices are merged up to this many bytes. So an object of 5 GB has fewer than 200, each of which takes
/// a reference in the commit of an append.
const MERGED_BYTES_MAX: u64 = 64 << 20;

/// What an append left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The object now.
    pub version: Version,
    /// MD5 of the bytes that were appended.
    pub md5: [u8; 16],
}

/// What is there before an append.
#[derive(Default)]
struct Front {
    /// The version, if there is one.
    version: Option<Version>,
    /// Where its bytes lie.
    pools: Pools,
    /// How much of them is sealed.
    coverage: Coverage,
    /// The entity tag of the object, were it shown plain.
    etag: Option<Etag>,
    /// The pieces that stay as they are.
    pieces: Vec<Piece>,
    /// The bytes at its end that are written once more.
    tail: Range<u64>,
}

impl Store {
    /// Appends to an object that is `position` bytes long; at 0, makes one if there is none. Its
    /// metadata, ACL, tags and class are those of the first append.
    ///
    /// # Errors
    /// [`Error::AppendPosition`] with the object's length if it is another, [`Error::NotAppendable`],
    /// [`Error::EntityTooLarge`], [`Error::Versioned`], and those of [`put`](Self::put).
    pub async fn append(
        &self,
        request: PutRequest,
        position: u64,
        source: &mut dyn ByteSource,
    ) -> Result<Appended, Error> {
        self.require_room()?;
        let front = self.front(&request, position).await?;
        let class = front.version.as_ref().map_or(request.class, |version| version.class);
        let (request, lock) = self.lock_of_grown(request, &front).await?;
        let key = lock.as_ref().map(|(key, _)| key);
        let tail = match &front.version {
            Some(version) => self.read(version, front.tail.clone(), key).await?,
            None => Default::default(),
        };
        let mut grown = Grown { tail: Reread::new(tail), source, md5: Md5::new(), length: 0 };
        let to = Destination { pool: self.pool_of(class), key, hashed: false };
        let arrived = self.receive(&mut grown, to).await;
        let arrived = arrived.map_err(|error| grown.tail.broken.take().unwrap_or(error))?;
        if position.saturating_add(grown.length) > MOVED_BYTES_MAX {
            return Err(Error::EntityTooLarge);
        }
        let md5 = grown.md5.finalize().into();
        if request.md5.is_some_and(|announced| announced != md5) {
            return Err(Error::DigestMismatch);
        }
        // On a task of its own, as every commit: a caller that goes away stops nothing half done.
        let store = self.clone();
        let content_key = lock.map(|(_, sealed)| sealed);
        let came = (arrived, md5, content_key);
        let publish = async move { store.publish_grown(request, position, front, came).await };
        let version = tokio::spawn(publish.in_current_span())
            .await
            .map_err(|error| Error::System(error.to_string()))??;
        Ok(Appended { version, md5 })
    }

    /// What is there, and how much of it is written once more.
    async fn front(&self, request: &PutRequest, position: u64) -> Result<Front, Error> {
        if request.bucket.keeps_versions() {
            return Err(Error::Versioned);
        }
        let state = self.key_state(request.bucket.uid(), &request.key).await?;
        let Some(version) = appendable(&state, position)? else { return Ok(Front::default()) };
        let record = self.content(version.content).await?;
        let Body::Slices(ends) = &record.body else {
            return Err(Error::Damaged("an appendable object is not made of slices".into()));
        };
        let found = self.pieces(version.content, ends, &(0..record.size)).await?;
        let pieces: Vec<Piece> = found.into_iter().map(|(piece, _)| piece).collect();
        let etag = record.sums.read(self.key(), &version.content.0)?.etag;
        Ok(Front::of(version, &record, (pieces, etag)))
    }

    /// What is appended is sealed under: as the object is, whatever the request asks for. A first append
    /// decides.
    async fn lock_of_grown(
        &self,
        mut request: PutRequest,
        front: &Front,
    ) -> Result<(PutRequest, Option<(ContentKey, SealedContentKey)>), Error> {
        let at = (&request.bucket, &request.key);
        let Some(version) = &front.version else {
            let lock = self.lock(at, &request.encryption).await?;
            return Ok((request, lock));
        };
        let shown = version.encryption();
        let (customer, goes_with) = match &request.encryption {
            Encryption::None => (None, true),
            // A customer brings the key; whether it is the one is seen when it opens.
            Encryption::Customer(key) => (Some(key.clone()), true),
            Encryption::Cos => (None, shown == Shown::Cos),
            Encryption::Kms { key_id, context } => {
                let same = |shown_id: &str| key_id.as_deref().is_none_or(|id| id == shown_id);
                let same_context = match &version.content_key {
                    Some(sealed) if !context.is_empty() => self.has_context(at, sealed, context)?,
                    _ => true,
                };
                (None, same_context && matches!(shown, Shown::Kms(id) if same(id)))
            }
        };
        if !goes_with {
            return Err(Error::OtherEncryption);
        }
        let Some(sealed) = &version.content_key else {
            if customer.is_some() {
                return Err(KeyError::CustomerKeyUnwanted.into());
            }
            request.encryption = Encryption::None;
            let lock = self.lock((&request.bucket, &request.key), &request.encryption).await?;
            return Ok((request, lock));
        };
        let key = self.open_envelope(at, sealed, customer.as_ref()).await?;
        request.encryption = sealed.envelope.encryption(customer.as_ref())?;
        let sealed = sealed.clone();
        Ok((request, Some((key, sealed))))
    }

    async fn publish_grown(
        &self,
        request: PutRequest,
        position: u64,
        front: Front,
        (mut arrived, md5, content_key): (Arrived, [u8; 16], Option<SealedContentKey>),
    ) -> Result<Version, Error> {
        let mut bucket = request.bucket.clone();
        let before = front.version.as_ref();
        for _ in 0..ATTEMPTS_MAX {
            let state = self.key_state(bucket.uid(), &request.key).await?;
            let now = appendable(&state, position)?;
            if now.map(|version| version.uid) != before.map(|version| version.uid) {
                // Another append, of nothing, or another object of the same length.
                return Err(Error::AppendPosition(now.map_or(0, |version| version.size)));
            }
            let unchanged = state.untouched(key::head(bucket.uid(), &request.key));
            let plain = grown_etag(front.etag, md5);
            let (content, link) =
                self.grown(&front, &arrived, (content_key.as_ref(), plain, unchanged)).await?;
            let etag = self.shown_etag(plain, &request.encryption)?;
            let shown = !matches!(request.encryption, Encryption::None);
            let sealed = shown || content.below().coverage.needs_key();
            let mut publication = Publication {
                bucket: bucket.clone(),
                key: request.key.clone(),
                size: position + (arrived.size - (front.tail.end - front.tail.start)),
                sums: ObjectSums { etag, crc64: content.crc64 },
                content_key: content_key.clone().filter(|_| sealed),
                kind: ObjectKind::Appendable,
                // As they are now: they may have been edited while the bytes came.
                attributes: now.map_or(&request.attributes, |v| &v.attributes).clone(),
                tags: now.map_or(&request.tags, |v| &v.tags).clone(),
                acl: now.map_or(request.acl.clone(), |v| v.acl.clone()),
                class: now.map_or(request.class, |v| v.class),
                forbid_overwrite: false,
                content: link,
            };
            let published = self.publish_once(&mut publication).await;
            if !matches!(published, Ok(None)) {
                arrived.keep();
            }
            if let Some(version) = published? {
                return Ok(version);
            }
            self.refresh(&mut bucket).await?;
            if bucket.keeps_versions() {
                return Err(Error::Versioned);
            }
        }
        Err(Error::Busy)
    }

    /// The content that the object has after an append, and what it takes.
    async fn grown(
        &self,
        front: &Front,
        arrived: &Arrived,
        (key, etag, unchanged): (Option<&SealedContentKey>, Etag, Condition),
    ) -> Result<(Composed, ContentLink), Error> {
        let (mut conditions, mut writes, mut pieces) = (vec![unchanged], vec![], vec![]);
        for Piece { slice, crc64 } in &front.pieces {
            let shared = self.share(slice.content).await?;
            let holder = self.new_uid()?;
            writes.extend(shared.held_by(slice.content, holder)?);
            conditions.push(shared.condition);
            pieces.push(Piece { slice: Slice { holder, ..slice.clone() }, crc64: *crc64 });
        }
        let mut below = Below { pools: front.pools, depth: 0, coverage: front.coverage };
        if arrived.size > 0 {
            let (needed, rows) = arrived.rows(self.key())?;
            conditions.extend(needed);
            writes.extend(rows);
            let (content, holder) = (arrived.uid, self.new_uid()?);
            writes.push(ReferenceRecord {}.put(key::content_reference(content, holder))?);
            let (length, key) = (arrived.size, SliceKey::Same);
            let slice = Slice { content, holder, offset: 0, length, key };
            pieces.push(Piece { slice, crc64: arrived.crc64 });
            below = below.and(Below { depth: 0, ..arrived.below() });
        }
        let uid = self.new_uid()?;
        // Without a key nothing is sealed, and what the key would be called is of no meaning.
        let keyed = (key.map_or(uid, |key| key.uid), etag);
        let content = Composed::new(uid, pieces, below, keyed);
        let link = ContentLink::Composed { content: content.clone(), conditions, writes };
        Ok((content, link))
    }
}

/// The object that is appended to; `None` if it is to be made.
fn appendable(state: &KeyState, position: u64) -> Result<Option<&Version>, Error> {
    match &state.current {
        Some(version) if version.kind != ObjectKind::Appendable => Err(Error::NotAppendable),
        Some(version) if version.size == position => Ok(Some(version)),
        Some(version) => Err(Error::AppendPosition(version.size)),
        None if position == 0 => Ok(None),
        None => Err(Error::AppendPosition(0)),
    }
}

/// It changes with each append, and tells the same appends from others.
fn grown_etag(before: Option<Etag>, md5: [u8; 16]) -> Etag {
    let digest = match before {
        None => md5,
        Some(before) => Md5::new().chain_update(before.digest).chain_update(md5).finalize().into(),
    };
    Etag { digest, parts: 0 }
}

impl Front {
    fn of(
        version: &Version,
        record: &ContentRecord,
        (mut pieces, etag): (Vec<Piece>, Etag),
    ) -> Self {
        let lengths: Vec<u64> = pieces.iter().map(|piece| piece.slice.length).collect();
        let merged: u64 = pieces.drain(kept(&lengths)..).map(|piece| piece.slice.length).sum();
        let tail = record.size - merged..record.size;
        let coverage = if pieces.is_empty() { Coverage::Nothing } else { record.coverage };
        let (version, pools) = (Some(version.clone()), record.pools);
        Self { version, pools, coverage, etag: Some(etag), pieces, tail }
    }
}

/// How many slices of these lengths stay: those behind are merged, as long as the one before is at most
/// twice as long as all of them.
fn kept(lengths: &[u64]) -> usize {
    let Some((last, front)) = lengths.split_last() else { return 0 };
    let (mut kept, mut behind) = (front.len(), *last);
    for before in front.iter().rev() {
        if *before > 2 * behind || before + behind > MERGED_BYTES_MAX {
            break;
        }
        kept -= 1;
        behind += before;
    }
    // The last one alone is no merger.
    if kept == front.len() { lengths.len() } else { kept }
}

/// The bytes that are written once more, and then those that came.
struct Grown<'s> {
    tail: Reread,
    source: &'s mut dyn ByteSource,
    /// Of what came.
    md5: Md5,
    length: u64,
}

#[async_trait]
impl ByteSource for Grown<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        if let Some(bytes) = self.tail.next().await? {
            return Ok(Some(bytes));
        }
        let next = self.source.next().await?;
        if let Some(bytes) = &next {
            self.md5.update(bytes);
            self.length += bytes.len() as u64;
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long the appends are, there are few slices, and no byte is written often.
    #[test]
    fn many_appends_leave_few_slices() {
        for (append, count) in [(1, 100_000), (1_000, 100_000), (33 << 20, 155), (5 << 20, 1_024)] {
            let (mut lengths, mut written, mut most) = (Vec::new(), 0, 0);
            for _ in 0..count {
                let behind: u64 = lengths.drain(kept(&lengths)..).sum();
                lengths.push(behind + append);
                written += behind + append;
                most = most.max(lengths.len());
            }
            assert_eq!(lengths.iter().sum::<u64>(), append * count);
            assert!(most <= 190, "{most} slices of appends of {append}");
            assert!(written / (append * count) < 20, "{written} bytes for appends of {append}");
        }
    }
}
