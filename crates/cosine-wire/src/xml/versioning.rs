//! `VersioningConfiguration`, in both directions. Source: PUT and GET Bucket versioning (436/19889,
//! 436/19888).

use super::{Xml, read};
use crate::error::{ApiError, Code};

/// No body of this operation needs more.
pub const BODY_BYTES_MAX: u64 = 64 << 10;

/// Reads the body: whether versions are to be kept.
///
/// # Errors
/// 400 `MalformedXML`; `InvalidArgument` for a status that is neither.
pub fn parse(body: &[u8]) -> Result<bool, ApiError> {
    let mut status = None;
    read::elements(body, "VersioningConfiguration", |path, text| {
        if let ["VersioningConfiguration", "Status"] = *path {
            status = Some(text);
        }
        Ok(())
    })?;
    match status.as_deref().map(str::trim) {
        Some("Enabled") => Ok(true),
        Some("Suspended") => Ok(false),
        None => Err(ApiError::new(Code::MalformedXML, "There is no Status.")),
        Some(_) => Err(ApiError::new(Code::InvalidArgument, "Status is Enabled or Suspended.")),
    }
}

/// The document; `None` where versioning was never set.
pub fn document(enabled: Option<bool>) -> String {
    let mut xml = Xml::document();
    match enabled {
        None => xml.empty("VersioningConfiguration"),
        Some(enabled) => {
            xml.open("VersioningConfiguration");
            xml.text("Status", if enabled { "Enabled" } else { "Suspended" });
            xml.close("VersioningConfiguration");
        }
    }
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for enabled in [true, false] {
            assert_eq!(parse(document(Some(enabled)).as_bytes()), Ok(enabled));
        }
        let code = |body: &str| parse(body.as_bytes()).map_err(|error| error.code);
        assert_eq!(code(&document(None)), Err(Code::MalformedXML));
        assert_eq!(code("<Versioning/>"), Err(Code::MalformedXML));
        let status = |text| {
            format!("<VersioningConfiguration><Status>{text}</Status></VersioningConfiguration>")
        };
        assert_eq!(code(&status("enabled")), Err(Code::InvalidArgument));
    }
}
