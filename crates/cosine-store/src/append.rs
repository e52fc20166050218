//! APPEND Object.
//!
//! Contents never change, so an append makes a new one, of what was there and of what came. Where the
//! slices at the end have not grown geometrically, they are written once more together with what came:
//! so an object of many appends has few slices, and each byte is written again only as often as its
//! slice doubles, up to [`MERGED_BYTES_MAX`].

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_kv::Condition;
use md5::{Digest, Md5};
use tracing::Instrument;

use crate::commit::ATTEMPTS_MAX;
use crate::content::Arrived;
use crate::copy::MOVED_BYTES_MAX;
use crate::get::Reread;
use crate::publish::{ContentLink, KeyState, Publication};
use crate::record::{
    Body, ContentRecord, Etag, ObjectKind, Pools, Record, ReferenceRecord, Slice, Version,
};
use crate::slices::{Below, Composed};
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
    /// The slices that stay as they are.
    slices: Vec<Slice>,
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
        let tail = match &front.version {
            Some(version) => self.read(version, front.tail.clone()).await?,
            None => Default::default(),
        };
        let mut grown = Grown { tail: Reread::new(tail), source, md5: Md5::new(), length: 0 };
        let arrived = self.receive(&mut grown, self.pool_of(class)).await;
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
        let publish =
            async move { store.publish_grown(request, position, front, arrived, md5).await };
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
        let found = self.slices(version.content, ends, &(0..record.size)).await?;
        let slices: Vec<Slice> = found.into_iter().map(|(slice, _)| slice).collect();
        Ok(Front::of(version, &record, slices))
    }

    async fn publish_grown(
        &self,
        request: PutRequest,
        position: u64,
        front: Front,
        mut arrived: Arrived,
        md5: [u8; 16],
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
            let content = self.grown(&front, &arrived, unchanged).await?;
            let mut publication = Publication {
                bucket: bucket.clone(),
                key: request.key.clone(),
                size: position + (arrived.size - (front.tail.end - front.tail.start)),
                etag: grown_etag(before, md5),
                crc64: content.0,
                kind: ObjectKind::Appendable,
                // As they are now: they may have been edited while the bytes came.
                attributes: now.map_or(&request.attributes, |v| &v.attributes).clone(),
                tags: now.map_or(&request.tags, |v| &v.tags).clone(),
                acl: now.map_or(request.acl.clone(), |v| v.acl.clone()),
                class: now.map_or(request.class, |v| v.class),
                forbid_overwrite: false,
                content: content.1,
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

    /// The content that the object has after an append: its checksum, and what it takes.
    async fn grown(
        &self,
        front: &Front,
        arrived: &Arrived,
        unchanged: Condition,
    ) -> Result<(u64, ContentLink), Error> {
        let (mut conditions, mut writes, mut slices) = (vec![unchanged], vec![], vec![]);
        for slice in &front.slices {
            let shared = self.share(slice.content).await?;
            let holder = self.new_uid()?;
            writes.extend(shared.held_by(slice.content, holder)?);
            conditions.push(shared.condition);
            slices.push(Slice { holder, ..*slice });
        }
        if arrived.size > 0 {
            let (needed, rows) = arrived.rows()?;
            conditions.extend(needed);
            writes.extend(rows);
            let (content, holder) = (arrived.uid, self.new_uid()?);
            writes.push(ReferenceRecord {}.put(key::content_reference(content, holder))?);
            let (length, crc64) = (arrived.size, arrived.crc64);
            slices.push(Slice { content, holder, offset: 0, length, crc64 });
        }
        let below = Below { pools: front.pools.and(arrived.pools()), depth: 0 };
        let content = Composed::new(self.new_uid()?, slices, below);
        Ok((content.crc64, ContentLink::Composed { content, conditions, writes }))
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
fn grown_etag(before: Option<&Version>, md5: [u8; 16]) -> Etag {
    let digest = match before {
        None => md5,
        Some(version) => {
            Md5::new().chain_update(version.etag.digest).chain_update(md5).finalize().into()
        }
    };
    Etag { digest, parts: 0 }
}

impl Front {
    fn of(version: &Version, record: &ContentRecord, mut slices: Vec<Slice>) -> Self {
        let kept = kept(&slices.iter().map(|slice| slice.length).collect::<Vec<_>>());
        let merged: u64 = slices.drain(kept..).map(|slice| slice.length).sum();
        let tail = record.size - merged..record.size;
        Self { version: Some(version.clone()), pools: record.pools, slices, tail }
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
