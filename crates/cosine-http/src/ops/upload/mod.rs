//! Operations on multipart uploads.

pub mod abort;
pub mod complete;
pub mod copy_part;
pub mod initiate;
pub mod list_parts;
pub mod put_part;

use cosine_access::{Caller, Permission};
use cosine_store::{Bucket, Upload};
use cosine_wire::ApiError;

use crate::Api;
use crate::error::store_error;
use crate::params::upload_id;
use crate::request::Request;

/// Finds the bucket, if the caller may write into it, and the upload that the request names.
async fn find(api: &Api, request: &Request) -> Result<(Bucket, Upload), ApiError> {
    let region = request.target.region.as_deref();
    let permission = Permission::WriteBucket;
    let bucket = api.bucket(request.bucket()?, region, request.caller, permission).await?;
    let id = upload_id(request)?;
    let upload = api.store.upload(&bucket, request.key()?, id).await.map_err(store_error)?;
    Ok((bucket, upload))
}

/// The number of the account that asks; 0 for nobody who said so.
fn uin(caller: Caller) -> u64 {
    match caller {
        Caller::Anonymous => 0,
        Caller::Account(account) => account.uin,
    }
}
