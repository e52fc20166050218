//! Grantees, as ACLs and grant headers name them. Source: PUT Bucket acl (436/7737), ACL Overview
//! (436/30583).

use crate::error::{ApiError, Code};

/// Everyone.
pub const ALL_USERS: &str = "http://cam.qcloud.com/groups/global/AllUsers";
/// Everyone who signs.
pub const AUTHENTICATED_USERS: &str = "http://cam.qcloud.com/groups/global/AuthenticatedUsers";
/// Longer lists of grants are of no use: they hold more than an ACL may.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// Whom a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// Everyone.
    AllUsers,
    /// Everyone who signs.
    AuthenticatedUsers,
    /// An account and a user of it, by their uins; twice the same for the account itself.
    Cam(u64, u64),
}

impl Grantee {
    /// Reads an `ID`: `qcs::cam::uin/<account>:uin/<user>`, `<account>`, `<account>/<user>`, or
    /// `qcs::cam::anyone:anyone`. Whether anyone has the number is not asked, as in COS.
    ///
    /// # Errors
    /// 400 `InvalidArgument`.
    pub fn parse_id(id: &str) -> Result<Self, ApiError> {
        let id = id.trim();
        if id == "qcs::cam::anyone:anyone" {
            return Ok(Self::AllUsers);
        }
        let pair = match id.strip_prefix("qcs::cam::uin/") {
            Some(long) => long.split_once(":uin/"),
            None => Some(id.split_once('/').unwrap_or((id, id))),
        };
        let pair = pair.and_then(|(owner, user)| Some((uin(owner)?, uin(user)?)));
        pair.map(|(owner, user)| Self::Cam(owner, user)).ok_or_else(|| {
            ApiError::new(Code::InvalidArgument, format!("{id:?} is not the ID of a grantee."))
        })
    }

    /// Reads the `URI` of a group.
    ///
    /// # Errors
    /// 400 `InvalidArgument`.
    pub fn parse_uri(uri: &str) -> Result<Self, ApiError> {
        match uri.trim().rsplit_once("/groups/global/") {
            Some((_, "AllUsers")) => Ok(Self::AllUsers),
            Some((_, "AuthenticatedUsers")) => Ok(Self::AuthenticatedUsers),
            _ => Err(ApiError::new(Code::InvalidArgument, format!("{uri:?} is no group."))),
        }
    }

    /// Reads a grant header: `id="...",id="..."`, also `uin="..."` and `uri="..."`.
    ///
    /// # Errors
    /// 400 `InvalidArgument`.
    pub fn parse_header(name: &str, value: &str) -> Result<Vec<Self>, ApiError> {
        let malformed = || {
            let message =
                format!("{name} is a list such as id=\"100000000001\",id=\"100000000002\".");
            ApiError::new(Code::InvalidArgument, message)
        };
        if value.len() > HEADER_BYTES_MAX {
            return Err(malformed());
        }
        let one = |item: &str| {
            let (kind, value) = item.split_once('=').ok_or_else(malformed)?;
            let value = value.trim().trim_matches('"');
            match kind.trim().to_ascii_lowercase().as_str() {
                "id" | "uin" => Self::parse_id(value),
                "uri" => Self::parse_uri(value),
                _ => Err(malformed()),
            }
        };
        value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(one).collect()
    }
}

fn uin(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_grantee() {
        for (id, grantee) in [
            ("100000000001", Grantee::Cam(100_000_000_001, 100_000_000_001)),
            ("1/2", Grantee::Cam(1, 2)),
            ("qcs::cam::uin/1:uin/2", Grantee::Cam(1, 2)),
            ("qcs::cam::anyone:anyone", Grantee::AllUsers),
        ] {
            assert_eq!(Grantee::parse_id(id).unwrap(), grantee, "{id}");
        }
        for bad in ["", "x", "1/", "/1", "-1", "+1", "qcs::cam::uin/1", "qcs::cam::uin/1:uin/x"] {
            assert_eq!(Grantee::parse_id(bad).unwrap_err().code, Code::InvalidArgument, "{bad}");
        }
        let header = "id=\"1\", uin=\"2/3\",uri=\"http://x/groups/global/AllUsers\"";
        let expected = [Grantee::Cam(1, 1), Grantee::Cam(2, 3), Grantee::AllUsers];
        assert_eq!(Grantee::parse_header("x-cos-grant-read", header).unwrap(), expected);
        for bad in ["1", "id=x", "mail=\"a@b\"", "uri=\"AllUsers\""] {
            assert!(Grantee::parse_header("x-cos-grant-read", bad).is_err(), "{bad}");
        }
    }
}
