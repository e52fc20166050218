//! Operations on objects.

pub mod copy;
pub mod delete;
pub mod get;
pub mod head;
pub mod put;
pub mod tagging;

use cosine_store::{StorageClass, Version};
use cosine_wire::date::http_date;
use cosine_wire::header::{META_PREFIX, name};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Between the look at a key and the use of what was seen, the key may be written anew and the old
/// content collected: then one looks again. What is gone this many times in a row is damaged.
const LOOKS_MAX: usize = 10;

/// What an object is served as when nobody said.
const DEFAULT_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The headers that describe an object, on GET and HEAD alike.
fn object_headers(version: &Version) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(header::CONTENT_TYPE, DEFAULT_CONTENT_TYPE);
    let user = version.attributes.user.iter();
    let user = user.map(|(name, value)| (format!("{META_PREFIX}{name}"), value));
    let system = version.attributes.system.iter().map(|(name, value)| (name.clone(), value));
    for (name, value) in system.chain(user) {
        // Both came out of headers, so both go into headers.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value))
        {
            headers.insert(name, value);
        }
    }
    let etag = format!("\"{}\"", version.etag);
    let modified = http_date(version.last_modified());
    let crc64 = version.crc64.to_string();
    for (name, value) in [(header::ETAG, etag), (header::LAST_MODIFIED, modified)] {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if version.class != StorageClass::Standard {
        let class = HeaderValue::from_static(version.class.as_str());
        headers.insert(name::STORAGE_CLASS, class);
    }
    if version.class == StorageClass::IntelligentTiering {
        headers.insert(name::STORAGE_TIER, HeaderValue::from_static("FREQUENT"));
    }
    if !version.tags.is_empty() {
        headers.insert(name::TAGGING_COUNT, HeaderValue::from(version.tags.len()));
    }
    let crc64 = HeaderValue::try_from(crc64).ok();
    headers.extend(crc64.map(|value| (HeaderName::from_static(name::CRC64), value)));
    headers
}
