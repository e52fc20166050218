//! The query string.

use crate::encode::percent_decode;

/// The decoded query parameters of a request, in the order in which they came.
///
/// `?acl` and `?acl=` are the same: an empty value. `+` is a space here, and only here: in paths
/// and copy sources it is a plus.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes the part of a request target after `?`.
    ///
    /// # Errors
    /// `None` for broken percent sequences and for names or values that are not UTF-8.
    pub fn parse(text: &str) -> Option<Self> {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            String::from_utf8(percent_decode(spaced.as_bytes())?).ok()
        };
        text.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// The first value of a parameter; names are compared without regard to case, because SDKs
    /// disagree (`versionId`, `VersionId`).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A number as clients write it: digits, and nothing else. `None` for what is none, or does not fit.
pub fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_a_space_and_a_bare_name_has_an_empty_value() {
        let query = Query::parse("acl&prefix=a+b%2Bc&VersionId=x&&k=v=w").unwrap();
        assert_eq!(query.get("acl"), Some(""));
        assert_eq!(query.get("prefix"), Some("a b+c"));
        assert_eq!(query.get("versionid"), Some("x"));
        assert_eq!(query.get("k"), Some("v=w"));
        assert!(Query::parse("a=%zz").is_none());
        assert!(Query::parse("a=%ff").is_none());
    }
}
