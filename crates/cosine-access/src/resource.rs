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
    /// `<bucket-appid>/<key>`, the key empty for the bucket itself; `roleName/<name>` for a role. For a
    /// list of what is in a bucket, the prefix stands in the place of the key.
    pub name: &'a str,
}
