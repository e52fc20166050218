//! PUT, GET and DELETE Bucket policy (436/8282, 436/8276, 436/8285).

use cosine_access::{POLICY_BYTES_MAX, Policy, PolicyKind};
use cosine_wire::{ApiError, Code};
use http::{HeaderValue, StatusCode, header};

use crate::Api;
use crate::error::store_error;
use crate::params::checked_body;
use crate::reply::Reply;
use crate::request::Request;

/// Gives a bucket a policy, in place of the one that it has.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = checked_body(&mut request, POLICY_BYTES_MAX as u64, Code::PolicyFull).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let malformed = |what: String| ApiError::new(Code::MalformedPolicy, what);
    let text = String::from_utf8(body).map_err(|_| malformed("It is not UTF-8.".to_owned()))?;
    Policy::parse(&text, PolicyKind::Resource).map_err(|error| malformed(error.to_string()))?;
    api.store.set_bucket_policy(&bucket, Some(text)).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Says which policy a bucket has, as it was set.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let policy = api.store.bucket_policy(&bucket).await.map_err(store_error)?;
    let (_, text) = policy.ok_or(Code::NoSuchPolicyVersion)?;
    let json = HeaderValue::from_static("application/json");
    Ok(Reply::text(StatusCode::OK, text).with(header::CONTENT_TYPE, json))
}

/// Takes the policy off a bucket; one that has none is as good as without.
pub async fn delete(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    api.store.set_bucket_policy(&bucket, None).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
