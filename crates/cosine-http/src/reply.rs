//! Answers on their way out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cosine_store::{Error, ObjectReader};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

/// What an operation answers, before the headers that every answer carries.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The operation's own headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: ReplyBody::Whole(Bytes::new()) }
    }

    /// Text for people and probes.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        let body = ReplyBody::Whole(text.into());
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        Self { status, headers: HeaderMap::new(), body }.with(header::CONTENT_TYPE, plain)
    }

    /// An XML document.
    pub fn xml(document: String) -> Self {
        let body = ReplyBody::Whole(document.into());
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body }.with_xml_type()
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

/// The body of an answer.
#[derive(Debug)]
pub enum ReplyBody {
    /// Known whole; goes with its length.
    Whole(Bytes),
    /// Goes in chunks, without a length.
    Chunked(Option<Bytes>),
    /// An object's bytes.
    Object(ObjectBody),
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
            Self::Object(body) => body.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunked(_) => SizeHint::default(),
            Self::Object(body) => SizeHint::with_exact(body.left),
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
