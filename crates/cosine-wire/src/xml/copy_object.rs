//! `CopyObjectResult`. Source: `PUT Object - Copy`, response body (C155-C161).

use super::DECLARATION;
use crate::date::iso_date;

/// What a successful copy says of the new object.
#[derive(Clone, Debug)]
pub struct CopyObjectResult<'a> {
    /// The entity tag, without quotes.
    pub etag: &'a str,
    /// CRC-64/XZ of the plain bytes.
    pub crc64: u64,
    /// Seconds since 1970 UTC.
    pub last_modified: i64,
}

impl CopyObjectResult<'_> {
    /// The document, in the byte layout that gives the samples' lengths: CRLF line ends, one tab
    /// before each inner node, raw quotes, nothing after the root (C161).
    pub fn document(&self) -> String {
        format!(
            "{DECLARATION}\r\n<CopyObjectResult>\r\n\t<ETag>\"{}\"</ETag>\r\n\
             \t<CRC64>{}</CRC64>\r\n\t<LastModified>{}</LastModified>\r\n</CopyObjectResult>",
            self.etag,
            self.crc64,
            iso_date(self.last_modified)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_1_of_the_page_is_219_bytes() {
        let result = CopyObjectResult {
            etag: "ee8de918d05640145b18f70f4c3aa602",
            crc64: 16_749_565_679_157_681_890,
            last_modified: 1_586_542_830,
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
}
