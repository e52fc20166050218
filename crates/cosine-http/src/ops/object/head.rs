//! HEAD Object (436/7745).

use cosine_wire::{ApiError, Code};

use super::get::GetObject;
use crate::Api;
use crate::reply::Reply;
use crate::request::Request;

/// Says what GET Object would, without the bytes.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let (_, _, reply) =
        GetObject::parse(api, &request)?.find(api, &request, Code::NoSuchKey).await?;
    Ok(reply)
}
