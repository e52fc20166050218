//! Upload Part (436/7750).

use cosine_store::{CustomerKey, PutPartRequest};
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
use crate::sse;

/// Stores a part, in place of the one of the same number.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let number = part_number(&request)?;
    let (_, upload) = super::find(api, &request).await?;
    check_length(&request)?;
    sse::require_same(api, &request, &upload)?;
    let (md5, customer_key) = (content_md5(&request)?, sse::key(api, &request)?);
    request.body.allow(OBJECT_BYTES_MAX);
    let customer_md5 = customer_key.as_ref().map(CustomerKey::md5);
    let put = PutPartRequest { upload: upload.clone(), number, md5, customer_key };
    let part = api.store.put_part(put, &mut request.body).await.map_err(store_error)?;
    Ok(Reply::empty(StatusCode::OK)
        .with_text("etag", format!("\"{}\"", hex(&part.etag)))
        .with_text(name::CRC64, part.crc64.to_string())
        .with_encryption(upload.shown(), customer_md5))
}
