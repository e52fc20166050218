//! GET Object (436/7753).

use std::ops::Range;

use cosine_store::{CustomerKey, Error};
use cosine_wire::condition::{Conditions, Facts, OBJECT, Verdict, if_range_matches};
use cosine_wire::date::http_date;
use cosine_wire::header::SYSTEM_METADATA;
use cosine_wire::range::ByteRange;
use cosine_wire::{ApiError, Code};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::object_headers;
use crate::Api;
use crate::authorise::{Found, LOOKS_MAX, Wanted};
use crate::error::store_error;
use crate::reply::{ObjectBody, Reply, ReplyBody};
use crate::request::Request;
use crate::sse;

/// A download holds at most this much memory, whatever the size: a piece that is sent, one that is
/// read meanwhile, and one that waits for the socket.
const STREAM_BYTES: u64 = 3 * (512 << 10);

/// A read of an object, for GET and HEAD alike.
pub struct GetObject {
    conditions: Conditions,
    range: Option<ByteRange>,
    if_range: Option<String>,
    /// The customer's key that the object is encrypted with.
    customer_key: Option<CustomerKey>,
    overrides: Vec<(HeaderName, HeaderValue)>,
}

impl GetObject {
    /// Reads the request.
    ///
    /// # Errors
    /// 400 `InvalidArgument` for malformed dates; 400 `InvalidRequest` for `response-*` without a
    /// signature, since anyone could then make a bucket's links say what they like.
    pub fn parse(api: &Api, request: &Request) -> Result<Self, ApiError> {
        let mut overrides = Vec::new();
        for header in SYSTEM_METADATA {
            let text = request.query.get(&format!("response-{header}"));
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            if request.caller.is_anonymous() {
                return Err(ApiError::new(
                    Code::InvalidRequest,
                    "response-* parameters need a signed request.",
                ));
            }
            let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
                ApiError::new(
                    Code::InvalidArgument,
                    format!("response-{header} is not a header value."),
                )
            })?;
            overrides.push((HeaderName::from_static(header), value));
        }
        Ok(Self {
            conditions: Conditions::parse(&request.headers, OBJECT)?,
            range: request.header(header::RANGE.as_str())?.and_then(ByteRange::parse),
            if_range: request.header(header::IF_RANGE.as_str())?.map(str::to_owned),
            customer_key: sse::key(api, request)?,
            overrides,
        })
    }

    /// Finds the object and everything to say of it; the range is the one to send. A delete marker that
    /// is named is answered with `named_marker`.
    ///
    /// # Errors
    /// 404, 403, 304, 412 `PreconditionFailed`, 416 `InvalidRange`.
    pub async fn find(
        &self,
        api: &Api,
        request: &Request,
        named_marker: Code,
    ) -> Result<(Found, Range<u64>, Reply), ApiError> {
        let wanted = Wanted::of(request, named_marker)?;
        let found = api.readable_object(request, &wanted).await?;
        let Found { bucket, key, version, .. } = &found;
        let customer = self.customer_key.as_ref();
        let checked = api.store.check_customer_key((bucket, key), version, customer).await;
        checked.map_err(store_error)?;
        let sums = api.store.sums(version).map_err(store_error)?;
        let etag = sums.etag.to_string();
        let facts = Facts { etag: &etag, last_modified: version.last_modified() };
        match self.conditions.on_read(facts) {
            Verdict::Proceed => {}
            Verdict::NotModified => return Err(not_modified(facts)),
            Verdict::Failed => return Err(Code::PreconditionFailed.into()),
        }
        let mut reply = Reply::empty(StatusCode::OK);
        reply.headers = object_headers(bucket, version, sums, api.store.readable(version));
        reply = reply.with_encryption(version.encryption(), customer.map(CustomerKey::md5));
        for (name, value) in &self.overrides {
            reply.headers.insert(name, value.clone());
        }
        let mut range = 0..version.size;
        let same = self.if_range.as_ref().is_none_or(|value| if_range_matches(value, facts));
        if let Some(asked) = self.range.filter(|_| same) {
            range = asked.resolve(version.size).ok_or(Code::InvalidRange)?;
            reply.status = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, version.size);
            reply = reply.with_text("content-range", text);
        }
        reply = reply.with_text("content-length", (range.end - range.start).to_string());
        Ok((found, range, reply))
    }
}

/// 304 says which object it is that was not modified.
fn not_modified(facts: Facts<'_>) -> ApiError {
    ApiError::from(Code::NotModified)
        .with_header("etag", format!("\"{}\"", facts.etag))
        .with_header("last-modified", http_date(facts.last_modified))
}

/// Sends an object, or a range of it.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let get = GetObject::parse(api, &request)?;
    for _ in 0..LOOKS_MAX {
        let found = get.find(api, &request, Code::MethodNotAllowed).await?;
        let (Found { bucket, key, version, .. }, range, mut reply) = found;
        if !api.store.readable(&version).now() {
            return Err(Code::InvalidObjectState.into());
        }
        let customer = get.customer_key.as_ref();
        let unlocked = api.store.unlock((&bucket, &key), &version, customer).await;
        let unlocked = unlocked.map_err(store_error)?;
        let length = range.end - range.start;
        let memory = api.memory.take(length.min(STREAM_BYTES)).await?;
        let reader = match api.store.read(&version, range, unlocked.as_ref()).await {
            Err(Error::Gone) => continue,
            reader => reader.map_err(store_error)?,
        };
        let body = ObjectBody::begin(reader, length).await.map_err(store_error)?;
        reply.body = ReplyBody::Object(body);
        return Ok(reply.holding(Some(memory)));
    }
    Err(store_error(Error::Gone))
}
