//! DELETE Bucket (436/7732).

use cosine_access::Permission;
use cosine_wire::ApiError;
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::reply::Reply;
use crate::request::Request;

/// Removes an empty bucket.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let region = request.target.region.as_deref();
    let name = request.bucket()?;
    api.bucket(name, region, request.caller, Permission::Own).await?;
    api.store.delete_bucket(name).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
