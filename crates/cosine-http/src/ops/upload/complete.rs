//! Complete Multipart Upload (436/7742).

use cosine_store::CompleteRequest;
use cosine_wire::header::name;
use cosine_wire::xml::complete_upload::{BODY_BYTES_MAX, document, parse};
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;
use crate::ops::object::put::new_version_id;
use crate::params::{forbid_overwrite, small_body};
use crate::reply::Reply;
use crate::request::Request;
use crate::sse;

/// Makes an object of the parts of an upload. No byte moves, so that errors have their ordinary status.
/// Metadata, class, ACL and tags came with the upload; the SDKs for Node.js and Go send them once more, and they
/// say nothing.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    // Before the body, that nobody takes memory for nothing; and after it, that nobody outlives his rights.
    super::find(api, &request).await?;
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let (bucket, upload) = super::find(api, &request).await?;
    sse::require_same(api, &request, &upload)?;
    let forbid_overwrite = forbid_overwrite(&request)?;
    let parts = parse(&body)?.into_iter().map(|(number, etag)| (number, digest(&etag))).collect();
    let customer_md5 = api.store.customer_md5(&upload).map_err(store_error)?;
    // It takes no key; one that comes must be the upload's.
    let presented = sse::key(api, &request)?.map(|key| key.md5());
    if presented.is_some() && presented != customer_md5 {
        let message = "The upload began with another customer key, or with none.";
        return Err(ApiError::new(Code::InvalidArgument, message));
    }
    let complete = CompleteRequest { upload, parts, forbid_overwrite };
    let version = api.store.complete_upload(complete).await.map_err(store_error)?;
    let location = format!("{}{}", request.authority, request.path);
    let key = request.key()?.as_str();
    let sums = api.store.sums(&version).map_err(store_error)?;
    let etag = sums.etag.to_string();
    let reply = Reply::chunked_xml(document(&location, bucket.name().as_str(), key, &etag))
        .with_text(name::CRC64, sums.crc64.to_string())
        .with_encryption(version.encryption(), customer_md5);
    Ok(match new_version_id(&version) {
        Some(id) => reply.with_text(name::VERSION_ID, id),
        None => reply,
    }
    .holding(request.body.take_share()))
}

/// The entity tag of a part; `None` for what no part can have.
fn digest(etag: &str) -> Option<[u8; 16]> {
    let digits = etag.len() == 32 && etag.bytes().all(|b| b.is_ascii_hexdigit());
    let digest = u128::from_str_radix(etag, 16).ok().filter(|_| digits)?;
    Some(digest.to_be_bytes())
}
