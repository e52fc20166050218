//! `InitiateMultipartUploadResult`. Source: Initiate Multipart Upload (436/7746).

use super::Xml;

/// The document.
pub fn document(bucket: &str, key: &str, upload_id: &str) -> String {
    let mut xml = Xml::document();
    xml.open("InitiateMultipartUploadResult");
    xml.text("Bucket", bucket);
    xml.text("Key", key);
    xml.text("UploadId", upload_id);
    xml.close("InitiateMultipartUploadResult");
    xml.finish()
}
