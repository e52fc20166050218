//! `LocationConstraint`. Source: GET Bucket location (436/14097); SDKs compare it to the bare region.

use super::Xml;

/// The document.
pub fn document(region: &str) -> String {
    let mut xml = Xml::document();
    xml.text("LocationConstraint", region);
    xml.finish()
}
