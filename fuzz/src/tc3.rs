//! The signatures of the Security Token Service: of JSON, and of forms.
//!
//! How they are made is written here a second time, as a client makes them. What the fuzzer invents is
//! never right; what is signed is right, and nothing else is right by its signature.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cosine_wire::date::iso_date;
use cosine_wire::encode::hex;
use cosine_wire::query::Query;
use cosine_wire::tc3::{Tc3, Tc3Ask, v1_is_right};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::message;

const SECRET_ID: &str = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q";
/// No kept input is signed with it.
const SECRET_KEY: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
const SERVICE: &str = "sts";
const HOST: &str = "sts.tencentcloudapi.com";
const NOW: u64 = 1_557_990_000;
/// Some clients of other services sign no more of a body than this.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const ONE_DAY: u64 = 86_400;
/// The names of all that is in a longer head may be more than a signature may name.
const HEAD_BYTES_MAX: usize = 7 << 10;

/// The head of a request, an empty line, and a body: reads whatever the request presents as a signature;
/// then signs it as a client does.
pub fn tc3(data: &[u8]) {
    let (head, body) = message::head_and_body(data);
    form(body);
    let Some(parts) = message::head(head).filter(|_| head.len() <= HEAD_BYTES_MAX) else { return };
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or(HOST);
    for lower_case in [true, false] {
        let ask = Tc3Ask { service: SERVICE, host, headers: &parts.headers, body, lower_case };
        let found = Tc3::find(&parts.headers);
        assert!(!found.is_some_and(|found| found.is_right(ask, SECRET_KEY)));
        signed(ask);
    }
}

fn signed(ask: Tc3Ask<'_>) {
    let mut headers = ask.headers.clone();
    headers.insert("x-tc-timestamp", HeaderValue::from(NOW));
    headers.entry("content-type").or_insert(HeaderValue::from_static("application/json"));
    headers.remove(AUTHORIZATION);
    let ask = Tc3Ask { headers: &headers, ..ask };
    let names = names(&headers);
    covers_what_it_has_to(ask, &names);
    let headers = presented(ask, &names, &sha256(ask.body));
    let ask = Tc3Ask { headers: &headers, ..ask };
    let found = Tc3::find(&headers).unwrap();
    assert_eq!((found.secret_id.as_str(), found.timestamp), (SECRET_ID, NOW));
    let is_text = headers["content-type"].to_str().is_ok();
    let unsigned = headers.get("x-tc-content-sha256").is_some_and(|of| of == UNSIGNED);
    assert_eq!(found.is_right(ask, SECRET_KEY), is_text && !unsigned);
    assert!(!found.is_right(ask, "another"));
    assert!(!found.is_right(Tc3Ask { service: "cvm", ..ask }, SECRET_KEY));
    assert!(!found.is_right(Tc3Ask { host: &format!("{}x", ask.host), ..ask }, SECRET_KEY));
    assert!(!found.is_right(Tc3Ask { body: &[ask.body, b" "].concat(), ..ask }, SECRET_KEY));
    for name in names {
        // The host is not taken from its header.
        let Some(value) = headers.get(&name).filter(|_| name != "host") else { continue };
        let mut changed = headers.clone();
        let value = [value.as_bytes(), b"x"].concat();
        changed.insert(name, HeaderValue::from_bytes(&value).unwrap());
        assert!(!found.is_right(Tc3Ask { headers: &changed, ..ask }, SECRET_KEY));
    }
    // The time is signed too, and the day has to be that of the time.
    for time in [NOW + 1, NOW + ONE_DAY, u64::MAX] {
        let mut later = headers.clone();
        later.insert("x-tc-timestamp", HeaderValue::from(time));
        let found = Tc3::find(&later).unwrap();
        assert!(!found.is_right(Tc3Ask { headers: &later, ..ask }, SECRET_KEY));
    }
}

/// The host and the type have to be signed, and the body itself.
fn covers_what_it_has_to(ask: Tc3Ask<'_>, names: &[HeaderName]) {
    let is_right = |headers: HeaderMap| {
        let ask = Tc3Ask { headers: &headers, ..ask };
        Tc3::find(&headers).unwrap().is_right(ask, SECRET_KEY)
    };
    for without in ["host", "content-type"] {
        let others = names.iter().filter(|name| **name != without).cloned();
        let headers = presented(ask, &others.collect::<Vec<_>>(), &sha256(ask.body));
        assert!(!is_right(headers), "{without} is not signed");
    }
    let mut headers = ask.headers.clone();
    headers.insert("x-tc-content-sha256", HeaderValue::from_static(UNSIGNED));
    for hashed in [sha256(UNSIGNED.as_bytes()), UNSIGNED.to_owned()] {
        let headers = presented(Tc3Ask { headers: &headers, ..ask }, names, &hashed);
        assert!(!is_right(headers), "the body is not signed");
    }
}

/// The headers with the signature of these, and of a body that hashes to this.
fn presented(ask: Tc3Ask<'_>, names: &[HeaderName], hashed: &str) -> HeaderMap {
    let mut headers = ask.headers.clone();
    headers.insert(AUTHORIZATION, authorization(ask, names, hashed));
    headers
}

/// The names that a client signs: the two that it has to, and every other that is text.
fn names(headers: &HeaderMap) -> Vec<HeaderName> {
    let two = ["content-type", "host"].map(HeaderName::from_static);
    // One that is there several times counts as its first.
    let others = headers.keys().filter(|name| {
        !two.contains(name) && *name != AUTHORIZATION && headers[*name].to_str().is_ok()
    });
    let mut names: Vec<HeaderName> = two.iter().chain(others).cloned().collect();
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names
}

fn authorization(ask: Tc3Ask<'_>, names: &[HeaderName], hashed: &str) -> HeaderValue {
    let mut canonical = "POST\n/\n\n".to_owned();
    for name in names {
        let value = ask.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let value = if *name == "host" { ask.host } else { value.unwrap_or_default() }.trim();
        let value = if ask.lower_case { value.to_lowercase() } else { value.to_owned() };
        canonical += &format!("{name}:{value}\n");
    }
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    let names = names.join(";");
    canonical += &format!("\n{names}\n{hashed}");
    let date = &iso_date(NOW.cast_signed())[..10];
    let scope = format!("{date}/{SERVICE}/tc3_request");
    let text = format!("TC3-HMAC-SHA256\n{NOW}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let keys = [date, SERVICE, "tc3_request", &text];
    let first = format!("TC3{SECRET_KEY}").into_bytes();
    let signature = keys.iter().fold(first, |key, text| mac(hmac::HMAC_SHA256, &key, text));
    let signature = hex(&signature);
    let text = format!(
        "TC3-HMAC-SHA256 Credential={SECRET_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    HeaderValue::from_str(&text).unwrap()
}

/// Reads a body as the form that the older signature is of.
fn form(body: &[u8]) {
    let Some(form) = Query::parse(&String::from_utf8_lossy(body)) else { return };
    let params = form.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut params: Vec<(String, String)> = params.collect();
    let signature = form.get("Signature").unwrap_or_default();
    assert!(!v1_is_right(HOST, &params, signature, SECRET_KEY));
    params.retain(|(name, _)| name != "Signature");
    assert!(!v1_is_right(HOST, &params, signature, SECRET_KEY));
    // Whoever asks for these is refused before that: with them, one form is signed as another.
    if params.iter().any(|(name, value)| name.contains(['&', '=']) || value.contains('&')) {
        return;
    }
    let method =
        |(name, value): &(String, String)| name == "SignatureMethod" && value == "HmacSHA256";
    let algorithm = match params.iter().any(method) {
        true => hmac::HMAC_SHA256,
        false => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    };
    let mut sorted = params.clone();
    sorted.sort_unstable();
    let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!("POST{HOST}/?{}", pairs.join("&"));
    let signature = STANDARD.encode(mac(algorithm, SECRET_KEY.as_bytes(), &text));
    let is_right = |params: &[(String, String)]| v1_is_right(HOST, params, &signature, SECRET_KEY);
    assert!(is_right(&params) && is_right(&sorted));
    assert!(!v1_is_right("another", &params, &signature, SECRET_KEY));
    assert!(!v1_is_right(HOST, &params, &signature, "another"));
    assert!(!v1_is_right(HOST, &params, &signature[1..], SECRET_KEY));
    let more = [&params[..], &[("Policy".to_owned(), String::new())]].concat();
    assert!(!is_right(&more), "one parameter more than was signed");
    for at in 0..params.len() {
        let mut other = params.clone();
        other[at].1.push('x');
        assert!(!is_right(&other), "another value than was signed");
        other.remove(at);
        assert!(!is_right(&other), "one parameter less than was signed");
    }
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}
