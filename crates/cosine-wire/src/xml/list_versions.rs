//! `ListVersionsResult`. Source: GET Bucket Object versions (436/35521).

use super::Xml;
use crate::date::iso_date_millis;

/// One version, or one delete marker.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a str,
    /// The version id; empty where the bucket never kept versions.
    pub version_id: String,
    /// Whether it is the newest of its key.
    pub latest: bool,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
    /// What a version has, and a delete marker has not.
    pub object: Option<Object<'a>>,
}

/// What a version has, and a delete marker has not.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// The entity tag, without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// The storage class.
    pub storage_class: &'a str,
    /// `FREQUENT`, for an object of a tiering class.
    pub storage_tier: Option<&'a str>,
}

/// The answer to GET Bucket Object versions.
#[derive(Clone, Debug)]
pub struct ListVersionsResult<'a> {
    /// The bucket.
    pub name: &'a str,
    /// The owner's APPID.
    pub owner: u64,
    /// Whether keys, prefixes and markers go percent-encoded (`encoding-type=url`).
    pub url_encoded: bool,
    /// As asked.
    pub prefix: &'a str,
    /// As asked.
    pub key_marker: &'a str,
    /// As asked.
    pub version_id_marker: &'a str,
    /// As asked, at most 1,000.
    pub max_keys: usize,
    /// As asked, empty for none.
    pub delimiter: &'a str,
    /// Where the next page begins, if there is one: a key or common prefix, and a version of that key
    /// or nothing.
    pub next: Option<(&'a str, String)>,
    /// Common prefixes on this page.
    pub common_prefixes: Vec<&'a str>,
    /// Versions and delete markers on this page, in their order.
    pub entries: Vec<Entry<'a>>,
}

impl ListVersionsResult<'_> {
    /// The document.
    pub fn document(&self) -> String {
        let mut xml = Xml::document();
        xml.open("ListVersionsResult");
        if self.url_encoded {
            xml.text("EncodingType", "url");
        }
        xml.text("Name", self.name);
        xml.key("Prefix", self.prefix, self.url_encoded);
        xml.key("KeyMarker", self.key_marker, self.url_encoded);
        xml.text("VersionIdMarker", self.version_id_marker);
        xml.value("MaxKeys", self.max_keys);
        xml.value("IsTruncated", self.next.is_some());
        if let Some((key, version)) = &self.next {
            xml.key("NextKeyMarker", key, self.url_encoded);
            xml.text("NextVersionIdMarker", version);
        }
        if !self.delimiter.is_empty() {
            xml.key("Delimiter", self.delimiter, self.url_encoded);
        }
        xml.common_prefixes(&self.common_prefixes, self.url_encoded);
        self.entries.iter().for_each(|entry| self.entry(&mut xml, entry));
        xml.close("ListVersionsResult");
        xml.finish()
    }

    fn entry(&self, xml: &mut Xml, entry: &Entry<'_>) {
        let node = if entry.object.is_some() { "Version" } else { "DeleteMarker" };
        xml.open(node);
        xml.key("Key", entry.key, self.url_encoded);
        xml.text("VersionId", &entry.version_id);
        xml.value("IsLatest", entry.latest);
        xml.text("LastModified", &iso_date_millis(entry.last_modified));
        if let Some(object) = &entry.object {
            xml.text("ETag", &format!("\"{}\"", object.etag));
            xml.value("Size", object.size);
            xml.text("StorageClass", object.storage_class);
            if let Some(tier) = object.storage_tier {
                xml.text("StorageTier", tier);
            }
        }
        let owner = self.owner.to_string();
        xml.person("Owner", &owner, &owner);
        xml.close(node);
    }
}
