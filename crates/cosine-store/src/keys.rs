//! Content keys: where they come from, what they are sealed in, and how those of what a content is made
//! of are found.

use std::sync::Arc;

use cosine_blob::CHUNK_BYTES;
use cosine_crypt::segment::sealed_length;
use cosine_crypt::{CustomerKey, Encryption, Envelope, Key, KeyError, Place};

use crate::id::Uid;
use crate::record::{
    ContentRecord, DataKey, Etag, ObjectSums, SealedContentKey, SliceKey, Version,
};
use crate::{Bucket, Error, ObjectKey, Store, id};

/// The key of a content, opened.
#[derive(Clone, Debug)]
pub struct ContentKey {
    pub(crate) uid: Uid,
    key: Arc<Key>,
}

/// What data keys are sealed for under a content key.
fn data_purpose(content_key: Uid) -> Vec<u8> {
    [&b"data key "[..], &content_key.0].concat()
}

/// What the key of a content is sealed for under that of one that is made of it.
fn slice_purpose(child: Uid, parent: Uid) -> Vec<u8> {
    [&b"content key of a slice "[..], &child.0, &parent.0].concat()
}

fn damaged(what: &str) -> Error {
    Error::Damaged(what.to_owned())
}

impl ContentKey {
    /// Seals a data key under it.
    pub fn seal_data_key(&self, key: &Key) -> Result<Vec<u8>, Error> {
        Ok(self.key.seal_key(&data_purpose(self.uid), key).map_err(KeyError::from)?)
    }

    /// Opens a data key that is sealed under it.
    pub fn open_data_key(&self, sealed: &[u8]) -> Result<Key, Error> {
        let opened = self.key.open_key(&data_purpose(self.uid), sealed);
        opened.map_err(|_| damaged("a data key does not open under its content key"))
    }

    /// How whoever has `parent` gets this one.
    pub fn below(&self, parent: &Self) -> Result<SliceKey, Error> {
        if self.uid == parent.uid {
            return Ok(SliceKey::Same);
        }
        // The purpose names both, and neither is ever another key. Kept short, since there may be 10,000 of
        // them in one commit.
        let purpose = slice_purpose(self.uid, parent.uid);
        let sealed = parent.key.seal_only_key(&purpose, &self.key).map_err(KeyError::from)?;
        Ok(SliceKey::Sealed(sealed))
    }

    /// The key of a content that a content under this key is made of.
    fn of_slice(&self, child: Uid, sealed: &SliceKey) -> Result<Self, Error> {
        match sealed {
            SliceKey::Same if child == self.uid => Ok(self.clone()),
            SliceKey::Same => Err(damaged("a slice has another content key than is said")),
            SliceKey::Sealed(sealed) => {
                let opened = self.key.open_only_key(&slice_purpose(child, self.uid), sealed);
                let key =
                    opened.map_err(|_| damaged("the content key of a slice does not open"))?;
                Ok(Self { uid: child, key: Arc::new(key) })
            }
        }
    }
}

/// Finds the key of a content below one whose key is `parent`.
pub fn key_of_slice(
    record: &ContentRecord,
    parent: Option<&ContentKey>,
    sealed: &SliceKey,
) -> Result<Option<ContentKey>, Error> {
    match (record.content_key, parent) {
        (None, _) => Ok(None),
        (Some(child), Some(parent)) => parent.of_slice(child, sealed).map(Some),
        (Some(_), None) => Err(damaged("a sealed content in a plain one")),
    }
}

/// Sees to it that the key that came with a content is its own.
pub fn require_key<'k>(
    record: &ContentRecord,
    key: Option<&'k ContentKey>,
) -> Result<Option<&'k ContentKey>, Error> {
    match (record.content_key, key) {
        (None, _) => Ok(None),
        (Some(wanted), Some(key)) if wanted == key.uid => Ok(Some(key)),
        _ => Err(damaged("a content without its content key")),
    }
}

/// Bytes of the table that lies behind `size` sealed bytes: a running checksum for each chunk.
pub fn table_length(size: u64) -> u64 {
    size.div_ceil(CHUNK_BYTES) * 8
}

/// Bytes of a sealed blob of `size` plain ones: the data, and its table.
pub fn stored_length(size: u64) -> Option<u64> {
    sealed_length(size)?.checked_add(sealed_length(table_length(size))?)
}

impl ContentRecord {
    /// What the stored bytes of a content in one place are: how many, and their checksum.
    pub(crate) fn stored(&self, key: &DataKey) -> Result<cosine_blob::Finished, Error> {
        let impossible = || damaged("a content is longer than any can be");
        let is_blob = self.body.blob().is_some();
        let (length, crc64) = match key {
            DataKey::Plain => {
                let sums = self.sums.clear();
                (Some(self.size), sums.ok_or_else(|| damaged("plain bytes, sealed sums"))?.crc64)
            }
            DataKey::Sealed { crc64, .. } if is_blob => (stored_length(self.size), *crc64),
            DataKey::Sealed { crc64, .. } => (sealed_length(self.size), *crc64),
        };
        Ok(cosine_blob::Finished { length: length.ok_or_else(impossible)?, crc64 })
    }
}

impl Store {
    /// Entity tag and checksum of a version.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they do not open.
    pub fn sums(&self, version: &Version) -> Result<ObjectSums, Error> {
        version.sums.read(self.key(), &version.uid.0)
    }

    /// What it takes to read a version: `customer` is the customer's key that came, if one did. To be
    /// asked before a byte flows.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub async fn unlock(
        &self,
        (bucket, key): (&Bucket, &ObjectKey),
        version: &Version,
        customer: Option<&CustomerKey>,
    ) -> Result<Option<ContentKey>, Error> {
        match (&version.content_key, customer) {
            (Some(sealed), _) => {
                self.open_envelope((bucket, key), sealed, customer).await.map(Some)
            }
            (None, Some(_)) => Err(KeyError::CustomerKeyUnwanted.into()),
            (None, None) => Ok(None),
        }
    }

    /// Sees to it that a customer's key is the one that a version is encrypted with, and that none came
    /// where none is needed. Asks no key management.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub async fn check_customer_key(
        &self,
        place: (&Bucket, &ObjectKey),
        version: &Version,
        customer: Option<&CustomerKey>,
    ) -> Result<(), Error> {
        let is_customers = |key: &SealedContentKey| matches!(key.envelope, Envelope::Customer(_));
        match (version.content_key.as_ref().is_some_and(is_customers), customer) {
            (false, None) => Ok(()),
            (false, Some(_)) => Err(KeyError::CustomerKeyUnwanted.into()),
            (true, _) => self.unlock(place, version, customer).await.map(drop),
        }
    }

    /// Opens a content key in its place.
    pub(crate) async fn open_envelope(
        &self,
        place: (&Bucket, &ObjectKey),
        sealed: &SealedContentKey,
        customer: Option<&CustomerKey>,
    ) -> Result<ContentKey, Error> {
        let at = place_of(place, sealed.uid);
        let key = self.inner.keyring.open(&sealed.envelope, customer, at).await?;
        Ok(ContentKey { uid: sealed.uid, key: Arc::new(key) })
    }

    /// Whether an encryption context is the one that an envelope binds. Asks no key management.
    pub(crate) fn has_context(
        &self,
        place: (&Bucket, &ObjectKey),
        sealed: &SealedContentKey,
        said: &[u8],
    ) -> Result<bool, Error> {
        let context = self.inner.keyring.context(&sealed.envelope, place_of(place, sealed.uid))?;
        Ok(context.is_some_and(|context| *context == said))
    }

    /// Seals a content key in its place.
    pub(crate) async fn seal_envelope(
        &self,
        place: (&Bucket, &ObjectKey),
        key: &ContentKey,
        encryption: &Encryption,
    ) -> Result<SealedContentKey, Error> {
        let at = place_of(place, key.uid);
        let envelope = self.inner.keyring.seal(&key.key, encryption, at).await?;
        Ok(SealedContentKey { uid: key.uid, envelope })
    }

    /// A new content key.
    pub(crate) fn new_content_key(&self) -> Result<ContentKey, Error> {
        let key = Arc::new(Key::random().map_err(KeyError::from)?);
        Ok(ContentKey { uid: self.new_uid()?, key })
    }

    /// What new bytes are sealed under, and its envelope: nothing, if they are to be plain.
    pub(crate) async fn lock(
        &self,
        place: (&Bucket, &ObjectKey),
        encryption: &Encryption,
    ) -> Result<Option<(ContentKey, SealedContentKey)>, Error> {
        if matches!(encryption, Encryption::None) && !self.seals_at_rest() {
            return Ok(None);
        }
        let key = self.new_content_key()?;
        let sealed = self.seal_envelope(place, &key, encryption).await?;
        Ok(Some((key, sealed)))
    }

    /// Whether new bytes are sealed though nobody asks for it.
    pub(crate) fn seals_at_rest(&self) -> bool {
        self.inner.options.encrypt_at_rest
    }

    /// The entity tag that is shown of an object whose plain entity tag is this.
    pub(crate) fn shown_etag(&self, plain: Etag, encryption: &Encryption) -> Result<Etag, Error> {
        let digest = match encryption {
            Encryption::None | Encryption::Cos => plain.digest,
            Encryption::Customer(key) => key.blind(plain.digest),
            Encryption::Kms { .. } => id::random(self.random())?,
        };
        Ok(Etag { digest, ..plain })
    }

    /// The key of the store: what secrets, and checksums of sealed bytes, are sealed under.
    pub fn key(&self) -> &Arc<Key> {
        self.inner.keyring.store()
    }
}

fn place_of<'a>((bucket, key): (&Bucket, &'a ObjectKey), content_key: Uid) -> Place<'a> {
    Place {
        content_key: content_key.0,
        bucket: bucket.uid().0,
        object: key.as_str(),
        appid: bucket.name().appid(),
    }
}

#[cfg(test)]
mod tests;
