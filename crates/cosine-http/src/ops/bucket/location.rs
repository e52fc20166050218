//! GET Bucket location (436/14097).

use cosine_wire::ApiError;
use cosine_wire::xml::location::document;

use crate::Api;
use crate::reply::Reply;
use crate::request::Request;

/// Says where a bucket lives.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    Ok(Reply::xml(document(bucket.region())))
}
