//! The data waist: immutable byte runs.
//!
//! A blob is written once, under an id that is never used again, and is durable when `finish`
//! returns; the metadata that refers to it comes second. Every chunk carries a checksum from the
//! write to every read: a damaged chunk is an error, never bytes. Every engine passes
//! [`conformance`].

pub mod conformance;
pub mod files;
mod id;
pub mod memory;
mod pools;
pub mod table;

pub use files::Files;
pub use id::{BlobId, PoolId, RunId, StoreId};
pub use memory::Memory;
pub use pools::Pools;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// Blobs are checksummed in chunks of this many bytes; the last one may be shorter.
pub const CHUNK_BYTES: u64 = 128 << 10;

/// Why an engine did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such blob.
    #[error("no blob {0}")]
    NotFound(BlobId),
    /// The pool that the blob lies in is not configured.
    #[error("blob {0} lies in pool {n}, which is not configured", n = .0.pool().number())]
    NoPool(BlobId),
    /// The id was used before.
    #[error("blob {0} exists already")]
    Exists(BlobId),
    /// What is stored is not what was written.
    #[error("blob {0} is damaged: {1}")]
    Damaged(BlobId, &'static str),
    /// A range beyond the end was asked for: the caller's mistake.
    #[error("range outside of blob {0}")]
    OutOfRange(BlobId),
    /// The disk is full but for its reserve.
    #[error("the disk is full but for its reserve")]
    Full,
    /// The operating system said no.
    #[error("blob storage: {0}")]
    Io(#[from] std::io::Error),
}

/// What a finished blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Bytes.
    pub length: u64,
    /// CRC-64/XZ of all bytes.
    pub crc64: u64,
}

/// Room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that are to stay free. Writers stop before, with [`Error::Full`].
    pub reserve: u64,
}

/// The waist itself.
#[async_trait]
pub trait Blobs: std::fmt::Debug + Send + Sync + 'static {
    /// Begins a blob. Nothing is there for readers until it is finished; a writer that is dropped
    /// unfinished leaves nothing behind.
    fn create(&self, id: BlobId) -> Box<dyn BlobWriter>;

    /// Opens a finished blob.
    async fn open(&self, id: BlobId) -> Result<Arc<dyn BlobReader>, Error>;

    /// Removes blobs for good: once this returns, no power cut brings them back. Removing what is
    /// not there is no error.
    async fn delete(&self, ids: &[BlobId]) -> Result<(), Error>;

    /// Puts a blob aside where a person can look at it and nobody finds it by its id.
    async fn quarantine(&self, id: BlobId) -> Result<(), Error>;

    /// The blobs that were put aside.
    async fn quarantined(&self) -> Result<Vec<BlobId>, Error>;

    /// All blobs, finished or not, a page at a time: those after `after` in the engine's own,
    /// stable order.
    async fn list(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, Error>;

    /// The store that these blobs belong to; `None` while they belong to none.
    async fn store_id(&self) -> Result<Option<StoreId>, Error>;

    /// Room on the disk; `None` where there is no disk to fill.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk does not tell.
    fn space(&self) -> Result<Option<Space>, Error> {
        Ok(None)
    }

    /// Makes these blobs belong to a store, durably.
    async fn adopt(&self, store: StoreId) -> Result<(), Error>;
}

/// Writes one blob from its first byte to its last.
#[async_trait]
pub trait BlobWriter: std::fmt::Debug + Send {
    /// Appends. After an error the writer is of no more use.
    async fn write(&mut self, data: Bytes) -> Result<(), Error>;

    /// Appends the last bytes, and returns when the whole blob is durable.
    async fn finish(self: Box<Self>, last: Bytes) -> Result<Finished, Error>;
}

/// Opens bytes as they are stored; `None` if they are not what was written.
pub type Opener = Box<dyn FnOnce(Vec<u8>) -> Option<Bytes> + Send>;

/// What is said of bytes that do not open.
const NOT_SEALED: &str = "sealed bytes are not what was sealed there";

/// Reads one blob.
#[async_trait]
pub trait BlobReader: std::fmt::Debug + Send + Sync {
    /// What the blob is.
    fn finished(&self) -> Finished;

    /// Reads and verifies a range. Whole chunks are read: ask for ranges that end where chunks
    /// end, and of a size that memory can hold.
    ///
    /// # Errors
    /// [`Error::Damaged`] if any chunk that the range touches is not as it was written.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error>;

    /// Reads a range as it is stored, and not one byte more, and has it opened where it was read: for bytes
    /// that say by themselves whether they are what was written, such as sealed ones.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they are not, or the blob is shorter than it says.
    async fn read_opened(&self, range: Range<u64>, open: Opener) -> Result<Bytes, Error>;

    /// CRC-64/XZ of a range, whatever its size: from running checksums, and from the chunks at its two
    /// ends where it is ragged, which are read and verified.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    async fn crc64(&self, range: Range<u64>) -> Result<u64, Error>;
}
