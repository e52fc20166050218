//! `ListPartsResult`. Source: List Parts (436/7747).

use super::Xml;
use crate::date::iso_date_millis;

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    /// From 1 to 10,000.
    pub number: u16,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// The answer to List Parts.
#[derive(Clone, Debug)]
pub struct ListPartsResult<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// Whether the key goes percent-encoded (`encoding-type=url`).
    pub url_encoded: bool,
    /// The key.
    pub key: &'a str,
    /// The upload.
    pub upload_id: &'a str,
    /// The bucket's owner, its APPID.
    pub owner: u64,
    /// Who began the upload: the uins of the account and of the user.
    pub initiator: (u64, u64),
    /// As asked.
    pub part_number_marker: u16,
    /// As asked, at most 1,000.
    pub max_parts: usize,
    /// The storage class of the object to be.
    pub storage_class: &'a str,
    /// Whether more parts follow.
    pub truncated: bool,
    /// The parts.
    pub parts: Vec<Part>,
}

impl ListPartsResult<'_> {
    /// The document, its nodes in the order of COS's sample.
    pub fn document(&self) -> String {
        let mut xml = Xml::document();
        xml.open("ListPartsResult");
        xml.text("Bucket", self.bucket);
        if self.url_encoded {
            xml.text("Encoding-type", "url");
        }
        xml.key("Key", self.key, self.url_encoded);
        xml.text("UploadId", self.upload_id);
        let owner = self.owner.to_string();
        xml.person("Owner", &owner, &owner);
        xml.value("PartNumberMarker", self.part_number_marker);
        xml.cam_person("Initiator", self.initiator);
        for part in &self.parts {
            xml.open("Part");
            xml.value("PartNumber", part.number);
            xml.text("LastModified", &iso_date_millis(part.last_modified));
            xml.text("ETag", &format!("\"{}\"", part.etag));
            xml.value("Size", part.size);
            xml.close("Part");
        }
        if let Some(last) = self.parts.last().filter(|_| self.truncated) {
            xml.value("NextPartNumberMarker", last.number);
        }
        xml.text("StorageClass", self.storage_class);
        xml.value("MaxParts", self.max_parts);
        xml.value("IsTruncated", self.truncated);
        xml.close("ListPartsResult");
        xml.finish()
    }
}
