//! What several operations read out of headers and parameters.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cosine_access::Caller;
use cosine_store::{Attributes, BucketAcl, ObjectAcl, StorageClass};
use cosine_wire::header::{META_BYTES_MAX, META_PREFIX, STORAGE_CLASSES, SYSTEM_METADATA, name};
use cosine_wire::tags::Tags;
use cosine_wire::{ApiError, Code};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::request::Request;

const BUCKET_ACLS: [(&str, BucketAcl); 4] = [
    ("private", BucketAcl::Private),
    ("public-read", BucketAcl::PublicRead),
    ("public-read-write", BucketAcl::PublicReadWrite),
    ("authenticated-read", BucketAcl::AuthenticatedRead),
];

const OBJECT_ACLS: [(&str, ObjectAcl); 6] = [
    ("default", ObjectAcl::Default),
    ("private", ObjectAcl::Private),
    ("public-read", ObjectAcl::PublicRead),
    ("authenticated-read", ObjectAcl::AuthenticatedRead),
    ("bucket-owner-read", ObjectAcl::BucketOwnerRead),
    ("bucket-owner-full-control", ObjectAcl::BucketOwnerFullControl),
];

fn canned<T: Copy + Default>(request: &Request, table: &[(&str, T)]) -> Result<T, ApiError> {
    let Some(value) = request.header(name::ACL)? else { return Ok(T::default()) };
    let found = table.iter().find(|(text, _)| *text == value);
    found.map(|(_, acl)| *acl).ok_or_else(|| {
        ApiError::new(
            Code::InvalidArgument,
            format!("{value} is not an ACL that {} takes.", name::ACL),
        )
    })
}

/// `x-cos-acl` of a bucket. 400 `InvalidArgument` for unknown values.
pub fn bucket_acl(request: &Request) -> Result<BucketAcl, ApiError> {
    canned(request, &BUCKET_ACLS)
}

/// `x-cos-acl` of an object. 400 `InvalidArgument` for unknown values; setting one takes a
/// signature, whoever may write.
pub fn object_acl(request: &Request) -> Result<ObjectAcl, ApiError> {
    let acl = canned(request, &OBJECT_ACLS)?;
    if acl != ObjectAcl::Default && request.caller == Caller::Anonymous {
        return Err(Code::AccessDenied.into());
    }
    Ok(acl)
}

/// `x-cos-tagging`, key and value. 400 `InvalidTag` and `BadRequest` as [`Tags`] has them; setting
/// tags takes a signature, whoever may write.
pub fn tags(request: &Request) -> Result<Vec<(String, String)>, ApiError> {
    let Some(value) = request.headers.get(name::TAGGING) else { return Ok(vec![]) };
    let value = value.to_str().map_err(|_| Code::InvalidTag)?;
    let tags = Tags::parse(value)?.into_pairs();
    if !tags.is_empty() && request.caller == Caller::Anonymous {
        return Err(Code::AccessDenied.into());
    }
    Ok(tags)
}

/// `x-cos-storage-class`: names in any case (C86). 400 `InvalidArgument` for unknown ones, 400
/// `MAZOperationNotSupportOnOAZBucket` for multi-AZ ones, 501 for those that are not built.
pub fn storage_class(request: &Request) -> Result<StorageClass, ApiError> {
    let Some(value) = request.header(name::STORAGE_CLASS)? else {
        return Ok(StorageClass::Standard);
    };
    let mut built = StorageClass::ALL.into_iter();
    if let Some(class) = built.find(|class| class.as_str().eq_ignore_ascii_case(value)) {
        return Ok(class);
    }
    let class = STORAGE_CLASSES.iter().find(|class| class.eq_ignore_ascii_case(value));
    match class.copied() {
        Some(class) if class.starts_with("MAZ_") => {
            Err(Code::MAZOperationNotSupportOnOAZBucket.into())
        }
        Some(class) => Err(ApiError::new(
            Code::NotImplemented,
            format!("Storage class {class} is not implemented yet."),
        )),
        None => {
            Err(ApiError::new(Code::InvalidArgument, format!("{value} is not a storage class.")))
        }
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

/// A page size: `1` to `max`; more is clamped.
pub fn page_size(request: &Request, param: &str, max: usize) -> Result<usize, ApiError> {
    match request.query.get(param).filter(|value| !value.is_empty()) {
        None => Ok(max),
        Some(value) => match value.parse::<u64>() {
            Ok(size) if size > 0 => Ok(usize::try_from(size).unwrap_or(max).min(max)),
            _ => Err(ApiError::new(
                Code::InvalidArgument,
                format!("{param} is a number from 1 to {max}."),
            )),
        },
    }
}
