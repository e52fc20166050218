//! POST Object restore (436/12633).

use std::time::Duration;

use cosine_store::{RestoreRequest, RestoreTier, Restored};
use cosine_wire::xml::restore::{BODY_BYTES_MAX, parse};
use cosine_wire::{ApiError, Code};
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::params::{small_body, version_id};
use crate::reply::Reply;
use crate::request::Request;

const DAY: Duration = Duration::from_secs(86_400);

/// Makes an archived object readable for some days, or for some more.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let id = version_id(&request)?;
    let asked = parse(&body)?;
    let tier = tier(&asked.tier)?;
    let key = request.key()?;
    let version = api.store.object(&bucket, key, id).await.map_err(store_error)?;
    if tier == RestoreTier::Expedited && version.class.is_deep() {
        return Err(ApiError::new(
            Code::InvalidArgument,
            "A deep archive is not restored as Expedited.",
        ));
    }
    let restore = RestoreRequest { duration: DAY * asked.days, tier };
    match api.store.restore(&bucket, key, id, restore).await.map_err(store_error)? {
        Restored::Begun => Ok(Reply::empty(StatusCode::ACCEPTED)),
        Restored::Prolonged => Ok(Reply::empty(StatusCode::OK)),
    }
}

/// A missing tier is Standard.
fn tier(name: &str) -> Result<RestoreTier, ApiError> {
    if name.is_empty() {
        return Ok(RestoreTier::Standard);
    }
    let mut tiers = RestoreTier::ALL.into_iter();
    tiers
        .find(|tier| tier.as_str().eq_ignore_ascii_case(name))
        .ok_or_else(|| ApiError::new(Code::InvalidArgument, "Tier is Expedited, Standard or Bulk."))
}
