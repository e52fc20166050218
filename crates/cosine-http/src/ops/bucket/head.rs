//! HEAD Bucket (436/7735).

use cosine_store::Zones;
use cosine_wire::ApiError;
use cosine_wire::header::name;
use http::StatusCode;

use crate::Api;
use crate::reply::Reply;
use crate::request::Request;

/// Says whether the bucket is there, and in which region.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let reply = Reply::empty(StatusCode::OK).with_xml_type();
    let reply = reply.with_text(name::BUCKET_REGION, bucket.region());
    Ok(match bucket.zones() {
        Zones::One => reply,
        Zones::Several => reply.with_text(name::BUCKET_AZ_TYPE, "MAZ"),
    })
}
