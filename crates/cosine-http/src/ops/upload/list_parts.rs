//! List Parts (436/7747).

use cosine_wire::encode::hex;
use cosine_wire::query::number;
use cosine_wire::xml::list_parts::{ListPartsResult, Part};
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;
use crate::params::{exact_page_size, url_encoded};
use crate::reply::Reply;
use crate::request::Request;

/// A page holds this many parts.
const PAGE_MAX: usize = 1000;

/// `part-number-marker`: the parts behind it are listed.
fn marker(request: &Request) -> Result<u16, ApiError> {
    let marker = request.query.get("part-number-marker").unwrap_or_default();
    match number(marker) {
        _ if marker.is_empty() => Ok(0),
        Some(marker) => Ok(marker),
        None => {
            Err(ApiError::new(Code::InvalidArgument, "part-number-marker is the number of a part."))
        }
    }
}

/// Lists the parts of an upload, by number.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let (marker, limit) = (marker(&request)?, exact_page_size(&request, "max-parts", PAGE_MAX)?);
    let url_encoded = url_encoded(&request)?;
    let (bucket, upload) = super::find(api, &request).await?;
    let page = api.store.list_parts(&upload, marker, limit).await.map_err(store_error)?;
    let part = |part: &cosine_store::Part| Part {
        number: part.number,
        last_modified: part.last_modified,
        etag: hex(&part.etag),
        size: part.size,
    };
    let result = ListPartsResult {
        bucket: bucket.name().as_str(),
        url_encoded,
        key: upload.key().as_str(),
        upload_id: &upload.id.to_string(),
        owner: bucket.name().appid(),
        initiator: api.directory.person(upload.record.initiator).await?,
        part_number_marker: marker,
        max_parts: limit,
        storage_class: upload.record.class.as_str(),
        truncated: page.truncated,
        parts: page.parts.iter().map(part).collect(),
    };
    Ok(Reply::xml(result.document()))
}
