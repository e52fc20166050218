//! POST Object (436/14690): an object from a form, as browsers send it.

use std::sync::Arc;

use cosine_access::Caller;
use cosine_store::{ObjectKey, PutRequest};
use cosine_wire::encode::{encode_key, url_encode};
use cosine_wire::header::{META_PREFIX, SYSTEM_METADATA, name};
use cosine_wire::post_policy::{FormSignature, PostPolicy, field};
use cosine_wire::qsign::{Presented, Signed};
use cosine_wire::xml::post::document;
use cosine_wire::{ApiError, Code};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::put::{OBJECT_BYTES_MAX, check_length, stored};
use crate::Api;
use crate::acl::object_acl;
use crate::error::store_error;
use crate::form::Form;
use crate::params::{attributes, content_md5, forbid_overwrite, storage_class, tags};
use crate::reply::{Reply, ReplyBody};
use crate::request::{Request, name_error};
use crate::sse;

/// What comes around a file of the greatest size.
const FORM_BYTES: u64 = 1 << 20;

/// What the form says of its answer.
struct Answer {
    redirect: Option<String>,
    status: StatusCode,
}

impl Answer {
    /// A redirect that is no address is ignored, and so is another status.
    fn of(fields: &[(String, String)]) -> Self {
        let redirect = field(fields, "success_action_redirect");
        let redirect = redirect.filter(|url| {
            let uri: Result<http::Uri, _> = url.parse();
            uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
        });
        let status = match field(fields, "success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        };
        Self { redirect: redirect.map(str::to_owned), status }
    }

    fn render(&self, request: &Request, mut reply: Reply, etag: &str) -> Result<Reply, ApiError> {
        let (bucket, key) = (request.bucket()?.as_str(), request.key()?.as_str());
        let scheme = if request.client.tls.is_some() { "https" } else { "http" };
        let base = request.path.trim_end_matches('/');
        let location = format!("{scheme}://{}{base}/{}", request.authority, encode_key(key));
        if let Some(url) = &self.redirect {
            let joint = if url.contains('?') { '&' } else { '?' };
            let key = url_encode(key.as_bytes());
            let to = format!("{url}{joint}bucket={bucket}&key={key}&etag=%22{etag}%22");
            reply.status = StatusCode::SEE_OTHER;
            return Ok(reply.with_text("location", to));
        }
        reply.status = self.status;
        if self.status == StatusCode::CREATED {
            let body = document(&location, bucket, key, etag);
            reply = reply.with_xml_type();
            reply.body = ReplyBody::Whole(body.into());
        }
        Ok(reply.with_text("location", location))
    }
}

/// Stores the file of a form, once the form is signed, allowed by its own policy, and its signer may.
pub async fn run(api: &Api, mut request: Request) -> Result<Reply, ApiError> {
    if !request.headers.contains_key(header::CONTENT_LENGTH) && !request.body.is_framed() {
        return Err(Code::MissingContentLength.into());
    }
    check_length(&request)?;
    require_no_headers(&request)?;
    let mut body = request.body.take();
    body.allow(OBJECT_BYTES_MAX + FORM_BYTES);
    let mut form = Form::read(&request.headers, body).await?;
    let key = field(&form.fields, "key").filter(|key| !key.is_empty()).ok_or_else(|| {
        ApiError::new(
            Code::MalformedPOSTRequest,
            "The form lacks a key, or it comes after the file.",
        )
    })?;
    let key = key.replace("${filename}", &form.filename);
    set_field(&mut form.fields, "key", key.clone());
    request.target.key = Some(ObjectKey::parse(key).map_err(name_error)?);
    let known = authenticate(api, &mut request, &form.fields).await;
    let (least, most) = known.inspect_err(|error| {
        let name = request.target.key.as_ref().map_or("", ObjectKey::as_str);
        api.audit.refused(&request, (request.action().name(), name), error);
    })?;
    form.file.require_length((least, most.min(OBJECT_BYTES_MAX)));
    request.headers = headers(&request, &form.fields)?;
    let bucket = api.permitted_bucket(&request).await?;
    let put = PutRequest {
        key: request.key()?.clone(),
        attributes: attributes(&request.headers)?,
        tags: tags(&request)?,
        acl: object_acl(&request)?,
        class: storage_class(&request, bucket.zones())?,
        md5: content_md5(&request)?,
        encryption: sse::wanted(api, &request, &bucket).await?,
        forbid_overwrite: forbid_overwrite(&request)?,
        bucket,
    };
    let customer_md5 = sse::md5_of(&put.encryption);
    api.permit_extras(&request, &put.bucket, (&put.acl, &put.tags)).await?;
    let version = api.store.put(put, &mut form.file).await;
    let version = version.map_err(|error| match form.file.refusal.take() {
        Some(refusal) => refusal,
        None => store_error(error),
    })?;
    let reply = stored(api, &version, customer_md5)?;
    let etag = api.store.sums(&version).map_err(store_error)?.etag.to_string();
    Answer::of(&form.fields).render(&request, reply, &etag)
}

/// What a form says stands in its fields. A header that says it would be ignored: it is refused.
fn require_no_headers(request: &Request) -> Result<(), ApiError> {
    let says = |name: &&str| name.starts_with("x-cos-") && *name != name::SECURITY_TOKEN;
    let said = request.headers.keys().map(HeaderName::as_str).find(says);
    match said.filter(|name| *name != name::SDK_RETRY) {
        Some(name) => {
            let message = format!("{name} is a field of the form, not a header beside it.");
            Err(ApiError::new(Code::InvalidArgument, message))
        }
        None => Ok(()),
    }
}

/// Finds out who signed the form, and holds the form against its policy; returns how long the file may be.
/// A form without a signature is nobody's, unless the request itself is signed.
async fn authenticate(
    api: &Api,
    request: &mut Request,
    fields: &[(String, String)],
) -> Result<(u64, u64), ApiError> {
    let now = request.at;
    let token = field(fields, name::SECURITY_TOKEN).filter(|token| !token.is_empty());
    if let Some(authorization) = field(fields, "signature") {
        let mut carrier = HeaderMap::new();
        let value = HeaderValue::from_str(authorization).map_err(|_| Code::AccessDenied)?;
        carrier.insert(header::AUTHORIZATION, value);
        let presented = Presented::find(&carrier, &request.query)?.ok_or(Code::AccessDenied)?;
        let signer = api.directory.signer(&presented.secret_id, token).await?;
        presented.check_time(&request.headers, now)?;
        let signed = Signed {
            method: "POST",
            path: request.path.as_bytes(),
            query: &request.query,
            headers: &request.headers,
            authority: &request.authority,
        };
        signer.verify(&presented, signed)?;
        signer.require_unexpired(now)?;
        request.caller = Caller::Known(Arc::clone(&signer.identity));
    }
    let Some(signature) = FormSignature::find(fields)? else {
        // Nothing covers what the form says: it gives nothing away.
        require_cover(fields, |_| request.caller.is_anonymous())?;
        return match field(fields, "policy") {
            Some(_) => Err(ApiError::new(Code::AccessDenied, "The policy is not signed.")),
            None => Ok((0, u64::MAX)),
        };
    };
    let policy = field(fields, "policy").unwrap_or_default();
    let text = decode(policy).ok_or_else(|| {
        ApiError::new(Code::InvalidPolicyDocument, "The policy is not UTF-8 in base64.")
    })?;
    let signer = api.directory.signer(&signature.secret_id, token).await?;
    signature.verify(&text, &signer.credential.secret_key, now)?;
    signer.require_unexpired(now)?;
    let policy = PostPolicy::parse(&text)?;
    policy.check(fields, request.bucket()?.as_str(), now)?;
    require_cover(fields, |name| policy.covers(name))?;
    request.caller = Caller::Known(Arc::clone(&signer.identity));
    Ok(policy.length_range())
}

/// What gives access away has to be what the policy of the form says.
fn require_cover(
    fields: &[(String, String)],
    covers: impl Fn(&str) -> bool,
) -> Result<(), ApiError> {
    let gives_away =
        |name: &str| name == "acl" || name == name::ACL || name.starts_with("x-cos-grant-");
    let (mut acl, mut uncovered) = (0, None);
    for (name, _) in fields.iter().filter(|(name, _)| gives_away(name)) {
        acl += usize::from(name == "acl" || name == name::ACL);
        uncovered = uncovered.or((!covers(name)).then_some(name));
    }
    match uncovered {
        _ if acl > 1 => {
            let message = "The form says its ACL twice.";
            Err(ApiError::new(Code::MalformedPOSTRequest, message))
        }
        Some(name) => {
            let message = format!("{name} is not covered by the policy of the form.");
            Err(ApiError::new(Code::AccessDenied, message))
        }
        None => Ok(()),
    }
}

fn decode(policy: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(policy.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

fn set_field(fields: &mut [(String, String)], name: &str, value: String) {
    if let Some(field) = fields.iter_mut().find(|(known, _)| known == name) {
        field.1 = value;
    }
}

/// The fields that would be headers of a PUT, as such: all that comes after is one way for both.
///
/// # Errors
/// 400 `InvalidArgument` for what no header can hold, 501 for what is not built.
fn headers(request: &Request, fields: &[(String, String)]) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    if let Some(length) = request.headers.get(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length.clone());
    }
    for (field, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let name = if field == "acl" { name::ACL } else { field };
        let is_header = name.starts_with("x-cos-")
            || SYSTEM_METADATA.contains(&name)
            || name == "content-md5"
            || name == "pic-operations";
        if !is_header || name == name::SECURITY_TOKEN {
            continue;
        }
        if request.row.refuses_header(name) {
            let message = format!("{name} is not implemented here.");
            return Err(ApiError::new(Code::NotImplemented, message));
        }
        let invalid = |_| {
            ApiError::new(Code::InvalidArgument, format!("The field {name} is no header value."))
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Code::InvalidArgument)?;
        let value = match name.starts_with(META_PREFIX) {
            true => HeaderValue::from_bytes(value.as_bytes()).map_err(invalid)?,
            false => HeaderValue::from_str(value).map_err(invalid)?,
        };
        headers.insert(header, value);
    }
    Ok(headers)
}
