//! A request, read as far as every operation needs it: where it is addressed, and what it carries.

use cosine_access::{Action, Caller};
use cosine_store::{BucketName, NameError, ObjectKey};
use cosine_wire::encode::percent_decode;
use cosine_wire::host::{Endpoint, Host, HostRules};
use cosine_wire::query::Query;
use cosine_wire::{ApiError, Code};
use http::request::Parts;
use http::{HeaderMap, Method, header};

use crate::body::Upload;
use crate::client::Client;
use crate::operation::{Row, Scope};

/// The headers of a request may hold this many bytes, names and values together.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// What every operation gets.
#[derive(Debug)]
pub struct Request {
    /// What it asks for.
    pub row: &'static Row,
    /// How it is called in logs and answers.
    pub id: String,
    /// Where it comes from.
    pub client: Client,
    /// When it came, seconds since 1970 UTC.
    pub at: u64,
    /// Where it is addressed.
    pub target: Target,
    /// Where it was sent, with its port.
    pub authority: String,
    /// The path, decoded once.
    pub path: String,
    /// The decoded query.
    pub query: Query,
    /// The headers, as sent.
    pub headers: HeaderMap,
    /// Who is asking.
    pub caller: Caller,
    /// The body, if the operation takes one.
    pub body: Upload,
}

/// Where a request is addressed.
#[derive(Clone, Debug)]
pub struct Target {
    /// The bucket; `None` for the service.
    pub bucket: Option<BucketName>,
    /// The key; `None` for the bucket itself.
    pub key: Option<ObjectKey>,
    /// The region that the host name carries and in which the bucket must live.
    pub region: Option<String>,
}

impl Request {
    /// The bucket that the request names. The routing table sees to it that there is one.
    pub fn bucket(&self) -> Result<&BucketName, ApiError> {
        self.target.bucket.as_ref().ok_or_else(|| Code::InvalidBucketName.into())
    }

    /// The key that the request names. The routing table sees to it that there is one.
    pub fn key(&self) -> Result<&ObjectKey, ApiError> {
        self.target.key.as_ref().ok_or_else(|| Code::InvalidURI.into())
    }

    /// What policies and ACLs know it by.
    pub fn action(&self) -> Action {
        self.row.action
    }

    /// A header's value, trimmed; `None` if it is absent or empty.
    ///
    /// # Errors
    /// 400 `InvalidArgument` if it is not ASCII text: it must not be taken for absent.
    pub fn header(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        let text = value.to_str().map_err(|_| {
            ApiError::new(Code::InvalidArgument, format!("{name} is not ASCII text."))
        })?;
        Ok(Some(text.trim()).filter(|text| !text.is_empty()))
    }
}

/// The request line and the headers, decoded.
#[derive(Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// Where the request was sent, with its port; empty where nothing says.
    pub authority: String,
    /// The path, decoded once and never normalised.
    pub path: String,
    /// The decoded query.
    pub query: Query,
    /// The headers, as sent.
    pub headers: HeaderMap,
}

impl Head {
    /// What the `Resource` node of an error document says: host and path, without the scheme.
    /// Control characters stay encoded, since XML has no place for them.
    pub fn resource(parts: &Parts) -> String {
        let path = percent_decode(parts.uri.path().as_bytes()).unwrap_or_default();
        let mut resource = authority(parts).to_owned();
        for c in String::from_utf8_lossy(&path).chars() {
            match c {
                c if c.is_ascii_control() => resource.push_str(&format!("%{:02X}", u32::from(c))),
                c => resource.push(c),
            }
        }
        if path == b"/" { authority(parts).to_owned() } else { resource }
    }

    /// Decodes. The authority of an absolute-form target outranks the `Host` header.
    ///
    /// # Errors
    /// 400 `InvalidRequest` for too many header bytes, `MissingHost`, `InvalidURI`.
    pub fn read(parts: &Parts) -> Result<Self, ApiError> {
        let bytes = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len()
        };
        if parts.headers.iter().map(bytes).sum::<usize>() > HEADER_BYTES_MAX {
            return Err(ApiError::new(Code::InvalidRequest, "The headers are larger than 32 KiB."));
        }
        let authority = authority(parts).to_owned();
        if authority.is_empty() {
            return Err(Code::MissingHost.into());
        }
        let path = percent_decode(parts.uri.path().as_bytes())
            .and_then(|path| String::from_utf8(path).ok())
            .ok_or_else(|| {
                ApiError::new(Code::InvalidURI, "The path is not percent-encoded UTF-8.")
            })?;
        let query = Query::parse(parts.uri.query().unwrap_or_default()).ok_or_else(|| {
            ApiError::new(Code::InvalidURI, "The query is not percent-encoded UTF-8.")
        })?;
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        Ok(Self { method, authority, path, query, headers })
    }

    /// Whether the host is more than an address of this server: a bucket, or a service beside it.
    pub fn names_bucket(&self, rules: &HostRules) -> bool {
        !matches!(rules.read(&self.authority), Host::Root { .. })
    }

    /// Works out where the request is addressed.
    ///
    /// # Errors
    /// 400 for names that break the rules, 404 `NoSuchWebsiteConfiguration` on website hosts, 501
    /// on hosts that are not object storage.
    pub fn address(&self, rules: &HostRules) -> Result<(Scope, Target), ApiError> {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        match rules.read(&self.authority) {
            Host::Bucket(host) if host.endpoint == Endpoint::Website => {
                Err(Code::NoSuchWebsiteConfiguration.into())
            }
            Host::Bucket(host) => target(&host.bucket, path, host.region),
            Host::Root { region } if path.is_empty() => {
                Ok((Scope::Service, Target { bucket: None, key: None, region }))
            }
            Host::Root { region } => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                target(bucket, key, region)
            }
            Host::Control => Ok((Scope::Control, Target { bucket: None, key: None, region: None })),
            Host::DataProcessing => Err(ApiError::new(
                Code::NotImplemented,
                "Data processing is not object storage, and not offered here.",
            )),
        }
    }
}

fn authority(parts: &Parts) -> &str {
    let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or_else(host).unwrap_or_default()
}

fn target(bucket: &str, key: &str, region: Option<String>) -> Result<(Scope, Target), ApiError> {
    let bucket = Some(BucketName::parse(bucket).map_err(name_error)?);
    if key.is_empty() {
        return Ok((Scope::Bucket, Target { bucket, key: None, region }));
    }
    let key = Some(ObjectKey::parse(key).map_err(name_error)?);
    Ok((Scope::Object, Target { bucket, key, region }))
}

/// What a bad name is answered with.
pub fn name_error(error: NameError) -> ApiError {
    match error {
        NameError::BucketMalformed => ApiError::new(
            Code::InvalidBucketName,
            "A bucket is named <name>-<appid>: lower-case letters, digits and inner hyphens, then \
             the account's APPID. Where the host names no bucket, the path begins with it.",
        ),
        NameError::BucketTooLong => Code::BucketNameTooLong.into(),
        NameError::KeyMalformed => ApiError::new(
            Code::InvalidObjectName,
            "A key is not empty, does not begin with / or \\, and holds none of the control \
             characters 0x18 to 0x1B.",
        ),
        NameError::KeyTooLong => {
            ApiError::new(Code::KeyTooLong, "A key holds at most 850 bytes of UTF-8.")
        }
    }
}
