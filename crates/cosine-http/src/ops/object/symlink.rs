//! PUT and GET symlink.

use cosine_store::{Encryption, Error, ObjectKey, ObjectKind, PutRequest, StorageClass};
use cosine_wire::date::http_date;
use cosine_wire::encode::{encode_key, percent_decode};
use cosine_wire::header::name;
use cosine_wire::{ApiError, Code};
use http::StatusCode;

use super::put::stored;
use crate::Api;
use crate::acl::object_acl;
use crate::authorise::{Found, LOOKS_MAX, Wanted};
use crate::error::store_error;
use crate::params::{attributes, forbid_overwrite, show_version_id, storage_class, tags};
use crate::reply::Reply;
use crate::request::{Request, name_error};

/// The key that a symlink is to point at: percent-encoded once, or, as the Python SDK sends it, not.
fn target(request: &Request) -> Result<ObjectKey, ApiError> {
    let invalid = || {
        let message = format!("{} names no key.", name::SYMLINK_TARGET);
        ApiError::new(Code::InvalidArgument, message)
    };
    let header = request.headers.get(name::SYMLINK_TARGET).ok_or_else(invalid)?;
    let raw = header.as_bytes().trim_ascii();
    let decoded = percent_decode(raw).unwrap_or_else(|| raw.to_vec());
    let text = String::from_utf8(decoded).map_err(|_| invalid())?;
    if text.is_empty() {
        return Err(invalid());
    }
    ObjectKey::parse(text).map_err(name_error)
}

/// Makes a symlink. What it points at need not exist.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    request.body.collect(0, Code::UnexpectedContent).await?;
    let target = target(&request)?;
    let class = StorageClass::default_in(bucket.zones());
    if storage_class(&request, bucket.zones())? != class {
        let message = format!("The class of a symlink is {}.", class.as_str());
        return Err(ApiError::new(Code::InvalidArgument, message));
    }
    let put = PutRequest {
        bucket,
        key: request.key()?.clone(),
        attributes: attributes(&request.headers)?,
        tags: tags(&request)?,
        acl: object_acl(&request)?,
        class,
        md5: None,
        encryption: Encryption::None,
        forbid_overwrite: forbid_overwrite(&request)?,
    };
    api.permit_extras(&request, &put.bucket, (&put.acl, &put.tags)).await?;
    let version = api.store.put_symlink(put, &target).await.map_err(store_error)?;
    stored(api, &version, None)
}

/// Says what a symlink points at.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let wanted = Wanted::of(&request, Code::MethodNotAllowed)?;
    for _ in 0..LOOKS_MAX {
        let Found { bucket, version, .. } = api.readable_version(&request, &wanted).await?;
        if version.kind != ObjectKind::Symlink {
            return Err(ApiError::new(Code::InvalidArgument, "The object is not a symlink."));
        }
        let target = match api.store.symlink_target(&version).await {
            Err(Error::Gone) => continue,
            target => target.map_err(store_error)?,
        };
        let etag = api.store.sums(&version).map_err(store_error)?.etag;
        let reply = Reply::empty(StatusCode::OK)
            .with_text(name::SYMLINK_TARGET, encode_key(target.as_str()))
            .with_text("etag", format!("\"{etag}\""))
            .with_text("last-modified", http_date(version.last_modified()));
        return Ok(match bucket.keeps_versions() {
            true => reply.with_text(name::VERSION_ID, show_version_id(version.id())),
            false => reply,
        });
    }
    Err(store_error(Error::Gone))
}
