//! The signature of a request.

use cosine_http::request::Head;
use cosine_wire::encode::url_encode;
use cosine_wire::qsign::{Presented, Signed, sign};
use cosine_wire::query::Query;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::message;

const SECRET_ID: &str = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q";
const SECRET_KEY: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
/// Within the windows of the samples.
const NOW: u64 = 1_557_990_000;
/// What is longer is refused, whoever signed it.
const AUTHORIZATION_BYTES_MAX: usize = 8192;

/// Reads whatever a request presents as a signature; then signs the request as a client does and
/// presents that in every carrier: it verifies, and with another method or key it does not.
pub fn qsign(data: &[u8]) {
    let Some(parts) = message::head(data) else { return };
    let Ok(head) = Head::read(&parts) else { return };
    if let Ok(Some(presented)) = Presented::find(&head.headers, &head.query) {
        let _ = presented.check_time(&head.headers, NOW);
        let verified = presented.verify(signed(&head, &head.query, &head.headers), SECRET_KEY);
        let shown = verified.map_or_else(|error| error.document("r", "i", "t"), |()| String::new());
        assert!(!shown.contains(SECRET_KEY));
    }
    let mut headers = head.headers.clone();
    headers.remove(AUTHORIZATION);
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).chain(["host"]).collect();
    let unsigned = signed(&head, &head.query, &headers);
    let text = sign(unsigned, &names, SECRET_ID, SECRET_KEY, (NOW - 60, NOW + 600));
    if text.len() <= AUTHORIZATION_BYTES_MAX {
        in_a_header(&head, &headers, &text);
        in_the_query(&head, &headers, &text, parts.uri.query().unwrap_or_default());
    }
}

fn signed<'a>(head: &'a Head, query: &'a Query, headers: &'a HeaderMap) -> Signed<'a> {
    Signed {
        method: head.method.as_str(),
        path: head.path.as_bytes(),
        query,
        headers,
        authority: &head.authority,
    }
}

fn in_a_header(head: &Head, headers: &HeaderMap, text: &str) {
    let mut headers = headers.clone();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(text).unwrap());
    verifies(signed(head, &head.query, &headers));
}

/// `sign=`, and the seven parameters. They stand in front: the first of a name is the one that
/// counts.
fn in_the_query(head: &Head, headers: &HeaderMap, text: &str, rest: &str) {
    let whole = format!("sign={}&{rest}", url_encode(text.as_bytes()));
    verifies(signed(head, &Query::parse(&whole).unwrap(), headers));
    if head.query.get("sign").is_some_and(|sign| !sign.is_empty()) {
        return; // it outranks the seven
    }
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| format!("{name}={}&", url_encode(value.as_bytes())));
    let split = format!("{}{rest}", pairs.collect::<String>());
    verifies(signed(head, &Query::parse(&split).unwrap(), headers));
}

fn verifies(request: Signed<'_>) {
    let presented = Presented::find(request.headers, request.query).unwrap().unwrap();
    assert_eq!(presented.secret_id, SECRET_ID);
    presented.check_time(&HeaderMap::new(), NOW).unwrap();
    presented.verify(request, SECRET_KEY).unwrap();
    let changed = format!("X{}", request.method);
    assert!(presented.verify(Signed { method: &changed, ..request }, SECRET_KEY).is_err());
    assert!(presented.verify(request, "another").is_err());
}
