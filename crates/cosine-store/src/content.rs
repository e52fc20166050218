//! Contents: how bytes come in.

use bytes::Bytes;
use cosine_blob::table::crc64;
use cosine_blob::{BlobId, BlobWriter, PoolId};
use cosine_kv::{Condition, Write};
use md5::{Digest, Md5};
use tracing::{Instrument, Span};

use crate::id::Uid;
use crate::record::{Body, ContentRecord, ContentState, Pools, Record, ReferenceRecord};
use crate::source::{Block, Blocks, ByteSource};
use crate::{Error, Store, key};

/// Contents up to this many bytes lie in the metadata, and cost no file.
pub const INLINE_BYTES_MAX: usize = 16 << 10;

/// Up to this many bytes are hashed where they are: to hand them to another thread takes as long.
const HASHED_IN_PLACE_BYTES_MAX: usize = 64 << 10;

/// A content that has arrived and that nothing refers to yet. If it is dropped without
/// [`keep`](Arrived::keep), its blob goes away again.
#[derive(Debug)]
pub struct Arrived {
    pub uid: Uid,
    pub size: u64,
    pub md5: [u8; 16],
    pub crc64: u64,
    place: Place,
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
    /// Takes a body in, in bounded memory, into a pool unless it is small. Large ones are hashed
    /// beside the write.
    pub(crate) async fn receive(
        &self,
        source: &mut dyn ByteSource,
        pool: PoolId,
    ) -> Result<Arrived, Error> {
        let mut blocks = Blocks::new(source);
        let first = blocks.next().await?;
        let uid = self.new_uid()?;
        if first.last && first.bytes.len() <= INLINE_BYTES_MAX {
            let (size, crc64) = (first.bytes.len() as u64, crc64(&first.bytes));
            let md5 = Md5::digest(&first.bytes).into();
            return Ok(Arrived { uid, size, md5, crc64, place: Place::Inline(first.bytes) });
        }
        let id = self.next_blob_id(pool);
        let blob = UnclaimedBlob { id, store: self.clone(), claimed: false, span: Span::current() };
        let (finished, md5) = write_blob(self.blobs().create(id), first, blocks).await?;
        let (size, crc64) = (finished.length, finished.crc64);
        Ok(Arrived { uid, size, md5, crc64, place: Place::Blob(blob) })
    }
}

/// Three things at once: the next block arrives while this one is hashed and written.
async fn write_blob(
    mut writer: Box<dyn BlobWriter>,
    first: Block,
    mut blocks: Blocks<'_>,
) -> Result<(cosine_blob::Finished, [u8; 16]), Error> {
    let mut block = first;
    let mut md5 = Md5::new();
    while !block.last {
        let work =
            async { tokio::join!(hash(md5, block.bytes.clone()), writer.write(block.bytes)) };
        let (next, (hashed, written)) = tokio::join!(blocks.next(), work);
        written?;
        (block, md5) = (next?, hashed?);
    }
    let (hashed, finished) =
        tokio::join!(hash(md5, block.bytes.clone()), writer.finish(block.bytes));
    Ok((finished?, hashed?.finalize().into()))
}

async fn hash(mut md5: Md5, bytes: Bytes) -> Result<Md5, Error> {
    if bytes.len() <= HASHED_IN_PLACE_BYTES_MAX {
        md5.update(&bytes);
        return Ok(md5);
    }
    let hashed = tokio::task::spawn_blocking(move || {
        md5.update(&bytes);
        md5
    });
    hashed.await.map_err(|error| Error::System(error.to_string()))
}

impl Arrived {
    /// Where its blob lies, if it has one.
    pub fn pools(&self) -> Pools {
        match &self.place {
            Place::Inline(_) => Pools::default(),
            Place::Blob(blob) => Pools::of(blob.id.pool()),
        }
    }

    /// The conditions and writes that bring the content into being, in the commit of its first
    /// owner.
    pub fn rows(&self) -> Result<(Vec<Condition>, Vec<Write>), Error> {
        let (mut conditions, mut writes) = (Vec::new(), Vec::new());
        let body = match &self.place {
            Place::Inline(bytes) => {
                writes.push(Write::Put(key::inline(self.uid), bytes.clone()));
                Body::Inline
            }
            Place::Blob(blob) => {
                conditions.push(blob.store.inner.run.stands());
                writes.push(ReferenceRecord {}.put(key::blob_reference(blob.id, self.uid))?);
                Body::plain(blob.id)
            }
        };
        let record = ContentRecord {
            size: self.size,
            crc64: self.crc64,
            md5: Some(self.md5),
            state: ContentState::Live,
            pools: self.pools(),
            depth: 0,
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
