//! Conditional requests: the four `If-*` headers of GET and HEAD, and the four
//! `x-cos-copy-source-If-*` headers of a copy.

use http::{HeaderMap, HeaderName};

use crate::date::parse_http_date;
use crate::error::{ApiError, Code};

/// The header names that carry one set of conditions.
#[derive(Clone, Copy, Debug)]
pub struct ConditionHeaders {
    if_match: &'static str,
    if_none_match: &'static str,
    if_modified_since: &'static str,
    if_unmodified_since: &'static str,
}

/// Conditions on the object that a GET or HEAD names.
pub const OBJECT: ConditionHeaders = ConditionHeaders {
    if_match: "if-match",
    if_none_match: "if-none-match",
    if_modified_since: "if-modified-since",
    if_unmodified_since: "if-unmodified-since",
};

/// Conditions on the source of a copy.
pub const COPY_SOURCE: ConditionHeaders = ConditionHeaders {
    if_match: "x-cos-copy-source-if-match",
    if_none_match: "x-cos-copy-source-if-none-match",
    if_modified_since: "x-cos-copy-source-if-modified-since",
    if_unmodified_since: "x-cos-copy-source-if-unmodified-since",
};

/// What conditions are held against.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The entity tag, without quotes.
    pub etag: &'a str,
    /// Last modification, seconds since 1970 UTC.
    pub last_modified: i64,
}

/// The verdict on a conditional read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were no conditions.
    Proceed,
    /// 304, no body.
    NotModified,
    /// 412 `PreconditionFailed`.
    Failed,
}

/// A parsed set of conditions; absent headers are `None`.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    if_match: Option<Vec<String>>,
    if_none_match: Option<Vec<String>>,
    if_modified_since: Option<i64>,
    if_unmodified_since: Option<i64>,
}

impl Conditions {
    /// Reads the conditions out of a request's headers.
    ///
    /// # Errors
    /// 400 `InvalidArgument` for a date that is not in HTTP form.
    pub fn parse(headers: &HeaderMap, names: ConditionHeaders) -> Result<Self, ApiError> {
        let text = |name: &'static str| joined(headers, name);
        let date = |name| {
            let form =
                || ApiError::new(Code::InvalidArgument, format!("{name} is not an HTTP date."));
            text(name)?.map(|value| parse_http_date(&value).ok_or_else(form)).transpose()
        };
        let tags = |name| Ok::<_, ApiError>(text(name)?.as_deref().map(etags));
        Ok(Self {
            if_match: tags(names.if_match)?,
            if_none_match: tags(names.if_none_match)?,
            if_modified_since: date(names.if_modified_since)?,
            if_unmodified_since: date(names.if_unmodified_since)?,
        })
    }

    /// GET and HEAD, by RFC 9110 section 13.2.2: `If-Match` outranks `If-Unmodified-Since`, and
    /// `If-None-Match` outranks `If-Modified-Since`.
    pub fn on_read(&self, facts: Facts<'_>) -> Verdict {
        let unmodified = self.if_unmodified_since.is_none_or(|t| facts.last_modified <= t);
        if !self.if_match.as_ref().map_or(unmodified, |tags| matches(tags, facts.etag)) {
            return Verdict::Failed;
        }
        let modified = self.if_modified_since.is_none_or(|t| facts.last_modified > t);
        if !self.if_none_match.as_ref().map_or(modified, |tags| !matches(tags, facts.etag)) {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// A copy proceeds only if every condition that was sent holds; otherwise 412, never 304
    /// (`PUT Object - Copy`, C50-C56).
    pub fn all_hold(&self, facts: Facts<'_>) -> bool {
        self.if_match.as_ref().is_none_or(|tags| matches(tags, facts.etag))
            && self.if_none_match.as_ref().is_none_or(|tags| !matches(tags, facts.etag))
            && self.if_modified_since.is_none_or(|t| facts.last_modified > t)
            && self.if_unmodified_since.is_none_or(|t| facts.last_modified <= t)
    }
}

/// The value of a header, several lines of it joined by commas; `None` if it is absent or empty.
/// A condition that cannot be read must not be taken for none.
fn joined(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, ApiError> {
    let values = headers.get_all(HeaderName::from_static(name)).iter();
    let texts = values.map(|value| value.to_str().map(str::trim)).collect::<Result<Vec<_>, _>>();
    let joined = texts
        .map_err(|_| ApiError::new(Code::InvalidArgument, format!("{name} is not ASCII text.")))?
        .join(", ");
    Ok(Some(joined).filter(|joined| !joined.is_empty()))
}

/// Whether `If-Range` lets a range through: its entity tag or date is exactly the object's.
pub fn if_range_matches(value: &str, facts: Facts<'_>) -> bool {
    match parse_http_date(value) {
        Some(date) => date == facts.last_modified,
        None => value.trim().trim_matches('"') == facts.etag,
    }
}

/// Entity tags come quoted, bare, weak, and in comma-joined lists.
fn etags(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned())
        .collect()
}

fn matches(tags: &[String], etag: &str) -> bool {
    tags.iter().any(|tag| tag == "*" || tag == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts { etag: "abc", last_modified: 1_586_542_830 };
    const BEFORE: &str = "Fri, 10 Apr 2020 18:20:29 GMT";
    const SAME: &str = "Fri, 10 Apr 2020 18:20:30 GMT";

    fn conditions(names: ConditionHeaders, sent: &[(&'static str, &str)]) -> Conditions {
        let headers = sent
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Conditions::parse(&headers, names).unwrap()
    }

    #[test]
    fn reads_follow_rfc_9110() {
        let table: &[(&[(&'static str, &str)], Verdict)] = &[
            (&[], Verdict::Proceed),
            (&[("if-match", "\"abc\"")], Verdict::Proceed),
            (&[("if-match", "x, abc")], Verdict::Proceed),
            (&[("if-match", "x")], Verdict::Failed),
            (&[("if-none-match", "W/\"abc\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-modified-since", SAME)], Verdict::NotModified),
            (&[("if-modified-since", BEFORE)], Verdict::Proceed),
            (&[("if-unmodified-since", BEFORE)], Verdict::Failed),
            (&[("if-unmodified-since", SAME)], Verdict::Proceed),
            (&[("if-match", "abc"), ("if-unmodified-since", BEFORE)], Verdict::Proceed),
            (&[("if-none-match", "x"), ("if-modified-since", SAME)], Verdict::Proceed),
        ];
        for (sent, verdict) in table {
            assert_eq!(conditions(OBJECT, sent).on_read(FACTS), *verdict, "{sent:?}");
        }
    }

    #[test]
    fn a_copy_needs_every_condition_c50_to_c56() {
        let (m, n) = ("x-cos-copy-source-if-match", "x-cos-copy-source-if-none-match");
        let (s, u) =
            ("x-cos-copy-source-if-modified-since", "x-cos-copy-source-if-unmodified-since");
        let table: &[(&[(&'static str, &str)], bool)] = &[
            (&[(m, "abc")], true),
            (&[(m, "x")], false),
            (&[(n, "x")], true),
            (&[(n, "abc")], false),
            (&[(s, BEFORE)], true),
            (&[(s, SAME)], false),
            (&[(u, SAME)], true),
            (&[(u, BEFORE)], false),
            (&[(u, SAME), (m, "abc")], true),
            (&[(u, BEFORE), (m, "abc")], false),
            (&[(s, BEFORE), (n, "x")], true),
            (&[(s, SAME), (n, "x")], false),
        ];
        for (sent, holds) in table {
            assert_eq!(conditions(COPY_SOURCE, sent).all_hold(FACTS), *holds, "{sent:?}");
        }
    }

    #[test]
    fn a_range_is_conditional_on_exactly_this_object() {
        for (value, matches) in [
            ("\"abc\"", true),
            ("abc", true),
            ("\"x\"", false),
            ("W/\"abc\"", false),
            (SAME, true),
            (BEFORE, false),
        ] {
            assert_eq!(if_range_matches(value, FACTS), matches, "{value}");
        }
    }

    #[test]
    fn several_lines_of_a_condition_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append("if-none-match", "\"x\"".parse().unwrap());
        headers.append("if-none-match", "\"abc\"".parse().unwrap());
        let conditions = Conditions::parse(&headers, OBJECT).unwrap();
        assert_eq!(conditions.on_read(FACTS), Verdict::NotModified);
        headers.insert("if-none-match", http::HeaderValue::from_bytes(b"\xe9").unwrap());
        let error = Conditions::parse(&headers, OBJECT).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument);
    }

    #[test]
    fn a_malformed_date_is_an_invalid_argument() {
        let headers =
            [(http::header::IF_MODIFIED_SINCE, "soon".parse().unwrap())].into_iter().collect();
        let error = Conditions::parse(&headers, OBJECT).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument);
    }
}
