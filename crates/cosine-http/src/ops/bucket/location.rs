//! GET Bucket location (436/14097).

use cosine_access::Permission;
use cosine_wire::ApiError;
use cosine_wire::xml::location::document;

use crate::Api;
use crate::reply::Reply;
use crate::request::Request;

/// Says where a bucket lives.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let region = request.target.region.as_deref();
    let bucket = api.bucket(request.bucket()?, region, request.caller, Permission::Own).await?;
    Ok(Reply::xml(document(bucket.region())))
}
