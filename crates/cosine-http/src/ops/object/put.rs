//! PUT Object (436/7749).

use cosine_store::{PutRequest, Version, VersionId};
use cosine_wire::header::name;
use cosine_wire::{ApiError, Code};
use http::{StatusCode, header};

use crate::Api;
use crate::acl::object_acl;
use crate::error::store_error;
use crate::params::{
    attributes, content_md5, forbid_overwrite, show_version_id, storage_class, tags,
};
use crate::reply::Reply;
use crate::request::Request;
use crate::sse;

/// An object that is put in one request holds at most this many bytes.
pub const OBJECT_BYTES_MAX: u64 = 5 << 30;

/// A body needs a length, or chunks.
///
/// # Errors
/// 411 `MissingContentLength`, 400 `EntityTooLarge`, before a byte is read.
pub fn check_length(request: &Request) -> Result<(), ApiError> {
    let length = request.header(header::CONTENT_LENGTH.as_str())?;
    let chunked = request.headers.contains_key(header::TRANSFER_ENCODING);
    match length.map(str::parse::<u64>) {
        Some(Ok(bytes)) if bytes > OBJECT_BYTES_MAX => Err(Code::EntityTooLarge.into()),
        None if !chunked && !request.body.is_framed() => Err(Code::MissingContentLength.into()),
        _ => Ok(()),
    }
}

/// Stores an object: visible, whole and durable with the answer, and not before.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    check_length(&request)?;
    let class = storage_class(&request, bucket.zones())?;
    let put = PutRequest {
        key: request.key()?.clone(),
        attributes: attributes(&request.headers)?,
        tags: tags(&request)?,
        acl: object_acl(&request)?,
        class,
        md5: content_md5(&request)?,
        encryption: sse::wanted(api, &request, &bucket).await?,
        forbid_overwrite: forbid_overwrite(&request)?,
        bucket,
    };
    let customer_md5 = sse::md5_of(&put.encryption);
    api.permit_extras(&request, &put.bucket, (&put.acl, &put.tags)).await?;
    request.body.allow(OBJECT_BYTES_MAX);
    let version = api.store.put(put, &mut request.body).await.map_err(store_error)?;
    stored(api, &version, customer_md5)
}

/// What is said of an object that was stored: its entity tag, its checksum, its encryption, and its
/// version id if it is one of a bucket that keeps versions.
pub fn stored(
    api: &Api,
    version: &Version,
    customer_md5: Option<[u8; 16]>,
) -> Result<Reply, ApiError> {
    let sums = api.store.sums(version).map_err(store_error)?;
    let reply = Reply::empty(StatusCode::OK)
        .with_text("etag", format!("\"{}\"", sums.etag))
        .with_text(name::CRC64, sums.crc64.to_string())
        .with_encryption(version.encryption(), customer_md5);
    Ok(match new_version_id(version) {
        Some(id) => reply.with_text(name::VERSION_ID, id),
        None => reply,
    })
}

/// The version id that is told of a version that was made just now; `null` is not.
pub fn new_version_id(version: &Version) -> Option<String> {
    match version.id() {
        VersionId::Null => None,
        id => Some(show_version_id(id)),
    }
}
