//! Request bodies on their way in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cosine_store::{ByteSource, SourceError};
use cosine_wire::{ApiError, Code};
use http::request::Parts;
use http::{Version, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::activity::Working;
use crate::limits::{Budget, Share};
use crate::meter::Inlet;

/// A body that is stored as it comes holds at most this much memory, whatever its size: three
/// blocks of the store, one that is written, one that is gathered, and its pieces.
const STREAM_BYTES: u64 = 3 * (512 << 10);
/// Until this much of a body has arrived, this much memory is its share. Whoever sends a byte a
/// second stays here.
const FIRST_BYTES: u64 = 64 << 10;
/// Pieces below this size are put together: a block that came byte by byte would hold dozens of times
/// its size in handles to them.
const PIECE_BYTES: usize = 64 << 10;
/// What is left of a refused body is read and dropped, up to this many bytes and this long, so that
/// the client reads the answer and not a broken connection.
const DRAIN_BYTES_MAX: u64 = 256 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A request body, and how much of it is welcome.
#[derive(Debug)]
pub struct Upload {
    incoming: Option<Incoming>,
    room: u64,
    /// How much has arrived.
    arrived: u64,
    /// Small pieces, put together.
    gathered: BytesMut,
    terms: Terms,
    /// The memory that it has, and what it may come to need.
    share: Option<Share>,
    share_max: u64,
    /// What the sender announced and has not sent yet.
    announced: Option<u64>,
    is_http2: bool,
    /// The client waits for our word before it sends: what is refused is never sent.
    awaits_continue: bool,
    inlet: Option<Arc<Inlet>>,
}

/// What a body is received on.
#[derive(Debug)]
pub struct Terms {
    /// Where its memory comes from.
    pub memory: Arc<Budget>,
    /// A sender that is silent for this long has gone.
    pub stall_time: Duration,
    /// The connection is not idle while there is a body.
    pub working: Working,
}

impl Upload {
    /// A body of which nothing is welcome yet, and what counts it as it comes.
    pub fn new(incoming: Incoming, parts: &Parts, terms: Terms, inlet: Option<Arc<Inlet>>) -> Self {
        let awaits_continue = parts.headers.contains_key(header::EXPECT);
        let announced = parts.headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_http2 = parts.version == Version::HTTP_2;
        Self {
            incoming: Some(incoming),
            room: 0,
            arrived: 0,
            gathered: BytesMut::new(),
            terms,
            share: None,
            share_max: 0,
            announced,
            is_http2,
            awaits_continue,
            inlet,
        }
    }

    /// Takes the body, and leaves an empty one.
    pub fn take(&mut self) -> Self {
        let terms = Terms {
            memory: Arc::clone(&self.terms.memory),
            stall_time: self.terms.stall_time,
            working: self.terms.working.again(),
        };
        let empty = Self {
            incoming: None,
            room: 0,
            arrived: 0,
            gathered: BytesMut::new(),
            terms,
            share: None,
            share_max: 0,
            announced: None,
            is_http2: self.is_http2,
            awaits_continue: false,
            inlet: None,
        };
        std::mem::replace(self, empty)
    }

    /// Whether the protocol says where the body ends, without a length: HTTP/2 does.
    pub fn is_framed(&self) -> bool {
        self.is_http2
    }

    /// Lets up to `bytes` in, to be stored as they come; more is [`SourceError::TooLarge`].
    pub fn allow(&mut self, bytes: u64) {
        self.expect(bytes);
        self.share_max = self.share_max.min(STREAM_BYTES);
    }

    /// Lets up to `bytes` in. What is gathered whole is there twice for a moment.
    fn expect(&mut self, bytes: u64) {
        self.room = bytes;
        self.share_max = self.announced.unwrap_or(bytes).min(bytes).saturating_mul(2);
    }

    /// The memory that the body has: what was made of it lives on in the answer.
    pub fn take_share(&mut self) -> Option<Share> {
        self.share.take()
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
        self.expect(limit);
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
        loop {
            match self.receive().await? {
                Some(piece) if self.gathered.is_empty() && piece.len() >= PIECE_BYTES => {
                    return Ok(Some(piece));
                }
                Some(piece) => self.gathered.extend_from_slice(&piece),
                None => return Ok(Some(self.take_gathered()).filter(|last| !last.is_empty())),
            }
            if self.gathered.len() >= PIECE_BYTES {
                return Ok(Some(self.take_gathered()));
            }
        }
    }
}

impl Upload {
    fn take_gathered(&mut self) -> Bytes {
        std::mem::take(&mut self.gathered).freeze()
    }

    /// The next piece as it comes from the socket, once there is memory for it.
    async fn receive(&mut self) -> Result<Option<Bytes>, SourceError> {
        let Some(incoming) = &mut self.incoming else { return Ok(None) };
        let needed = if self.arrived < FIRST_BYTES { FIRST_BYTES } else { u64::MAX };
        let grown = self.terms.memory.grow(&mut self.share, needed.min(self.share_max));
        grown.await.map_err(|_| SourceError::NoRoom)?;
        loop {
            let frame = tokio::time::timeout(self.terms.stall_time, incoming.frame());
            let Ok(frame) = frame.await else {
                // Nothing more is expected that could be waited for.
                self.incoming = None;
                return Err(SourceError::Stalled);
            };
            let Some(frame) = frame else {
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
            self.arrived += bytes;
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
            let working = self.terms.working.again();
            runtime.spawn(async move {
                // Whether it came to its end or not: nobody wants it any more.
                let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain(incoming)).await;
                drop(working);
            });
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
