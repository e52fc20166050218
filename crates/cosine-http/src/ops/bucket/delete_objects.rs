//! DELETE Multiple Objects (436/8289).

use std::collections::BTreeMap;

use cosine_store::{Bucket, ObjectKey};
use cosine_wire::xml::delete_objects::{
    BODY_BYTES_MAX, Delete, Deleted, ObjectIdentifier, Outcome, delete_result,
};
use cosine_wire::{ApiError, Code};
use md5::{Digest, Md5};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::Api;
use crate::error::store_error;
use crate::ops::object::delete::deleting;
use crate::params::{content_md5, read_version_id, show_version_id};
use crate::reply::Reply;
use crate::request::{Request, name_error};

/// Deletions of this many keys are under way at once, so that they share syncs.
const AT_ONCE_MAX: usize = 64;

/// Deletes up to 1,000 objects; each one is permitted, and succeeds or fails, by itself. Who does not sign
/// and may not write into the bucket at all learns that at once.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let digest = content_md5(&request)?;
    find(api, &request).await?;
    let body = request.body.collect(BODY_BYTES_MAX, Code::XMLSizeLimit).await?;
    let bucket = find(api, &request).await?;
    let digest = digest.ok_or_else(|| {
        let message = "Missing required header for this request: Content-MD5";
        ApiError::new(Code::InvalidRequest, message)
    })?;
    if <[u8; 16]>::from(Md5::digest(&body)) != digest {
        return Err(Code::BadDigest.into());
    }
    let delete = Delete::parse(&body)?;
    let mut asked = Vec::with_capacity(delete.objects.len());
    for object in &delete.objects {
        let id = object.version_id.as_deref();
        asked.push((deleting(request.action(), id.is_some()), object.key.as_str(), id));
    }
    let permitted = api.permit_each(&request, &bucket, asked).await?;
    let asked = delete.objects.into_iter().zip(permitted).collect();
    let outcomes = delete_all(api, &bucket, asked).await;
    let reply = Reply::xml(delete_result(&outcomes, delete.quiet));
    Ok(reply.holding(request.body.take_share()))
}

/// Finds the bucket. Before the body, that nobody takes memory for nothing; and after it, that nobody outlives
/// his rights.
async fn find(api: &Api, request: &Request) -> Result<Bucket, ApiError> {
    let bucket = api.find(request.bucket()?, request.target.region.as_deref()).await?;
    if request.caller.is_anonymous() {
        api.permit_key(request, &bucket, request.action(), "").await?;
    }
    Ok(bucket)
}

/// Outcomes come in the order of the request. What is asked of one key happens one after the other, since
/// it would only meet itself.
async fn delete_all(
    api: &Api,
    bucket: &Bucket,
    asked: Vec<(ObjectIdentifier, Result<(), ApiError>)>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(asked.len());
    let mut by_key: BTreeMap<String, Vec<(usize, ObjectIdentifier)>> = BTreeMap::new();
    for (at, (object, permitted)) in asked.into_iter().enumerate() {
        let deleted = match permitted {
            Err(refused) => Err(refused),
            Ok(()) => {
                by_key.entry(object.key.clone()).or_default().push((at, object.clone()));
                // Until it is known that it is gone, it is not.
                Err(Code::InternalError.into())
            }
        };
        outcomes.push(Outcome { object, deleted });
    }
    let mut under_way = JoinSet::new();
    let mut waiting = by_key.into_values();
    loop {
        while under_way.len() < AT_ONCE_MAX
            && let Some(of_key) = waiting.next()
        {
            let (store, bucket) = (api.store.clone(), bucket.clone());
            let delete = async move {
                let mut deleted = Vec::with_capacity(of_key.len());
                for (at, object) in of_key {
                    deleted.push((at, delete_one(&store, &bucket, object).await));
                }
                deleted
            };
            under_way.spawn(delete.in_current_span());
        }
        let Some(joined) = under_way.join_next().await else { return outcomes };
        match joined {
            Ok(of_key) => {
                for (at, deleted) in of_key {
                    if let Some(outcome) = outcomes.get_mut(at) {
                        outcome.deleted = deleted;
                    }
                }
            }
            Err(error) => tracing::error!(%error, "deletions did not end"),
        }
    }
}

async fn delete_one(
    store: &cosine_store::Store,
    bucket: &Bucket,
    object: ObjectIdentifier,
) -> Result<Deleted, ApiError> {
    let id = object.version_id.as_deref().map(read_version_id).transpose()?;
    let key = ObjectKey::parse(object.key).map_err(name_error)?;
    let deleted = store.delete(bucket, &key, id).await.map_err(store_error)?;
    Ok(Deleted {
        marker: match deleted {
            cosine_store::Deleted::Marked(marker) => Some(show_version_id(marker.id())),
            cosine_store::Deleted::Marker(id) => Some(show_version_id(id)),
            _ => None,
        },
    })
}
