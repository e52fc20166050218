//! `Tagging`, in both directions. Source: PUT and GET Object tagging (436/42998, 436/42999).

use super::{Xml, read};
use crate::error::ApiError;
use crate::tags::{TAG_BYTES_MAX, TAGS_MAX, Tags};

/// No set within the limits needs more: every byte as a reference, and the elements around them.
pub const BODY_BYTES_MAX: u64 = (TAGS_MAX * (8 * TAG_BYTES_MAX + 128) + 1024) as u64;

/// Reads the body. Unknown elements are ignored; a set without tags is one.
///
/// # Errors
/// 400 `MalformedXML`, and those of [`Tags::new`].
pub fn parse(body: &[u8]) -> Result<Tags, ApiError> {
    let (mut pairs, mut key, mut value) = (Vec::new(), None, None);
    read::elements(body, "Tagging", |path, text| {
        match *path {
            ["Tagging", "TagSet", "Tag", "Key"] => key = Some(text),
            ["Tagging", "TagSet", "Tag", "Value"] => value = Some(text),
            ["Tagging", "TagSet", "Tag"] => {
                let key = key.take().ok_or("a Tag has no Key")?;
                pairs.push((key, value.take().unwrap_or_default()));
            }
            _ => {}
        }
        Ok(())
    })?;
    Tags::new(pairs)
}

/// Renders tags in the order in which they came.
pub fn document(tags: &[(String, String)]) -> String {
    let mut xml = Xml::document();
    xml.open("Tagging");
    if tags.is_empty() {
        xml.empty("TagSet");
    } else {
        xml.open("TagSet");
        for (key, value) in tags {
            xml.open("Tag");
            xml.text("Key", key);
            xml.text("Value", value);
            xml.close("Tag");
        }
        xml.close("TagSet");
    }
    xml.close("Tagging");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn what_is_written_is_read() {
        for pairs in [vec![], vec![pair("a b+c", "1"), pair("键@:/._-=", ""), pair("B", "b")]] {
            let tags = parse(document(&pairs).as_bytes()).unwrap();
            assert_eq!(tags.into_pairs(), pairs);
        }
        let loose = "<Tagging xmlns=\"x\"><TagSet><Tag><Value>v</Value><Key>k</Key><Id>1</Id></Tag>\
                     </TagSet></Tagging>";
        assert_eq!(parse(loose.as_bytes()).unwrap().into_pairs(), [pair("k", "v")]);
    }

    #[test]
    fn a_tag_keeps_no_value_of_the_one_before() {
        let body = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>\
                    <Tag><Key>b</Key></Tag></TagSet></Tagging>";
        assert_eq!(parse(body.as_bytes()).unwrap().into_pairs(), [pair("a", "1"), pair("b", "")]);
    }

    #[test]
    fn what_is_not_a_set_of_tags_is_malformed() {
        for body in [
            "",
            "<TagSet/>",
            "<Tagging>",
            "<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>",
            "<!DOCTYPE a><Tagging/>",
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err().code, Code::MalformedXML, "{body}");
        }
    }
}
