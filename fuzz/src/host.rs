//! Where a request is addressed.

use cosine_http::operation::{Ask, route};
use cosine_http::request::{Head, Target};
use cosine_wire::encode::{encode_key, url_encode};
use cosine_wire::host::{Host, HostRules, without_port};
use cosine_wire::{ApiError, Code};

use crate::{RULES, message};

/// Reads the head of a request. Whatever it says, there is an answer; one host is one host with
/// and without port, in any case; and an object has the same name however a client encodes it,
/// and whether the bucket stands in the host or in the path.
pub fn host(data: &[u8]) {
    let Some(parts) = message::head(data) else { return };
    let refusal = ApiError::from(Code::NoSuchKey).document(&Head::resource(&parts), "i", "t");
    assert!(!refusal.chars().any(|c| c.is_ascii_control() && !"\t\n".contains(c)), "{refusal:?}");
    assert!(!refusal.contains("&#"), "{refusal:?}");
    let Ok(head) = Head::read(&parts) else { return };
    one_host_in_every_spelling(&RULES, &head.authority);
    let Ok((scope, target)) = head.address(&RULES) else { return };
    let _ = route(
        &head.method,
        scope,
        Ask { query: &head.query, headers: &head.headers, path: &head.path },
    );
    one_name_in_every_spelling(&RULES, &head, &target);
}

fn one_host_in_every_spelling(rules: &HostRules, authority: &str) {
    let host = rules.read(authority);
    assert_eq!(rules.read(without_port(authority)), host, "{authority}");
    assert_eq!(rules.read(&authority.to_ascii_uppercase()), host, "{authority}");
}

fn one_name_in_every_spelling(rules: &HostRules, head: &Head, target: &Target) {
    let (Some(bucket), Some(key)) = (&target.bucket, &target.key) else { return };
    let in_host = format!("{bucket}.cos.ap-guangzhou.myqcloud.com");
    let below = matches!(rules.read(&head.authority), Host::Root { .. });
    let places =
        [(head.authority.as_str(), below), (in_host.as_str(), false), ("127.0.0.1:9000", true)];
    for (authority, below) in places {
        let front = if below { format!("/{bucket}/") } else { "/".to_owned() };
        for encoded in [encode_key(key.as_str()), url_encode(key.as_str().as_bytes())] {
            let sent = message::get("h", &format!("{front}{encoded}"));
            let read = Head { authority: authority.to_owned(), ..Head::read(&sent).unwrap() };
            let (_, again) = read.address(rules).unwrap();
            assert_eq!((again.bucket.as_ref(), again.key.as_ref()), (Some(bucket), Some(key)));
        }
    }
}
