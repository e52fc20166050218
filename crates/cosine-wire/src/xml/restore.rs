//! `RestoreRequest`. Source: POST Object restore (436/12633).

use super::read;
use crate::error::{ApiError, Code};
use crate::query::number;

/// No body of this operation needs more.
pub const BODY_BYTES_MAX: u64 = 64 << 10;
/// An object is restored for this many days at most.
pub const DAYS_MAX: u32 = 365;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// For so long.
    pub days: u32,
    /// How fast, as it was written; empty where nobody says.
    pub tier: String,
}

/// Reads the body.
///
/// # Errors
/// 400 `MalformedXML`; `InvalidArgument` for days that are none from 1 to 365.
pub fn parse(body: &[u8]) -> Result<RestoreRequest, ApiError> {
    let (mut days, mut tier) = (None, String::new());
    read::elements(body, "RestoreRequest", |path, text| {
        match *path {
            ["RestoreRequest", "Days"] => days = Some(text.trim().to_owned()),
            ["RestoreRequest", "CASJobParameters", "Tier"] => text.trim().clone_into(&mut tier),
            _ => {}
        }
        Ok(())
    })?;
    let days = days.ok_or_else(|| ApiError::new(Code::MalformedXML, "There is no Days."))?;
    let days = number(&days).filter(|days| (1..=DAYS_MAX).contains(days));
    let days = days.ok_or_else(|| {
        ApiError::new(Code::InvalidArgument, format!("Days is a number from 1 to {DAYS_MAX}."))
    })?;
    Ok(RestoreRequest { days, tier })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let parsed = |inner: &str| {
            let body = format!("<RestoreRequest>{inner}</RestoreRequest>");
            parse(body.as_bytes()).map_err(|error| error.code)
        };
        let tier = "<CASJobParameters><Tier>Bulk</Tier></CASJobParameters>";
        let request = |days, tier: &str| Ok(RestoreRequest { days, tier: tier.to_owned() });
        assert_eq!(parsed(&format!("<Days>3</Days>{tier}")), request(3, "Bulk"));
        assert_eq!(parsed("<Days>365</Days>"), request(365, ""));
        assert_eq!(parsed(tier), Err(Code::MalformedXML));
        for days in ["0", "366", "-1", "+1", "x", ""] {
            assert_eq!(parsed(&format!("<Days>{days}</Days>")), Err(Code::InvalidArgument));
        }
    }
}
