//! Forms as `multipart/form-data`, field by field, and the file as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use cosine_store::{ByteSource, SourceError};
use cosine_wire::{ApiError, Code};
use futures_util::stream::{Stream, unfold};
use http::HeaderMap;
use multer::{Field, Multipart};

use crate::body::Upload;
use crate::error::source_error;

/// A field, but the file, holds at most this many bytes, and all of them together this many.
const FIELD_BYTES_MAX: usize = 32 << 10;
const FIELDS_BYTES_MAX: usize = 128 << 10;
/// What comes of a form before its file, and after it, is no larger than this, with all that is not in any
/// field.
const AROUND_BYTES_MAX: u64 = 512 << 10;

/// A form up to its file.
pub struct Form {
    /// The fields before the file, by their names in lower case, each once.
    pub fields: Vec<(String, String)>,
    /// What the file is called where it comes from.
    pub filename: String,
    /// The file.
    pub file: FormFile,
}

/// The file of a form, as it comes. When it ends, the rest of the form is looked at as well: a second file
/// makes it none at all.
pub struct FormFile {
    parts: Multipart<'static>,
    field: Option<Field<'static>>,
    /// How much may still come.
    allowance: Arc<AtomicU64>,
    /// The least and the greatest number of bytes that the file may hold.
    range: (u64, u64),
    length: u64,
    /// What is wrong, where no error of a source can say it.
    pub refusal: Option<ApiError>,
}

fn malformed(error: &multer::Error) -> ApiError {
    if let multer::Error::StreamReadFailed(cause) = error
        && let Some(cause) = cause.downcast_ref::<SourceError>()
    {
        return source_error(*cause);
    }
    ApiError::new(Code::MalformedPOSTRequest, format!("The body is not a form: {error}."))
}

impl Form {
    /// Reads a form up to its file.
    ///
    /// # Errors
    /// 400 `MalformedPOSTRequest`, `IncorrectNumberOfFilesInPostRequest` where it ends without a file.
    pub async fn read(headers: &HeaderMap, body: Upload) -> Result<Self, ApiError> {
        let boundary = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let boundary = boundary.and_then(|kind| multer::parse_boundary(kind).ok());
        let boundary = boundary.ok_or(Code::MalformedPOSTRequest)?;
        let allowance = Arc::new(AtomicU64::new(AROUND_BYTES_MAX));
        let mut parts = Multipart::new(stream(body, Arc::clone(&allowance)), boundary);
        let (mut fields, mut room) = (Vec::new(), FIELDS_BYTES_MAX);
        while let Some(field) = parts.next_field().await.map_err(|error| malformed(&error))? {
            let name = field.name().unwrap_or_default().to_ascii_lowercase();
            if name == "file" {
                let filename = field.file_name().unwrap_or_default();
                let filename = filename.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                allowance.store(u64::MAX, Ordering::Relaxed);
                let range = (0, u64::MAX);
                let field = Some(field);
                let file = FormFile { parts, field, allowance, range, length: 0, refusal: None };
                return Ok(Self { fields, filename, file });
            }
            let value = text(field, &mut room).await?;
            if fields.iter().any(|(known, _)| *known == name) {
                let message = format!("The form has {name} twice.");
                return Err(ApiError::new(Code::MalformedPOSTRequest, message));
            }
            fields.push((name, value));
        }
        Err(Code::IncorrectNumberOfFilesInPostRequest.into())
    }
}

/// The value of a field.
async fn text(mut field: Field<'static>, room: &mut usize) -> Result<String, ApiError> {
    let mut value = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| malformed(&error))? {
        value.extend_from_slice(&piece);
        let left = room.checked_sub(piece.len());
        *room = left.filter(|_| value.len() <= FIELD_BYTES_MAX).ok_or_else(|| {
            ApiError::new(Code::MalformedPOSTRequest, "The fields of the form are too large.")
        })?;
    }
    String::from_utf8(value)
        .map_err(|_| ApiError::new(Code::MalformedPOSTRequest, "A field is not UTF-8."))
}

impl FormFile {
    /// Only so many bytes make a file that is welcome: at least, and at most.
    pub fn require_length(&mut self, range: (u64, u64)) {
        self.range = range;
    }

    /// Remembers what is wrong, and ends the file.
    fn refuse(&mut self, error: ApiError) -> SourceError {
        self.refusal = Some(error);
        SourceError::Cut
    }

    /// What comes after the file is ignored, but for another file.
    async fn end(&mut self) -> Result<Option<Bytes>, SourceError> {
        self.field = None;
        if self.length < self.range.0 {
            let message = "The file is smaller than the policy allows.";
            return Err(self.refuse(ApiError::new(Code::EntityTooSmall, message)));
        }
        self.allowance.store(AROUND_BYTES_MAX, Ordering::Relaxed);
        loop {
            match self.parts.next_field().await {
                Ok(None) => return Ok(None),
                Ok(Some(field)) if field.name() == Some("file") => {
                    let code = Code::IncorrectNumberOfFilesInPostRequest;
                    return Err(self.refuse(code.into()));
                }
                Ok(Some(_)) => {}
                Err(error) => return Err(self.refuse(malformed(&error))),
            }
        }
    }
}

#[async_trait]
impl ByteSource for FormFile {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        let Some(field) = &mut self.field else { return Ok(None) };
        match field.chunk().await {
            Ok(None) => self.end().await,
            Ok(Some(piece)) => {
                self.length += piece.len() as u64;
                match self.length > self.range.1 {
                    true => Err(SourceError::TooLarge),
                    false => Ok(Some(piece)),
                }
            }
            Err(error) => Err(self.refuse(malformed(&error))),
        }
    }
}

/// A body as a stream of pieces, as long as the allowance lasts.
fn stream(
    body: Upload,
    allowance: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Bytes, SourceError>> + Send + 'static {
    let next = |(mut body, allowance): (Upload, Arc<AtomicU64>)| async move {
        if allowance.load(Ordering::Relaxed) == 0 {
            return Some((Err(SourceError::TooLarge), (body, allowance)));
        }
        match body.next().await {
            Ok(None) => None,
            Ok(Some(piece)) => {
                // The file may have begun, or ended, while the piece was on its way.
                let left = allowance.load(Ordering::Relaxed);
                if left != u64::MAX {
                    let left = left.saturating_sub(piece.len() as u64);
                    allowance.store(left, Ordering::Relaxed);
                }
                Some((Ok(piece), (body, allowance)))
            }
            Err(error) => Some((Err(error), (body, allowance))),
        }
    };
    Paced { stream: Box::pin(unfold((body, allowance), next)), rests: false }
}

/// Gives one piece at a time: the parser takes all that is ready into memory, and a file that comes faster
/// than the disk takes it would be ready as a whole.
struct Paced<S> {
    stream: Pin<Box<S>>,
    rests: bool,
}

impl<S: Stream> Stream for Paced<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.stream.as_mut().poll_next(cx);
        self.rests = matches!(polled, Poll::Ready(Some(_)));
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body that is always ready is taken as its file is, and not before.
    #[tokio::test]
    async fn a_form_is_not_taken_faster_than_its_file() {
        let given = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&given);
        let head = b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n".as_slice();
        let pieces =
            std::iter::once(head).chain(std::iter::repeat_n([b'x'; 1024].as_slice(), 1000));
        let pieces = pieces.map(move |piece| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, SourceError>(Bytes::from_static(piece))
        });
        let stream = Paced { stream: Box::pin(futures_util::stream::iter(pieces)), rests: false };
        let mut parts = Multipart::new(stream, "b");
        let mut file = parts.next_field().await.unwrap().unwrap();
        for taken in 1..100 {
            file.chunk().await.unwrap().unwrap();
            assert!(given.load(Ordering::Relaxed) <= taken + 3);
        }
    }
}
