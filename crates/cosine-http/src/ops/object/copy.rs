//! PUT Object - Copy (436/10881): the wire's view. What a copy is, is in the store's `copy.rs`.

use cosine_access::ReadProof;
use cosine_store::{
    Attributes, Bucket, CopyRequest, CopySource, Encryption, Error, MOVED_BYTES_MAX, ObjectAcl,
    ObjectKey, PutRequest, StorageClass, Store, Version,
};
use cosine_wire::header::name;
use cosine_wire::xml::copy::{Copied, CopyResult};
use cosine_wire::{ApiError, Code};

use super::put::new_version_id;
use crate::Api;
use crate::acl::object_acl;
use crate::authorise::LOOKS_MAX;
use crate::deferred::{Deferred, WORK_BYTES};
use crate::error::store_error;
use crate::params::{attributes, forbid_overwrite, storage_class, tags};
use crate::remote::{Remote, fetch_error};
use crate::reply::Reply;
use crate::request::Request;
use crate::source::{Source, TagsGoAlong};
use crate::sse;

struct PutObjectCopy {
    source: Source,
    bucket: Bucket,
    key: ObjectKey,
    /// New metadata; `None` carries the source's over, whatever the request's headers say (C64).
    attributes: Option<Attributes>,
    /// New tags; `None` carries the source's over, whatever the request's header says (C98).
    tags: Option<Vec<(String, String)>>,
    acl: ObjectAcl,
    class: StorageClass,
    /// Never as the source is (C77).
    encryption: Encryption,
    forbid_overwrite: bool,
}

/// `x-cos-metadata-directive` and `x-cos-tagging-directive`.
#[derive(Clone, Copy)]
enum Directive {
    Copy,
    Replaced,
}

impl Directive {
    /// `Copy` is the default; the Java SDK spells the other one `REPLACE` (C61).
    fn parse(request: &Request, header: &'static str) -> Result<Self, ApiError> {
        match request.header(header)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("copy") => Ok(Self::Copy),
            Some("replaced" | "replace") => Ok(Self::Replaced),
            Some(_) => {
                Err(ApiError::new(Code::InvalidArgument, format!("{header} is Copy or Replaced.")))
            }
        }
    }
}

impl PutObjectCopy {
    async fn parse(api: &Api, request: &Request, bucket: Bucket) -> Result<Self, ApiError> {
        let source = Source::parse(api, request)?;
        let attributes = match Directive::parse(request, name::METADATA_DIRECTIVE)? {
            Directive::Copy => None,
            Directive::Replaced => Some(attributes(&request.headers)?),
        };
        let tags = match Directive::parse(request, name::TAGGING_DIRECTIVE)? {
            Directive::Copy => None,
            Directive::Replaced => Some(tags(request)?),
        };
        Ok(Self {
            source,
            key: request.key()?.clone(),
            attributes,
            tags,
            acl: object_acl(request)?,
            class: storage_class(request, bucket.zones())?,
            encryption: sse::wanted(api, request, &bucket).await?,
            forbid_overwrite: forbid_overwrite(request)?,
            bucket,
        })
    }

    fn of(&self, source: ReadProof<CopySource>, TagsGoAlong(along): TagsGoAlong) -> CopyRequest {
        CopyRequest {
            source,
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            attributes: self.attributes.clone(),
            tags: self.tags.clone().or_else(|| (!along).then(Vec::new)),
            acl: self.acl.clone(),
            class: self.class,
            encryption: self.encryption.clone(),
            source_key: self.source.customer_key.clone(),
            forbid_overwrite: self.forbid_overwrite,
        }
    }
}

/// Copies an object that another deployment holds.
async fn fetch(api: &Api, copy: PutObjectCopy, remote: &Remote) -> Result<Reply, ApiError> {
    let now = api.clock.now_seconds();
    let mut object = remote.open(&copy.source, None, now).await?;
    copy.source.require(object.facts.facts())?;
    if object.facts.size > MOVED_BYTES_MAX {
        return Err(Code::EntityTooLarge.into());
    }
    let tags = match copy.tags {
        Some(tags) => tags,
        None if object.facts.has_tags => remote.tags(&copy.source, &object.facts, now).await?,
        None => vec![],
    };
    let put = PutRequest {
        bucket: copy.bucket,
        key: copy.key,
        attributes: copy.attributes.unwrap_or_else(|| object.facts.attributes.clone()),
        tags,
        acl: copy.acl,
        class: copy.class,
        md5: None,
        encryption: copy.encryption,
        forbid_overwrite: copy.forbid_overwrite,
    };
    let customer_md5 = sse::md5_of(&put.encryption);
    let planned = api.store.plan_put(put).await.map_err(store_error)?;
    let memory = api.memory.take(object.facts.size.min(WORK_BYTES)).await?;
    let headers = sse::headers(planned.encryption(), customer_md5);
    let (store, fetched) = (api.store.clone(), object.facts.fetched());
    let work = async move {
        let version = planned.fetch(fetched, &mut object).await.map_err(fetch_error)?;
        Ok(result(&store, &version)?.root())
    };
    let reply = Reply::deferred_xml(Deferred::begin(&api.clock, work));
    let reply = copy.source.name_version(reply).holding(Some(memory));
    Ok(reply.with_texts(headers))
}

/// Copies an object. The destination bucket must be open to the caller, but it is the source that
/// is found, authorised and held against the conditions before the destination is touched. Where bytes
/// have to move, the answer begins before they have.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    request.body.collect(0, Code::UnexpectedContent).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let copy = PutObjectCopy::parse(api, &request, bucket).await?;
    let tags = copy.tags.as_deref().unwrap_or_default();
    api.permit_extras(&request, &copy.bucket, (&copy.acl, tags)).await?;
    if let Some(remote) = copy.source.remote(api, &request).await? {
        return fetch(api, copy, remote).await;
    }
    for _ in 0..LOOKS_MAX {
        let (source, along) = copy.source.resolve(api, &request, &copy.bucket).await?;
        let size = source.get().version.size;
        let planned = match api.store.plan_copy(copy.of(source, along)).await {
            Err(Error::Gone) => continue,
            planned => planned.map_err(store_error)?,
        };
        let headers = sse::headers(planned.encryption(), sse::md5_of(&copy.encryption));
        if planned.moves_bytes() {
            let memory = api.memory.take(size.min(WORK_BYTES)).await?;
            let store = api.store.clone();
            let work = async move {
                let version = planned.run().await.map_err(store_error)?;
                Ok(result(&store, &version)?.root())
            };
            let reply = Reply::deferred_xml(Deferred::begin(&api.clock, work));
            let reply = copy.source.name_version(reply).holding(Some(memory));
            return Ok(reply.with_texts(headers));
        }
        match planned.run().await {
            Err(Error::Gone) => {}
            copied => {
                let version = copied.map_err(store_error)?;
                let document = result(&api.store, &version)?.document();
                let reply = copy.source.name_version(Reply::chunked_xml(document));
                return Ok(reply.with_texts(headers));
            }
        }
    }
    Err(store_error(Error::Gone))
}

fn result(store: &Store, version: &Version) -> Result<CopyResult, ApiError> {
    let sums = store.sums(version).map_err(store_error)?;
    Ok(CopyResult {
        copied: Copied::Object,
        etag: sums.etag.to_string(),
        crc64: sums.crc64,
        last_modified: version.last_modified(),
        version_id: new_version_id(version),
    })
}
