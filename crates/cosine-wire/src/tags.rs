//! Object tags: their limits, and the header that carries them. Source: PUT Object (436/7749),
//! PUT Object tagging (436/42998).

use crate::error::{ApiError, Code};
use crate::query::Query;

/// An object has at most this many tags.
pub const TAGS_MAX: usize = 10;
/// A tag's key holds at most this many bytes, and at least one.
pub const KEY_BYTES_MAX: usize = 128;
/// A tag's value holds at most this many bytes.
pub const VALUE_BYTES_MAX: usize = 256;
/// Key and value of one tag.
pub const TAG_BYTES_MAX: usize = KEY_BYTES_MAX + VALUE_BYTES_MAX;

/// Keys that begin with this, in any case, are the system's own.
const RESERVED_PREFIX: &str = "cos:";
/// Allowed beside letters and digits of any script.
const PUNCTUATION: &str = " +-_=.:/@";

/// A set of tags within the limits, in the order in which it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Takes keys and values.
    ///
    /// # Errors
    /// 400 `BadRequest` for more than [`TAGS_MAX`]; 400 `InvalidTag` for a key or a value that is too
    /// long or holds what it may not, a reserved key, and a key that comes twice.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        if pairs.len() > TAGS_MAX {
            let message = format!("An object has at most {TAGS_MAX} tags.");
            return Err(ApiError::new(Code::BadRequest, message));
        }
        for (at, (key, value)) in pairs.iter().enumerate() {
            let twice = pairs.iter().take(at).any(|(earlier, _)| earlier == key);
            let wrong = match () {
                () if key.is_empty() => "a tag has no key",
                () if key.len() > KEY_BYTES_MAX => "a tag's key is longer than 128 bytes",
                () if value.len() > VALUE_BYTES_MAX => "a tag's value is longer than 256 bytes",
                () if !(is_allowed(key) && is_allowed(value)) => {
                    "a tag holds other characters than letters, digits, spaces and + - _ = . : / @"
                }
                () if is_reserved(key) => "keys that begin with cos: are reserved",
                () if twice => "a tag's key comes twice",
                () => continue,
            };
            return Err(ApiError::new(
                Code::InvalidTag,
                format!("The tags are not valid: {wrong}."),
            ));
        }
        Ok(Self(pairs))
    }

    /// Reads `x-cos-tagging`: `k1=v1&k2=v2`, keys and values percent-encoded; `+` is a space, as
    /// every URL encoder of the SDKs has it.
    ///
    /// # Errors
    /// 400 `InvalidTag` for broken encoding, and those of [`new`](Self::new).
    pub fn parse(header: &str) -> Result<Self, ApiError> {
        let query = Query::parse(header).ok_or_else(|| {
            ApiError::new(Code::InvalidTag, "The tags are not URL-encoded UTF-8.")
        })?;
        Self::new(query.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Keys and values.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

fn is_allowed(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || PUNCTUATION.contains(c))
}

fn is_reserved(key: &str) -> bool {
    key.get(..RESERVED_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(header: &str) -> Result<usize, Code> {
        Tags::parse(header).map(|tags| tags.0.len()).map_err(|error| error.code)
    }

    #[test]
    fn the_header_is_encoded_once() {
        let tags = Tags::parse("a%20b=1%2B1&%E9%94%AE=a+b&empty=&bare").unwrap().into_pairs();
        let expected = [("a b", "1+1"), ("键", "a b"), ("empty", ""), ("bare", "")];
        assert_eq!(tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(code(""), Ok(0));
    }

    #[test]
    fn limits() {
        let count = |n: usize| (0..n).map(|k| format!("k{k}=v")).collect::<Vec<_>>().join("&");
        let table = [
            (count(TAGS_MAX), Ok(TAGS_MAX)),
            (count(TAGS_MAX + 1), Err(Code::BadRequest)),
            (format!("{}=v", "k".repeat(KEY_BYTES_MAX)), Ok(1)),
            (format!("{}=v", "k".repeat(KEY_BYTES_MAX + 1)), Err(Code::InvalidTag)),
            (format!("k={}", "v".repeat(VALUE_BYTES_MAX)), Ok(1)),
            (format!("k={}", "v".repeat(VALUE_BYTES_MAX + 1)), Err(Code::InvalidTag)),
            ("=v".to_owned(), Err(Code::InvalidTag)),
            ("k=1&k=2".to_owned(), Err(Code::InvalidTag)),
            ("k=1&K=2".to_owned(), Ok(2)),
            ("cos:k=v".to_owned(), Err(Code::InvalidTag)),
            ("CoS:k=v".to_owned(), Err(Code::InvalidTag)),
            ("cos=v".to_owned(), Ok(1)),
            ("k=a%26b".to_owned(), Err(Code::InvalidTag)),
            ("k%0A=v".to_owned(), Err(Code::InvalidTag)),
            ("k=%FF".to_owned(), Err(Code::InvalidTag)),
            ("k=%4".to_owned(), Err(Code::InvalidTag)),
            ("k=+-_=.:/@".to_owned(), Ok(1)),
        ];
        for (header, expected) in table {
            assert_eq!(code(&header), expected, "{header}");
        }
    }
}
