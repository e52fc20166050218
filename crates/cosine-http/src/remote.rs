//! Regions that other deployments serve: objects are fetched from them over their API.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_client::{Ask, Server};
use cosine_store::{Announced, Attributes, ByteSource, Etag, Fetched, SourceError};
use cosine_wire::condition::Facts;
use cosine_wire::date::parse_http_date;
use cosine_wire::header::{CUSTOMER_KEY, META_PREFIX, SYSTEM_METADATA, name};
use cosine_wire::xml::tagging;
use cosine_wire::{ApiError, Code};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::params::show_version_id;
use crate::source::Source;
use crate::sse;

/// A server that sends nothing for this long has gone.
const STALL_TIME: Duration = Duration::from_secs(60);
/// No error document, and no set of tags, is longer.
const DOCUMENT_BYTES_MAX: usize = 64 << 10;

/// The regions that other deployments serve.
#[derive(Debug, Default)]
pub struct Remotes(BTreeMap<String, Remote>);

impl Remotes {
    /// These, by their names.
    pub fn new(remotes: BTreeMap<String, Remote>) -> Self {
        Self(remotes)
    }

    /// The deployment that serves a region, if it is another one.
    pub fn find(&self, region: Option<&str>) -> Option<&Remote> {
        self.0.get(region?)
    }
}

/// Another deployment, and what to sign with there.
pub struct Remote {
    region: String,
    server: Server,
    keys: (String, String),
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("server", &self.server.endpoint()).finish_non_exhaustive()
    }
}

impl Remote {
    /// The deployment behind `server` that serves `region`; SecretId and SecretKey.
    pub fn new(region: String, server: Server, keys: (String, String)) -> Self {
        Self { region, server, keys }
    }

    /// Whether it is asked over TLS.
    pub fn is_secure(&self) -> bool {
        self.server.endpoint().scheme_str() == Some("https")
    }

    /// Opens an object, or a range of it, as the other deployment writes ranges.
    ///
    /// # Errors
    /// What the other deployment says, if it is known here; 503 `ServiceUnavailable` if it cannot be
    /// reached.
    pub async fn open(
        &self,
        source: &Source,
        range: Option<&str>,
        now: u64,
    ) -> Result<RemoteObject, ApiError> {
        let id = source.id.map(show_version_id);
        let query: Vec<(&str, &str)> = id.iter().map(|id| ("versionId", id.as_str())).collect();
        let mut headers = sse::customer_headers(source.customer_key.as_ref());
        if let Some(range) = range {
            let range = HeaderValue::from_str(range).map_err(|_| Code::InvalidArgument)?;
            headers.insert(header::RANGE, range);
        }
        let answer = self.ask(Method::GET, source, &query, headers, now).await?;
        let facts = RemoteFacts::read(answer.headers()).ok_or_else(|| self.nonsense())?;
        Ok(RemoteObject { facts, body: answer.into_body() })
    }

    /// The tags of the version that `object` was opened as.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and if another version is in its place where it has no id to ask for.
    pub async fn tags(
        &self,
        source: &Source,
        object: &RemoteFacts,
        now: u64,
    ) -> Result<Vec<(String, String)>, ApiError> {
        let id = object.version_id.as_deref().filter(|id| *id != "null");
        let mut query = vec![("tagging", "")];
        query.extend(id.map(|id| ("versionId", id)));
        let answer = self.ask(Method::GET, source, &query, HeaderMap::new(), now).await?;
        let body = document(answer.into_body()).await.ok_or_else(|| self.nonsense())?;
        let tags = tagging::parse(&body).map_err(|_| self.nonsense())?.into_pairs();
        if id.is_none() {
            // Those of the current version, which may be another one.
            let headers = sse::customer_headers(source.customer_key.as_ref());
            let answer = self.ask(Method::HEAD, source, &[], headers, now).await?;
            let current = RemoteFacts::read(answer.headers()).ok_or_else(|| self.nonsense())?;
            if !current.is_version(object) {
                let message = format!("Region {} tells the tags of another version.", self.region);
                return Err(ApiError::new(Code::ServiceUnavailable, message));
            }
        }
        Ok(tags)
    }

    async fn ask(
        &self,
        method: Method,
        source: &Source,
        query: &[(&str, &str)],
        headers: HeaderMap,
        now: u64,
    ) -> Result<Response<Incoming>, ApiError> {
        let bucket = source.bucket.as_str();
        let unreachable = |error: std::io::Error| {
            tracing::warn!(region = self.region, %error, "another region does not answer");
            let message = format!("Region {} cannot be reached.", self.region);
            ApiError::new(Code::ServiceUnavailable, message)
        };
        let host = format!("{bucket}.cos.{}.myqcloud.com", self.region);
        let (server, host) = match self.bucket_host(bucket) {
            Some(host) => (self.server.at(&host).map_err(unreachable)?, host),
            None => (self.server.clone(), host),
        };
        let path = format!("/{}", source.key.as_str());
        let keys = (self.keys.0.as_str(), self.keys.1.as_str());
        let ask =
            Ask { method, host: &host, path: &path, query, headers, body: Bytes::new(), keys, now };
        let answer = server.ask(ask).await.map_err(unreachable)?;
        match answer.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer),
            _ => Err(self.refusal(answer).await),
        }
    }

    /// COS itself, and whoever is named like it, has a name for each bucket.
    fn bucket_host(&self, bucket: &str) -> Option<String> {
        let host = self.server.endpoint().host()?;
        let is_address = host.parse::<IpAddr>().is_ok() || host.starts_with('[');
        (!is_address && host.starts_with("cos.")).then(|| format!("{bucket}.{host}"))
    }

    /// What the other deployment said, in its own code if it is one that is known here.
    async fn refusal(&self, answer: Response<Incoming>) -> ApiError {
        let status = answer.status();
        let body = document(answer.into_body()).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let said = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let known = |code: &&Code| said.is_some_and(|(said, _)| said == code.as_str());
        let code = match (Code::ALL.iter().find(known), status) {
            // The pair that is configured is nothing of the caller's.
            (Some(Code::InvalidAccessKeyId | Code::SignatureDoesNotMatch), _) => {
                tracing::error!(region = self.region, "another region refuses our credential");
                Code::AccessDenied
            }
            (Some(Code::MethodNotAllowed), _) => Code::InvalidRequest,
            (Some(code), _) if code.status() < 500 => *code,
            (_, StatusCode::FORBIDDEN) => Code::AccessDenied,
            (_, StatusCode::NOT_FOUND) => Code::NoSuchKey,
            (_, StatusCode::RANGE_NOT_SATISFIABLE) => Code::InvalidRange,
            _ => Code::ServiceUnavailable,
        };
        ApiError::new(code, format!("Region {} says: {}", self.region, code.message()))
    }

    /// What to say of an answer that does not fit the question.
    pub fn nonsense(&self) -> ApiError {
        let message = format!("Region {} gives an answer that is none.", self.region);
        ApiError::new(Code::ServiceUnavailable, message)
    }
}

/// A small body; `None` if it is not small, or does not come.
async fn document(body: Incoming) -> Option<Bytes> {
    let body = Limited::new(body, DOCUMENT_BYTES_MAX).collect();
    Some(tokio::time::timeout(STALL_TIME, body).await.ok()?.ok()?.to_bytes())
}

/// An object that another deployment sends.
#[derive(Debug)]
pub struct RemoteObject {
    /// What is said of it.
    pub facts: RemoteFacts,
    body: Incoming,
}

/// What another deployment says of an object.
#[derive(Debug)]
pub struct RemoteFacts {
    /// Bytes that come: of the object, or of the range.
    pub length: u64,
    /// The first of them.
    pub first: u64,
    /// Bytes of the object.
    pub size: u64,
    /// The version's id, where there is one.
    pub version_id: Option<String>,
    /// The entity tag, without quotes.
    pub etag: String,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
    /// Of the whole object.
    pub crc64: Option<u64>,
    /// Of the whole object, where its entity tag is that.
    pub md5: Option<[u8; 16]>,
    /// Whether the entity tag is that of plain bytes.
    has_plain_etag: bool,
    /// Its metadata.
    pub attributes: Attributes,
    /// Whether it has tags.
    pub has_tags: bool,
}

impl RemoteFacts {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text("content-length")?.parse().ok()?;
        let (first, size) = match text("content-range") {
            Some(range) => {
                let (range, size) = range.strip_prefix("bytes ")?.split_once('/')?;
                (range.split_once('-')?.0.parse().ok()?, size.parse().ok()?)
            }
            None => (0, length),
        };
        let etag = text("etag")?.trim_matches('"').to_owned();
        let mut attributes = Attributes::default();
        for (name, value) in headers {
            let value = value.as_bytes().to_vec();
            if let Some(suffix) = name.as_str().strip_prefix(META_PREFIX) {
                attributes.user.push((suffix.to_owned(), value));
            } else if SYSTEM_METADATA.contains(&name.as_str()) {
                attributes.system.push((name.as_str().to_owned(), value));
            }
        }
        Some(Self {
            length,
            first,
            size,
            version_id: text(name::VERSION_ID).map(str::to_owned),
            md5: digest(&etag).filter(|_| has_md5_as_etag(headers)),
            has_plain_etag: has_plain_etag(headers),
            etag,
            last_modified: parse_http_date(text("last-modified")?)?,
            crc64: text(name::CRC64).and_then(|crc64| crc64.parse().ok()),
            attributes,
            has_tags: headers.contains_key(name::TAGGING_COUNT),
        })
    }

    /// Whether this is said of the same version.
    fn is_version(&self, other: &Self) -> bool {
        let same = |facts: &Self| (facts.etag.clone(), facts.last_modified, facts.size);
        let named = |facts: &Self| facts.version_id.clone().filter(|id| id != "null");
        same(self) == same(other) && named(self) == named(other)
    }

    /// What conditions are held against.
    pub fn facts(&self) -> Facts<'_> {
        Facts { etag: &self.etag, last_modified: self.last_modified }
    }

    /// What the bytes of the whole object are held against. The entity tag of an object that was
    /// uploaded in parts stays; any other is the MD5 of what arrives.
    pub fn fetched(&self) -> Fetched {
        let announced = Announced { length: self.size, crc64: self.crc64, md5: self.md5 };
        let etag = multipart_etag(&self.etag).filter(|_| self.has_plain_etag);
        Fetched { announced, etag }
    }
}

fn multipart_etag(text: &str) -> Option<Etag> {
    let (text, parts) = text.split_once('-')?;
    let parts = parts.parse().ok().filter(|parts| *parts > 0)?;
    Some(Etag { digest: digest(text)?, parts })
}

/// 32 hex digits.
fn digest(text: &str) -> Option<[u8; 16]> {
    let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    Some(u128::from_str_radix(text, 16).ok().filter(|_| digits)?.to_be_bytes())
}

/// Whether an entity tag of 32 digits is the MD5: it is not where the object grows either.
fn has_md5_as_etag(headers: &HeaderMap) -> bool {
    let grows = headers.get(name::OBJECT_TYPE).is_some_and(|kind| kind == "appendable");
    has_plain_etag(headers) && !grows
}

/// Whether an entity tag is made of plain bytes: it is not where the object is encrypted, but for SSE-COS.
fn has_plain_etag(headers: &HeaderMap) -> bool {
    let is_other = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().contains("server-side-encryption") && value != sse::AES256
            || name.as_str() == CUSTOMER_KEY.algorithm
    };
    !headers.iter().any(is_other)
}

#[async_trait]
impl ByteSource for RemoteObject {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        loop {
            let frame = tokio::time::timeout(STALL_TIME, self.body.frame());
            let Some(frame) = frame.await.map_err(|_| SourceError::Stalled)? else {
                return Ok(None);
            };
            if let Ok(piece) = frame.map_err(|_| SourceError::Cut)?.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}

/// What is said where the bytes of another deployment do not arrive: the client has sent none.
pub fn fetch_error(error: cosine_store::Error) -> ApiError {
    match error {
        cosine_store::Error::Source(_) => ApiError::new(
            Code::ServiceUnavailable,
            "The other region broke off before the object was here.",
        ),
        error => crate::error::store_error(error),
    }
}
