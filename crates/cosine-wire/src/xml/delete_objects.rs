//! `Delete` and `DeleteResult`. Source: DELETE Multiple Objects (436/8289).

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use super::Xml;
use crate::error::{ApiError, Code};

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
    /// Reads the body. Unknown elements are ignored; a document type declaration, and with it
    /// every entity trick, is refused.
    ///
    /// # Errors
    /// 400 `MalformedXML`.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        let mut reader = Reader::from_str(text);
        let mut parser = Parser::default();
        loop {
            match reader.read_event().map_err(|_| malformed("it is not well-formed"))? {
                Event::Start(tag) => parser.open(tag.local_name().as_ref())?,
                Event::Empty(tag) => {
                    parser.open(tag.local_name().as_ref())?;
                    parser.close()?;
                }
                Event::End(_) => parser.close()?,
                Event::Text(text) => parser.text.push_str(&text),
                Event::CData(data) => parser.text.push_str(&data),
                Event::GeneralRef(reference) => parser.text.push_str(&resolve(&reference)?),
                Event::DocType(_) => return Err(malformed("a DOCTYPE is not allowed")),
                Event::Eof => break,
                _ => {}
            }
        }
        parser.finish()
    }
}

/// The path of open elements, and what has been read below it.
#[derive(Default)]
struct Parser {
    path: Vec<String>,
    text: String,
    object: ObjectIdentifier,
    result: Delete,
    saw_root: bool,
}

/// `Delete/Object/Key` is three deep; whatever is much deeper is not for us.
const DEPTH_MAX: usize = 16;

impl Parser {
    fn open(&mut self, name: &str) -> Result<(), ApiError> {
        if self.path.is_empty() && (self.saw_root || name != "Delete") {
            return Err(malformed("the root is not a single Delete"));
        }
        if self.path.len() == DEPTH_MAX {
            return Err(malformed("it is nested too deeply"));
        }
        self.saw_root = true;
        self.path.push(name.to_owned());
        self.text.clear();
        if self.result.objects.len() > OBJECTS_MAX {
            return Err(malformed("it names more than 1000 objects"));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ApiError> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let text = std::mem::take(&mut self.text);
        match *path.as_slice() {
            ["Delete", "Quiet"] => self.result.quiet = text.trim().eq_ignore_ascii_case("true"),
            ["Delete", "Object", "Key"] => self.object.key = text,
            ["Delete", "Object", "VersionId"] => {
                self.object.version_id = Some(text).filter(|id| !id.is_empty());
            }
            ["Delete", "Object"] if self.object.key.is_empty() => {
                return Err(malformed("an Object has no Key"));
            }
            ["Delete", "Object"] => self.result.objects.push(std::mem::take(&mut self.object)),
            _ => {}
        }
        self.path.pop();
        Ok(())
    }

    fn finish(self) -> Result<Delete, ApiError> {
        match self.result.objects.len() {
            _ if !self.saw_root || !self.path.is_empty() => Err(malformed("it is cut off")),
            0 => Err(malformed("it names no object")),
            1..=OBJECTS_MAX => Ok(self.result),
            _ => Err(malformed("it names more than 1000 objects")),
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, ApiError> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Ok(c.to_string());
    }
    resolve_predefined_entity(reference)
        .map(str::to_owned)
        .ok_or_else(|| malformed("it uses an unknown entity"))
}

fn malformed(why: &str) -> ApiError {
    ApiError::new(Code::MalformedXML, format!("The XML is not a valid Delete document: {why}."))
}

/// What became of one object.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The key.
    pub key: String,
    /// `None` where it is gone.
    pub error: Option<ApiError>,
}

/// Renders `DeleteResult`; with `quiet` only the failures show.
pub fn delete_result(outcomes: &[Outcome], quiet: bool) -> String {
    let mut xml = Xml::document();
    let shown: Vec<&Outcome> = outcomes.iter().filter(|o| o.error.is_some() || !quiet).collect();
    if shown.is_empty() {
        xml.empty("DeleteResult");
        return xml.finish();
    }
    xml.open("DeleteResult");
    for outcome in shown {
        let node = if outcome.error.is_some() { "Error" } else { "Deleted" };
        xml.open(node);
        xml.text("Key", &outcome.key);
        if let Some(error) = &outcome.error {
            xml.text("Code", error.code.as_str());
            xml.text("Message", &error.message);
        }
        xml.close(node);
    }
    xml.close("DeleteResult");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let outcomes = [
            Outcome { key: "a<b".into(), error: None },
            Outcome { key: "c".into(), error: Some(Code::AccessDenied.into()) },
        ];
        assert_eq!(
            delete_result(&outcomes, false),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult>\n\t<Deleted>\n\
             \t\t<Key>a&lt;b</Key>\n\t</Deleted>\n\t<Error>\n\t\t<Key>c</Key>\n\
             \t\t<Code>AccessDenied</Code>\n\t\t<Message>Access Denied.</Message>\n\t</Error>\n\
             </DeleteResult>"
        );
        assert!(!delete_result(&outcomes, true).contains("Deleted>"));
        assert!(delete_result(&outcomes[..1], true).ends_with("<DeleteResult/>"));
    }
}
