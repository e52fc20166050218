//! PUT Object - Copy (436/10881): the wire's view. What a copy is, is in the store's `copy.rs`.

use bytes::Bytes;
use cosine_access::Permission;
use cosine_store::{
    Attributes, Bucket, BucketName, CopyRequest, Error, ObjectAcl, ObjectKey, StorageClass, Version,
};
use cosine_wire::condition::{COPY_SOURCE, Conditions, Facts};
use cosine_wire::copy_source::CopySource;
use cosine_wire::header::name;
use cosine_wire::host::HostRules;
use cosine_wire::xml::copy_object::CopyObjectResult;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;
use crate::params::{attributes, forbid_overwrite, object_acl, storage_class, tags};
use crate::reply::{Reply, ReplyBody};
use crate::request::{Request, name_error};

use super::LOOKS_MAX;

struct PutObjectCopy {
    source_bucket: BucketName,
    source_region: Option<String>,
    source_key: ObjectKey,
    conditions: Conditions,
    /// New metadata; `None` carries the source's over, whatever the request's headers say (C64).
    attributes: Option<Attributes>,
    /// New tags; `None` carries the source's over, whatever the request's header says (C98).
    tags: Option<Vec<(String, String)>>,
    acl: ObjectAcl,
    class: StorageClass,
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
    fn parse(request: &Request, rules: &HostRules) -> Result<Self, ApiError> {
        let header = request.headers.get(name::COPY_SOURCE).ok_or(Code::InvalidCopySource)?;
        let source = CopySource::parse(header.as_bytes(), rules)?;
        if source.version_id.is_some() {
            return Err(ApiError::new(Code::NotImplemented, "Versions are not implemented yet."));
        }
        let attributes = match Directive::parse(request, name::METADATA_DIRECTIVE)? {
            Directive::Copy => None,
            Directive::Replaced => Some(attributes(&request.headers)?),
        };
        let tags = match Directive::parse(request, name::TAGGING_DIRECTIVE)? {
            Directive::Copy => None,
            Directive::Replaced => Some(tags(request)?),
        };
        let bucket_error = |_| {
            let message = "The copy source is not valid: its bucket has no valid name.";
            ApiError::new(Code::InvalidCopySource, message)
        };
        Ok(Self {
            source_bucket: BucketName::parse(&source.bucket).map_err(bucket_error)?,
            source_region: source.region,
            source_key: ObjectKey::parse(source.key).map_err(name_error)?,
            conditions: Conditions::parse(&request.headers, COPY_SOURCE)?,
            attributes,
            tags,
            acl: object_acl(request)?,
            class: storage_class(request)?,
            forbid_overwrite: forbid_overwrite(request)?,
        })
    }

    /// Finds the source, and sees to it that the caller may read it and that the conditions hold.
    async fn resolve(
        &self,
        api: &Api,
        request: &Request,
        bucket: Bucket,
    ) -> Result<CopyRequest, ApiError> {
        let (name, region) = (&self.source_bucket, self.source_region.as_deref());
        let (source_bucket, source) =
            api.readable_object(name, region, &self.source_key, request.caller).await?;
        let etag = source.etag.to_string();
        let facts = Facts { etag: &etag, last_modified: source.last_modified() };
        if !self.conditions.all_hold(facts) {
            return Err(Code::PreconditionFailed.into());
        }
        Ok(CopyRequest {
            source_bucket,
            source_key: self.source_key.clone(),
            source,
            bucket,
            key: request.key()?.clone(),
            attributes: self.attributes.clone(),
            tags: self.tags.clone(),
            acl: self.acl,
            class: self.class,
            forbid_overwrite: self.forbid_overwrite,
        })
    }
}

/// Copies an object. The destination bucket must be open to the caller, but it is the source that
/// is found, authorised and held against the conditions before the destination is touched.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    request.body.collect(0, Code::UnexpectedContent).await?;
    let region = request.target.region.as_deref();
    let permission = Permission::WriteBucket;
    let bucket = api.bucket(request.bucket()?, region, request.caller, permission).await?;
    let copy = PutObjectCopy::parse(&request, &api.settings.hosts)?;
    for _ in 0..LOOKS_MAX {
        let resolved = copy.resolve(api, &request, bucket.clone()).await?;
        match api.store.copy(resolved).await {
            Err(Error::Gone) => {}
            copied => return Ok(render(&copied.map_err(store_error)?)),
        }
    }
    Err(store_error(Error::Gone))
}

/// Every successful answer goes in chunks (C151).
fn render(version: &Version) -> Reply {
    let result = CopyObjectResult {
        etag: &version.etag.to_string(),
        crc64: version.crc64,
        last_modified: version.last_modified(),
    };
    let mut reply = Reply::xml(String::new());
    reply.body = ReplyBody::Chunked(Some(Bytes::from(result.document())));
    reply
}
