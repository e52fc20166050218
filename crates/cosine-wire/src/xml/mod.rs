//! XML bodies: a writer whose layout is COS's own, and one file a document.

pub mod acl;
pub mod complete_upload;
pub mod copy;
pub mod cors;
pub mod create_bucket;
pub mod delete_objects;
pub mod encryption;
pub mod initiate_upload;
pub mod list_buckets;
pub mod list_objects;
pub mod list_parts;
pub mod list_uploads;
pub mod list_versions;
pub mod location;
pub mod post;
pub mod read;
pub mod restore;
pub mod tagging;
pub mod versioning;

use crate::encode::encode_key;

/// Builds a document in the layout that reproduces the lengths of COS's samples: a line break
/// after each node, one tab a level, nothing after the root.
#[derive(Debug)]
pub struct Xml {
    out: String,
    depth: usize,
    line_end: &'static str,
}

/// What a document begins with when its body follows later: see [`copy`].
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

impl Xml {
    /// An ordinary document.
    pub fn document() -> Self {
        Self::with(DECLARATION, "\n")
    }

    /// An error document, whose declaration COS spells differently.
    pub(crate) fn error_document() -> Self {
        Self::with("<?xml version='1.0' encoding='utf-8' ?>", "\n")
    }

    /// A document whose declaration has been sent already.
    pub(crate) fn continued() -> Self {
        Self::with("", "\n")
    }

    fn with(declaration: &str, line_end: &'static str) -> Self {
        let mut out = String::with_capacity(256);
        out.push_str(declaration);
        Self { out, depth: 0, line_end }
    }

    fn begin_line(&mut self) {
        self.out.push_str(self.line_end);
        self.out.extend(std::iter::repeat_n('\t', self.depth));
    }

    /// Opens a container.
    pub fn open(&mut self, name: &str) {
        self.begin_line();
        self.out.extend(["<", name, ">"]);
        self.depth += 1;
    }

    /// Opens a container with attributes, which are well-formed as they are.
    pub fn open_with(&mut self, name: &str, attributes: &str) {
        self.begin_line();
        self.out.extend(["<", name, " ", attributes, ">"]);
        self.depth += 1;
    }

    /// Closes the innermost container.
    pub fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.begin_line();
        self.out.extend(["</", name, ">"]);
    }

    /// A node with text, escaped.
    pub fn text(&mut self, name: &str, text: &str) {
        self.begin_line();
        self.out.extend(["<", name, ">"]);
        escape_into(&mut self.out, text);
        self.out.extend(["</", name, ">"]);
    }

    /// A node with a key, a prefix or a marker, percent-encoded if that was asked for.
    pub fn key(&mut self, name: &str, key: &str, url_encoded: bool) {
        if url_encoded {
            self.text(name, &encode_key(key));
        } else {
            self.text(name, key);
        }
    }

    /// `CommonPrefixes`, a container for each.
    pub fn common_prefixes(&mut self, prefixes: &[&str], url_encoded: bool) {
        for prefix in prefixes {
            self.open("CommonPrefixes");
            self.key("Prefix", prefix, url_encoded);
            self.close("CommonPrefixes");
        }
    }

    /// Somebody by an id and a name, in a container.
    pub fn person(&mut self, name: &str, id: &str, display_name: &str) {
        self.open(name);
        self.text("ID", id);
        self.text("DisplayName", display_name);
        self.close(name);
    }

    /// A user by its CAM id and its number: the uins of its account and of itself.
    pub fn cam_person(&mut self, name: &str, (owner, uin): (u64, u64)) {
        self.person(name, &cam_id((owner, uin)), &uin.to_string());
    }

    /// A node with a number or a flag.
    pub fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    /// A node without content.
    pub fn empty(&mut self, name: &str) {
        self.begin_line();
        self.out.extend(["<", name, "/>"]);
    }

    /// The document.
    pub fn finish(self) -> String {
        self.out
    }
}

/// `qcs::cam::uin/<account>:uin/<user>`, which is the account where both are the same.
pub fn cam_id((owner, uin): (u64, u64)) -> String {
    format!("qcs::cam::uin/{owner}:uin/{uin}")
}

/// Control characters have no place in XML 1.0, but keys may hold them: they go as character
/// references, which lenient parsers read; strict clients use `encoding-type=url`.
fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            c if c < ' ' => out.push_str(&format!("&#x{:X};", u32::from(c))),
            c => out.push(c),
        }
    }
}
