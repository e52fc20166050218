//! PUT, GET and DELETE Object tagging (436/42998, 436/42999, 436/43000).

use cosine_access::Permission;
use cosine_store::Bucket;
use cosine_wire::xml::tagging::{BODY_BYTES_MAX, document, parse};
use cosine_wire::{ApiError, Code};
use http::StatusCode;
use md5::{Digest, Md5};

use crate::Api;
use crate::error::store_error;
use crate::params::content_md5;
use crate::reply::Reply;
use crate::request::Request;

/// No ACL gives anyone an object's tags: they are its owner's.
async fn own_bucket(api: &Api, request: &Request) -> Result<Bucket, ApiError> {
    let region = request.target.region.as_deref();
    api.bucket(request.bucket()?, region, request.caller, Permission::Own).await
}

/// Gives an object these tags in place of all that it has.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let bucket = own_bucket(api, &request).await?;
    let digest = content_md5(&request)?;
    let body = request.body.collect(BODY_BYTES_MAX, Code::XMLSizeLimit).await?;
    if digest.is_some_and(|digest| <[u8; 16]>::from(Md5::digest(&body)) != digest) {
        return Err(Code::BadDigest.into());
    }
    let tags = parse(&body)?.into_pairs();
    api.store.set_tags(&bucket, request.key()?, &tags).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK))
}

/// Says which tags an object has; none are an empty set.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = own_bucket(api, &request).await?;
    let version = api.store.object(&bucket, request.key()?).await.map_err(store_error)?;
    Ok(Reply::xml(document(&version.tags)))
}

/// Takes all tags off an object.
pub async fn delete(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = own_bucket(api, &request).await?;
    api.store.set_tags(&bucket, request.key()?, &[]).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
