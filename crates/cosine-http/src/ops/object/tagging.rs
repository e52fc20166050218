//! PUT, GET and DELETE Object tagging (436/42998, 436/42999, 436/43000). No ACL gives anyone an object's
//! tags: they are its owner's, and of those whom a policy lets.

use cosine_store::{Bucket, VersionId, Versioning};
use cosine_wire::ApiError;
use cosine_wire::header::name;
use cosine_wire::xml::tagging::{BODY_BYTES_MAX, document, parse};
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::params::{show_version_id, small_body, version_id};
use crate::reply::Reply;
use crate::request::Request;

/// Gives an object these tags in place of all that it has.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let id = tagged(&request, &bucket)?;
    let tags = parse(&body)?.into_pairs();
    api.store.set_tags(&bucket, request.key()?, id, &tags).await.map_err(store_error)?;
    Ok(naming(Reply::empty(StatusCode::OK), id))
}

/// Says which tags an object has; none are an empty set.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let id = tagged(&request, &bucket)?;
    let version = api.store.object(&bucket, request.key()?, id).await.map_err(store_error)?;
    Ok(naming(Reply::xml(document(&version.tags)), id))
}

/// Takes all tags off an object.
pub async fn delete(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let id = tagged(&request, &bucket)?;
    api.store.set_tags(&bucket, request.key()?, id, &[]).await.map_err(store_error)?;
    Ok(naming(Reply::empty(StatusCode::NO_CONTENT), id))
}

/// The version whose tags are meant. Where a bucket keeps versions, `null` means the current one.
fn tagged(request: &Request, bucket: &Bucket) -> Result<Option<VersionId>, ApiError> {
    let id = version_id(request)?;
    let keeps = bucket.versioning() == Versioning::Enabled;
    Ok(id.filter(|id| !(keeps && *id == VersionId::Null)))
}

/// A version that was named is named again.
fn naming(reply: Reply, id: Option<VersionId>) -> Reply {
    match id {
        Some(id) => reply.with_text(name::VERSION_ID, show_version_id(id)),
        None => reply,
    }
}
