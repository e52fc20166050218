//! What several operations read out of headers and parameters.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cosine_store::{Attributes, StorageClass, UploadId, VersionId, Zones};
use cosine_wire::header::{META_BYTES_MAX, META_PREFIX, SYSTEM_METADATA, name};
use cosine_wire::id::{parse_version_id, version_id as version_text};
use cosine_wire::query::number;
use cosine_wire::tags::Tags;
use cosine_wire::{ApiError, Code};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use md5::{Digest, Md5};

use crate::request::Request;

/// `x-cos-tagging`, key and value. 400 `InvalidTag` and `BadRequest` as [`Tags`] has them.
pub fn tags(request: &Request) -> Result<Vec<(String, String)>, ApiError> {
    let Some(value) = request.headers.get(name::TAGGING) else { return Ok(vec![]) };
    let value = value.to_str().map_err(|_| Code::InvalidTag)?;
    Ok(Tags::parse(value)?.into_pairs())
}

/// `x-cos-storage-class`: names in any case (C86), and those of the bucket's kind (C89). 400
/// `InvalidArgument` for unknown ones, `MAZOperationNotSupportOnOAZBucket` and
/// `OAZOperationNotSupportOnMAZBucket` for those of the other kind.
pub fn storage_class(request: &Request, zones: Zones) -> Result<StorageClass, ApiError> {
    let Some(value) = request.header(name::STORAGE_CLASS)? else {
        return Ok(StorageClass::default_in(zones));
    };
    let class = StorageClass::named(value).ok_or_else(|| {
        ApiError::new(Code::InvalidArgument, format!("{value} is not a storage class."))
    })?;
    match (class.zones(), zones) {
        (Zones::Several, Zones::One) => Err(Code::MAZOperationNotSupportOnOAZBucket.into()),
        (Zones::One, Zones::Several) => Err(Code::OAZOperationNotSupportOnMAZBucket.into()),
        _ => Ok(class),
    }
}

/// The `versionId` that a request names; an empty one is none. 404 `NoSuchVersion` for what no version
/// can be named.
pub fn version_id(request: &Request) -> Result<Option<VersionId>, ApiError> {
    match request.query.get("versionId").filter(|id| !id.is_empty()) {
        None => Ok(None),
        Some(id) => read_version_id(id).map(Some),
    }
}

/// Reads a version id. 404 `NoSuchVersion` for what no version can be named.
pub fn read_version_id(id: &str) -> Result<VersionId, ApiError> {
    match id {
        "null" => Ok(VersionId::Null),
        id => parse_version_id(id).map(VersionId::Order).ok_or_else(|| Code::NoSuchVersion.into()),
    }
}

/// A version id as clients see it.
pub fn show_version_id(id: VersionId) -> String {
    match id {
        VersionId::Null => "null".to_owned(),
        VersionId::Order(order) => version_text(order),
    }
}

/// The `uploadId` that a request names. 404 `NoSuchUpload` for what was never given out.
pub fn upload_id(request: &Request) -> Result<UploadId, ApiError> {
    let id = request.query.get("uploadId").unwrap_or_default();
    UploadId::parse(id).ok_or_else(|| Code::NoSuchUpload.into())
}

/// The `partNumber` that a request names. 400 `InvalidArgument` for what is none from 1 to 10,000 (U11).
pub fn part_number(request: &Request) -> Result<u16, ApiError> {
    let number = request.query.get("partNumber").and_then(number);
    number.filter(|number| (1..=cosine_store::PART_NUMBER_MAX).contains(number)).ok_or_else(|| {
        ApiError::new(Code::InvalidArgument, "partNumber is a number from 1 to 10000.")
    })
}

/// `encoding-type`: `url`, or nothing. 400 `InvalidArgument`.
pub fn url_encoded(request: &Request) -> Result<bool, ApiError> {
    match request.query.get("encoding-type").unwrap_or_default() {
        "" => Ok(false),
        "url" => Ok(true),
        _ => Err(ApiError::new(Code::InvalidArgument, "encoding-type is url or absent.")),
    }
}

/// `delimiter`: one character, or nothing. 400 `InvalidDelimiter`.
pub fn delimiter(request: &Request) -> Result<String, ApiError> {
    let delimiter = request.query.get("delimiter").unwrap_or_default();
    match delimiter.chars().count() {
        0 | 1 => Ok(delimiter.to_owned()),
        _ => Err(Code::InvalidDelimiter.into()),
    }
}

/// `x-cos-forbid-overwrite`.
pub fn forbid_overwrite(request: &Request) -> Result<bool, ApiError> {
    let value = request.header(name::FORBID_OVERWRITE)?;
    Ok(value.is_some_and(|value| value.eq_ignore_ascii_case("true")))
}

/// System metadata and `x-cos-meta-*`, as sent. At most 2 KB of user-defined metadata, and no
/// underscore in its names (C69).
pub fn attributes(headers: &HeaderMap) -> Result<Attributes, ApiError> {
    let mut attributes = Attributes::default();
    for (name, value) in headers {
        let value = value.as_bytes().trim_ascii().to_vec();
        if let Some(suffix) = name.as_str().strip_prefix(META_PREFIX) {
            if suffix.is_empty() || suffix.contains('_') {
                return Err(ApiError::new(
                    Code::InvalidArgument,
                    format!("{name}: the name of user-defined metadata has no underscore."),
                ));
            }
            attributes.user.push((suffix.to_owned(), value));
        } else if name == CONTENT_ENCODING && is_aws_chunked(&value) {
            return Err(ApiError::new(
                Code::NotImplemented,
                "aws-chunked is not implemented here.",
            ));
        } else if SYSTEM_METADATA.contains(&name.as_str()) && !value.is_empty() {
            attributes.system.push((name.as_str().to_owned(), value));
        }
    }
    let bytes = |(name, value): &(String, Vec<u8>)| name.len() + value.len();
    if attributes.user.iter().map(bytes).sum::<usize>() > META_BYTES_MAX {
        return Err(ApiError::new(
            Code::KeyTooLong,
            "User-defined metadata holds at most 2 KB, names and values together.",
        ));
    }
    Ok(attributes)
}

/// A framing of S3's: stored as it comes, it would be part of the object.
fn is_aws_chunked(encoding: &[u8]) -> bool {
    String::from_utf8_lossy(encoding).to_ascii_lowercase().contains("aws-chunked")
}

/// `Content-MD5`: base64 of 16 bytes. 400 `InvalidDigest`.
pub fn content_md5(request: &Request) -> Result<Option<[u8; 16]>, ApiError> {
    let Some(value) = request.headers.get("content-md5") else { return Ok(None) };
    let digest = STANDARD.decode(value.as_bytes().trim_ascii()).ok();
    let digest = digest.and_then(|bytes| bytes.try_into().ok()).ok_or(Code::InvalidDigest)?;
    Ok(Some(digest))
}

/// Reads a small body and holds it against its `Content-MD5`, if it has one. 400 `XMLSizeLimit`,
/// `BadDigest`, `InvalidDigest`.
pub async fn small_body(request: &mut Request, bytes_max: u64) -> Result<Vec<u8>, ApiError> {
    checked_body(request, bytes_max, Code::XMLSizeLimit).await
}

/// The same, with another answer to a larger body.
pub async fn checked_body(
    request: &mut Request,
    bytes_max: u64,
    too_large: Code,
) -> Result<Vec<u8>, ApiError> {
    let digest = content_md5(request)?;
    let body = request.body.collect(bytes_max, too_large).await?;
    match digest {
        Some(digest) if <[u8; 16]>::from(Md5::digest(&body)) != digest => {
            Err(Code::BadDigest.into())
        }
        _ => Ok(body),
    }
}

/// A page size: `1` to `max`; more is clamped.
pub fn page_size(request: &Request, param: &str, max: usize) -> Result<usize, ApiError> {
    Ok(exact_page_size(request, param, usize::MAX)?.min(max))
}

/// A page size: `1` to `max`, which is the default. 400 `InvalidArgument` for more.
pub fn exact_page_size(request: &Request, param: &str, max: usize) -> Result<usize, ApiError> {
    let Some(value) = request.query.get(param).filter(|value| !value.is_empty()) else {
        return Ok(max);
    };
    let size = number::<u64>(value).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    size.filter(|size| (1..=max).contains(size))
        .ok_or_else(|| ApiError::new(Code::InvalidArgument, format!("{param} is no page size.")))
}
