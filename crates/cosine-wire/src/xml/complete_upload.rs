//! `CompleteMultipartUpload` and its result. Source: Complete Multipart Upload (436/7742).

use super::{Xml, read};
use crate::error::ApiError;
use crate::query;

/// One object has this many parts at most.
pub const PARTS_MAX: usize = 10_000;
/// No body of this operation needs more: a part takes some 100 bytes, twice that where clients indent.
pub const BODY_BYTES_MAX: u64 = 4 << 20;

/// Reads the body: part numbers and entity tags, without quotes, in the order of the request. Unknown
/// elements are ignored.
///
/// # Errors
/// 400 `MalformedXML`, also for no part or more than 10,000.
pub fn parse(body: &[u8]) -> Result<Vec<(u16, String)>, ApiError> {
    let (mut parts, mut number, mut etag) = (Vec::new(), None, None);
    read::elements(body, "CompleteMultipartUpload", |path, text| {
        match *path {
            ["CompleteMultipartUpload", "Part", "PartNumber"] => {
                let parsed = query::number(text.trim());
                number = Some(
                    parsed.filter(|n| (1..=10_000).contains(n)).ok_or("a PartNumber is none")?,
                );
            }
            ["CompleteMultipartUpload", "Part", "ETag"] => {
                etag = Some(text.trim().trim_matches('"').to_owned());
            }
            ["CompleteMultipartUpload", "Part"] => {
                let number = number.take().ok_or("a Part has no PartNumber")?;
                let etag = etag.take().ok_or("a Part has no ETag")?;
                if parts.len() == PARTS_MAX {
                    return Err("it names more than 10000 parts");
                }
                parts.push((number, etag));
            }
            ["CompleteMultipartUpload"] if parts.is_empty() => return Err("it names no part"),
            _ => {}
        }
        Ok(())
    })?;
    Ok(parts)
}

/// The result: where the object is, without a scheme, and its entity tag, without quotes.
pub fn document(location: &str, bucket: &str, key: &str, etag: &str) -> String {
    let mut xml = Xml::document();
    xml.open("CompleteMultipartUploadResult");
    xml.text("Location", location);
    xml.text("Bucket", bucket);
    xml.text("Key", key);
    xml.text("ETag", &format!("\"{etag}\""));
    xml.close("CompleteMultipartUploadResult");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn entity_tags_come_quoted_bare_and_escaped() {
        let body = "<CompleteMultipartUpload xmlns=\"x\"><Part><PartNumber>1</PartNumber>\
                    <ETag>\"a\"</ETag></Part><Part><ETag>b</ETag><PartNumber> 3 </PartNumber></Part>\
                    <Part><PartNumber>2</PartNumber><ETag>&quot;c&quot;</ETag><Size>1</Size></Part>\
                    </CompleteMultipartUpload>";
        let parts = parse(body.as_bytes()).unwrap();
        assert_eq!(parts, [(1, "a".into()), (3, "b".into()), (2, "c".into())]);
    }

    #[test]
    fn what_is_not_a_list_of_parts_is_malformed() {
        let part =
            |number: &str| format!("<Part><PartNumber>{number}</PartNumber><ETag>e</ETag></Part>");
        let many = part("1").repeat(PARTS_MAX + 1);
        for inner in [
            "",
            &part("0"),
            &part("10001"),
            &part("-1"),
            &part("x"),
            &many,
            "<Part><PartNumber>1</PartNumber></Part>",
            "<Part><ETag>e</ETag></Part>",
        ] {
            let body = format!("<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>");
            assert_eq!(parse(body.as_bytes()).unwrap_err().code, Code::MalformedXML);
        }
        assert_eq!(parse(b"").unwrap_err().code, Code::MalformedXML);
    }
}
