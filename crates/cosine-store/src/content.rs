//! Contents: how bytes come in.

use std::sync::Arc;

use bytes::Bytes;
use cosine_blob::table::crc64;
use cosine_blob::{BlobId, BlobWriter, Finished, PoolId};
use cosine_crypt::segment::{Sealer, Stream};
use cosine_crypt::{Key, KeyError};
use cosine_kv::{Condition, Write};
use md5::{Digest, Md5};
use tracing::{Instrument, Span};

use crate::id::Uid;
use crate::keys::ContentKey;
use crate::record::{
    Body, ContentRecord, ContentState, ContentSums, Coverage, DataKey, Etag, Pools, Record,
    ReferenceRecord, Sums,
};
use crate::sealed::BlobSealer;
use crate::slices::Below;
use crate::source::{BLOCK_BYTES, Block, Blocks, ByteSource};
use crate::verify::require_fit;
use crate::{Error, Store, key};

/// Contents up to this many bytes lie in the metadata, and cost no file.
pub const INLINE_BYTES_MAX: usize = 16 << 10;

/// Up to this many bytes are hashed where they are: to hand them to another thread takes as long.
const HASHED_IN_PLACE_BYTES_MAX: usize = 64 << 10;

/// Where bytes go that come in.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'k> {
    /// Into this pool, unless they are few.
    pub pool: PoolId,
    /// Sealed under a data key, and that one under this key; plain without.
    pub key: Option<&'k ContentKey>,
    /// Whether anybody needs their MD5.
    pub hashed: bool,
}

/// A content that has arrived and that nothing refers to yet. If it is dropped without
/// [`keep`](Arrived::keep), its blob goes away again.
#[derive(Debug)]
pub struct Arrived {
    pub uid: Uid,
    pub size: u64,
    /// Where it was wanted.
    pub md5: Option<[u8; 16]>,
    pub crc64: u64,
    /// The entity tag of an object that shows the bytes plain, if it is another than the MD5.
    pub etag: Option<Etag>,
    seal: Option<Seal>,
    place: Place,
}

/// What the bytes are sealed under.
#[derive(Debug)]
struct Seal {
    content_key: Uid,
    data_key: DataKey,
}

#[derive(Debug)]
enum Place {
    Inline(Bytes),
    Blob(UnclaimedBlob),
}

/// A blob that nothing refers to. It exists, or is about to; dropped, it is deleted.
#[derive(Debug)]
struct UnclaimedBlob {
    id: BlobId,
    store: Store,
    claimed: bool,
    /// The request's: the drop may happen anywhere.
    span: Span,
}

impl Drop for UnclaimedBlob {
    fn drop(&mut self) {
        if self.claimed {
            return;
        }
        let (id, store) = (self.id, self.store.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let delete = async move {
                if let Err(error) = store.blobs().delete(&[id]).await {
                    tracing::warn!(%id, %error, "a blob that nothing refers to stays behind");
                }
            };
            runtime.spawn(delete.instrument(self.span.clone()));
        }
    }
}

impl Store {
    /// Takes a body in, in bounded memory. Large ones are hashed, and sealed, beside the write.
    pub(crate) async fn receive(
        &self,
        source: &mut dyn ByteSource,
        to: Destination<'_>,
    ) -> Result<Arrived, Error> {
        let mut blocks = Blocks::new(source);
        let first = blocks.next().await?;
        let uid = self.new_uid()?;
        if first.last && first.bytes.len() <= INLINE_BYTES_MAX {
            return inline(uid, first.bytes, to);
        }
        let id = self.next_blob_id(to.pool);
        let blob = UnclaimedBlob { id, store: self.clone(), claimed: false, span: Span::current() };
        let data_key = to.key.map(|_| Key::random().map(Arc::new)).transpose();
        let data_key = data_key.map_err(KeyError::from)?;
        let writing = Writing {
            writer: self.blobs().create(id),
            sealer: data_key.clone().map(BlobSealer::new).transpose()?,
            md5: to.hashed.then(Md5::new),
        };
        let Written { stored, size, crc64, md5 } = writing.write(first, blocks).await?;
        let seal = Seal::of(to.key.zip(data_key.as_deref()), stored.crc64)?;
        Ok(Arrived { uid, size, md5, crc64, etag: None, seal, place: Place::Blob(blob) })
    }

    /// Has the stored bytes of a blob, sealed as they are, in another pool as well.
    pub(crate) async fn relocate(&self, content: Uid, pool: PoolId) -> Result<Arrived, Error> {
        let record = self.content(content).await?;
        let (Body::Blob { id, key: data_key @ DataKey::Sealed { .. } }, Some(content_key)) =
            (&record.body, record.content_key)
        else {
            return Err(Error::Damaged("plain bytes were to be moved as sealed ones".to_owned()));
        };
        let blob = BlobId(*id);
        let wanted = record.stored(data_key)?;
        let reader = self.blobs().open(blob).await?;
        let reader = match self.inner.options.copy_lens {
            Some(lens) => lens(reader),
            None => reader,
        };
        require_fit(blob, wanted, reader.finished())?;
        let uid = self.new_uid()?;
        let id = self.next_blob_id(pool);
        let unclaimed =
            UnclaimedBlob { id, store: self.clone(), claimed: false, span: Span::current() };
        let mut writer = self.blobs().create(id);
        let (mut at, mut piece) = (0, Bytes::new());
        while at < wanted.length {
            writer.write(std::mem::take(&mut piece)).await?;
            let end = (at + BLOCK_BYTES as u64).min(wanted.length);
            piece = reader.read(at..end).await?;
            at = end;
        }
        require_fit(id, wanted, writer.finish(piece).await?)?;
        let (sums, size) = (record.sums.read(self.key(), &content.0)?, record.size);
        let seal = Some(Seal { content_key, data_key: data_key.clone() });
        let place = Place::Blob(unclaimed);
        let ContentSums { crc64, md5, etag } = sums;
        Ok(Arrived { uid, size, md5, crc64, etag: Some(etag), seal, place })
    }
}

/// A few bytes, which come to lie in a row.
fn inline(uid: Uid, bytes: Bytes, to: Destination<'_>) -> Result<Arrived, Error> {
    let (size, crc64) = (bytes.len() as u64, crc64(&bytes));
    let md5 = to.hashed.then(|| Md5::digest(&bytes).into());
    let (bytes, seal) = match to.key {
        None => (bytes, None),
        Some(content_key) => {
            let key = Key::random().map_err(KeyError::from)?;
            let sealer = Sealer::new(&key, Stream::Data).map_err(KeyError::from)?;
            let sealed = Bytes::from(sealer.finish(&bytes).map_err(KeyError::from)?);
            let crc64 = cosine_blob::table::crc64(&sealed);
            (sealed, Seal::of(Some((content_key, &key)), crc64)?)
        }
    };
    Ok(Arrived { uid, size, md5, crc64, etag: None, seal, place: Place::Inline(bytes) })
}

impl Seal {
    fn of(keys: Option<(&ContentKey, &Key)>, crc64: u64) -> Result<Option<Self>, Error> {
        let Some((content_key, data_key)) = keys else { return Ok(None) };
        let key = content_key.seal_data_key(data_key)?;
        let data_key = DataKey::Sealed { key, crc64 };
        Ok(Some(Self { content_key: content_key.uid, data_key }))
    }
}

/// A blob on its way to the disk.
struct Writing {
    writer: Box<dyn BlobWriter>,
    sealer: Option<BlobSealer>,
    md5: Option<Md5>,
}

/// A blob that was written: its stored bytes, and its plain ones.
struct Written {
    stored: Finished,
    size: u64,
    crc64: u64,
    md5: Option<[u8; 16]>,
}

impl Writing {
    /// Three things at once: the next block arrives while this one is hashed, and sealed and written.
    async fn write(mut self, first: Block, mut blocks: Blocks<'_>) -> Result<Written, Error> {
        let (mut block, mut md5) = (first, self.md5.take());
        while !block.last {
            let work =
                async { tokio::join!(hash(md5, block.bytes.clone()), self.append(block.bytes)) };
            let (next, (hashed, written)) = tokio::join!(blocks.next(), work);
            written?;
            (block, md5) = (next?, hashed?);
        }
        let (hashed, written) =
            tokio::join!(hash(md5, block.bytes.clone()), self.finish(block.bytes));
        let (stored, size, crc64) = written?;
        Ok(Written { stored, size, crc64, md5: hashed?.map(|md5| md5.finalize().into()) })
    }

    async fn append(&mut self, plain: Bytes) -> Result<(), Error> {
        let stored = match &mut self.sealer {
            None => plain,
            Some(sealer) => sealer.seal(plain).await?,
        };
        Ok(self.writer.write(stored).await?)
    }

    /// Returns what is stored, and the length and the checksum of the plain bytes.
    async fn finish(self, plain: Bytes) -> Result<(Finished, u64, u64), Error> {
        match self.sealer {
            None => {
                let stored = self.writer.finish(plain).await?;
                Ok((stored, stored.length, stored.crc64))
            }
            Some(sealer) => {
                let (last, size, crc64) = sealer.finish(plain).await?;
                Ok((self.writer.finish(last).await?, size, crc64))
            }
        }
    }
}

async fn hash(md5: Option<Md5>, bytes: Bytes) -> Result<Option<Md5>, Error> {
    let Some(mut md5) = md5 else { return Ok(None) };
    if bytes.len() <= HASHED_IN_PLACE_BYTES_MAX {
        md5.update(&bytes);
        return Ok(Some(md5));
    }
    let hashed = tokio::task::spawn_blocking(move || {
        md5.update(&bytes);
        Some(md5)
    });
    hashed.await.map_err(|error| Error::System(error.to_string()))
}

impl Arrived {
    /// What lies below whoever refers to it.
    pub fn below(&self) -> Below {
        let pools = match &self.place {
            Place::Inline(_) => Pools::default(),
            Place::Blob(blob) => Pools::of(blob.id.pool()),
        };
        Below { pools, depth: 0, coverage: self.coverage() }
    }

    fn coverage(&self) -> Coverage {
        if self.seal.is_some() { Coverage::Sealed } else { Coverage::Plain }
    }

    /// The entity tag of an object that shows the bytes plain.
    pub fn plain_etag(&self) -> Etag {
        self.etag.unwrap_or(Etag { digest: self.md5.unwrap_or_default(), parts: 0 })
    }

    /// The conditions and writes that bring the content into being, in the commit of its first
    /// owner. Checksums of sealed bytes are sealed under the key of the store.
    pub fn rows(&self, store_key: &Key) -> Result<(Vec<Condition>, Vec<Write>), Error> {
        let (mut conditions, mut writes) = (Vec::new(), Vec::new());
        let data_key = self.seal.as_ref().map_or(DataKey::Plain, |seal| seal.data_key.clone());
        let body = match &self.place {
            Place::Inline(bytes) => {
                writes.push(Write::Put(key::inline(self.uid), bytes.clone()));
                Body::Inline(data_key)
            }
            Place::Blob(blob) => {
                conditions.push(blob.store.inner.run.stands());
                writes.push(ReferenceRecord {}.put(key::blob_reference(blob.id, self.uid))?);
                Body::Blob { id: blob.id.0, key: data_key }
            }
        };
        let sums = ContentSums { crc64: self.crc64, md5: self.md5, etag: self.plain_etag() };
        let record = ContentRecord {
            size: self.size,
            sums: Sums::keep(sums, self.seal.is_some(), (store_key, &self.uid.0))?,
            state: ContentState::Live,
            pools: self.below().pools,
            depth: 0,
            coverage: self.coverage(),
            content_key: self.seal.as_ref().map(|seal| seal.content_key),
            body,
        };
        writes.push(record.put(key::content(self.uid))?);
        Ok((conditions, writes))
    }

    /// The content is referred to, or nobody can tell: from here on the collector decides.
    pub fn keep(&mut self) {
        if let Place::Blob(blob) = &mut self.place {
            blob.claimed = true;
        }
    }
}
