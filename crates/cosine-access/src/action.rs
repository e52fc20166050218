//! What is asked for.

/// What an ACL has to grant for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclNeed {
    /// No ACL gives it: the owner's alone, and those whom a policy lets.
    Nothing,
    /// `READ` of the bucket.
    BucketRead,
    /// `WRITE` of the bucket.
    BucketWrite,
    /// `READ_ACP` of the bucket.
    BucketReadAcp,
    /// `WRITE_ACP` of the bucket.
    BucketWriteAcp,
    /// `READ` of the object, or of its bucket where the object's ACL is the default.
    ObjectRead,
    /// The same with `READ_ACP`.
    ObjectReadAcp,
    /// The same with `WRITE_ACP`.
    ObjectWriteAcp,
}

/// An action by the names that policies know it by, without its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// `cos`, or `sts`.
    pub service: &'static str,
    /// Its name, and others that mean the same: an allow of any of them allows, a deny of any of them
    /// denies.
    pub names: &'static [&'static str],
    /// What an ACL has to grant for it.
    pub acl: AclNeed,
}

/// What no policy can take from the account that owns the bucket: else one mistake would lock everyone
/// out for good.
const POLICY_CONTROL: [&str; 3] = ["PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"];

impl Action {
    /// An action on buckets or objects.
    pub const fn cos(names: &'static [&'static str], acl: AclNeed) -> Self {
        Self { service: "cos", names, acl }
    }

    pub(crate) fn is_policy_control(&self) -> bool {
        self.service == "cos" && self.names.iter().any(|name| POLICY_CONTROL.contains(name))
    }

    /// The name that logs and records have.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}
