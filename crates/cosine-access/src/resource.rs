//! What is asked of.

use crate::Account;

/// A resource: a bucket, an object, all buckets of an account, or a role.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// `cos`, or `cam` for a role.
    pub service: &'static str,
    /// Where it is; empty for what is nowhere.
    pub region: &'a str,
    /// Whose it is.
    pub owner: Account,
    /// `<bucket-appid>/<key>`, the key empty for the bucket itself; `roleName/<name>` for a role.
    pub name: &'a str,
    /// For a list of what is in a bucket, `<bucket-appid>/<prefix>`: a policy may speak of either.
    pub list_of: Option<&'a str>,
}
