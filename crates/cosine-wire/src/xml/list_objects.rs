//! `ListBucketResult`. Source: GET Bucket (436/7734).

use super::Xml;
use crate::date::iso_date_millis;

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
    /// `FREQUENT`, for an object of a tiering class.
    pub storage_tier: Option<&'a str>,
    /// `ONGOING` or `DONE`, for an archived object that was asked to be restored.
    pub restore_status: Option<&'a str>,
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
        xml.key("Prefix", self.prefix, self.url_encoded);
        xml.key("Marker", self.marker, self.url_encoded);
        xml.value("MaxKeys", self.max_keys);
        if !self.delimiter.is_empty() {
            xml.key("Delimiter", self.delimiter, self.url_encoded);
        }
        xml.value("IsTruncated", self.next_marker.is_some());
        if let Some(next) = self.next_marker {
            xml.key("NextMarker", next, self.url_encoded);
        }
        xml.common_prefixes(&self.common_prefixes, self.url_encoded);
        self.contents.iter().for_each(|object| self.contents_node(&mut xml, object));
        xml.close("ListBucketResult");
        xml.finish()
    }

    fn contents_node(&self, xml: &mut Xml, object: &Contents<'_>) {
        xml.open("Contents");
        xml.key("Key", object.key, self.url_encoded);
        xml.text("LastModified", &iso_date_millis(object.last_modified));
        xml.text("ETag", &format!("\"{}\"", object.etag));
        xml.value("Size", object.size);
        let owner = self.owner.to_string();
        xml.person("Owner", &owner, &owner);
        xml.text("StorageClass", object.storage_class);
        if let Some(tier) = object.storage_tier {
            xml.text("StorageTier", tier);
        }
        if let Some(status) = object.restore_status {
            xml.text("RestoreStatus", status);
        }
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
                storage_tier: None,
                restore_status: None,
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
