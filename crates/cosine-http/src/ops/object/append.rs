//! APPEND Object (436/7741).

use cosine_store::{Encryption, Error, PutRequest, StorageClass, Zones};
use cosine_wire::encode::hex;
use cosine_wire::header::name;
use cosine_wire::{ApiError, Code};

use super::put::{OBJECT_BYTES_MAX, check_length, stored};
use crate::Api;
use crate::acl::object_acl;
use crate::error::store_error;
use crate::params::{attributes, content_md5, storage_class, tags};
use crate::reply::Reply;
use crate::request::Request;
use crate::sse;
use cosine_wire::query::number;

/// Where to append: a number of bytes.
fn position(request: &Request) -> Result<u64, ApiError> {
    let position = request.query.get("position").and_then(number);
    position.ok_or_else(|| {
        ApiError::new(Code::InvalidArgument, "position is the length of the object, in bytes.")
    })
}

/// The class of the object; not every class is appended to.
fn appendable_class(request: &Request, zones: Zones) -> Result<StorageClass, ApiError> {
    let class = storage_class(request, zones)?;
    let tiering = [StorageClass::IntelligentTiering, StorageClass::MazIntelligentTiering];
    if class.is_archive() || tiering.contains(&class) {
        let message = format!("Objects of class {} are not appended to.", class.as_str());
        return Err(ApiError::new(Code::InvalidArgument, message));
    }
    Ok(class)
}

/// Appends to an object, or makes one that can be appended to.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    let bucket = api.permitted_bucket(&request).await?;
    let position = position(&request)?;
    check_length(&request)?;
    // Of later appends, the class is of no meaning.
    let class = match position {
        0 => appendable_class(&request, bucket.zones())?,
        _ => StorageClass::default_in(bucket.zones()),
    };
    let append = PutRequest {
        key: request.key()?.clone(),
        attributes: attributes(&request.headers)?,
        tags: tags(&request)?,
        acl: object_acl(&request)?,
        class,
        md5: content_md5(&request)?,
        encryption: match position {
            0 => sse::wanted(api, &request, &bucket).await?,
            // As the object is; a customer brings the key.
            _ => sse::asked(api, &request)?.unwrap_or_default(),
        },
        forbid_overwrite: false,
        bucket,
    };
    let (asked, customer_md5) =
        (sse::asked(api, &request)?.is_some(), sse::md5_of(&append.encryption));
    api.permit_extras(&request, &append.bucket, (&append.acl, &append.tags)).await?;
    request.body.allow(OBJECT_BYTES_MAX.saturating_sub(position));
    let mut appended = api.store.append(append.clone(), position, &mut request.body).await;
    if matches!(appended, Err(Error::OtherEncryption)) && !asked {
        // It was the default of the bucket, and there is an object, empty, that is encrypted otherwise.
        let append = PutRequest { encryption: Encryption::None, ..append };
        appended = api.store.append(append, position, &mut request.body).await;
    }
    let appended = appended.map_err(store_error)?;
    let length = appended.version.size.to_string();
    // Its name notwithstanding, an MD5: that of the bytes that were appended.
    Ok(stored(api, &appended.version, customer_md5)?
        .with_text(name::NEXT_APPEND_POSITION, length)
        .with_text(name::CONTENT_SHA1, hex(&appended.md5)))
}
