//! One file an operation, always in the same shape: read the request into a typed one, authorise,
//! call the store, render.

mod bucket;
mod not_set;
mod object;
mod service;
mod upload;

use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::operation::{Operation, State};
use crate::reply::Reply;
use crate::request::Request;

/// Runs the operation that the routing table found.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let row = request.row;
    match (row.state, row.operation) {
        (State::NotSet(_) | State::NotSetDocument(_), _) => not_set::run(api, request).await,
        (_, Operation::GetService) => service::list_buckets::run(api, request).await,
        (_, Operation::PutBucket) => bucket::create::run(api, request).await,
        (_, Operation::HeadBucket) => bucket::head::run(api, request).await,
        (_, Operation::DeleteBucket) => bucket::delete::run(api, request).await,
        (_, Operation::GetBucket) => bucket::list::run(api, request).await,
        (_, Operation::GetBucketLocation) => bucket::location::run(api, request).await,
        (_, Operation::GetBucketObjectVersions) => bucket::list_versions::run(api, request).await,
        (_, Operation::GetBucketVersioning) => bucket::versioning::get(api, request).await,
        (_, Operation::PutBucketVersioning) => bucket::versioning::put(api, request).await,
        (_, Operation::ListMultipartUploads) => bucket::list_uploads::run(api, request).await,
        (_, Operation::DeleteMultipleObjects) => bucket::delete_objects::run(api, request).await,
        (_, Operation::GetBucketAcl) => bucket::acl::get(api, request).await,
        (_, Operation::PutBucketAcl) => bucket::acl::put(api, request).await,
        (_, Operation::GetBucketCors) => bucket::cors::get(api, request).await,
        (_, Operation::PutBucketCors) => bucket::cors::put(api, request).await,
        (_, Operation::DeleteBucketCors) => bucket::cors::delete(api, request).await,
        (_, Operation::GetBucketEncryption) => bucket::encryption::get(api, request).await,
        (_, Operation::PutBucketEncryption) => bucket::encryption::put(api, request).await,
        (_, Operation::DeleteBucketEncryption) => bucket::encryption::delete(api, request).await,
        (_, Operation::GetBucketPolicy) => bucket::policy::get(api, request).await,
        (_, Operation::PutBucketPolicy) => bucket::policy::put(api, request).await,
        (_, Operation::DeleteBucketPolicy) => bucket::policy::delete(api, request).await,
        (_, Operation::GetObjectAcl) => object::acl::get(api, request).await,
        (_, Operation::PutObjectAcl) => object::acl::put(api, request).await,
        (_, Operation::OptionsObject | Operation::OptionsBucket) => {
            object::options::run(api, request).await
        }
        (_, Operation::PostObject) => object::post::run(api, request).await,
        (_, Operation::PutObject) => object::put::run(api, request).await,
        (_, Operation::PutObjectCopy) => object::copy::run(api, request).await,
        (_, Operation::GetObject) => object::get::run(api, request).await,
        (_, Operation::HeadObject) => object::head::run(api, request).await,
        (_, Operation::DeleteObject) => object::delete::run(api, request).await,
        (_, Operation::PutObjectTagging) => object::tagging::put(api, request).await,
        (_, Operation::GetObjectTagging) => object::tagging::get(api, request).await,
        (_, Operation::DeleteObjectTagging) => object::tagging::delete(api, request).await,
        (_, Operation::PostObjectRestore) => object::restore::run(api, request).await,
        (_, Operation::AppendObject) => object::append::run(api, request).await,
        (_, Operation::PutSymlink) => object::symlink::put(api, request).await,
        (_, Operation::GetSymlink) => object::symlink::get(api, request).await,
        (_, Operation::InitiateMultipartUpload) => upload::initiate::run(api, request).await,
        (_, Operation::UploadPart) => upload::put_part::run(api, request).await,
        (_, Operation::UploadPartCopy) => upload::copy_part::run(api, request).await,
        (_, Operation::CompleteMultipartUpload) => upload::complete::run(api, request).await,
        (_, Operation::AbortMultipartUpload) => upload::abort::run(api, request).await,
        (_, Operation::ListParts) => upload::list_parts::run(api, request).await,
        _ => Err(Code::NotImplemented.into()),
    }
}
