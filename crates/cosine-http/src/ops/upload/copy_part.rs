//! Upload Part - Copy (436/8287): the wire's view. What it is, is in the store's `part.rs`.

use std::ops::Range;

use cosine_store::{
    Announced, CustomerKey, Error, MOVED_BYTES_MAX, Part, PartCopyRequest, PutPartRequest,
};
use cosine_wire::encode::hex;
use cosine_wire::header::name;
use cosine_wire::range::ByteRange;
use cosine_wire::xml::copy::{Copied, CopyResult};
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::authorise::LOOKS_MAX;
use crate::deferred::{Deferred, WORK_BYTES};
use crate::error::store_error;
use crate::params::part_number;
use crate::remote::{Remote, fetch_error};
use crate::reply::Reply;
use crate::request::Request;
use crate::source::Source;
use crate::sse;

/// `x-cos-copy-source-range`, closed on both sides (U07); an empty one is none (U06).
#[derive(Clone, Copy)]
enum Slice {
    Whole,
    From(u64, u64),
}

impl Slice {
    fn parse(request: &Request) -> Result<Self, ApiError> {
        let Some(value) = request.header(name::COPY_SOURCE_RANGE)? else { return Ok(Self::Whole) };
        match ByteRange::parse(value) {
            Some(ByteRange::From(first, Some(last))) => Ok(Self::From(first, last)),
            _ => Err(ApiError::new(
                Code::InvalidArgument,
                format!("{} is bytes=first-last.", name::COPY_SOURCE_RANGE),
            )),
        }
    }

    /// The bytes of a source of `size` bytes. 416 `InvalidRange` where it does not have them all (U08),
    /// 400 `EntityTooLarge` for more than a part may hold (U10).
    fn of(self, size: u64) -> Result<Range<u64>, ApiError> {
        let range = match self {
            Self::Whole => 0..size,
            Self::From(first, last) if last < size => first..last + 1,
            Self::From(..) => return Err(Code::InvalidRange.into()),
        };
        match range.end - range.start > MOVED_BYTES_MAX {
            true => Err(Code::EntityTooLarge.into()),
            false => Ok(range),
        }
    }
}

/// Copies a range of an object that another deployment holds.
async fn fetch(
    api: &Api,
    part: PutPartRequest,
    (source, slice): (Source, Slice),
    remote: &Remote,
) -> Result<Reply, ApiError> {
    let range = match slice {
        Slice::Whole => None,
        Slice::From(first, last) => Some(format!("bytes={first}-{last}")),
    };
    let now = api.clock.now_seconds();
    let planned = api.store.plan_part(part).await.map_err(store_error)?;
    let mut object = remote.open(&source, range.as_deref(), now).await?;
    source.require(object.facts.facts())?;
    let wanted = slice.of(object.facts.size)?;
    let length = wanted.end - wanted.start;
    if (object.facts.first, object.facts.length) != (wanted.start, length) {
        return Err(remote.nonsense());
    }
    let announced = match length == object.facts.size {
        true => object.facts.fetched().announced,
        false => Announced { length, crc64: None, md5: None },
    };
    let memory = api.memory.take(length.min(WORK_BYTES)).await?;
    let work = async move {
        let part = planned.fetch(announced, &mut object).await;
        Ok(result(&part.map_err(fetch_error)?).root())
    };
    let reply = Reply::deferred_xml(Deferred::begin(&api.clock, work));
    Ok(source.name_version(reply).holding(Some(memory)))
}

/// Copies a range of an object into a part. Where bytes have to move, the answer begins before they
/// have.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    request.body.collect(0, Code::UnexpectedContent).await?;
    let number = part_number(&request)?;
    let (bucket, upload) = super::find(api, &request).await?;
    let source = Source::parse(api, &request)?;
    let slice = Slice::parse(&request)?;
    sse::require_same(api, &request, &upload)?;
    let customer_key = sse::key(api, &request)?;
    let customer_md5 = customer_key.as_ref().map(CustomerKey::md5);
    let show = |reply: Reply| reply.with_encryption(upload.shown(), customer_md5);
    if let Some(remote) = source.remote(api, &request).await? {
        let part = PutPartRequest { upload: upload.clone(), number, md5: None, customer_key };
        return fetch(api, part, (source, slice), remote).await.map(show);
    }
    for _ in 0..LOOKS_MAX {
        let (found, _) = source.resolve(api, &request, &bucket).await?;
        let range = slice.of(found.get().version.size)?;
        let length = range.end - range.start;
        let copy = PartCopyRequest {
            upload: upload.clone(),
            number,
            source: found,
            range,
            source_key: source.customer_key.clone(),
            customer_key: customer_key.clone(),
        };
        let planned = match api.store.plan_part_copy(copy).await {
            Err(Error::Gone) => continue,
            planned => planned.map_err(store_error)?,
        };
        if planned.moves_bytes() {
            let memory = api.memory.take(length.min(WORK_BYTES)).await?;
            let work = async { Ok(result(&planned.run().await.map_err(store_error)?).root()) };
            let reply = Reply::deferred_xml(Deferred::begin(&api.clock, work));
            return Ok(show(source.name_version(reply)).holding(Some(memory)));
        }
        match planned.run().await {
            Err(Error::Gone) => {}
            copied => {
                let document = result(&copied.map_err(store_error)?).document();
                return Ok(show(source.name_version(Reply::chunked_xml(document))));
            }
        }
    }
    Err(store_error(Error::Gone))
}

fn result(part: &Part) -> CopyResult {
    CopyResult {
        copied: Copied::Part,
        etag: hex(&part.etag),
        crc64: part.crc64,
        last_modified: part.last_modified,
        version_id: None,
    }
}
