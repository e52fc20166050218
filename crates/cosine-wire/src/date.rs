//! The date forms of the API. All take and give whole seconds since 1970 UTC.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

fn utc(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `Fri, 10 Apr 2020 18:20:30 GMT`: headers.
pub fn http_date(seconds: i64) -> String {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    utc(seconds).format(&form).unwrap_or_default()
}

/// `2020-04-10T18:20:30Z`: `CopyObjectResult` and `CreationDate`.
pub fn iso_date(seconds: i64) -> String {
    utc(seconds).format(&Rfc3339).unwrap_or_default()
}

/// `2020-03-25T10:07:14.000Z`: listings, where the milliseconds are always zero.
pub fn iso_date_millis(seconds: i64) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
    utc(seconds).format(&form).unwrap_or_default()
}

/// Reads `2019-08-30T09:38:12.414Z`, with or without a fraction. `None` for anything else.
pub fn parse_iso_date(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text.trim(), &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// Reads `Fri, 10 Apr 2020 18:20:30 GMT`. `None` for anything else.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let form = format_description!(
        "[weekday repr:short case_sensitive:false], [day padding:none] [month repr:short case_sensitive:false] [year] [hour]:[minute]:[second] GMT"
    );
    let parsed = time::PrimitiveDateTime::parse(text.trim(), &form).ok()?;
    Some(parsed.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_one_instant() {
        assert_eq!(http_date(1_586_542_830), "Fri, 10 Apr 2020 18:20:30 GMT");
        assert_eq!(iso_date(1_586_542_830), "2020-04-10T18:20:30Z");
        assert_eq!(iso_date_millis(1_586_542_830), "2020-04-10T18:20:30.000Z");
        assert_eq!(parse_http_date("Fri, 10 Apr 2020 18:20:30 GMT"), Some(1_586_542_830));
        for bad in ["", "yesterday", "2020-04-10T18:20:30Z", "Fri, 32 Apr 2020 18:20:30 GMT"] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }
}
