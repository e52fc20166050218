//! Multipart uploads: they begin, take parts, and end in an object or in nothing.
//!
//! A part is a slice of a content, and holds its reference from the moment it is there. Completing makes
//! a content of these very slices: no reference is rewritten, no byte moves, and it is one commit. Its
//! conditions are the rows of the parts that it is made of, so it decides from these alone: what becomes
//! of others meanwhile does not matter, and the upload's own row ends with it.

use cosine_kv::{Commit, Condition, Revision, Write};
use md5::{Digest, Md5};
use tracing::Instrument;
use zeroize::Zeroizing;

use crate::commit::{ATTEMPTS_MAX, Proof};
use crate::id::{self, UploadId};
use crate::publish::{ContentLink, Publication};
use crate::record::{
    Attributes, EndedUploadRecord, Etag, ObjectKind, ObjectSums, PartRecord, PartSums, Record,
    Slice, StorageClass, UploadRecord, Version,
};
use crate::slices::{Below, Composed, Piece};
use crate::{Bucket, Error, ObjectKey, Store, key};
use cosine_access::ObjectAcl;
use cosine_crypt::{CustomerKey, Encryption, Key, KeyError, Shown, TagKey};

/// Parts are numbered from 1 to this.
pub const PART_NUMBER_MAX: u16 = 10_000;
/// Every part of an object but its last holds at least this many bytes: 1 MB.
pub const PART_BYTES_MIN: u64 = 1 << 20;

/// An upload to begin.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Where.
    pub bucket: Bucket,
    /// Under which key.
    pub key: ObjectKey,
    /// With which metadata.
    pub attributes: Attributes,
    /// With which tags, key and value.
    pub tags: Vec<(String, String)>,
    /// For whom.
    pub acl: ObjectAcl,
    /// In which class.
    pub class: StorageClass,
    /// The uin of the account that begins it; 0 for nobody who said so.
    pub initiator: u64,
    /// How the object's bytes are encrypted.
    pub encryption: Encryption,
    /// Do not let it become an object if the key has one by then.
    pub forbid_overwrite: bool,
}

/// An upload under way, as it was read.
#[derive(Clone, Debug)]
pub struct Upload {
    pub(crate) bucket: Bucket,
    pub(crate) key: ObjectKey,
    /// What clients name it by.
    pub id: UploadId,
    /// What the object will be.
    pub record: UploadRecord,
    revision: Revision,
}

impl Upload {
    /// As it was read from its row.
    pub(crate) fn read(
        bucket: &Bucket,
        key: ObjectKey,
        id: UploadId,
        row: &cosine_kv::Row,
    ) -> Result<Self, Error> {
        let row_key = key::upload(bucket.uid(), &key, &id);
        let record = UploadRecord::decode(&row_key, &row.value)?;
        Ok(Self { bucket: bucket.clone(), key, id, record, revision: row.revision })
    }

    /// The key that it is an upload to.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// What clients see of its encryption.
    pub fn shown(&self) -> Shown<'_> {
        self.record.shown()
    }

    /// How its object's bytes are encrypted; `customer` is the customer's key that came, if one did.
    ///
    /// # Errors
    /// [`Error::UploadKey`] if that is missing, or unwanted.
    pub(crate) fn encryption(&self, customer: Option<&CustomerKey>) -> Result<Encryption, Error> {
        self.record.content_key.envelope.encryption(customer).map_err(Error::UploadKey)
    }

    fn row(&self) -> Vec<u8> {
        key::upload(self.bucket.uid(), &self.key, &self.id)
    }

    /// The condition of every commit that has to do with it.
    pub(crate) fn stands(&self) -> Condition {
        Condition::Unchanged(self.row(), self.revision)
    }

    /// The writes that end it.
    fn end(&self) -> Result<[Write; 2], Error> {
        Ok([Write::Delete(self.row()), EndedUploadRecord {}.put(key::ended(self.record.uid))?])
    }
}

/// A part, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1 to 10,000.
    pub number: u16,
    /// Bytes.
    pub size: u64,
    /// CRC-64/XZ of them.
    pub crc64: u64,
    /// MD5 of them; of a part that was copied, perhaps what stands for it.
    pub etag: [u8; 16],
    /// Last modification, whole seconds since 1970 UTC.
    pub last_modified: i64,
}

/// What an upload is to become.
#[derive(Clone, Debug)]
pub struct CompleteRequest {
    /// The upload.
    pub upload: Upload,
    /// The parts that the object is made of, with what the client takes for their entity tags; `None`
    /// for a tag that no part can have.
    pub parts: Vec<(u16, Option<[u8; 16]>)>,
    /// Fail if the key has an object, whatever was said when the upload began.
    pub forbid_overwrite: bool,
}

/// What an upload knows of the customer's key.
struct Customer {
    md5: [u8; 16],
    tag_key: TagKey,
}

impl Customer {
    /// What it is sealed for.
    fn purpose(upload: crate::Uid) -> Vec<u8> {
        [&b"customer of an upload "[..], &upload.0].concat()
    }

    fn seal(upload: crate::Uid, customer: &CustomerKey, store: &Key) -> Result<Vec<u8>, KeyError> {
        let tag_key = customer.tag_key();
        let plain = Zeroizing::new([&customer.md5()[..], tag_key.bytes()].concat());
        Ok(store.seal(&Self::purpose(upload), &plain)?)
    }

    fn open(upload: crate::Uid, sealed: &[u8], store: &Key) -> Option<Self> {
        let plain = store.open(&Self::purpose(upload), sealed).ok()?;
        let (md5, tag_key) = plain.split_first_chunk()?;
        Some(Self { md5: *md5, tag_key: TagKey::from_slice(tag_key)? })
    }
}

/// Checksums of this many parts are opened, and then others have their turn.
const PARTS_AT_ONCE: usize = 256;

impl UploadRecord {
    /// What clients see of its encryption.
    pub fn shown(&self) -> Shown<'_> {
        self.content_key.envelope.shown()
    }
}

impl Store {
    /// A part as clients see it.
    pub(crate) fn shown_part(&self, number: u16, record: &PartRecord) -> Result<Part, Error> {
        let PartSums { etag, crc64, .. } = record.sums.read(self.key(), &record.holder.0)?;
        let last_modified = (record.modified / 1_000_000).cast_signed();
        Ok(Part { number, size: record.length, crc64, etag, last_modified })
    }

    /// The MD5 of the customer's key that an upload is encrypted with, if it is.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn customer_md5(&self, upload: &Upload) -> Result<Option<[u8; 16]>, Error> {
        Ok(self.customer(upload)?.map(|customer| customer.md5))
    }

    /// Whether an encryption context is the one that an upload began with.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn upload_has_context(&self, upload: &Upload, said: &[u8]) -> Result<bool, Error> {
        self.has_context((&upload.bucket, &upload.key), &upload.record.content_key, said)
    }

    fn customer(&self, upload: &Upload) -> Result<Option<Customer>, Error> {
        let Some(sealed) = &upload.record.customer else { return Ok(None) };
        let opened = Customer::open(upload.record.uid, sealed, self.key());
        let damaged = || Error::Damaged("the customer of an upload does not open".to_owned());
        opened.map(Some).ok_or_else(damaged)
    }

    /// The entity tag that is shown of what parts make, whose plain one this is.
    fn completed_etag(&self, upload: &Upload, plain: Etag) -> Result<Etag, Error> {
        let digest = match (self.customer(upload)?, upload.shown()) {
            (Some(customer), _) => customer.tag_key.blind(plain.digest),
            (None, Shown::Kms(_)) => id::random(self.random())?,
            (None, _) => plain.digest,
        };
        Ok(Etag { digest, ..plain })
    }

    /// Begins an upload: makes its content key, whether it will be needed or not.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::Key`], [`Error::Busy`].
    pub async fn create_upload(&self, new: NewUpload) -> Result<(UploadId, UploadRecord), Error> {
        self.require_room()?;
        let now = self.now();
        let seconds = u32::try_from(now / 1_000_000).unwrap_or(u32::MAX);
        let id = UploadId::new(seconds, id::random(self.random())?);
        let (uid, key) = (self.new_uid()?, self.new_content_key()?);
        let at = (&new.bucket, &new.key);
        let content_key = self.seal_envelope(at, &key, &new.encryption).await?;
        let customer = match &new.encryption {
            Encryption::Customer(key) => Some(Customer::seal(uid, key, self.key())?),
            _ => None,
        };
        let record = UploadRecord {
            uid,
            content_key,
            customer,
            initiated: now,
            initiator: new.initiator,
            class: new.class,
            acl: new.acl,
            attributes: new.attributes,
            tags: new.tags,
            forbid_overwrite: new.forbid_overwrite,
        };
        let mut bucket = new.bucket;
        for _ in 0..ATTEMPTS_MAX {
            self.pass_gate(&mut bucket).await?;
            let row = key::upload(bucket.uid(), &new.key, &id);
            let commit = Commit {
                conditions: vec![bucket.unchanged()],
                writes: vec![record.put(row.clone())?],
            };
            if self.commit(commit, &Proof::Present(row)).await? {
                return Ok((id, record));
            }
            self.refresh(&mut bucket).await?;
        }
        Err(Error::Busy)
    }

    /// Finds an upload.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], also where it is one to another key.
    pub async fn upload(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        id: UploadId,
    ) -> Result<Upload, Error> {
        let row = self.kv().get(&key::upload(bucket.uid(), key, &id)).await?;
        Upload::read(bucket, key.clone(), id, &row.ok_or(Error::NoSuchUpload)?)
    }

    /// A part of an upload, if it is there, and the condition that it stays as it is.
    pub(crate) async fn part(
        &self,
        upload: &Upload,
        number: u16,
    ) -> Result<(Option<PartRecord>, Condition), Error> {
        let row = key::part(upload.record.uid, number);
        match self.kv().get(&row).await? {
            Some(found) => {
                let record = PartRecord::decode(&row, &found.value)?;
                Ok((Some(record), Condition::Unchanged(row, found.revision)))
            }
            None => Ok((None, Condition::Absent(row))),
        }
    }

    /// Makes an object of an upload's parts: visible, whole, when this returns, and not before. Runs
    /// on a task of its own.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoSuchPart`], [`Error::PartOrder`], [`Error::PartTooSmall`],
    /// [`Error::AlreadyExists`], [`Error::NoSuchBucket`], [`Error::Busy`]: then the upload is as it
    /// was.
    pub async fn complete_upload(&self, request: CompleteRequest) -> Result<Version, Error> {
        let store = self.clone();
        let complete = async move { store.complete_now(request).await };
        tokio::spawn(complete.in_current_span())
            .await
            .map_err(|error| Error::System(error.to_string()))?
    }

    async fn complete_now(&self, request: CompleteRequest) -> Result<Version, Error> {
        self.require_room()?;
        let CompleteRequest { mut upload, parts: listed, forbid_overwrite } = request;
        let rising = |pair: &[(u16, _)]| matches!(pair, [(a, _), (b, _)] if a < b);
        if !listed.windows(2).all(rising) {
            return Err(Error::PartOrder);
        }
        for _ in 0..ATTEMPTS_MAX {
            let (parts, mut conditions) = self.listed_parts(&upload, &listed).await?;
            conditions.push(upload.stands());
            let (content, etag) = compose(&upload.record, &parts);
            let sealed = content.below().coverage.needs_key() || upload.shown() != Shown::Nothing;
            let etag = self.completed_etag(&upload, etag)?;
            let content_key = Some(&upload.record.content_key).filter(|_| sealed).cloned();
            let writes = upload.end()?.to_vec();
            let mut publication = Publication {
                bucket: upload.bucket.clone(),
                key: upload.key.clone(),
                size: content.size,
                sums: ObjectSums { etag, crc64: content.crc64 },
                content_key,
                kind: ObjectKind::Normal,
                attributes: upload.record.attributes.clone(),
                tags: upload.record.tags.clone(),
                acl: upload.record.acl,
                class: upload.record.class,
                forbid_overwrite: forbid_overwrite || upload.record.forbid_overwrite,
                content: ContentLink::Composed { content, conditions, writes },
            };
            if let Some(version) = self.publish_once(&mut publication).await? {
                return Ok(version);
            }
            let mut bucket = upload.bucket.clone();
            self.refresh(&mut bucket).await?;
            upload = self.upload(&bucket, &upload.key, upload.id).await?;
        }
        Err(Error::Busy)
    }

    /// The parts that a client lists, each with the condition that it stays as it is.
    async fn listed_parts(
        &self,
        upload: &Upload,
        listed: &[(u16, Option<[u8; 16]>)],
    ) -> Result<(Vec<(PartRecord, PartSums)>, Vec<Condition>), Error> {
        let found = self.all_parts(upload.record.uid).await?;
        let (mut records, mut conditions) = (Vec::new(), Vec::new());
        for (place, (number, etag)) in listed.iter().enumerate() {
            if place % PARTS_AT_ONCE == PARTS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let at = found.binary_search_by_key(number, |(number, ..)| *number);
            let at = at.map_err(|_| Error::NoSuchPart(*number))?;
            let (_, record, revision) = found.get(at).ok_or(Error::NoSuchPart(*number))?;
            let sums = record.sums.read(self.key(), &record.holder.0)?;
            if *etag != Some(sums.etag) {
                return Err(Error::NoSuchPart(*number));
            }
            records.push((record.clone(), sums));
            let row = key::part(upload.record.uid, *number);
            conditions.push(Condition::Unchanged(row, *revision));
        }
        let but_last = records.split_last().map_or(&[][..], |(_, front)| front);
        if but_last.iter().any(|(part, _)| part.length < PART_BYTES_MIN) {
            return Err(Error::PartTooSmall);
        }
        Ok((records, conditions))
    }

    /// Gives an upload up. Its parts go in time.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    pub async fn abort_upload(&self, upload: &Upload) -> Result<(), Error> {
        let commit = Commit { conditions: vec![upload.stands()], writes: upload.end()?.to_vec() };
        match self.commit(commit, &Proof::Absent(upload.row())).await? {
            true => Ok(()),
            // Nothing else changes the row: it was completed or aborted.
            false => Err(Error::NoSuchUpload),
        }
    }
}

/// The content that parts make, and its entity tag where it is shown plain.
fn compose(upload: &UploadRecord, parts: &[(PartRecord, PartSums)]) -> (Composed, Etag) {
    let below = |(part, _): &(PartRecord, PartSums)| {
        let PartRecord { pools, depth, coverage, .. } = *part;
        match part.length {
            0 => Below::default(),
            _ => Below { pools, depth, coverage },
        }
    };
    let piece = |(part, sums): &(PartRecord, PartSums)| {
        let PartRecord { content, holder, offset, length, .. } = *part;
        let slice = Slice { content, holder, offset, length, key: part.key.clone() };
        Piece { slice, crc64: sums.crc64 }
    };
    let pieces = parts.iter().filter(|(part, _)| part.length > 0).map(piece).collect();
    let below = parts.iter().map(below).fold(Below::default(), Below::and);
    let digest = digest_of(parts.iter().map(|(_, sums)| sums.md5));
    let etag = Etag { digest, parts: parts.len() as u16 };
    (Composed::new(upload.uid, pieces, below, (upload.content_key.uid, etag)), etag)
}

/// MD5 over the digests of parts: the entity tag of a multipart object, with how many there are.
fn digest_of(digests: impl Iterator<Item = [u8; 16]>) -> [u8; 16] {
    digests.fold(Md5::new(), |md5, digest| md5.chain_update(digest)).finalize().into()
}
