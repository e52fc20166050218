//! PUT and GET Object acl (436/7748, 436/7744).

use cosine_access::ObjectAcl;
use cosine_store::{Error, VersionId};
use cosine_wire::header::name;
use cosine_wire::xml::acl::{BODY_BYTES_MAX, parse};
use cosine_wire::{ApiError, Code};
use http::StatusCode;

use crate::Api;
use crate::acl::{Resource, document, object_acl, of_body, says_acl};
use crate::authorise::{LOOKS_MAX, Wanted};
use crate::error::store_error;
use crate::params::{show_version_id, small_body};
use crate::reply::Reply;
use crate::request::Request;

/// Says who may do what with an object, in place of all that was said: by headers, or by a body.
pub async fn put(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let body = small_body(&mut request, BODY_BYTES_MAX).await?;
    let by_headers = says_acl(&request, &body)?;
    let wanted = Wanted::of(&request, Code::MethodNotAllowed)?;
    // Who may change the ACL of one version may not change that of the next.
    for _ in 0..LOOKS_MAX {
        let found = api.readable_version(&request, &wanted).await?;
        let owner = api.directory.owner(found.bucket.name().appid()).await?;
        let acl = match by_headers {
            true => object_acl(&request)?,
            false => ObjectAcl::Grants(of_body(parse(&body)?, owner, Resource::Object)?),
        };
        let read = (wanted.id, &found.version);
        match api.store.set_object_acl(&found.bucket, wanted.key, read, &acl).await {
            Err(Error::Gone) => {}
            set => {
                set.map_err(store_error)?;
                return Ok(naming(Reply::empty(StatusCode::OK), wanted.id));
            }
        }
    }
    Err(store_error(Error::Busy))
}

/// Says who may do what with an object. Where it has no ACL of its own, its bucket's is in force; the
/// header says so, and the owner is all that is listed.
pub async fn get(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let wanted = Wanted::of(&request, Code::MethodNotAllowed)?;
    let found = api.readable_version(&request, &wanted).await?;
    let owner = api.directory.owner(found.bucket.name().appid()).await?;
    let own = found.version.acl.grants();
    let reply = Reply::xml(document(owner, own.as_deref().unwrap_or_default()));
    let reply = match own {
        None => reply.with_text(name::ACL, "default"),
        Some(_) => reply,
    };
    Ok(naming(reply, wanted.id))
}

/// A version that was named is named again.
fn naming(reply: Reply, id: Option<VersionId>) -> Reply {
    match id {
        Some(id) => reply.with_text(name::VERSION_ID, show_version_id(id)),
        None => reply,
    }
}
