//! Answers on their way out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cosine_store::{Error, ObjectReader};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

use crate::activity::Sending;
use crate::deferred::Deferred;
use crate::limits::Share;

/// A piece of an answer over HTTP/2 has at most this many bytes: only when a piece is asked for is it
/// known that the client took the ones before.
const PIECE_BYTES: usize = 16 << 10;

/// What an operation answers, before the headers that every answer carries.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The operation's own headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
    /// What the answer holds until it is sent.
    pub held: Held,
}

/// The shares of a request's limits that its answer holds until it is sent, or given up.
#[derive(Debug, Default)]
pub struct Held {
    /// The request itself.
    pub request: Option<Share>,
    /// The memory of its body.
    pub memory: Option<Share>,
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        let body = ReplyBody::Whole(Bytes::new());
        Self { status, headers: HeaderMap::new(), body, held: Held::default() }
    }

    /// Text for people and probes.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        let body = ReplyBody::Whole(text.into());
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        Self { body, ..Self::empty(status) }.with(header::CONTENT_TYPE, plain)
    }

    /// An XML document.
    pub fn xml(document: String) -> Self {
        let body = ReplyBody::Whole(document.into());
        Self { body, ..Self::empty(StatusCode::OK) }.with_xml_type()
    }

    /// An XML document that goes in chunks, without a length.
    pub fn chunked_xml(document: String) -> Self {
        let body = ReplyBody::Chunked(Some(document.into()));
        Self { body, ..Self::empty(StatusCode::OK) }.with_xml_type()
    }

    /// An XML document that is still to be found out.
    pub fn deferred_xml(body: Deferred) -> Self {
        let body = ReplyBody::Deferred(body);
        Self { body, ..Self::empty(StatusCode::OK) }.with_xml_type()
    }

    /// Holds the memory of the body until it is sent.
    pub fn holding(mut self, memory: Option<Share>) -> Self {
        self.held.memory = memory;
        self
    }

    /// Says that the body, if there is one, is XML.
    pub fn with_xml_type(self) -> Self {
        self.with(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"))
    }

    /// Adds a header.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds a header whose value is made of characters that may stand in one; any other value is
    /// left out.
    pub fn with_text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Ok(value) = HeaderValue::try_from(value.into()) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

impl Reply {
    /// Adds headers as [`with_text`](Self::with_text) does.
    pub fn with_texts(self, headers: Vec<(&'static str, String)>) -> Self {
        headers.into_iter().fold(self, |reply, (name, value)| reply.with_text(name, value))
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum ReplyBody {
    /// Known whole; goes with its length.
    Whole(Bytes),
    /// Goes in chunks, without a length.
    Chunked(Option<Bytes>),
    /// An object's bytes.
    Object(ObjectBody),
    /// The result of work that is under way.
    Deferred(Deferred),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let piece = match self.get_mut() {
            Self::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Chunked(bytes) => bytes.take(),
            Self::Deferred(body) => {
                return body.poll_next(context).map(|piece| piece.map(|b| Ok(Frame::data(b))));
            }
            Self::Object(body) => {
                return body
                    .poll_next(context)
                    .map(|piece| piece.map(|piece| piece.map(Frame::data)));
            }
        };
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Chunked(bytes) => bytes.is_none(),
            Self::Deferred(body) => body.is_over(),
            Self::Object(body) => body.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunked(_) | Self::Deferred(_) => SizeHint::default(),
            Self::Object(body) => SizeHint::with_exact(body.left),
        }
    }
}

/// A body on its way, with everything that is given back when it has been sent or is dropped.
#[derive(Debug)]
pub struct Outgoing {
    body: ReplyBody,
    /// The rest of a piece that is sent in smaller ones.
    rest: Bytes,
    piece_max: usize,
    sending: Sending,
    _held: Held,
}

impl Outgoing {
    /// Sends a body, in small pieces over HTTP/2.
    pub fn new(body: ReplyBody, held: Held, sending: Sending, is_http2: bool) -> Self {
        let piece_max = if is_http2 { PIECE_BYTES } else { usize::MAX };
        Self { body, rest: Bytes::new(), piece_max, sending, _held: held }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.sending.moved();
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                end => return Poll::Ready(end),
            }
        }
        let bytes = self.rest.len().min(self.piece_max);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(bytes) => SizeHint::with_exact(bytes + self.rest.len() as u64),
            None => SizeHint::default(),
        }
    }
}

type Reading = Pin<Box<dyn Future<Output = (ObjectReader, Result<Option<Bytes>, Error>)> + Send>>;

/// An object's bytes. While one piece is sent, the next one is read.
pub struct ObjectBody {
    first: Option<Bytes>,
    next: Reading,
    left: u64,
}

impl std::fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectBody").field("left", &self.left).finish_non_exhaustive()
    }
}

impl ObjectBody {
    /// A body of `length` bytes. The first piece is read before there is a status line, so that
    /// damage that shows at once is answered with an error.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin(mut reader: ObjectReader, length: u64) -> Result<Self, Error> {
        let first = reader.next().await?;
        Ok(Self { first, next: read(reader), left: length })
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let piece = match self.first.take() {
            Some(first) => first,
            None => {
                let Poll::Ready((reader, piece)) = self.next.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                self.next = read(reader);
                match piece {
                    Ok(Some(piece)) => piece,
                    Ok(None) => return Poll::Ready(None),
                    Err(error) => {
                        tracing::error!(%error, "a download is broken off before wrong bytes leave");
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        };
        self.left = self.left.saturating_sub(piece.len() as u64);
        if self.left > 0
            && let Poll::Ready(done) = self.next.as_mut().poll(context)
        {
            self.next = Box::pin(std::future::ready(done));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

fn read(mut reader: ObjectReader) -> Reading {
    Box::pin(async move {
        let piece = reader.next().await;
        (reader, piece)
    })
}
