//! The COS request signature, `q-sign-algorithm=sha1`.
//!
//! Source: Request signature (436/7778), and what the SDKs do beside it; the traps are listed in
//! the functions that deal with them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
use http::{HeaderMap, HeaderName};

use crate::date::parse_http_date;
use crate::encode::{hex, percent_decode, url_encode};
use crate::error::{ApiError, Code};
use crate::header::name;
use crate::host::without_port;
use crate::query::Query;

/// A signature may start this many seconds in the server's future: clocks differ.
const START_LEEWAY_SECONDS: u64 = 300;
/// A `Date` header further away than this is refused.
const DATE_SKEW_SECONDS_MAX: u64 = 900;
/// No SDK comes near this; it bounds what an unsigned caller can make us parse.
const AUTHORIZATION_BYTES_MAX: usize = 8192;

/// What a secret signs with for some time. It never shows in debug output.
#[derive(Clone)]
pub struct SignKey(hmac::Key);

impl fmt::Debug for SignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignKey")
    }
}

/// The parts of a request that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The decoded path, with its leading slash and, in path style, the bucket.
    pub path: &'a [u8],
    /// The decoded query.
    pub query: &'a Query,
    /// The headers, as sent.
    pub headers: &'a HeaderMap,
    /// The authority that the request was sent to, with its port: `Host`, or the one of an
    /// absolute-form target.
    pub authority: &'a str,
}

/// A signature as presented, from whichever carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The SecretId.
    pub secret_id: String,
    sign_time: TimeWindow,
    key_time: TimeWindow,
    header_list: Vec<String>,
    param_list: Vec<String>,
    signature: String,
}

/// `start;end`, decimal seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeWindow {
    text: String,
    start: u64,
    end: u64,
}

impl TimeWindow {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once(';')?;
        let (start, end) = (start.parse().ok()?, end.parse().ok()?);
        (start < end).then(|| Self { text: text.to_owned(), start, end })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn contains(&self, now: u64) -> bool {
        self.start.saturating_sub(START_LEEWAY_SECONDS) <= now && now < self.end
    }
}

impl Presented {
    /// Finds the signature of a request: in the `Authorization` header, else as `sign=` or the
    /// seven `q-*` parameters of the query. `None` for an anonymous request; an empty
    /// `Authorization` is anonymous too.
    ///
    /// # Errors
    /// 403 `AccessDenied` for a signature that lacks a part or uses another algorithm.
    pub fn find(headers: &HeaderMap, query: &Query) -> Result<Option<Self>, ApiError> {
        if let Some(value) = headers.get(http::header::AUTHORIZATION) {
            let text =
                value.to_str().map_err(|_| denied("The Authorization header is not text."))?;
            if !text.trim().is_empty() {
                return Self::parse(text.trim()).map(Some);
            }
        }
        if let Some(sign) = query.get("sign").filter(|sign| !sign.is_empty()) {
            return Self::parse(sign).map(Some);
        }
        if query.has("q-signature") || query.has("q-sign-algorithm") {
            return Self::build(|key| query.get(key).map(Cow::Borrowed)).map(Some);
        }
        Ok(None)
    }

    /// Reads `k=v&k=v`; the order does not matter, and a value may hold `=`.
    fn parse(text: &str) -> Result<Self, ApiError> {
        if text.len() > AUTHORIZATION_BYTES_MAX {
            return Err(too_long());
        }
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(8);
        pairs.extend(text.split('&').filter_map(|pair| pair.trim().split_once('=')));
        let get = |key: &str| {
            let &(_, value) = pairs.iter().find(|(k, _)| *k == key)?;
            if !value.contains('%') {
                return Some(Cow::Borrowed(value));
            }
            String::from_utf8(percent_decode(value.as_bytes())?).ok().map(Cow::Owned)
        };
        // The header list of data-processing requests is percent-encoded within itself, so only
        // the separators may be undone here; no other part holds a `%`. A `;` within a name was
        // made lower-case with it, `%3b`.
        let raw = |key: &str| {
            let &(_, value) = pairs.iter().find(|(k, _)| *k == key)?;
            match value.contains("%3B") {
                true => Some(Cow::Owned(value.replace("%3B", ";"))),
                false => Some(Cow::Borrowed(value)),
            }
        };
        Self::build(|key| if key.ends_with("-list") { raw(key) } else { get(key) })
    }

    fn build<'t>(get: impl Fn(&str) -> Option<Cow<'t, str>>) -> Result<Self, ApiError> {
        let need =
            |key: &str| get(key).ok_or_else(|| denied(format!("The signature lacks {key}.")));
        if need("q-sign-algorithm")? != "sha1" {
            return Err(denied("The signature algorithm is not sha1."));
        }
        let window = |key: &str| {
            TimeWindow::parse(&need(key)?)
                .ok_or_else(|| denied(format!("{key} is not of the form <start>;<end>.")))
        };
        let list = |key: &str| {
            let names = need(key)?;
            if names.len() > AUTHORIZATION_BYTES_MAX {
                return Err(too_long());
            }
            let names = names.split(';').filter(|name| !name.is_empty());
            let mut names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
            names.sort_unstable();
            names.dedup(); // a name listed a thousand times must not cost a thousand times
            Ok::<_, ApiError>(names)
        };
        Ok(Self {
            secret_id: need("q-ak")?.into_owned(),
            sign_time: window("q-sign-time")?,
            key_time: window("q-key-time")?,
            header_list: list("q-header-list")?,
            param_list: list("q-url-param-list")?,
            signature: need("q-signature")?.into_owned(),
        })
    }

    /// Checks the time windows and the `Date` header against the server's clock.
    ///
    /// # Errors
    /// 403 `AccessDenied` "Request has expired" (the exact message makes SDKs correct their
    /// clock), 403 `RequestTimeTooSkewed`.
    pub fn check_time(&self, headers: &HeaderMap, now: u64) -> Result<(), ApiError> {
        if !self.key_time.contains(now) || !self.sign_time.contains(now) {
            return Err(denied("Request has expired"));
        }
        let date = headers.get(http::header::DATE).and_then(|value| value.to_str().ok());
        match date.and_then(parse_http_date) {
            Some(date) if date.abs_diff(now.cast_signed()) > DATE_SKEW_SECONDS_MAX => {
                Err(Code::RequestTimeTooSkewed.into())
            }
            _ => Ok(()),
        }
    }

    /// Compares the signature with the one that `secret_key` gives, in constant time.
    ///
    /// The `host` header is tried with and without its port, since some SDKs sign the host name
    /// alone; where the two time fields differ, a string to sign made with either is accepted.
    ///
    /// # Errors
    /// 403 `SignatureDoesNotMatch`, with what the server signed.
    pub fn verify(&self, signed: Signed<'_>, secret_key: &str) -> Result<(), ApiError> {
        self.verify_with(signed, &self.sign_key(secret_key))
    }

    /// The times for which a sign key is good, as they stand in the signature.
    pub fn key_time(&self) -> &str {
        &self.key_time.text
    }

    /// The key that a secret gives for the times of the signature. It serves for all signatures of these
    /// times.
    pub fn sign_key(&self, secret_key: &str) -> SignKey {
        let key = hmac_sha1(secret_key.as_bytes(), self.key_time.text.as_bytes());
        SignKey(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes()))
    }

    /// The same as [`verify`](Self::verify), with the sign key.
    ///
    /// # Errors
    /// 403 `SignatureDoesNotMatch`, with what the server signed.
    pub fn verify_with(&self, signed: Signed<'_>, sign_key: &SignKey) -> Result<(), ApiError> {
        let bare = Some(without_port(signed.authority)).filter(|bare| *bare != signed.authority);
        let other = Some(&self.sign_time).filter(|time| **time != self.key_time);
        for host in [Some(signed.authority), bare].into_iter().flatten() {
            let Some(http_string) = self.http_string(signed, host, Show::Everything) else { break };
            let digest = sha1(http_string.as_bytes());
            for time in [Some(&self.key_time), other].into_iter().flatten() {
                let tag = hmac::sign(&sign_key.0, string_to_sign(time, &digest).as_bytes());
                let signature = hex(tag.as_ref());
                let presented = self.signature.as_bytes();
                if constant_time::verify_slices_are_equal(signature.as_bytes(), presented).is_ok() {
                    return Ok(());
                }
            }
        }
        Err(self.mismatch(signed))
    }

    /// Whether the signature covers a header.
    pub fn covers(&self, header: &str) -> bool {
        self.header_list.iter().any(|listed| listed == header)
    }

    /// Whether the signature covers a query parameter.
    pub fn covers_param(&self, param: &str) -> bool {
        self.param_list.contains(&encode_name(param))
    }

    /// What users need most when a signature does not match: the two strings, secrets masked. A
    /// name that the signature lists and the request lacks never matches; it shows as such.
    fn mismatch(&self, signed: Signed<'_>) -> ApiError {
        let error = ApiError::from(Code::SignatureDoesNotMatch);
        let (Some(hashed), Some(masked)) = (
            self.http_string(signed, signed.authority, Show::Everything),
            self.http_string(signed, signed.authority, Show::NoSecrets),
        ) else {
            let message = "The signature covers a header or parameter that the request lacks.";
            return ApiError { message: message.into(), ..error };
        };
        let to_sign = string_to_sign(&self.key_time, &sha1(hashed.as_bytes()));
        error.with_detail("StringToSign", to_sign).with_detail("HttpString", masked)
    }

    /// The value of `Authorization`.
    fn authorization(&self) -> String {
        format!(
            "q-sign-algorithm=sha1&q-ak={}&q-sign-time={}&q-key-time={}&q-header-list={}\
             &q-url-param-list={}&q-signature={}",
            self.secret_id,
            self.sign_time.text,
            self.key_time.text,
            self.header_list.join(";"),
            self.param_list.join(";"),
            self.signature,
        )
    }

    /// `method LF path LF params LF headers LF`, with the decoded path, raw. `None` if a listed
    /// name is not in the request.
    fn http_string(&self, signed: Signed<'_>, host: &str, show: Show) -> Option<String> {
        let method = signed.method.to_ascii_lowercase();
        let path = String::from_utf8_lossy(signed.path);
        let params = listed_params(signed.query, &self.param_list, show)?;
        let headers = listed_headers(signed.headers, host, &self.header_list, show)?;
        Some([&method, "\n", &path, "\n", &params, "\n", &headers, "\n"].concat())
    }
}

/// Whether secret values stand in an HttpString, or stars in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    Everything,
    NoSecrets,
}

/// Signs a request, as a client does; returns the value for `Authorization`. All query parameters
/// that have a name, but `q-*` and `sign`, are signed, and the headers that `header_names` lists
/// (lower case).
pub fn sign(
    signed: Signed<'_>,
    header_names: &[&str],
    secret_id: &str,
    secret_key: &str,
    window: (u64, u64),
) -> String {
    let time =
        TimeWindow { text: format!("{};{}", window.0, window.1), start: window.0, end: window.1 };
    let params = signed.query.iter().map(|(name, _)| name);
    let params = params.filter(|name| !name.is_empty() && !is_signature_param(name));
    let mut presented = Presented {
        secret_id: secret_id.to_owned(),
        sign_time: time.clone(),
        key_time: time,
        header_list: name_list(header_names.iter().copied()),
        param_list: name_list(params),
        signature: String::new(),
    };
    // Every name was taken from the request, or is not in it and never will be right.
    let http_string = presented.http_string(signed, signed.authority, Show::Everything);
    let digest = sha1(http_string.unwrap_or_default().as_bytes());
    let sign_key = hmac_sha1(secret_key.as_bytes(), presented.key_time.text.as_bytes());
    let to_sign = string_to_sign(&presented.key_time, &digest);
    presented.signature = hmac_sha1(sign_key.as_bytes(), to_sign.as_bytes());
    presented.authorization()
}

/// Names as a signature lists them: encoded, in order, each once.
fn name_list<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let names: BTreeSet<String> = names.map(encode_name).collect();
    names.into_iter().collect()
}

/// A name as it is signed.
fn encode_name(name: &str) -> String {
    url_encode(name.as_bytes()).to_ascii_lowercase()
}

fn string_to_sign(time: &TimeWindow, digest: &str) -> String {
    ["sha1\n", &time.text, "\n", digest, "\n"].concat()
}

/// The parameters that the list names, in any spelling of their case. The parameters of the signature
/// itself are never among them.
fn listed_params(query: &Query, list: &[String], show: Show) -> Option<String> {
    if list.is_empty() {
        return Some(String::new());
    }
    let mut present: HashMap<String, Vec<&str>> = HashMap::new();
    for (name, value) in query.iter().filter(|(name, _)| !is_signature_param(name)) {
        present.entry(encode_name(name)).or_default().push(value);
    }
    let mut pairs = Vec::with_capacity(list.len());
    for listed in list {
        // Names come encoded, or, from some clients, as they are.
        let encoded = encode_name(listed);
        let name = if present.contains_key(listed) { listed } else { &encoded };
        for value in present.get(name)? {
            pairs.push((name.clone(), shown(name, value.as_bytes(), show)));
        }
    }
    Some(join_sorted(pairs))
}

fn is_signature_param(name: &str) -> bool {
    name.starts_with("q-") || name == "sign"
}

/// The headers that the list names; `host` is the one to sign. A repeated header gives one pair a
/// value (Go). Values are trimmed before they are encoded (Java).
fn listed_headers(headers: &HeaderMap, host: &str, list: &[String], show: Show) -> Option<String> {
    let mut pairs = Vec::with_capacity(list.len());
    for listed in list {
        if listed == "host" {
            pairs.push((listed.clone(), url_encode(host.as_bytes())));
            continue;
        }
        let header = listed_header(headers, listed)?;
        for value in headers.get_all(&header) {
            let value = shown(header.as_str(), value.as_bytes().trim_ascii(), show);
            pairs.push((encode_name(header.as_str()), value));
        }
    }
    Some(join_sorted(pairs))
}

/// The header that a name in the list means. Names come encoded, or, from some clients, as they are.
fn listed_header(headers: &HeaderMap, listed: &str) -> Option<HeaderName> {
    let names = [Some(listed.as_bytes().to_vec()), percent_decode(listed.as_bytes())];
    let mut names =
        names.into_iter().flatten().filter_map(|name| HeaderName::from_bytes(&name).ok());
    names.find(|name| headers.contains_key(name))
}

fn shown(name: &str, value: &[u8], show: Show) -> String {
    match show {
        Show::NoSecrets if is_secret(name) => "***".to_owned(),
        _ => url_encode(value),
    }
}

/// Headers whose values never leave the server.
fn is_secret(header: &str) -> bool {
    header.ends_with("-customer-key") || header == name::SECURITY_TOKEN
}

fn join_sorted(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort_unstable();
    let mut joined = String::new();
    for (at, (key, value)) in pairs.iter().enumerate() {
        joined.extend([if at > 0 { "&" } else { "" }, key, "=", value]);
    }
    joined
}

/// HMAC-SHA1 as lower-case hex. The inner key of the algorithm is the hex text, not the 20 bytes.
pub(crate) fn hmac_sha1(key: &[u8], message: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hex(hmac::sign(&key, message).as_ref())
}

pub(crate) fn sha1(message: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message).as_ref())
}

fn too_long() -> ApiError {
    denied("The signature is too long.")
}

fn denied(message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(Code::AccessDenied, message)
}

#[cfg(test)]
mod tests;
