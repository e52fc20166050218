//! `Delete` and `DeleteResult`. Source: DELETE Multiple Objects (436/8289).

use super::{Xml, read};
use crate::error::ApiError;

/// One request may name this many objects.
pub const OBJECTS_MAX: usize = 1000;

/// No body of this operation needs more: 1,000 keys of 850 bytes, every byte as a reference.
pub const BODY_BYTES_MAX: u64 = 8 << 20;

/// The request body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// Report failures only.
    pub quiet: bool,
    /// What to delete, in the order of the request.
    pub objects: Vec<ObjectIdentifier>,
}

/// One object to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectIdentifier {
    /// The key, literal: keys are XML-escaped here, never percent-encoded.
    pub key: String,
    /// The version, where one is named.
    pub version_id: Option<String>,
}

impl Delete {
    /// Reads the body. Unknown elements are ignored.
    ///
    /// # Errors
    /// 400 `MalformedXML`.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (mut delete, mut object) = (Self::default(), ObjectIdentifier::default());
        read::elements(body, "Delete", |path, text| {
            match *path {
                ["Delete", "Quiet"] => delete.quiet = text.trim().eq_ignore_ascii_case("true"),
                ["Delete", "Object", "Key"] => object.key = text,
                ["Delete", "Object", "VersionId"] => {
                    object.version_id = Some(text).filter(|id| !id.is_empty());
                }
                ["Delete", "Object"] if object.key.is_empty() => {
                    return Err("an Object has no Key");
                }
                ["Delete", "Object"] if delete.objects.len() == OBJECTS_MAX => {
                    return Err("it names more than 1000 objects");
                }
                ["Delete", "Object"] => delete.objects.push(std::mem::take(&mut object)),
                ["Delete"] if delete.objects.is_empty() => return Err("it names no object"),
                _ => {}
            }
            Ok(())
        })?;
        Ok(delete)
    }
}

/// What became of one object.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was to be deleted.
    pub object: ObjectIdentifier,
    /// How it was, or why it was not.
    pub deleted: Result<Deleted, ApiError>,
}

/// How an object was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version id of the delete marker that was made, or removed.
    pub marker: Option<String>,
}

/// Renders `DeleteResult`; with `quiet` only the failures show.
pub fn delete_result(outcomes: &[Outcome], quiet: bool) -> String {
    let mut xml = Xml::document();
    let shown: Vec<&Outcome> = outcomes.iter().filter(|o| o.deleted.is_err() || !quiet).collect();
    if shown.is_empty() {
        xml.empty("DeleteResult");
        return xml.finish();
    }
    xml.open("DeleteResult");
    for Outcome { object, deleted } in shown {
        let node = if deleted.is_err() { "Error" } else { "Deleted" };
        xml.open(node);
        xml.text("Key", &object.key);
        if let Some(version) = &object.version_id {
            xml.text("VersionId", version);
        }
        match deleted {
            Ok(Deleted { marker: None }) => {}
            Ok(Deleted { marker: Some(marker) }) => {
                xml.value("DeleteMarker", true);
                xml.text("DeleteMarkerVersionId", marker);
            }
            Err(error) => {
                xml.text("Code", error.code.as_str());
                xml.text("Message", &error.message);
            }
        }
        xml.close(node);
    }
    xml.close("DeleteResult");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn parse(body: &str) -> Result<Delete, Code> {
        Delete::parse(body.as_bytes()).map_err(|error| error.code)
    }

    #[test]
    fn keys_are_literal_text() {
        let body = "<?xml version=\"1.0\"?><Delete xmlns=\"x\"><Quiet>true</Quiet>\
                    <Object><Key> a&amp;b&lt;&#x63;&#100;<![CDATA[<e>]]> </Key><Size>1</Size></Object>\
                    <Object><Key>/x%20</Key><VersionId>v</VersionId></Object></Delete>";
        let object = |key: &str, version: Option<&str>| ObjectIdentifier {
            key: key.to_owned(),
            version_id: version.map(str::to_owned),
        };
        let expected = Delete {
            quiet: true,
            objects: vec![object(" a&b<cd<e> ", None), object("/x%20", Some("v"))],
        };
        assert_eq!(parse(body), Ok(expected));
    }

    #[test]
    fn what_is_not_a_delete_document_is_malformed() {
        let many = "<Object><Key>k</Key></Object>".repeat(OBJECTS_MAX + 1);
        let bomb = "<!DOCTYPE d [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\
                    <Delete><Object><Key>&b;</Key></Object></Delete>";
        for body in [
            "",
            "<Delete/>",
            "<Remove><Object><Key>k</Key></Object></Remove>",
            "<Delete><Object><Key>k</Key></Object>",
            "<Delete><Object><Key>k</Object></Delete>",
            "<Delete><Object><VersionId>v</VersionId></Object></Delete>",
            "<Delete><Object><Key>&nbsp;</Key></Object></Delete>",
            "<Delete><Object><Key>k</Key></Object></Delete><Delete/>",
            &format!("<Delete>{many}</Delete>"),
            &format!("{}<Object>", "<Delete>".repeat(100_000)),
            bomb,
        ] {
            assert_eq!(parse(body), Err(Code::MalformedXML), "{}", body.get(..60).unwrap_or(body));
        }
    }

    #[test]
    fn result_documents() {
        let object = |key: &str, version: Option<&str>| ObjectIdentifier {
            key: key.to_owned(),
            version_id: version.map(str::to_owned),
        };
        let marker = || Deleted { marker: Some("m".into()) };
        let outcomes = [
            Outcome { object: object("a<b", None), deleted: Ok(Deleted::default()) },
            Outcome { object: object("c", None), deleted: Err(Code::AccessDenied.into()) },
        ];
        assert_eq!(
            delete_result(&outcomes, false),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult>\n\t<Deleted>\n\
             \t\t<Key>a&lt;b</Key>\n\t</Deleted>\n\t<Error>\n\t\t<Key>c</Key>\n\
             \t\t<Code>AccessDenied</Code>\n\t\t<Message>Access Denied.</Message>\n\t</Error>\n\
             </DeleteResult>"
        );
        let outcome = Outcome { object: object("k", Some("m")), deleted: Ok(marker()) };
        assert!(delete_result(&[outcome], false).ends_with(
            "\t<Deleted>\n\t\t<Key>k</Key>\n\t\t<VersionId>m</VersionId>\n\
             \t\t<DeleteMarker>true</DeleteMarker>\n\
             \t\t<DeleteMarkerVersionId>m</DeleteMarkerVersionId>\n\t</Deleted>\n</DeleteResult>"
        ));
        assert!(!delete_result(&outcomes, true).contains("Deleted>"));
        assert!(delete_result(&outcomes[..1], true).ends_with("<DeleteResult/>"));
    }
}
