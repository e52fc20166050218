//! PUT, GET and DELETE Bucket cors (436/8279, 436/8274, 436/8283).

use cosine_wire::xml::cors::{BODY_BYTES_MAX, CorsConfiguration};
use cosine_wire::{ApiError, Code};
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::params::small_body;
use crate::reply::Reply;
use crate::request::Request;

/// Says what pages of other origins may do with a bucket, in place of all that was said.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let document = CorsConfiguration::parse(&body)?.document();
    api.store.set_bucket_cors(&bucket, Some(document)).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Says what was set.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let document = api.store.bucket_cors(&bucket).await.map_err(store_error)?;
    Ok(Reply::xml(document.ok_or(Code::NoSuchCORSConfiguration)?))
}

/// Lets pages of other origins do nothing.
pub async fn delete(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    api.store.set_bucket_cors(&bucket, None).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
