//! Initiate Multipart Upload (436/7746).

use cosine_store::NewUpload;
use cosine_wire::xml::initiate_upload::document;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::acl::object_acl;
use crate::error::store_error;
use crate::params::{attributes, forbid_overwrite, storage_class, tags};
use crate::reply::Reply;
use crate::request::Request;
use crate::sse;

/// Begins an upload: what the object will be, but for its bytes.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    request.body.collect(0, Code::UnexpectedContent).await?;
    let bucket = api.permitted_bucket(&request).await?;
    let (name, key) = (bucket.name().clone(), request.key()?.clone());
    let new = NewUpload {
        key: key.clone(),
        attributes: attributes(&request.headers)?,
        tags: tags(&request)?,
        acl: object_acl(&request)?,
        class: storage_class(&request, bucket.zones())?,
        initiator: request.caller.uin(),
        encryption: sse::wanted(api, &request, &bucket).await?,
        forbid_overwrite: forbid_overwrite(&request)?,
        bucket,
    };
    let customer_md5 = sse::md5_of(&new.encryption);
    api.permit_extras(&request, &new.bucket, (&new.acl, &new.tags)).await?;
    let (id, upload) = api.store.create_upload(new).await.map_err(store_error)?;
    let document = document(name.as_str(), key.as_str(), &id.to_string());
    Ok(Reply::xml(document).with_encryption(upload.shown(), customer_md5))
}
