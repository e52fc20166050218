//! Reading bodies: elements as they end, with nothing in between that could do harm.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use crate::error::{ApiError, Code};

/// Every body is a few levels deep; whatever is much deeper is not for us.
const DEPTH_MAX: usize = 16;

/// Reads a body whose root is `root`, and calls `end` for each element when it ends, with its path
/// from the root and the text in it since the last tag. A document type declaration, and with it
/// every entity trick, is refused.
///
/// # Errors
/// 400 `MalformedXML`, also for what `end` finds wrong.
pub fn elements(
    body: &[u8],
    root: &str,
    mut end: impl FnMut(&[&str], String) -> Result<(), &'static str>,
) -> Result<(), ApiError> {
    walk(body, root, &mut end).map_err(|why| {
        ApiError::new(Code::MalformedXML, format!("The XML is not a valid {root} document: {why}."))
    })
}

fn walk(
    body: &[u8],
    root: &str,
    end: &mut impl FnMut(&[&str], String) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8")?;
    // Nothing that XML can write stands for it: what was read could not be shown.
    if text.contains('\0') {
        return Err("it holds a NUL");
    }
    let mut reader = Reader::from_str(text);
    let mut open = Open { root, path: Vec::new(), text: String::new(), saw_root: false };
    loop {
        match reader.read_event().map_err(|_| "it is not well-formed")? {
            Event::Start(tag) => open.start(tag.local_name().as_ref())?,
            Event::Empty(tag) => {
                open.start(tag.local_name().as_ref())?;
                open.end(end)?;
            }
            Event::End(_) => open.end(end)?,
            Event::Text(text) => open.text.push_str(&text),
            Event::CData(data) => open.text.push_str(&data),
            Event::GeneralRef(reference) => open.text.push_str(&resolve(&reference)?),
            Event::DocType(_) => return Err("a DOCTYPE is not allowed"),
            Event::Eof if open.saw_root && open.path.is_empty() => return Ok(()),
            Event::Eof => return Err("it is cut off"),
            _ => {}
        }
    }
}

/// The path of open elements, and the text since the last tag.
struct Open<'a> {
    root: &'a str,
    path: Vec<String>,
    text: String,
    saw_root: bool,
}

impl Open<'_> {
    fn start(&mut self, name: &str) -> Result<(), &'static str> {
        if self.path.is_empty() && (self.saw_root || name != self.root) {
            return Err("the root is another one, or not the only one");
        }
        if self.path.len() == DEPTH_MAX {
            return Err("it is nested too deeply");
        }
        self.saw_root = true;
        self.path.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    fn end(
        &mut self,
        end: &mut impl FnMut(&[&str], String) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        end(&path, std::mem::take(&mut self.text))?;
        self.path.pop();
        Ok(())
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, &'static str> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Ok(c.to_string());
    }
    resolve_predefined_entity(reference).map(str::to_owned).ok_or("it uses an unknown entity")
}
