//! What a copy reads from.

use cosine_wire::copy_source::CopySource;
use cosine_wire::encode::{encode_key, url_encode};
use cosine_wire::host::is_bucket_name;

use crate::RULES;

/// What stands in front of the key, by client; `{}` is the bucket.
const FRONTS: [&str; 9] = [
    "{}.cos.ap-guangzhou.myqcloud.com/",
    "{}.cos.ap-guangzhou.tencentcos.cn%2F",
    "http://{}.cos.ap-guangzhou.localhost:9000/",
    "{}.cos.example.com/",
    "/{}/",
    "{}/",
    "{}%2f",
    "127.0.0.1:9000/{}/",
    "https://cos.ap-guangzhou.myqcloud.com/{}/",
];

/// Reads a header. What it names, or, where it names nothing, the bytes themselves as a key, is
/// named by every client's spelling of it too.
pub fn copy_source(data: &[u8]) {
    let read = CopySource::parse(data, &RULES).ok();
    let (bucket, key, version) = match read {
        Some(source) if is_bucket_name(&source.bucket) => {
            (source.bucket, source.key, source.version_id)
        }
        _ => ("src-1250000000".to_owned(), String::from_utf8_lossy(data).into_owned(), None),
    };
    if key.is_empty() {
        return;
    }
    let tail = version.as_ref().map(|version| url_encode(version.as_bytes()));
    let tail = tail.map_or(String::new(), |version| format!("?versionId={version}"));
    for front in FRONTS.map(|front| front.replace("{}", &bucket)) {
        for encoded in [encode_key(&key), url_encode(key.as_bytes())] {
            let header = format!("{front}{encoded}{tail}");
            let again = CopySource::parse(header.as_bytes(), &RULES).unwrap();
            assert_eq!((&again.bucket, &again.key, &again.version_id), (&bucket, &key, &version));
        }
    }
}
