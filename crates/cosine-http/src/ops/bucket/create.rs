//! PUT Bucket (436/7738).

use cosine_access::{AclNeed, Action, BucketAcl};
use cosine_store::{NewBucket, Zones};
use cosine_wire::xml::create_bucket;
use cosine_wire::{ApiError, Code};
use http::StatusCode;

use crate::Api;
use crate::acl::bucket_acl;
use crate::error::store_error;
use crate::facts::About;
use crate::params::small_body;
use crate::reply::Reply;
use crate::request::Request;

/// What it takes to open a bucket as it is made.
const PUT_BUCKET_ACL: Action = Action::cos(&["PutBucketACL"], AclNeed::Nothing);
/// No configuration is as large as this.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// Makes a bucket in the region that the host names, or in the default one.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let name = request.bucket()?.clone();
    let acl = bucket_acl(&request)?;
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let regions = &api.settings.regions;
    let region = request.target.region.take().unwrap_or_else(|| regions.default.clone());
    let resource = format!("{}/", name.as_str());
    let (action, appid) = (request.action(), name.appid());
    let about = About::Request;
    api.permit_beyond(&request, action, (appid, &region, &resource), about).await.map_err(
        |refused| match request.caller.is_of(appid) {
            true => refused,
            false => ApiError::new(
                Code::AccessDenied,
                "The APPID at the end of the bucket's name is not that of the account that signed.",
            ),
        },
    )?;
    if acl != BucketAcl::Private {
        let resource = (appid, region.as_str(), resource.as_str());
        api.permit_beyond(&request, PUT_BUCKET_ACL, resource, about).await?;
    }
    if !regions.serves(&region) || api.settings.remotes.find(Some(&region)).is_some() {
        let message =
            format!("{region} is not served here; there is {}.", regions.named.join(", "));
        return Err(ApiError::new(Code::InvalidRegionName, message));
    }
    let zones = match body.is_empty() || !create_bucket::parse(&body)? {
        true => Zones::One,
        false => Zones::Several,
    };
    api.store.create_bucket(NewBucket { name, region, acl, zones }).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK))
}
