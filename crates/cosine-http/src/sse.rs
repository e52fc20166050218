//! Server-side encryption, as it stands in headers: what is asked for, which keys come, and what is shown.
//!
//! Source: Server-Side Encryption headers (436/7728), and section K of `PUT Object - Copy`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cosine_store::{Bucket, CustomerKey, Encryption, Shown, Upload};
use cosine_wire::header::{CUSTOMER_KEY, CustomerKeyHeaders, SOURCE_CUSTOMER_KEY, name};
use cosine_wire::{ApiError, Code};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::Api;
use crate::error::store_error;
use crate::reply::Reply;
use crate::request::Request;

/// The one algorithm.
pub const AES256: &str = "AES256";
/// What asks for SSE-KMS.
const COS_KMS: &str = "cos/kms";
/// An encryption context, as JSON, has at most this many bytes.
const CONTEXT_BYTES_MAX: usize = 4096;
/// Ids of keys have at most this many.
pub const KEY_ID_BYTES_MAX: usize = 256;

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(Code::InvalidArgument, message)
}

/// A customer's key that came, and who must hold it against what.
fn customer_key(
    api: &Api,
    request: &Request,
    names: CustomerKeyHeaders,
) -> Result<Option<CustomerKey>, ApiError> {
    let CustomerKeyHeaders { algorithm, key, md5 } = names;
    let values = (request.header(algorithm)?, request.header(key)?, request.header(md5)?);
    let (algorithm, key, md5) = match values {
        (None, None, None) => return Ok(None),
        (Some(algorithm), Some(key), Some(md5)) => (algorithm, key, md5),
        _ => {
            let all = format!("{algorithm}, {key} and {md5} go together.");
            return Err(invalid(all));
        }
    };
    if api.settings.customer_keys_need_tls && request.client.tls.is_none() {
        return Err(ApiError::new(
            Code::InvalidRequest,
            "A customer key is sent over HTTPS alone.",
        ));
    }
    if algorithm != AES256 {
        return Err(invalid(format!("{} is {AES256}.", names.algorithm)));
    }
    let key = Zeroizing::new(
        STANDARD.decode(key).map_err(|_| invalid(format!("{} is not base64.", names.key)))?,
    );
    let md5 = STANDARD.decode(md5).ok().and_then(|md5| md5.try_into().ok());
    let md5 = md5.ok_or_else(|| invalid(format!("{} is not an MD5 in base64.", names.md5)))?;
    CustomerKey::new(&key, md5)
        .map(Some)
        .map_err(|error| invalid(format!("{}: {error}.", names.key)))
}

/// The customer's key for the object that a request is about.
///
/// # Errors
/// 400 `InvalidArgument` for parts of the three headers, another algorithm, and what is no key of 256
/// bits with the MD5 that was announced.
pub fn key(api: &Api, request: &Request) -> Result<Option<CustomerKey>, ApiError> {
    customer_key(api, request, CUSTOMER_KEY)
}

/// The customer's key for the object that is copied from.
///
/// # Errors
/// As for [`key`].
pub fn source_key(api: &Api, request: &Request) -> Result<Option<CustomerKey>, ApiError> {
    customer_key(api, request, SOURCE_CUSTOMER_KEY)
}

/// How an object is to be encrypted: as the request says, or else as its bucket does.
///
/// # Errors
/// 400 `InvalidArgument`.
pub async fn wanted(api: &Api, request: &Request, bucket: &Bucket) -> Result<Encryption, ApiError> {
    if let Some(encryption) = asked(api, request)? {
        return Ok(encryption);
    }
    let default = api.store.bucket_encryption(bucket).await.map_err(store_error)?;
    Ok(default.map_or(Encryption::None, |default| default.wanted()))
}

/// How a request asks for an object to be encrypted, if it does.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn asked(api: &Api, request: &Request) -> Result<Option<Encryption>, ApiError> {
    let kind = request.header(name::SSE)?;
    let (key_id, context) =
        (request.header(name::SSE_KMS_KEY_ID)?, request.header(name::SSE_CONTEXT)?);
    let customer = key(api, request)?;
    if kind != Some(COS_KMS) && (key_id.is_some() || context.is_some()) {
        return Err(invalid(format!(
            "{} and {} go with {}: {COS_KMS}.",
            name::SSE_KMS_KEY_ID,
            name::SSE_CONTEXT,
            name::SSE
        )));
    }
    match (kind, customer) {
        (None, customer) => Ok(customer.map(Encryption::Customer)),
        (Some(_), Some(_)) => Err(invalid("An object is encrypted in one way, not in two.")),
        (Some(AES256), None) => Ok(Some(Encryption::Cos)),
        (Some(COS_KMS), None) => {
            let key_id = key_id.map(str::to_owned);
            if key_id.as_ref().is_some_and(|id| id.len() > KEY_ID_BYTES_MAX) {
                return Err(Code::KmsKeyNotExist.into());
            }
            Ok(Some(Encryption::Kms { key_id, context: encryption_context(context)? }))
        }
        (Some(_), None) => Err(invalid(format!("{} is {AES256} or {COS_KMS}.", name::SSE))),
    }
}

/// An encryption context: base64 of a JSON object.
fn encryption_context(value: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let Some(value) = value else { return Ok(vec![]) };
    let wrong = || invalid(format!("{} is not a JSON object in base64.", name::SSE_CONTEXT));
    let context = STANDARD.decode(value).map_err(|_| wrong())?;
    if context.len() > CONTEXT_BYTES_MAX {
        return Err(invalid(format!("{} is longer than 4 KB.", name::SSE_CONTEXT)));
    }
    let parsed: serde_json::Value = serde_json::from_slice(&context).map_err(|_| wrong())?;
    if parsed.is_object() { Ok(context) } else { Err(wrong()) }
}

/// Sees to it that what a part, or the end of an upload, says of its encryption is what the upload began
/// with: some SDKs say it once more.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn require_same(api: &Api, request: &Request, upload: &Upload) -> Result<(), ApiError> {
    let (kind, key_id) = match upload.shown() {
        Shown::Cos => (AES256, None),
        Shown::Kms(key_id) => (COS_KMS, Some(key_id)),
        Shown::Nothing | Shown::Customer => ("", None),
    };
    let said_kind = request.header(name::SSE)?;
    let said_key = request.header(name::SSE_KMS_KEY_ID)?;
    let same_context = match request.header(name::SSE_CONTEXT)? {
        None => true,
        said => {
            let said = encryption_context(said)?;
            api.store.upload_has_context(upload, &said).map_err(store_error)?
        }
    };
    let same = said_kind.is_none_or(|said| said == kind)
        && said_key.is_none_or(|said| Some(said) == key_id)
        && same_context;
    if same { Ok(()) } else { Err(invalid("The upload began with another encryption.")) }
}

/// The headers that bring a customer's key to another deployment.
pub fn customer_headers(key: Option<&CustomerKey>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(key) = key else { return headers };
    let text = Zeroizing::new(STANDARD.encode(key.key().bytes().as_slice()));
    let md5 = STANDARD.encode(key.md5());
    let CustomerKeyHeaders { algorithm, key, md5: md5_name } = CUSTOMER_KEY;
    for (name, value) in [(algorithm, AES256), (key, text.as_str()), (md5_name, md5.as_str())] {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// MD5 of the customer's key that an object is to be encrypted with.
pub fn md5_of(encryption: &Encryption) -> Option<[u8; 16]> {
    match encryption {
        Encryption::Customer(key) => Some(key.md5()),
        _ => None,
    }
}

/// The headers that say how an object is encrypted; never its context.
pub fn headers(shown: Shown<'_>, customer_md5: Option<[u8; 16]>) -> Vec<(&'static str, String)> {
    match shown {
        Shown::Nothing => vec![],
        Shown::Cos => vec![(name::SSE, AES256.to_owned())],
        Shown::Kms(key_id) => {
            vec![(name::SSE, COS_KMS.to_owned()), (name::SSE_KMS_KEY_ID, key_id.to_owned())]
        }
        Shown::Customer => {
            let md5 = customer_md5.map(|md5| (CUSTOMER_KEY.md5, STANDARD.encode(md5)));
            std::iter::once((CUSTOMER_KEY.algorithm, AES256.to_owned())).chain(md5).collect()
        }
    }
}

impl Reply {
    /// Says how an object is encrypted.
    pub fn with_encryption(self, shown: Shown<'_>, customer_md5: Option<[u8; 16]>) -> Self {
        self.with_texts(headers(shown, customer_md5))
    }
}
