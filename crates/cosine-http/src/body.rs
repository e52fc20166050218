//! Request bodies on their way in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_store::{ByteSource, SourceError};
use cosine_wire::{ApiError, Code};
use http::request::Parts;
use http::{Version, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::meter::Inlet;

/// A sender that is silent for this long has gone.
const STALL_MAX: Duration = Duration::from_secs(60);
/// What is left of a refused body is read and dropped, up to this many bytes and this long, so that
/// the client reads the answer and not a broken connection.
const DRAIN_BYTES_MAX: u64 = 256 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A request body, and how much of it is welcome.
#[derive(Debug)]
pub struct Upload {
    incoming: Option<Incoming>,
    room: u64,
    /// What the sender announced and has not sent yet.
    announced: Option<u64>,
    is_http2: bool,
    /// The client waits for our word before it sends: what is refused is never sent.
    awaits_continue: bool,
    inlet: Option<Arc<Inlet>>,
}

impl Upload {
    /// A body of which nothing is welcome yet, and what counts it as it comes.
    pub fn new(incoming: Incoming, parts: &Parts, inlet: Option<Arc<Inlet>>) -> Self {
        let awaits_continue = parts.headers.contains_key(header::EXPECT);
        let announced = parts.headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_http2 = parts.version == Version::HTTP_2;
        Self { incoming: Some(incoming), room: 0, announced, is_http2, awaits_continue, inlet }
    }

    /// Whether the protocol says where the body ends, without a length: HTTP/2 does.
    pub fn is_framed(&self) -> bool {
        self.is_http2
    }

    /// Lets up to `bytes` in; more is [`SourceError::TooLarge`].
    pub fn allow(&mut self, bytes: u64) {
        self.room = bytes;
    }

    /// Reads a whole, small body.
    ///
    /// # Errors
    /// `too_large` beyond `limit` bytes, read or announced; 400 where it does not arrive.
    pub async fn collect(&mut self, limit: u64, too_large: Code) -> Result<Vec<u8>, ApiError> {
        let announced = self.incoming.as_ref().and_then(|body| body.size_hint().exact());
        if announced.is_some_and(|bytes| bytes > limit) {
            return Err(too_large.into());
        }
        self.allow(limit);
        let mut whole = Vec::new();
        loop {
            match self.next().await {
                Ok(Some(piece)) => whole.extend_from_slice(&piece),
                Ok(None) => return Ok(whole),
                Err(SourceError::TooLarge) => return Err(too_large.into()),
                Err(error) => return Err(crate::error::source_error(error)),
            }
        }
    }
}

#[async_trait]
impl ByteSource for Upload {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        let Some(incoming) = &mut self.incoming else { return Ok(None) };
        loop {
            let frame = tokio::time::timeout(STALL_MAX, incoming.frame());
            let Some(frame) = frame.await.map_err(|_| SourceError::Stalled)? else {
                // An HTTP/2 stream that is reset without an error looks like one that ended.
                let ended = !self.is_http2 || incoming.is_end_stream();
                self.incoming = None;
                let whole = self.announced.map_or(ended, |missing| missing == 0);
                return if whole { Ok(None) } else { Err(SourceError::Cut) };
            };
            let Ok(piece) = frame.map_err(|_| SourceError::Cut)?.into_data() else { continue };
            let bytes = piece.len() as u64;
            if let Some(inlet) = &self.inlet {
                inlet.add(bytes);
            }
            self.room = self.room.checked_sub(bytes).ok_or(SourceError::TooLarge)?;
            self.announced = self.announced.map(|missing| missing.saturating_sub(bytes));
            return Ok(Some(piece));
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        if self.awaits_continue || incoming.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(DRAIN_TIME_MAX, drain(incoming)));
        }
    }
}

async fn drain(mut incoming: Incoming) {
    let mut dropped = 0;
    while let Some(Ok(frame)) = incoming.frame().await {
        dropped += frame.data_ref().map_or(0, Bytes::len) as u64;
        if dropped > DRAIN_BYTES_MAX {
            return;
        }
    }
}
