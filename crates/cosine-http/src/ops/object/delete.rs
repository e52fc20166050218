//! DELETE Object (436/7743).

use cosine_access::{AclNeed, Action};
use cosine_store::Deleted;
use cosine_wire::ApiError;
use cosine_wire::header::name;
use http::StatusCode;

use crate::Api;
use crate::error::store_error;
use crate::params::{show_version_id, version_id};
use crate::reply::Reply;
use crate::request::Request;

/// What deleting takes: to remove a version for good, no ACL is enough.
pub fn deleting(action: Action, for_good: bool) -> Action {
    if for_good { Action { acl: AclNeed::Nothing, ..action } } else { action }
}

/// Deletes an object; one that is not there is as good as deleted.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let id = version_id(&request)?;
    let bucket = api.bucket_for(&request, deleting(request.action(), id.is_some())).await?;
    let deleted = api.store.delete(&bucket, request.key()?, id).await.map_err(store_error)?;
    let reply = Reply::empty(StatusCode::NO_CONTENT);
    let with_id = |reply: Reply, id| reply.with_text(name::VERSION_ID, show_version_id(id));
    let with_marker = |reply: Reply| reply.with_text(name::DELETE_MARKER, "true");
    Ok(match deleted {
        Deleted::Nothing | Deleted::Object => reply,
        Deleted::Version(id) if bucket.keeps_versions() => with_id(reply, id),
        Deleted::Version(_) => reply,
        Deleted::Marked(marker) => with_marker(with_id(reply, marker.id())),
        Deleted::Marker(id) => with_marker(with_id(reply, id)),
    })
}
