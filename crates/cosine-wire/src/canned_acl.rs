//! Canned ACL values (`x-cos-acl`). Source: ACL overview (436/30583).

/// What `x-cos-acl` may say of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketCannedAcl {
    /// Only the owner.
    Private,
    /// Everyone may read.
    PublicRead,
    /// Everyone may read and write.
    PublicReadWrite,
    /// Every signed caller may read.
    AuthenticatedRead,
}

/// What `x-cos-acl` may say of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectCannedAcl {
    /// As the bucket says.
    Default,
    /// Only the owner.
    Private,
    /// Everyone may read.
    PublicRead,
    /// Every signed caller may read.
    AuthenticatedRead,
    /// The bucket's owner may read.
    BucketOwnerRead,
    /// The bucket's owner may do everything.
    BucketOwnerFullControl,
}

impl BucketCannedAcl {
    /// Reads the header; an empty value is the default. `None` for unknown names.
    pub fn parse(value: &str) -> Option<Self> {
        Some(match value {
            "" | "private" => Self::Private,
            "public-read" => Self::PublicRead,
            "public-read-write" => Self::PublicReadWrite,
            "authenticated-read" => Self::AuthenticatedRead,
            _ => return None,
        })
    }
}

impl ObjectCannedAcl {
    /// Reads the header; an empty value is the default. `None` for unknown names.
    pub fn parse(value: &str) -> Option<Self> {
        Some(match value {
            "" | "default" => Self::Default,
            "private" => Self::Private,
            "public-read" => Self::PublicRead,
            "authenticated-read" => Self::AuthenticatedRead,
            "bucket-owner-read" => Self::BucketOwnerRead,
            "bucket-owner-full-control" => Self::BucketOwnerFullControl,
            _ => return None,
        })
    }
}
