//! Operations on objects.

pub mod acl;
pub mod append;
pub mod copy;
pub mod delete;
pub mod get;
pub mod head;
pub mod options;
pub mod post;
pub mod put;
pub mod restore;
pub mod symlink;
pub mod tagging;

use cosine_store::{Bucket, ObjectKind, ObjectSums, Readable, StorageClass, Version};
use cosine_wire::date::http_date;
use cosine_wire::header::{META_PREFIX, name};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::params::show_version_id;

/// What an object is served as when nobody said.
const DEFAULT_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The tier of an object of a tiering class: nothing moves by itself here.
pub fn storage_tier(class: StorageClass) -> Option<&'static str> {
    let tiering = [StorageClass::IntelligentTiering, StorageClass::MazIntelligentTiering];
    tiering.contains(&class).then_some("FREQUENT")
}

/// `x-cos-restore` and `x-cos-restore-status` of an archived object.
fn restore_headers(readable: Readable) -> Vec<(&'static str, String)> {
    let seconds = |micros: u64| (micros / 1_000_000).cast_signed();
    match readable {
        Readable::Always | Readable::No => vec![],
        Readable::Soon(restore) => {
            let (tier, date) = (restore.tier.as_str(), http_date(seconds(restore.requested)));
            let tier = tier.to_ascii_lowercase();
            let status = format!("tier=\"{tier}\"; request-date=\"{date}\"");
            let ongoing = "ongoing-request=\"true\"".to_owned();
            vec![(name::RESTORE, ongoing), (name::RESTORE_STATUS, status)]
        }
        Readable::Until(restore) => {
            let expiry = http_date(seconds(restore.expires));
            let done = format!("ongoing-request=\"false\", expiry-date=\"{expiry}\"");
            vec![(name::RESTORE, done)]
        }
    }
}

/// The headers that describe an object, on GET and HEAD alike.
fn object_headers(
    bucket: &Bucket,
    version: &Version,
    sums: ObjectSums,
    readable: Readable,
) -> HeaderMap {
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
    let etag = format!("\"{}\"", sums.etag);
    let modified = http_date(version.last_modified());
    let crc64 = sums.crc64.to_string();
    for (name, value) in [(header::ETAG, etag), (header::LAST_MODIFIED, modified)] {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if version.class != StorageClass::Standard {
        let class = HeaderValue::from_static(version.class.as_str());
        headers.insert(name::STORAGE_CLASS, class);
    }
    if let Some(tier) = storage_tier(version.class) {
        headers.insert(name::STORAGE_TIER, HeaderValue::from_static(tier));
    }
    if version.kind == ObjectKind::Appendable {
        headers.insert(name::OBJECT_TYPE, HeaderValue::from_static("appendable"));
    }
    if !version.tags.is_empty() {
        headers.insert(name::TAGGING_COUNT, HeaderValue::from(version.tags.len()));
    }
    let id = bucket.keeps_versions().then(|| show_version_id(version.id()));
    let id = id.map(|id| (name::VERSION_ID, id));
    for (name, value) in restore_headers(readable).into_iter().chain(id) {
        headers.extend(
            HeaderValue::try_from(value).ok().map(|value| (HeaderName::from_static(name), value)),
        );
    }
    let crc64 = HeaderValue::try_from(crc64).ok();
    headers.extend(crc64.map(|value| (HeaderName::from_static(name::CRC64), value)));
    headers
}
