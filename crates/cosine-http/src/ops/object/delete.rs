//! DELETE Object (436/7743).

use cosine_access::Permission;
use cosine_wire::ApiError;
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::reply::Reply;
use crate::request::Request;

/// Deletes an object; one that is not there is as good as deleted.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let region = request.target.region.as_deref();
    let permission = Permission::WriteBucket;
    let bucket = api.bucket(request.bucket()?, region, request.caller, permission).await?;
    api.store.delete(&bucket, request.key()?).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
