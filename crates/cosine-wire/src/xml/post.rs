//! `PostResponse`, the answer to a form that asks for 201. Source: POST Object (436/14690).

use super::Xml;

/// Renders it.
pub fn document(location: &str, bucket: &str, key: &str, etag: &str) -> String {
    let mut xml = Xml::document();
    xml.open("PostResponse");
    xml.text("Location", location);
    xml.text("Bucket", bucket);
    xml.text("Key", key);
    xml.text("ETag", &format!("\"{etag}\""));
    xml.close("PostResponse");
    xml.finish()
}
