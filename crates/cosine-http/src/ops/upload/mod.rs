//! Operations on multipart uploads.

pub mod abort;
pub mod complete;
pub mod copy_part;
pub mod initiate;
pub mod list_parts;
pub mod put_part;

use cosine_store::{Bucket, Upload};
use cosine_wire::ApiError;

use crate::Api;
use crate::error::store_error;
use crate::params::upload_id;
use crate::request::Request;

/// Finds the bucket, if the caller may write into it, and the upload that the request names.
async fn find(api: &Api, request: &Request) -> Result<(Bucket, Upload), ApiError> {
    let bucket = api.permitted_bucket(request).await?;
    let id = upload_id(request)?;
    let upload = api.store.upload(&bucket, request.key()?, id).await.map_err(store_error)?;
    Ok((bucket, upload))
}
