//! Header names of the COS dialect, and the groups of headers that travel together.

/// Names that stand alone.
pub mod name {
    #![allow(missing_docs)] // the names are the documentation
    pub const ACL: &str = "x-cos-acl";
    pub const COPY_SOURCE: &str = "x-cos-copy-source";
    pub const CRC64: &str = "x-cos-hash-crc64ecma";
    pub const BUCKET_REGION: &str = "x-cos-bucket-region";
    pub const FORBID_OVERWRITE: &str = "x-cos-forbid-overwrite";
    pub const METADATA_DIRECTIVE: &str = "x-cos-metadata-directive";
    pub const REQUEST_ID: &str = "x-cos-request-id";
    pub const SECURITY_TOKEN: &str = "x-cos-security-token";
    pub const STORAGE_CLASS: &str = "x-cos-storage-class";
    pub const STORAGE_TIER: &str = "x-cos-storage-tier";
    pub const TAGGING: &str = "x-cos-tagging";
    pub const TAGGING_COUNT: &str = "x-cos-tagging-count";
    pub const TAGGING_DIRECTIVE: &str = "x-cos-tagging-directive";
    pub const TRACE_ID: &str = "x-cos-trace-id";
}

/// User-defined metadata: `x-cos-meta-<suffix>`.
pub const META_PREFIX: &str = "x-cos-meta-";

/// User-defined metadata may hold this many bytes, names and values together.
pub const META_BYTES_MAX: usize = 2048;

/// The headers that are stored with an object and returned with it.
pub const SYSTEM_METADATA: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];

/// Storage class names (`x-cos-storage-class`), compared without regard to case.
pub const STORAGE_CLASSES: [&str; 10] = [
    "STANDARD",
    "STANDARD_IA",
    "INTELLIGENT_TIERING",
    "ARCHIVE",
    "DEEP_ARCHIVE",
    "MAZ_STANDARD",
    "MAZ_STANDARD_IA",
    "MAZ_INTELLIGENT_TIERING",
    "MAZ_ARCHIVE",
    "MAZ_DEEP_ARCHIVE",
];
