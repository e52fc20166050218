//! `ServerSideEncryptionConfiguration`, in both directions. Source: PUT, GET and DELETE Bucket encryption
//! (436/40136, 436/40137, 436/40138).

use super::{Xml, read};
use crate::error::{ApiError, Code};

/// No body of this operation needs more.
pub const BODY_BYTES_MAX: u64 = 64 << 10;

const ROOT: &str = "ServerSideEncryptionConfiguration";
/// The element that holds the algorithm. The SDKs' own tests call it otherwise.
const DEFAULTS: [&str; 2] =
    ["ApplyServerSideEncryptionByDefault", "ApplySideEncryptionConfiguration"];

/// The default encryption of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultEncryption {
    /// `AES256`: SSE-COS.
    Cos,
    /// `KMS`: SSE-KMS, under a key that is named or not.
    Kms(Option<String>),
}

/// Reads the body.
///
/// # Errors
/// 400 `MalformedXML`; `InvalidArgument` for other algorithms, or a key where none is used; 501
/// `NotImplemented` for SM4.
pub fn parse(body: &[u8]) -> Result<DefaultEncryption, ApiError> {
    let (mut rules, mut algorithm, mut key_id, mut cipher) = (0, None, None, None);
    read::elements(body, ROOT, |path, text| {
        match *path {
            [_, "Rule"] => rules += 1,
            [_, "Rule", default, element] if DEFAULTS.contains(&default) => match element {
                "SSEAlgorithm" => algorithm = Some(text),
                "KMSMasterKeyID" => key_id = Some(text),
                "KMSAlgorithm" => cipher = Some(text),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    })?;
    let invalid = |why: &'static str| Err(ApiError::new(Code::InvalidArgument, why));
    let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let key_id = trimmed(key_id).filter(|id| !id.is_empty());
    let (algorithm, cipher) = (trimmed(algorithm), trimmed(cipher).unwrap_or_default());
    if rules > 1 {
        return invalid("There is one Rule.");
    }
    if key_id.as_ref().is_some_and(|id| !id.bytes().all(|byte| byte.is_ascii_graphic())) {
        return invalid("KMSMasterKeyID is made of letters, digits and punctuation.");
    }
    match (algorithm.as_deref(), cipher.as_str()) {
        (None, _) => Err(ApiError::new(Code::MalformedXML, "There is no SSEAlgorithm.")),
        (Some("SM4"), _) | (_, "SM4") => {
            Err(ApiError::new(Code::NotImplemented, "SM4 is not implemented here."))
        }
        (Some("AES256"), _) if key_id.is_some() => {
            invalid("KMSMasterKeyID goes with the algorithm KMS.")
        }
        (Some("AES256"), "") => Ok(DefaultEncryption::Cos),
        (Some("KMS"), "" | "AES256") => Ok(DefaultEncryption::Kms(key_id)),
        _ => invalid("SSEAlgorithm is AES256 or KMS, and KMSAlgorithm AES256."),
    }
}

/// The document.
pub fn document(encryption: &DefaultEncryption) -> String {
    let mut xml = Xml::document();
    xml.open(ROOT);
    xml.open("Rule");
    xml.open("ApplyServerSideEncryptionByDefault");
    match encryption {
        DefaultEncryption::Cos => xml.text("SSEAlgorithm", "AES256"),
        DefaultEncryption::Kms(key_id) => {
            xml.text("SSEAlgorithm", "KMS");
            if let Some(key_id) = key_id {
                xml.text("KMSMasterKeyID", key_id);
            }
        }
    }
    xml.close("ApplyServerSideEncryptionByDefault");
    xml.close("Rule");
    xml.close(ROOT);
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let kinds = [
            DefaultEncryption::Cos,
            DefaultEncryption::Kms(None),
            DefaultEncryption::Kms(Some("a-b".to_owned())),
        ];
        for kind in kinds {
            assert_eq!(parse(document(&kind).as_bytes()), Ok(kind));
        }
    }

    #[test]
    fn what_is_refused() {
        let rule = |name: &str, inner: &str| {
            format!("<{ROOT}><Rule><{name}>{inner}</{name}></Rule></{ROOT}>")
        };
        let [right, other] = DEFAULTS;
        let aes = "<SSEAlgorithm>AES256</SSEAlgorithm>";
        let kms = "<SSEAlgorithm>KMS</SSEAlgorithm>";
        assert_eq!(parse(rule(other, aes).as_bytes()), Ok(DefaultEncryption::Cos));
        let table = [
            (rule(right, ""), Code::MalformedXML),
            (rule("Other", aes), Code::MalformedXML),
            ("<EncryptionConfiguration/>".to_owned(), Code::MalformedXML),
            (rule(right, "<SSEAlgorithm>aes</SSEAlgorithm>"), Code::InvalidArgument),
            (rule(right, "<SSEAlgorithm>cos/kms</SSEAlgorithm>"), Code::InvalidArgument),
            (rule(right, "<SSEAlgorithm>SM4</SSEAlgorithm>"), Code::NotImplemented),
            (rule(right, &format!("{kms}<KMSAlgorithm>SM4</KMSAlgorithm>")), Code::NotImplemented),
            (rule(right, &format!("{kms}<KMSAlgorithm>DES</KMSAlgorithm>")), Code::InvalidArgument),
            (
                rule(right, &format!("{aes}<KMSMasterKeyID>k</KMSMasterKeyID>")),
                Code::InvalidArgument,
            ),
        ];
        for (body, code) in table {
            assert_eq!(parse(body.as_bytes()).map_err(|error| error.code), Err(code), "{body}");
        }
    }
}
