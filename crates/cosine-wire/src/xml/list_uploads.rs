//! `ListMultipartUploadsResult`. Source: List Multipart Uploads (436/7736).

use super::Xml;
use crate::date::iso_date_millis;

/// One upload.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    /// The key.
    pub key: &'a str,
    /// Its id.
    pub upload_id: String,
    /// The storage class of the object to be.
    pub storage_class: &'a str,
    /// Who began it: the uins of the account and of the user.
    pub initiator: (u64, u64),
    /// Seconds since 1970 UTC.
    pub initiated: i64,
}

/// The answer to List Multipart Uploads.
#[derive(Clone, Debug)]
pub struct ListUploadsResult<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The bucket's owner, as twice its uin.
    pub owner: (u64, u64),
    /// Whether keys, prefixes and markers go percent-encoded (`encoding-type=url`).
    pub url_encoded: bool,
    /// As asked.
    pub key_marker: &'a str,
    /// As asked.
    pub upload_id_marker: &'a str,
    /// Where the next page begins, if there is one: a key or common prefix, and an upload of that key.
    pub next: Option<(&'a str, String)>,
    /// As asked, at most 1,000.
    pub max_uploads: usize,
    /// As asked.
    pub prefix: &'a str,
    /// As asked, empty for none.
    pub delimiter: &'a str,
    /// Uploads on this page.
    pub uploads: Vec<Upload<'a>>,
    /// Common prefixes on this page.
    pub common_prefixes: Vec<&'a str>,
}

impl ListUploadsResult<'_> {
    /// The document.
    pub fn document(&self) -> String {
        let mut xml = Xml::document();
        xml.open("ListMultipartUploadsResult");
        xml.text("Bucket", self.bucket);
        if self.url_encoded {
            xml.text("Encoding-Type", "url");
        }
        xml.key("KeyMarker", self.key_marker, self.url_encoded);
        xml.text("UploadIdMarker", self.upload_id_marker);
        if let Some((key, upload)) = &self.next {
            xml.key("NextKeyMarker", key, self.url_encoded);
            xml.text("NextUploadIdMarker", upload);
        }
        xml.value("MaxUploads", self.max_uploads);
        xml.value("IsTruncated", self.next.is_some());
        xml.key("Prefix", self.prefix, self.url_encoded);
        if !self.delimiter.is_empty() {
            xml.key("Delimiter", self.delimiter, self.url_encoded);
        }
        for upload in &self.uploads {
            xml.open("Upload");
            xml.key("Key", upload.key, self.url_encoded);
            xml.text("UploadId", &upload.upload_id);
            xml.text("StorageClass", upload.storage_class);
            xml.cam_person("Initiator", upload.initiator);
            xml.cam_person("Owner", self.owner);
            xml.text("Initiated", &iso_date_millis(upload.initiated));
            xml.close("Upload");
        }
        xml.common_prefixes(&self.common_prefixes, self.url_encoded);
        xml.close("ListMultipartUploadsResult");
        xml.finish()
    }
}
