//! What pages of other origins may see of an answer.

use cosine_store::BucketName;
use cosine_wire::xml::cors::{CorsConfiguration, CorsRule};
use cosine_wire::{ApiError, Code};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, header};

use crate::Api;
use crate::error::store_error;
use crate::reply::Reply;
use crate::request::Target;

/// A request that a page of some origin makes of a bucket.
#[derive(Debug)]
pub struct FromPage {
    origin: HeaderValue,
    method: Method,
    bucket: BucketName,
}

impl FromPage {
    /// Finds out whether a request is one. A preflight is not: its answer is all about this.
    pub fn find(parts: &Parts, target: Option<&Target>) -> Option<Self> {
        let origin = parts.headers.get(header::ORIGIN)?.clone();
        let bucket = target?.bucket.clone()?;
        let method = parts.method.clone();
        (method != Method::OPTIONS).then_some(Self { origin, method, bucket })
    }

    /// Lets the page see the answer, if the bucket's rules say so. Where the rules cannot be read, nobody
    /// is let see anything.
    pub async fn let_see(&self, api: &Api, mut reply: Reply) -> Reply {
        let Ok(Some(rules)) = rules_of(api, &self.bucket).await else { return reply };
        let origin = self.origin.to_str().unwrap_or_default();
        let found = rules.rule_for(origin, self.method.as_str(), &[]);
        let Some(rule) = found else {
            if rules.response_vary == Some(true) {
                reply = reply.with(header::VARY, HeaderValue::from_static("Origin"));
            }
            return reply;
        };
        allow_origin(reply, &rules, rule, &self.origin)
    }
}

async fn rules_of(api: &Api, name: &BucketName) -> Result<Option<CorsConfiguration>, ApiError> {
    let bucket = api.store.bucket(name).await.map_err(store_error)?;
    let document = api.store.bucket_cors(&bucket).await.map_err(store_error)?;
    document.map(|document| CorsConfiguration::parse(document.as_bytes())).transpose()
}

/// The answer to a preflight: what a page of this origin may ask for.
///
/// # Errors
/// 403 `AccessForbidden` where no rule fits, 404 `NoSuchBucket`.
pub async fn preflight(
    api: &Api,
    name: &BucketName,
    ask: Preflight<'_>,
) -> Result<Reply, ApiError> {
    let rules = rules_of(api, name).await?;
    let rule = rules.as_ref().and_then(|rules| {
        let headers: Vec<&str> = ask.headers.split(',').map(str::trim).collect();
        let headers: Vec<&str> = headers.into_iter().filter(|header| !header.is_empty()).collect();
        let origin = ask.origin.to_str().ok()?;
        Some((rules, rules.rule_for(origin, ask.method, &headers)?))
    });
    let Some((rules, rule)) = rule else { return Err(Code::AccessForbidden.into()) };
    let mut reply = Reply::empty(http::StatusCode::OK);
    reply = allow_origin(reply, rules, rule, ask.origin);
    reply = reply.with_text("access-control-allow-methods", rule.allowed_methods.join(","));
    if !ask.headers.is_empty() {
        reply = reply.with_text("access-control-allow-headers", ask.headers);
    }
    Ok(match rule.max_age_seconds {
        Some(seconds) => reply.with_text("access-control-max-age", seconds.to_string()),
        None => reply,
    })
}

/// What a browser asks before it sends a request.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'a> {
    /// Where the page is from.
    pub origin: &'a HeaderValue,
    /// The method of the request.
    pub method: &'a str,
    /// Its headers, comma-separated.
    pub headers: &'a str,
}

fn allow_origin(
    reply: Reply,
    rules: &CorsConfiguration,
    rule: &CorsRule,
    origin: &HeaderValue,
) -> Reply {
    let for_all = rule.is_for_all();
    let allowed = if for_all { HeaderValue::from_static("*") } else { origin.clone() };
    let mut reply = reply.with(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if !for_all {
        let yes = HeaderValue::from_static("true");
        reply = reply.with(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
    if !for_all || rules.response_vary == Some(true) {
        reply = reply.with(header::VARY, HeaderValue::from_static("Origin"));
    }
    if !rule.expose_headers.is_empty() {
        let name: HeaderName = header::ACCESS_CONTROL_EXPOSE_HEADERS;
        let exposed = HeaderValue::try_from(rule.expose_headers.join(","));
        reply = match exposed {
            Ok(exposed) => reply.with(name, exposed),
            Err(_) => reply,
        };
    }
    reply
}
