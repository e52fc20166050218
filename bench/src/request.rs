//! Requests, complete but for the connection: built and signed before the clock runs.

use std::io;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use cosine_wire::qsign::{self, Signed};
use cosine_wire::query::Query;
use http::{HeaderMap, HeaderValue};

use crate::client::{Body, Connection};

/// The account that the measured servers are started with.
pub const APPID: &str = "1250000000";
/// The region that the measured servers are started with.
pub const REGION: &str = "ap-guangzhou";
/// The SecretId that the measured servers are started with.
pub const SECRET_ID: &str = "AKIDbenchmarkbenchmarkbenchmark00000";
/// The SecretKey that the measured servers are started with.
pub const SECRET_KEY: &str = "benchmarkbenchmarkbenchmark00000";

const COPY_SOURCE: &str = "x-cos-copy-source";
const COPY_SOURCE_RANGE: &str = "x-cos-copy-source-range";
const STORAGE_CLASS: &str = "x-cos-storage-class";

/// Signatures hold for this long, in seconds: longer than any run.
const SIGNATURE_SECONDS: u64 = 7 * 24 * 3600;
/// At most so much of a refusal is quoted, in bytes.
const QUOTE_BYTES_MAX: usize = 600;

/// What makes an answer the right one, beside status 200.
#[derive(Clone, Copy, Debug, Default)]
pub enum Expect {
    /// Nothing; the body is read and dropped.
    #[default]
    Ok,
    /// No body at all, whatever Content-Length says: the answer to HEAD.
    HeadOnly,
    /// A body of so many bytes.
    Bytes(u64),
    /// Status 206 and a body of so many bytes.
    Part(u64),
    /// A body of exactly this content.
    Content(Body),
    /// Status 204.
    NoContent,
    /// A document that holds this text: the answer to a copy says 200 before it is known whether
    /// the copy succeeds.
    Text(&'static str),
}

impl Expect {
    fn status(self) -> u16 {
        match self {
            Expect::NoContent => 204,
            Expect::Part(_) => 206,
            _ => 200,
        }
    }
}

/// A request that can be sent any number of times.
#[derive(Clone, Debug)]
pub struct Request {
    /// The head, and the body as far as it is no object content.
    head: Vec<u8>,
    body: Body,
    expect: Expect,
    /// Object bytes that cross the connection, in either direction, or move within the server.
    pub payload: u64,
}

impl Request {
    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// Whatever breaks the connection, and any answer but the expected one.
    pub fn perform(&self, connection: &mut Connection) -> io::Result<()> {
        let head = connection.exchange(&self.head, self.body)?;
        if head.status != self.expect.status() {
            return self.refused(connection, head);
        }
        let fits = match self.expect {
            Expect::HeadOnly | Expect::NoContent => true,
            Expect::Ok => connection.receive_body(head, &mut |_| ()).map(|_| true)?,
            Expect::Bytes(bytes) | Expect::Part(bytes) => {
                connection.receive_body(head, &mut |_| ())? == bytes
            }
            Expect::Content(mut content) => {
                let mut equal = true;
                connection.receive_body(head, &mut |piece| equal &= content.take_equal(piece))?;
                equal && content.bytes() == 0
            }
            Expect::Text(text) => {
                let mut document = Vec::new();
                connection.receive_body(head, &mut |piece| document.extend_from_slice(piece))?;
                String::from_utf8_lossy(&document).contains(text)
            }
        };
        if fits { Ok(()) } else { Err(self.wrong("200 with a body other than the expected one")) }
    }

    /// The same, where object bytes move within the server.
    pub fn moving(self, bytes: u64) -> Self {
        Self { payload: bytes, ..self }
    }

    /// The head alone, for a client that leaves it at that.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Sends the request and returns the body of the answer.
    ///
    /// # Errors
    /// As for [`perform`](Self::perform).
    pub fn fetch(&self, connection: &mut Connection) -> io::Result<Vec<u8>> {
        let head = connection.exchange(&self.head, self.body)?;
        let mut body = Vec::new();
        connection.receive_body(head, &mut |piece| body.extend_from_slice(piece))?;
        match head.status == self.expect.status() {
            true => Ok(body),
            false => {
                Err(self.wrong(&format!("{} {}", head.status, String::from_utf8_lossy(&body))))
            }
        }
    }

    fn refused(&self, connection: &mut Connection, head: crate::client::Head) -> io::Result<()> {
        let mut quote = Vec::new();
        if !matches!(self.expect, Expect::HeadOnly) {
            connection.receive_body(head, &mut |piece| {
                let room = QUOTE_BYTES_MAX.saturating_sub(quote.len()).min(piece.len());
                quote.extend_from_slice(piece.get(..room).unwrap_or_default());
            })?;
        }
        Err(self.wrong(&format!("{} {}", head.status, String::from_utf8_lossy(&quote))))
    }

    fn wrong(&self, answer: &str) -> io::Error {
        let line = self.head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        io::Error::other(format!("{} was answered {answer}", String::from_utf8_lossy(line)))
    }
}

/// What a request asks for: everything but its host and its signature.
#[derive(Clone, Copy, Debug, Default)]
struct Draft<'a> {
    method: &'a str,
    key: &'a str,
    /// What comes after the `?`; nothing in it needs encoding.
    query: &'a str,
    /// All of them are signed.
    headers: &'a [(&'static str, &'a str)],
    /// A body that is no object content.
    document: &'a str,
    body: Body,
    expect: Expect,
}

/// Makes signed requests to one bucket.
#[derive(Debug)]
pub struct Signer {
    host: String,
    window: (u64, u64),
    /// SecretId and SecretKey; `None` signs nothing.
    keys: Option<(String, String)>,
    /// What every request carries beside its own headers.
    carried: Vec<(&'static str, String)>,
}

impl Signer {
    /// Requests to the bucket of the benchmark, signed from now on.
    ///
    /// # Errors
    /// A clock that stands before 1970.
    pub fn new() -> io::Result<Self> {
        Self::of_bucket("bench")
    }

    /// Requests to another bucket.
    ///
    /// # Errors
    /// A clock that stands before 1970.
    pub fn of_bucket(name: &str) -> io::Result<Self> {
        Self::of_host(format!("{name}-{APPID}.cos.{REGION}.myqcloud.com"))
    }

    /// Requests to another host, such as the server itself.
    ///
    /// # Errors
    /// A clock that stands before 1970.
    pub fn of_host(host: String) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
        let window = (now.saturating_sub(60), now.saturating_add(SIGNATURE_SECONDS));
        let keys = Some((SECRET_ID.to_owned(), SECRET_KEY.to_owned()));
        Ok(Self { host, window, keys, carried: vec![] })
    }

    /// The same, signed with other keys, or not at all.
    pub fn with_keys(&self, keys: Option<(String, String)>) -> Self {
        Self { host: self.host.clone(), window: self.window, keys, carried: vec![] }
    }

    /// The same, with headers that every request carries.
    pub fn carrying(&self, carried: Vec<(&'static str, String)>) -> Self {
        Self { host: self.host.clone(), window: self.window, keys: self.keys.clone(), carried }
    }

    /// PUT Bucket policy.
    pub fn set_policy(&self, policy: &str) -> Request {
        let expect = Expect::NoContent;
        self.request(Draft {
            method: "PUT",
            query: "policy",
            document: policy,
            expect,
            ..Draft::default()
        })
    }

    /// PUT Bucket acl: everyone may read.
    pub fn open_to_read(&self) -> Request {
        let headers: &[_] = &[("x-cos-acl", "public-read")];
        self.request(Draft { method: "PUT", query: "acl", headers, ..Draft::default() })
    }

    /// PUT Bucket.
    pub fn create_bucket(&self) -> Request {
        self.request(Draft { method: "PUT", ..Draft::default() })
    }

    /// PUT Bucket versioning: older versions are kept from now on.
    pub fn keep_versions(&self) -> Request {
        self.request(Draft {
            method: "PUT",
            query: "versioning",
            document: "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            ..Draft::default()
        })
    }

    /// GET Bucket, and its kin.
    pub fn list(&self, query: &str) -> Request {
        self.request(Draft { method: "GET", query, ..Draft::default() })
    }

    /// PUT Object.
    pub fn put(&self, key: &str, content: Body) -> Request {
        self.request(Draft { method: "PUT", key, body: content, ..Draft::default() })
    }

    /// GET Object, of an object with this content. The hot loop checks its length only.
    pub fn get(&self, key: &str, content: Body) -> Request {
        let expect = Expect::Bytes(content.bytes());
        let request = self.request(Draft { method: "GET", key, expect, ..Draft::default() });
        Request { payload: content.bytes(), ..request }
    }

    /// GET Object, of a range of one. The hot loop checks its length only.
    pub fn get_range(&self, key: &str, range: Range<u64>) -> Request {
        let bytes = range.end.saturating_sub(range.start);
        let expect = Expect::Part(bytes);
        let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let headers: &[_] = &[("range", text.as_str())];
        let draft = Draft { method: "GET", key, headers, expect, ..Draft::default() };
        Request { payload: bytes, ..self.request(draft) }
    }

    /// GET Object, comparing every byte.
    pub fn get_checked(&self, key: &str, content: Body) -> Request {
        Request { expect: Expect::Content(content), ..self.get(key, content) }
    }

    /// HEAD Object.
    pub fn head(&self, key: &str) -> Request {
        self.request(Draft { method: "HEAD", key, expect: Expect::HeadOnly, ..Draft::default() })
    }

    /// DELETE Object.
    pub fn delete(&self, key: &str) -> Request {
        self.request(Draft { method: "DELETE", key, expect: Expect::NoContent, ..Draft::default() })
    }

    /// A request to the administration of a server.
    pub fn admin(&self, method: &str, path: &str) -> Request {
        self.request(Draft { method, key: path, ..Draft::default() })
    }

    /// PUT Object - Copy, within the bucket.
    pub fn copy(&self, source: &str, key: &str) -> Request {
        self.copied(key, "", &[(COPY_SOURCE, &self.source(source))])
    }

    /// PUT Object - Copy, within the bucket, into a storage class.
    pub fn copy_into_class(&self, source: &str, key: &str, class: &str) -> Request {
        self.copied(key, "", &[(COPY_SOURCE, &self.source(source)), (STORAGE_CLASS, class)])
    }

    /// Initiate Multipart Upload. The answer has the id in `UploadId`.
    pub fn begin_upload(&self, key: &str) -> Request {
        self.request(Draft { method: "POST", key, query: "uploads", ..Draft::default() })
    }

    /// Upload Part - Copy, within the bucket. The answer has the tag in `ETag`.
    pub fn copy_part(&self, source: &str, range: Range<u64>, part: PartOf<'_>) -> Request {
        let PartOf { key, upload, number } = part;
        let range = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let headers = [(COPY_SOURCE, &self.source(source)[..]), (COPY_SOURCE_RANGE, &range)];
        self.copied(key, &format!("partNumber={number}&uploadId={upload}"), &headers)
    }

    /// Upload Part.
    pub fn put_part(&self, part: PartOf<'_>, content: Body) -> Request {
        let PartOf { key, upload, number } = part;
        let query = format!("partNumber={number}&uploadId={upload}");
        self.request(Draft { method: "PUT", key, query: &query, body: content, ..Draft::default() })
    }

    /// List Parts. The answer has their tags in `ETag`.
    pub fn list_parts(&self, key: &str, upload: &str) -> Request {
        let query = format!("uploadId={upload}");
        let expect = Expect::Text("<ETag>");
        self.request(Draft { method: "GET", key, query: &query, expect, ..Draft::default() })
    }

    /// Complete Multipart Upload, with the tags of the parts from 1 on.
    pub fn complete_upload(&self, key: &str, upload: &str, etags: &[String]) -> Request {
        let part = |(number, etag): (usize, &String)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        };
        let parts: String = (1..).zip(etags).map(part).collect();
        self.request(Draft {
            method: "POST",
            key,
            query: &format!("uploadId={upload}"),
            document: &format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"),
            expect: Expect::Text("<ETag>"),
            ..Draft::default()
        })
    }

    /// An object of the bucket, as the source of a copy.
    fn source(&self, key: &str) -> String {
        format!("{}/{key}", self.host)
    }

    fn copied(&self, key: &str, query: &str, headers: &[(&'static str, &str)]) -> Request {
        let expect = Expect::Text("<ETag>");
        self.request(Draft { method: "PUT", key, query, headers, expect, ..Draft::default() })
    }

    fn request(&self, draft: Draft<'_>) -> Request {
        let Draft { method, key, query, document, body, expect, .. } = draft;
        let path = format!("/{key}");
        let mark = if query.is_empty() { "" } else { "?" };
        let mut head = format!("{method} {path}{mark}{query} HTTP/1.1\r\nHost: {}\r\n", self.host);
        let mut headers = HeaderMap::new();
        let mut signed_names = vec!["host"];
        let carried = self.carried.iter().map(|(name, text)| (*name, text.as_str()));
        for (name, text) in draft.headers.iter().copied().chain(carried) {
            head.push_str(&format!("{name}: {text}\r\n"));
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
            signed_names.push(name);
        }
        if matches!(method, "PUT" | "POST") {
            let bytes = body.bytes() + document.len() as u64;
            head.push_str(&format!("Content-Length: {bytes}\r\n"));
        }
        let signed = Signed {
            method,
            path: path.as_bytes(),
            query: &Query::parse(query).unwrap_or_default(),
            headers: &headers,
            authority: &self.host,
        };
        if let Some((id, key)) = &self.keys {
            let authorization = qsign::sign(signed, &signed_names, id, key, self.window);
            head.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        head.push_str(&format!("\r\n{document}"));
        Request { head: head.into_bytes(), body, expect, payload: body.bytes() }
    }
}

/// Which part of which upload.
#[derive(Clone, Copy, Debug)]
pub struct PartOf<'a> {
    /// The key that it is an upload to.
    pub key: &'a str,
    /// The id of the upload.
    pub upload: &'a str,
    /// From 1 to 10,000.
    pub number: u32,
}

/// An unsigned GET, as one sends to a server of static files.
pub fn plain_get(name: &str, content: Body) -> Request {
    let head = format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    Request {
        head: head.into_bytes(),
        body: Body::default(),
        expect: Expect::Bytes(content.bytes()),
        payload: content.bytes(),
    }
}

/// As [`plain_get`], comparing every byte.
pub fn plain_get_checked(name: &str, content: Body) -> Request {
    Request { expect: Expect::Content(content), ..plain_get(name, content) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_goes_with_the_head_and_counts_as_body() {
        let signer = Signer::new().unwrap();
        let request = signer.complete_upload("k", "u", &["a".to_owned(), "b".to_owned()]);
        let text = String::from_utf8(request.head).unwrap();
        let (head, document) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /k?uploadId=u HTTP/1.1\r\n"));
        assert!(head.contains("q-url-param-list=uploadid"));
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", document.len())));
        assert!(document.contains("<PartNumber>2</PartNumber><ETag>b</ETag>"));
    }

    #[test]
    fn what_a_copy_is_made_of_is_signed() {
        let part = PartOf { key: "k", upload: "u", number: 3 };
        let request = Signer::new().unwrap().copy_part("s", 7..17, part);
        let text = String::from_utf8(request.head).unwrap();
        assert!(text.contains("\r\nx-cos-copy-source-range: bytes=7-16\r\n"));
        assert!(text.contains("q-header-list=host;x-cos-copy-source;x-cos-copy-source-range"));
    }
}
