//! `CreateBucketConfiguration`. Source: PUT Bucket (436/7738).

use super::read;
use crate::error::{ApiError, Code};

/// Reads the body: whether the bucket is to be a multi-AZ one.
///
/// # Errors
/// 400 `MalformedXML`, `InvalidArgument`; 501 for what is not built.
pub fn parse(body: &[u8]) -> Result<bool, ApiError> {
    let (mut zones, mut other) = (None, None);
    read::elements(body, "CreateBucketConfiguration", |path, text| {
        match *path {
            ["CreateBucketConfiguration", "BucketAZConfig"] => zones = Some(text),
            ["CreateBucketConfiguration", name @ ("BucketArchConfig" | "BucketStorageClass")] => {
                other = Some(name.to_owned());
            }
            _ => {}
        }
        Ok(())
    })?;
    if let Some(name) = other {
        return Err(ApiError::new(
            Code::NotImplemented,
            format!("{name} is not implemented here."),
        ));
    }
    match zones.as_deref().map(str::trim) {
        None => Ok(false),
        Some("MAZ") => Ok(true),
        Some(_) => Err(ApiError::new(Code::InvalidArgument, "BucketAZConfig is MAZ, or absent.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations() {
        let code = |inner: &str| {
            let body = format!("<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>");
            parse(body.as_bytes()).map_err(|error| error.code)
        };
        assert_eq!(code(""), Ok(false));
        assert_eq!(code("<BucketAZConfig>MAZ</BucketAZConfig>"), Ok(true));
        assert_eq!(code("<BucketAZConfig>OAZ</BucketAZConfig>"), Err(Code::InvalidArgument));
        assert_eq!(code("<BucketArchConfig>OFS</BucketArchConfig>"), Err(Code::NotImplemented));
        assert_eq!(parse(b"<x/>").unwrap_err().code, Code::MalformedXML);
    }
}
