//! PUT and GET Bucket acl (436/7737, 436/7733).

use cosine_access::BucketAcl;
use cosine_wire::ApiError;
use cosine_wire::xml::acl::{BODY_BYTES_MAX, parse};
use http::StatusCode;

use crate::Api;
use crate::acl::{Resource, bucket_acl, document, of_body, says_acl};
use crate::error::store_error;
use crate::params::small_body;
use crate::reply::Reply;
use crate::request::Request;

/// Says who may do what with a bucket, in place of all that was said: by headers, or by a body.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let acl = match says_acl(&request, &body)? {
        true => bucket_acl(&request)?,
        false => {
            let owner = api.directory.owner(bucket.name().appid()).await?;
            BucketAcl::Grants(of_body(parse(&body)?, owner, Resource::Bucket)?)
        }
    };
    api.store.set_bucket_acl(&bucket, acl).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Says who may do what with a bucket.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let acl = api.store.bucket_acl(&bucket).await.map_err(store_error)?;
    let owner = api.directory.owner(bucket.name().appid()).await?;
    Ok(Reply::xml(document(owner, &acl.grants())))
}
