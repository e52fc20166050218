//! PUT Bucket (436/7738).

use cosine_store::{NewBucket, Zones};
use cosine_wire::xml::create_bucket;
use cosine_wire::{ApiError, Code};
use http::StatusCode;

use crate::Api;
use crate::acl::bucket_acl;
use crate::error::store_error;
use crate::params::small_body;
use crate::reply::Reply;
use crate::request::Request;

/// No configuration is as large as this.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// Makes a bucket in the region that the host names, or in the default one.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let name = request.bucket()?.clone();
    let acl = bucket_acl(&request)?;
    if !request.caller.is_of(name.appid()) {
        return Err(ApiError::new(
            Code::AccessDenied,
            "The APPID at the end of the bucket's name is not that of the account that signed.",
        ));
    }
    let regions = &api.settings.regions;
    let region = request.target.region.take().unwrap_or_else(|| regions.default.clone());
    let resource = format!("{}/", name.as_str());
    let (action, appid) = (request.action(), name.appid());
    api.permit_beyond(&request, action, appid, (&region, &resource)).await?;
    if !regions.serves(&region) || api.settings.remotes.find(Some(&region)).is_some() {
        let message =
            format!("{region} is not served here; there is {}.", regions.named.join(", "));
        return Err(ApiError::new(Code::InvalidRegionName, message));
    }
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let zones = match body.is_empty() || !create_bucket::parse(&body)? {
        true => Zones::One,
        false => Zones::Several,
    };
    api.store.create_bucket(NewBucket { name, region, acl, zones }).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK))
}
