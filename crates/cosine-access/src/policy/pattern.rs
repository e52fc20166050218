//! Text with `*` for any run of characters.
//!
//! Matching costs at most the sum of both lengths, whatever the pattern: each literal piece is looked for
//! once, by an algorithm whose time is linear, in what the pieces before it left. There is nothing to go
//! back to: where a piece is found first is never worse than where it is found later.

use std::borrow::Cow;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Text before the first `*`.
    front: String,
    /// Text after the first `*`; `None` where there is none.
    rest: Option<Rest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    middle: Vec<String>,
    back: String,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        Self::with(text, Cow::Borrowed)
    }

    /// Reads a pattern whose pieces are to be decoded, each for itself: an encoded `*` is no wildcard.
    pub fn with<'t>(text: &'t str, decode: impl Fn(&'t str) -> Cow<'t, str>) -> Self {
        let mut pieces = text.split('*').map(|piece| decode(piece).into_owned());
        let front = pieces.next().unwrap_or_default();
        let mut middle: Vec<String> = pieces.collect();
        let rest = middle.pop().map(|back| {
            middle.retain(|piece| !piece.is_empty());
            Rest { middle, back }
        });
        Self { front, rest }
    }

    /// What every text begins with that it fits.
    pub fn front(&self) -> &str {
        &self.front
    }

    /// Whether it fits the whole of a text.
    pub fn matches(&self, text: &str) -> bool {
        let Some(rest) = &self.rest else { return self.front == text };
        let Some(left) = text.strip_prefix(self.front.as_str()) else { return false };
        let Some(mut left) = left.strip_suffix(rest.back.as_str()) else { return false };
        for piece in &rest.middle {
            match left.find(piece.as_str()).and_then(|at| left.get(at + piece.len()..)) {
                Some(behind) => left = behind,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The obvious way, which takes exponential time.
    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                model(rest, text) || text.split_first().is_some_and(|(_, t)| model(pattern, t))
            }
            (Some((p, pattern)), Some((t, text))) => p == t && model(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_what_the_obvious_way_does(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            let expected = model(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), expected);
        }
    }

    #[test]
    fn pieces_do_not_overlap_and_an_encoded_star_is_none() {
        assert!(!Pattern::new("ab*ba").matches("aba"));
        assert!(Pattern::new("ab*ba").matches("abba"));
        assert!(Pattern::new("**").matches("") && !Pattern::new("*a").matches(""));
        let star = Pattern::with("a%2A*", |piece| Cow::Owned(piece.replace("%2A", "*")));
        assert!(star.matches("a*b") && !star.matches("abb"));
    }
}
