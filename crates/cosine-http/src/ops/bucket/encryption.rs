//! PUT, GET and DELETE Bucket encryption (436/40136, 436/40137, 436/40138).

use cosine_store::BucketEncryption;
use cosine_wire::xml::encryption::{BODY_BYTES_MAX, DefaultEncryption, document, parse};
use cosine_wire::{ApiError, Code};
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::params::small_body;
use crate::reply::Reply;
use crate::request::Request;
use crate::sse::KEY_ID_BYTES_MAX;

/// Sets what objects are encrypted with that come without a word about it. Objects that are there stay as
/// they are.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let encryption = match parse(&body)? {
        DefaultEncryption::Cos => BucketEncryption::Cos,
        DefaultEncryption::Kms(Some(key_id)) if key_id.len() > KEY_ID_BYTES_MAX => {
            return Err(ApiError::new(Code::InvalidArgument, "KMSMasterKeyID is too long."));
        }
        DefaultEncryption::Kms(key_id) => BucketEncryption::Kms { key_id },
    };
    let set = api.store.set_bucket_encryption(&bucket, Some(encryption)).await;
    set.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Says what that is.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let found = api.store.bucket_encryption(&bucket).await.map_err(store_error)?;
    Ok(Reply::xml(document(&match found.ok_or(Code::NoSuchEncryptionConfiguration)? {
        BucketEncryption::Cos => DefaultEncryption::Cos,
        BucketEncryption::Kms { key_id } => DefaultEncryption::Kms(key_id),
    })))
}

/// Has a bucket have none.
pub async fn delete(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    api.store.set_bucket_encryption(&bucket, None).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
