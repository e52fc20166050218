//! `CopyObjectResult` and `CopyPartResult`. Source: `PUT Object - Copy`, response body (C155-C161), and
//! Upload Part - Copy (U19).

use super::DECLARATION;
use crate::date::iso_date;

/// What was copied: the root of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// An object.
    Object,
    /// A part of an upload.
    Part,
}

/// What a successful copy says of what it made.
#[derive(Clone, Debug)]
pub struct CopyResult {
    /// Which document it is.
    pub copied: Copied,
    /// The entity tag, without quotes.
    pub etag: String,
    /// CRC-64/XZ of the plain bytes.
    pub crc64: u64,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
    /// The version id, where the destination keeps versions.
    pub version_id: Option<String>,
}

impl CopyResult {
    /// The document, in the byte layout that gives the samples' lengths: CRLF line ends, one tab
    /// before each inner node, raw quotes, nothing after the root (C161).
    pub fn document(&self) -> String {
        format!("{DECLARATION}{}", self.root())
    }

    /// The document behind its declaration, which has been sent already.
    pub fn root(&self) -> String {
        let root = match self.copied {
            Copied::Object => "CopyObjectResult",
            Copied::Part => "CopyPartResult",
        };
        let version = self.version_id.as_ref();
        format!(
            "\r\n<{root}>\r\n\t<ETag>\"{}\"</ETag>\r\n\t<CRC64>{}</CRC64>\r\n\
             \t<LastModified>{}</LastModified>{}\r\n</{root}>",
            self.etag,
            self.crc64,
            iso_date(self.last_modified),
            version.map(|id| format!("\r\n\t<VersionId>{id}</VersionId>")).unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_1_of_the_page_is_219_bytes() {
        let result = CopyResult {
            copied: Copied::Object,
            etag: "ee8de918d05640145b18f70f4c3aa602".to_owned(),
            crc64: 16_749_565_679_157_681_890,
            last_modified: 1_586_542_830,
            version_id: None,
        };
        let document = result.document();
        assert_eq!(
            document,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<CopyObjectResult>\r\n\
             \t<ETag>\"ee8de918d05640145b18f70f4c3aa602\"</ETag>\r\n\
             \t<CRC64>16749565679157681890</CRC64>\r\n\
             \t<LastModified>2020-04-10T18:20:30Z</LastModified>\r\n</CopyObjectResult>"
        );
        assert_eq!(document.len(), 219);
    }

    #[test]
    fn sample_10_of_the_page_is_272_bytes() {
        let result = CopyResult {
            copied: Copied::Object,
            etag: "22e024392de860289f0baa7d6cf8a549".to_owned(),
            crc64: 11_596_229_263_574_363_878,
            last_modified: 1_586_627_516,
            version_id: Some("MTg0NDUxNTc0NDYxOTI4MzU0MDI".to_owned()),
        };
        let document = result.document();
        assert!(document.ends_with(
            "\t<LastModified>2020-04-11T17:51:56Z</LastModified>\r\n\
             \t<VersionId>MTg0NDUxNTc0NDYxOTI4MzU0MDI</VersionId>\r\n</CopyObjectResult>"
        ));
        assert_eq!(document.len(), 272);
        let part = CopyResult { copied: Copied::Part, version_id: None, ..result };
        assert!(part.document().contains("?>\r\n<CopyPartResult>\r\n\t<ETag>\"22e0"));
    }
}
