//! `ListBucketResult`. Source: GET Bucket (436/7734).

use super::Xml;
use crate::date::iso_date_millis;
use crate::encode::encode_key;

/// One object in the list.
#[derive(Clone, Debug)]
pub struct Contents<'a> {
    /// The key, not encoded.
    pub key: &'a str,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
    /// The entity tag, without quotes.
    pub etag: &'a str,
    /// Bytes.
    pub size: u64,
    /// The storage class.
    pub storage_class: &'a str,
}

/// The answer to GET Bucket.
#[derive(Clone, Debug)]
pub struct ListObjectsResult<'a> {
    /// The bucket.
    pub name: &'a str,
    /// The owner's APPID.
    pub owner: u64,
    /// Whether keys, prefixes and markers go percent-encoded (`encoding-type=url`).
    pub url_encoded: bool,
    /// As asked.
    pub prefix: &'a str,
    /// As asked.
    pub marker: &'a str,
    /// As asked, empty for none.
    pub delimiter: &'a str,
    /// As asked, at most 1,000.
    pub max_keys: usize,
    /// The last entry of this page where more follow.
    pub next_marker: Option<&'a str>,
    /// Common prefixes on this page.
    pub common_prefixes: Vec<&'a str>,
    /// Objects on this page.
    pub contents: Vec<Contents<'a>>,
}

impl ListObjectsResult<'_> {
    /// The document.
    pub fn document(&self) -> String {
        let mut xml = Xml::document();
        xml.open("ListBucketResult");
        xml.text("Name", self.name);
        if self.url_encoded {
            xml.text("EncodingType", "url");
        }
        self.key_node(&mut xml, "Prefix", self.prefix);
        self.key_node(&mut xml, "Marker", self.marker);
        xml.value("MaxKeys", self.max_keys);
        if !self.delimiter.is_empty() {
            self.key_node(&mut xml, "Delimiter", self.delimiter);
        }
        xml.value("IsTruncated", self.next_marker.is_some());
        if let Some(next) = self.next_marker {
            self.key_node(&mut xml, "NextMarker", next);
        }
        for prefix in &self.common_prefixes {
            xml.open("CommonPrefixes");
            self.key_node(&mut xml, "Prefix", prefix);
            xml.close("CommonPrefixes");
        }
        self.contents.iter().for_each(|object| self.contents_node(&mut xml, object));
        xml.close("ListBucketResult");
        xml.finish()
    }

    fn key_node(&self, xml: &mut Xml, name: &str, key: &str) {
        if self.url_encoded {
            xml.text(name, &encode_key(key));
        } else {
            xml.text(name, key);
        }
    }

    fn contents_node(&self, xml: &mut Xml, object: &Contents<'_>) {
        xml.open("Contents");
        self.key_node(xml, "Key", object.key);
        xml.text("LastModified", &iso_date_millis(object.last_modified));
        xml.text("ETag", &format!("\"{}\"", object.etag));
        xml.value("Size", object.size);
        xml.open("Owner");
        xml.value("ID", self.owner);
        xml.value("DisplayName", self.owner);
        xml.close("Owner");
        xml.text("StorageClass", object.storage_class);
        xml.close("Contents");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_a_prefix_and_an_object() {
        let result = ListObjectsResult {
            name: "b-1",
            owner: 1_250_000_000,
            url_encoded: true,
            prefix: "",
            marker: "",
            delimiter: "/",
            max_keys: 2,
            next_marker: Some("d/"),
            common_prefixes: vec!["d/"],
            contents: vec![Contents {
                key: "a b",
                last_modified: 1_586_542_830,
                etag: "abc",
                size: 3,
                storage_class: "STANDARD",
            }],
        };
        assert_eq!(
            result.document(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>\n\t<Name>b-1</Name>\n\
             \t<EncodingType>url</EncodingType>\n\t<Prefix></Prefix>\n\t<Marker></Marker>\n\
             \t<MaxKeys>2</MaxKeys>\n\t<Delimiter>/</Delimiter>\n\
             \t<IsTruncated>true</IsTruncated>\n\t<NextMarker>d/</NextMarker>\n\
             \t<CommonPrefixes>\n\t\t<Prefix>d/</Prefix>\n\t</CommonPrefixes>\n\t<Contents>\n\
             \t\t<Key>a%20b</Key>\n\t\t<LastModified>2020-04-10T18:20:30.000Z</LastModified>\n\
             \t\t<ETag>&quot;abc&quot;</ETag>\n\t\t<Size>3</Size>\n\t\t<Owner>\n\
             \t\t\t<ID>1250000000</ID>\n\t\t\t<DisplayName>1250000000</DisplayName>\n\
             \t\t</Owner>\n\t\t<StorageClass>STANDARD</StorageClass>\n\t</Contents>\n\
             </ListBucketResult>"
        );
    }
}
