//! PUT and GET Bucket versioning (436/19889, 436/19888).

use cosine_store::Versioning;
use cosine_wire::ApiError;
use cosine_wire::xml::versioning::{BODY_BYTES_MAX, document, parse};
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::params::small_body;
use crate::reply::Reply;
use crate::request::Request;

/// Has a bucket keep older versions, or no longer.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let enabled = parse(&body)?;
    api.store.set_versioning(&bucket, enabled).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Says whether a bucket keeps older versions.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    Ok(Reply::xml(document(match bucket.versioning() {
        Versioning::Never => None,
        Versioning::Enabled => Some(true),
        Versioning::Suspended => Some(false),
    })))
}
