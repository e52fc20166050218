//! Upload Part (436/7750).

use cosine_wire::ApiError;
use cosine_wire::encode::hex;
use cosine_wire::header::name;
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::ops::object::put::{OBJECT_BYTES_MAX, check_length};
use crate::params::{content_md5, part_number};
use crate::reply::Reply;
use crate::request::Request;

/// Stores a part, in place of the one of the same number.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let number = part_number(&request)?;
    let (_, upload) = super::find(api, &request).await?;
    check_length(&request)?;
    let md5 = content_md5(&request)?;
    request.body.allow(OBJECT_BYTES_MAX);
    let stored = api.store.put_part(upload, number, md5, &mut request.body).await;
    let part = stored.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK)
        .with_text("etag", format!("\"{}\"", hex(&part.etag)))
        .with_text(name::CRC64, part.crc64.to_string()))
}
