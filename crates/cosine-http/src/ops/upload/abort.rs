//! Abort Multipart Upload (436/7740).

use cosine_wire::ApiError;
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::reply::Reply;
use crate::request::Request;

/// Gives an upload up. Its parts are gone for everyone at once, and from the disk in time.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let (_, upload) = super::find(api, &request).await?;
    api.store.abort_upload(&upload).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
