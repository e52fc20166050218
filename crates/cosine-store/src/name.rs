//! The names of buckets and objects, valid by construction.
//!
//! Source: Bucket overview (436/13312), Object overview (436/13324).

use std::fmt;

/// A key holds at most this many bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 850;
/// `<name>-<appid>` holds at most this many characters.
const BUCKET_BYTES_MAX: usize = 60;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Not `<name>-<appid>` of lower-case letters, digits and inner hyphens.
    BucketMalformed,
    /// More than 60 characters.
    BucketTooLong,
    /// Empty, begins with `/` or `\`, or holds a forbidden control character.
    KeyMalformed,
    /// More than 850 bytes.
    KeyTooLong,
}

/// `<name>-<appid>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketName {
    full: String,
    appid: u64,
}

impl BucketName {
    /// Reads a name; the APPID is what follows the last hyphen.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > BUCKET_BYTES_MAX {
            return Err(NameError::BucketTooLong);
        }
        let (name, appid) = text.rsplit_once('-').ok_or(NameError::BucketMalformed)?;
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let well_formed = !name.is_empty()
            && name.bytes().all(letters)
            && !name.starts_with('-')
            && !name.ends_with('-')
            && !appid.starts_with('0')
            && appid.bytes().all(|b| b.is_ascii_digit());
        match appid.parse() {
            Ok(appid) if well_formed => Ok(Self { full: text.to_owned(), appid }),
            _ => Err(NameError::BucketMalformed),
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The account that the name belongs to.
    pub fn appid(&self) -> u64 {
        self.appid
    }

    /// A name that was checked when it was stored.
    pub(crate) fn stored(full: String, appid: u64) -> Self {
        Self { full, appid }
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// An object's key: any UTF-8 within the rules. Never normalised: `a//b`, `./x` and `..` are keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Checks a decoded key.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.len() > KEY_BYTES_MAX {
            return Err(NameError::KeyTooLong);
        }
        // CAN, EM, SUB and ESC.
        let forbidden = |b: u8| (0x18..=0x1b).contains(&b);
        if text.is_empty() || text.starts_with(['/', '\\']) || text.bytes().any(forbidden) {
            return Err(NameError::KeyMalformed);
        }
        Ok(Self(text))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that was checked when it was stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["b-1250000000", "a-b-c-1", "0-1250000000", &format!("{}-1", "x".repeat(58))] {
            let name = BucketName::parse(good).unwrap();
            assert!(good.ends_with(&format!("-{}", name.appid())));
        }
        for bad in
            ["", "b", "-1", "-b-1", "b--1", "B-1", "b_c-1", "b-x", "b-", "b.c-1", "b-01", "b-+1"]
        {
            assert_eq!(BucketName::parse(bad), Err(NameError::BucketMalformed), "{bad}");
        }
        let long = format!("{}-1", "x".repeat(59));
        assert_eq!(BucketName::parse(&long), Err(NameError::BucketTooLong));
    }

    #[test]
    fn keys() {
        for good in ["a//b", "./x", "..", "a/../b", "→", " ", "a\u{1c}", "k/", &"x".repeat(850)] {
            assert!(ObjectKey::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "\\a", "a\u{18}", "a\u{1b}b"] {
            assert_eq!(ObjectKey::parse(bad), Err(NameError::KeyMalformed), "{bad:?}");
        }
        assert_eq!(ObjectKey::parse("é".repeat(426)), Err(NameError::KeyTooLong));
    }
}
