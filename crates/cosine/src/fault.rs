//! Blobs that cannot be read, for `cosine dev --fault`.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_blob::{BlobReader, Error, Finished, Opener};

/// What the error says.
const INJECTED: &str = "the fault that was asked for: copy-error-in-200";

/// The same blob, but it cannot be read.
pub fn unreadable(inner: Arc<dyn BlobReader>) -> Arc<dyn BlobReader> {
    Arc::new(Unreadable(inner))
}

#[derive(Debug)]
struct Unreadable(Arc<dyn BlobReader>);

#[async_trait]
impl BlobReader for Unreadable {
    fn finished(&self) -> Finished {
        self.0.finished()
    }

    async fn read(&self, _: Range<u64>) -> Result<Bytes, Error> {
        Err(Error::Io(std::io::Error::other(INJECTED)))
    }

    async fn read_opened(&self, _: Range<u64>, _: Opener) -> Result<Bytes, Error> {
        Err(Error::Io(std::io::Error::other(INJECTED)))
    }

    async fn crc64(&self, range: Range<u64>) -> Result<u64, Error> {
        self.0.crc64(range).await
    }
}
