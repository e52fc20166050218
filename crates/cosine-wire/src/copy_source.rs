//! The `x-cos-copy-source` header.
//!
//! Source: `PUT Object - Copy`, request headers (C10-C24 of the checklist), and the forms that
//! the SDKs, cosfs and S3 clients send.

use crate::encode::percent_decode;
use crate::error::{ApiError, Code};
use crate::host::{Endpoint, Host, HostRules, is_bucket_name};

/// What a copy reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    /// `<name>-<appid>`.
    pub bucket: String,
    /// The region in which the bucket must live; `None` where the header names none that binds.
    pub region: Option<String>,
    /// The decoded key; its rules are checked by whoever opens it.
    pub key: String,
    /// The version named by `?versionId=`.
    pub version_id: Option<String>,
}

impl CopySource {
    /// Reads the header in every form that clients send: `<bucket host>/<key>`, `/<bucket>/<key>`,
    /// `<bucket>/<key>`, `<root host>/<bucket>/<key>`; with or without scheme, `/` or `%2F` after
    /// the host; `?versionId=` split off before the one decoding.
    ///
    /// # Errors
    /// 400 `InvalidCopySource` for everything that names no object, 400
    /// `ActionAccelerateNotSupported` for acceleration domains.
    pub fn parse(header: &[u8], rules: &HostRules) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(header).map_err(|_| invalid("it is not UTF-8"))?.trim();
        let text = strip_prefix_ignore_case(text, "http://")
            .or_else(|| strip_prefix_ignore_case(text, "https://"))
            .unwrap_or(text);
        let (place, version_id) = split_version(text)?;
        let place = place.strip_prefix('/').unwrap_or(place);
        let (first, rest) = split_slash(place)?;
        if is_bucket_name(first) {
            return Self::new(first, None, rest, version_id);
        }
        match rules.read(first) {
            Host::Bucket(host) => match host.endpoint {
                Endpoint::Api => Self::new(&host.bucket, host.region, rest, version_id),
                Endpoint::Accelerate => Err(ApiError::new(
                    Code::ActionAccelerateNotSupported,
                    "A global acceleration domain cannot be a copy source.",
                )),
                Endpoint::Website => Err(invalid("a website host is not a copy source")),
            },
            Host::Root { region } => {
                let (bucket, key) = split_slash(rest)?;
                if is_bucket_name(bucket) {
                    Self::new(bucket, region, key, version_id)
                } else {
                    Err(invalid("it names no bucket of the form <name>-<appid>"))
                }
            }
            Host::Control | Host::DataProcessing => Err(invalid("the host holds no objects")),
        }
    }

    fn new(
        bucket: &str,
        region: Option<String>,
        encoded_key: &str,
        version_id: Option<String>,
    ) -> Result<Self, ApiError> {
        let key = decode(encoded_key)?;
        if key.is_empty() {
            return Err(invalid("the key is empty"));
        }
        Ok(Self { bucket: bucket.to_owned(), region, key, version_id })
    }
}

/// Splits at the literal `?versionId=`; a `?` that belongs to the key is sent as `%3F` (C12). An
/// empty version id is no version id.
fn split_version(text: &str) -> Result<(&str, Option<String>), ApiError> {
    let Some((place, query)) = text.split_once('?') else { return Ok((text, None)) };
    let id = strip_prefix_ignore_case(query, "versionid=")
        .ok_or_else(|| invalid("only ?versionId= may follow the key"))?;
    Ok((place, Some(decode(id)?).filter(|id| !id.is_empty())))
}

/// Splits at the first `/` or `%2F`, whichever comes first.
fn split_slash(text: &str) -> Result<(&str, &str), ApiError> {
    let encoded = text
        .match_indices('%')
        .map(|(at, _)| at)
        .find(|&at| text.get(at..at + 3).is_some_and(|s| s.eq_ignore_ascii_case("%2f")));
    let (at, width) = match (text.find('/'), encoded) {
        (Some(plain), Some(encoded)) if encoded < plain => (encoded, 3),
        (Some(plain), _) => (plain, 1),
        (None, Some(encoded)) => (encoded, 3),
        (None, None) => return Err(invalid("it has no key")),
    };
    match (text.get(..at), text.get(at + width..)) {
        (Some(front), Some(rest)) if !front.is_empty() => Ok((front, rest)),
        _ => Err(invalid("it names no bucket")),
    }
}

fn decode(text: &str) -> Result<String, ApiError> {
    percent_decode(text.as_bytes())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| invalid("it is not percent-encoded UTF-8"))
}

fn strip_prefix_ignore_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    text.get(..prefix.len())
        .filter(|front| front.eq_ignore_ascii_case(prefix))
        .and_then(|front| text.get(front.len()..))
}

fn invalid(why: &str) -> ApiError {
    ApiError::new(Code::InvalidCopySource, format!("The copy source is not valid: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{encode_key, url_encode};
    use crate::host::ServedRegions;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn rules() -> HostRules {
        HostRules::new(
            vec!["cos.example.com".into()],
            ServedRegions::Named(vec!["ap-x".into()]),
            HashMap::new(),
        )
    }

    fn parse(header: &str) -> Result<CopySource, Code> {
        CopySource::parse(header.as_bytes(), &rules()).map_err(|error| error.code)
    }

    #[test]
    fn every_form_that_clients_send() {
        let table = [
            ("s-1.cos.ap-shanghai.myqcloud.com/a/b.jpg", Some("ap-shanghai"), "a/b.jpg", None),
            ("s-1.cos.ap-x.tencentcos.cn/a%2Fb", Some("ap-x"), "a/b", None),
            ("s-1.cos.ap-x.myqcloud.com%2Fa%2Fb", Some("ap-x"), "a/b", None),
            ("s-1.cos-internal.ap-x.tencentcos.cn/a", Some("ap-x"), "a", None),
            ("s-1.cn-south.myqcloud.com/a", Some("cn-south"), "a", None),
            ("s-1.ap-x.mycloud.com/a", None, "a", None),
            ("s-1.cos.example.com:9000/a", None, "a", None),
            ("http://s-1.cos.ap-x.localhost:9000/a", Some("ap-x"), "a", None),
            ("/s-1/a/b", None, "a/b", None),
            ("s-1/a", None, "a", None),
            ("127.0.0.1:9000/s-1/a", None, "a", None),
            ("cos.ap-x.myqcloud.com/s-1/a", Some("ap-x"), "a", None),
            ("s-1/%E8%85%BE.jpg", None, "腾.jpg", None),
            ("s-1/a+b", None, "a+b", None),
            ("s-1/a%3Fb?versionId=MTg0", None, "a?b", Some("MTg0")),
            ("s-1/a?versionid=x%3D", None, "a", Some("x=")),
            ("s-1/a?versionId=", None, "a", None),
            ("s-1//a//b", None, "/a//b", None),
            ("s-1/%2541", None, "%41", None),
        ];
        for (header, region, key, version_id) in table {
            let expected = CopySource {
                bucket: "s-1".to_owned(),
                region: region.map(str::to_owned),
                key: key.to_owned(),
                version_id: version_id.map(str::to_owned),
            };
            assert_eq!(parse(header), Ok(expected), "{header}");
        }
    }

    #[test]
    fn what_names_no_object_is_refused() {
        for header in [
            "",
            "/",
            "s-1",
            "s-1/",
            "/s-1",
            "nobucket/a",
            "s-1.cos.ap-x.myqcloud.com",
            "s-1.cos.ap-x.myqcloud.com/",
            "s-1/%zz",
            "s-1/%ff",
            "s-1/a?b",
            "s-1/a?versionId=%z",
            "127.0.0.1/a",
            "%2Fs-1/a",
            "s-1.cos-website.ap-x.myqcloud.com/a",
            "1.cos-control.ap-x.myqcloud.com/a",
        ] {
            assert_eq!(parse(header), Err(Code::InvalidCopySource), "{header}");
        }
        assert_eq!(
            parse("s-1.cos.accelerate.myqcloud.com/a"),
            Err(Code::ActionAccelerateNotSupported)
        );
    }

    proptest! {
        #[test]
        fn any_key_survives_both_encodings(key in "\\PC{1,40}") {
            for encoded in [encode_key(&key), url_encode(key.as_bytes())] {
                let source = parse(&format!("s-1.cos.ap-x.myqcloud.com/{encoded}?versionId=v"));
                prop_assert_eq!(source.unwrap().key, key.as_str());
            }
        }

        #[test]
        fn no_header_panics(header in any::<Vec<u8>>()) {
            let _ = CopySource::parse(&header, &rules());
        }
    }
}
