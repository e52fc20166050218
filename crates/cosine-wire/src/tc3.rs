//! The signatures of Tencent Cloud's JSON APIs: `TC3-HMAC-SHA256`, and the older one of forms, which the STS
//! SDKs still send. Source: Signature v3 (1278/85299), Signature v1 (1278/85298).

use std::collections::HashSet;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use crate::date::iso_date;
use crate::encode::hex;

/// A request may be this many seconds old, or ahead.
pub const SKEW_SECONDS_MAX: u64 = 300;

/// No `Authorization` is longer.
const AUTHORIZATION_BYTES_MAX: usize = 8192;

/// A signature of `TC3-HMAC-SHA256`, as presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tc3 {
    /// The SecretId.
    pub secret_id: String,
    /// Seconds since 1970 UTC.
    pub timestamp: u64,
    date: String,
    service: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Tc3 {
    /// Reads `Authorization` and `X-TC-Timestamp`; `None` if they are not of this form. Each header is
    /// signed once: what is named a thousand times would be hashed a thousand times.
    pub fn find(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        if text.len() > AUTHORIZATION_BYTES_MAX {
            return None;
        }
        let text = text.strip_prefix("TC3-HMAC-SHA256")?;
        let timestamp = headers.get("x-tc-timestamp")?.to_str().ok()?.parse().ok()?;
        let part = |name: &str| {
            text.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = part("Credential")?.split('/');
        let [secret_id, date, service, end] = [(); 4].map(|()| scope.next().unwrap_or_default());
        let names = part("SignedHeaders")?.split(';');
        let signed_headers: Vec<String> = names.map(str::to_ascii_lowercase).collect();
        let mut seen = HashSet::new();
        if !signed_headers.iter().all(|name| seen.insert(name.as_str())) {
            return None;
        }
        let found = Self {
            secret_id: secret_id.to_owned(),
            timestamp,
            date: date.to_owned(),
            service: service.to_owned(),
            signature: part("Signature")?.to_owned(),
            signed_headers,
        };
        (end == "tc3_request" && scope.next().is_none()).then_some(found)
    }

    /// Compares the signature with the one that the secret gives, in constant time. `host` is where the
    /// request was sent. The signature must cover the host and the type of the body, and be for this
    /// service and of the day of its timestamp.
    pub fn is_right(&self, ask: Tc3Ask<'_>, secret_key: &str) -> bool {
        let day = iso_date(self.timestamp.cast_signed());
        let covers = |name: &str| self.signed_headers.iter().any(|header| header == name);
        if !day.starts_with(&self.date)
            || self.date.len() != 10
            || self.service != ask.service
            || !covers("host")
            || !covers("content-type")
        {
            return false;
        }
        // What says who may do what is never taken unsigned.
        let unsigned = ask.headers.get("x-tc-content-sha256");
        if unsigned.is_some_and(|value| value == "UNSIGNED-PAYLOAD") {
            return false;
        }
        let Some(canonical) = self.canonical_request(ask) else { return false };
        let (time, date, service) = (self.timestamp, &self.date, &self.service);
        let digest = sha256(canonical.as_bytes());
        let to_sign = format!("TC3-HMAC-SHA256\n{time}\n{date}/{service}/tc3_request\n{digest}");
        let key = hmac_sha256(format!("TC3{secret_key}").as_bytes(), date);
        let key = hmac_sha256(hmac_sha256(key.as_ref(), service).as_ref(), "tc3_request");
        let signature = hex(hmac_sha256(key.as_ref(), &to_sign).as_ref());
        constant_time::verify_slices_are_equal(signature.as_bytes(), self.signature.as_bytes())
            .is_ok()
    }

    fn canonical_request(&self, ask: Tc3Ask<'_>) -> Option<String> {
        let mut headers = String::new();
        for name in &self.signed_headers {
            let value = match name.as_str() {
                "host" => ask.host,
                name => ask.headers.get(name)?.to_str().ok()?,
            };
            // Some clients sign values in lower case, as the rule is, and some as they are.
            let value = match ask.lower_case {
                true => value.trim().to_ascii_lowercase(),
                false => value.trim().to_owned(),
            };
            headers += &format!("{name}:{value}\n");
        }
        let body = sha256(ask.body);
        let names = self.signed_headers.join(";");
        Some(format!("POST\n/\n\n{headers}\n{names}\n{body}"))
    }
}

/// The parts of a request that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Tc3Ask<'a> {
    /// The service that is asked, such as `sts`.
    pub service: &'a str,
    /// Where the request was sent.
    pub host: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// Whether values of headers are signed in lower case.
    pub lower_case: bool,
}

/// Whether the older signature of a form is right: HMAC-SHA1, or HMAC-SHA256 where the form says so, of the
/// parameters in their order. `params` are decoded once, without the signature itself.
pub fn v1_is_right(
    host: &str,
    params: &[(String, String)],
    signature: &str,
    secret_key: &str,
) -> bool {
    let mut sorted: Vec<_> = params.iter().collect();
    sorted.sort();
    let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!("POST{host}/?{}", pairs.join("&"));
    let is_sha256 =
        params.iter().any(|(name, value)| name == "SignatureMethod" && value == "HmacSHA256");
    let algorithm = if is_sha256 { hmac::HMAC_SHA256 } else { hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY };
    let key = hmac::Key::new(algorithm, secret_key.as_bytes());
    let right = STANDARD.encode(hmac::sign(&key, text.as_bytes()).as_ref());
    constant_time::verify_slices_are_equal(right.as_bytes(), signature.as_bytes()).is_ok()
}

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
    const KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
    const BODY: &[u8] = br#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;

    fn sample(signature: &str) -> HeaderMap {
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={ID}/2019-02-25/cvm/tc3_request, \
             SignedHeaders=content-type;host, Signature={signature}"
        );
        let mut headers = HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        headers.insert("x-tc-timestamp", "1551113065".parse().unwrap());
        headers.insert("content-type", "application/json; charset=utf-8".parse().unwrap());
        headers
    }

    /// The published example of the algorithm.
    #[test]
    fn the_published_vector_and_what_differs_from_it() {
        let signature = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168";
        let right = |headers: &HeaderMap, host, service, body, key| {
            let ask = Tc3Ask { service, host, headers, body, lower_case: true };
            Tc3::find(headers).is_some_and(|tc3| tc3.is_right(ask, key))
        };
        let headers = sample(signature);
        let host = "cvm.tencentcloudapi.com";
        assert!(right(&headers, host, "cvm", BODY, KEY));
        assert!(!right(&headers, "sts.tencentcloudapi.com", "cvm", BODY, KEY));
        assert!(!right(&headers, host, "sts", BODY, KEY));
        assert!(!right(&headers, host, "cvm", b"{}", KEY));
        assert!(!right(&headers, host, "cvm", BODY, "other"));
        assert!(!right(&sample(&signature.replace('7', "8")), host, "cvm", BODY, KEY));
        let mut later = headers.clone();
        later.insert("x-tc-timestamp", "1551313065".parse().unwrap());
        assert!(!right(&later, host, "cvm", BODY, KEY));
    }

    /// Not as long as the heads of requests may be, and no header over and over.
    #[test]
    fn what_is_signed_is_bounded() {
        let found = |names: &str| {
            let mut headers = sample("0");
            let text = headers["authorization"].to_str().unwrap().replace("host", names);
            headers.insert("authorization", text.parse().unwrap());
            Tc3::find(&headers).is_some()
        };
        assert!(found("host;a;b"));
        assert!(!found("host;a;b;A"));
        assert!(!found(&format!("host;{}", "a".repeat(AUTHORIZATION_BYTES_MAX))));
    }

    #[test]
    fn the_published_vector_of_the_older_algorithm() {
        let params = [
            ("Action", "DescribeInstances"),
            ("InstanceIds.0", "ins-09dx96dg"),
            ("Limit", "20"),
            ("Nonce", "11886"),
            ("Offset", "0"),
            ("Region", "ap-guangzhou"),
            ("SecretId", ID),
            ("Timestamp", "1465185768"),
            ("Version", "2017-03-12"),
        ];
        // Published for GET; for POST the first word is another one, and all the rest the same.
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let host = "cvm.tencentcloudapi.com";
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, KEY.as_bytes());
        let pairs: Vec<String> = params.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let of = |method: &str| {
            let text = format!("{method}{host}/?{}", pairs.join("&"));
            STANDARD.encode(hmac::sign(&key, text.as_bytes()).as_ref())
        };
        assert_eq!(of("GET"), "EliP9YW3pW28FpsEdkXt/+WcGeI=");
        assert!(v1_is_right(host, &params, &of("POST"), KEY));
        assert!(!v1_is_right("other", &params, &of("POST"), KEY));
        assert!(!v1_is_right(host, &params[1..], &of("POST"), KEY));
    }
}
