//! OPTIONS Object (436/8288): what a browser asks before it lets a page of another origin send a request.

use cosine_wire::{ApiError, Code};
use http::header;

use crate::Api;
use crate::cors::{Preflight, preflight};
use crate::reply::Reply;
use crate::request::Request;

/// Answers by the CORS rules of the bucket, whoever asks.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let origin = request.headers.get(header::ORIGIN).ok_or(Code::AccessForbidden)?;
    let method = request.header(header::ACCESS_CONTROL_REQUEST_METHOD.as_str())?;
    let headers = request.header(header::ACCESS_CONTROL_REQUEST_HEADERS.as_str())?;
    let ask = Preflight {
        origin,
        method: method.ok_or(Code::AccessForbidden)?,
        headers: headers.unwrap_or_default(),
    };
    preflight(api, request.bucket()?, ask).await
}
