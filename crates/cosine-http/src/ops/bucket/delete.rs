//! DELETE Bucket (436/7732).

use cosine_wire::ApiError;
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::reply::Reply;
use crate::request::Request;

/// Removes an empty bucket.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    api.store.delete_bucket(bucket.name()).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
