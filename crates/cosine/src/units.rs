//! Quantities as people write them in settings.

use std::time::Duration;

const SUFFIXES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
/// No time limit makes sense beyond a day.
const SECONDS_MAX: f64 = 86_400.0;

/// A number of bytes: `1500`, `64KiB`, `512 MiB`, `1GiB`.
///
/// # Errors
/// What else it is, in words.
pub fn bytes(text: &str) -> Result<u64, String> {
    let split = |(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, unit));
    let (number, unit) = SUFFIXES.into_iter().find_map(split).unwrap_or((text, 1));
    let bytes = number.trim().parse().ok().and_then(|number: u64| number.checked_mul(unit));
    bytes.ok_or_else(|| format!("{text} is not a number of bytes such as 1500, 64KiB or 1GiB"))
}

/// A time in seconds, `30` or `0.5`, up to a day.
///
/// # Errors
/// What else it is, in words.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok().filter(|s| *s > 0.0 && *s <= SECONDS_MAX);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.filter(|duration| !duration.is_zero()).ok_or_else(|| {
        format!("{text} is not a number of seconds such as 30 or 0.5, {SECONDS_MAX} at most")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_binary_suffixes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1500", Some(1500)),
            ("64KiB", Some(65_536)),
            ("512 MiB", Some(536_870_912)),
            ("1GiB", Some(1_073_741_824)),
            ("17179869183GiB", Some(18_446_744_072_635_809_792)),
            ("17179869184GiB", None),
            ("1GB", None),
            ("1.5GiB", None),
            ("-1", None),
            ("GiB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn seconds_are_more_than_none_and_at_most_a_day() {
        for (text, expected) in [
            ("30", Some(30_000)),
            ("0.5", Some(500)),
            ("86400", Some(86_400_000)),
            ("86401", None),
            ("0", None),
            ("1e-300", None),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("30s", None),
            ("", None),
        ] {
            assert_eq!(seconds(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
