//! The `Range` request header of GET and HEAD Object.

/// One byte range as a client wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`; `None` is the open form `bytes=first-`.
    From(u64, Option<u64>),
    /// `bytes=-n`: the last `n` bytes.
    Suffix(u64),
}

impl ByteRange {
    /// Reads the header. `None` for everything malformed and for several ranges: COS then sends
    /// the whole object with 200.
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            // A number too large for us is beyond the end of every object.
            digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
        };
        match (first, last) {
            ("", last) => number(last).map(ByteRange::Suffix),
            (first, "") => Some(ByteRange::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(ByteRange::From(first, Some(last)))
            }
        }
    }

    /// The bytes that the range names in an object of `size` bytes, clipped to its end; `None`
    /// where there are none (416 `InvalidRange`).
    pub fn resolve(self, size: u64) -> Option<std::ops::Range<u64>> {
        let range = match self {
            ByteRange::From(first, last) => {
                first..last.map_or(size, |last| size.min(last.saturating_add(1)))
            }
            ByteRange::Suffix(n) => size.saturating_sub(n)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_ten_byte_object() {
        let table = [
            ("bytes=0-3", Some(Some(0..4))),
            ("bytes=5-", Some(Some(5..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=-30", Some(Some(0..10))),
            ("bytes=8-99", Some(Some(8..10))),
            ("bytes=8-99999999999999999999999", Some(Some(8..10))),
            ("bytes=99999999999999999999999-", Some(None)),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=3-2", None),
            ("bytes=a-b", None),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
            ("bytes=+1-2", None),
            ("bytes=-", None),
            ("bytes= 0-3", None),
            ("bytes=0 -3", None),
        ];
        for (header, expected) in table {
            let actual = ByteRange::parse(header).map(|range| range.resolve(10));
            assert_eq!(actual, expected, "{header}");
        }
        assert_eq!(ByteRange::Suffix(5).resolve(0), None);
    }
}
