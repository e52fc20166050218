//! Initiate Multipart Upload (436/7746).

use cosine_access::Permission;
use cosine_store::NewUpload;
use cosine_wire::xml::initiate_upload::document;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;
use crate::params::{attributes, forbid_overwrite, object_acl, storage_class, tags};
use crate::reply::Reply;
use crate::request::Request;

/// Begins an upload: what the object will be, but for its bytes.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    request.body.collect(0, Code::UnexpectedContent).await?;
    let region = request.target.region.as_deref();
    let permission = Permission::WriteBucket;
    let bucket = api.bucket(request.bucket()?, region, request.caller, permission).await?;
    let (name, key) = (bucket.name().clone(), request.key()?.clone());
    let new = NewUpload {
        key: key.clone(),
        attributes: attributes(&request.headers)?,
        tags: tags(&request)?,
        acl: object_acl(&request)?,
        class: storage_class(&request, bucket.zones())?,
        initiator: super::uin(request.caller),
        forbid_overwrite: forbid_overwrite(&request)?,
        bucket,
    };
    let id = api.store.create_upload(new).await.map_err(store_error)?;
    Ok(Reply::xml(document(name.as_str(), key.as_str(), &id.to_string())))
}
