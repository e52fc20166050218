//! Header names of the COS dialect, and the groups of headers that travel together.

/// Names that stand alone.
pub mod name {
    #![allow(missing_docs)] // the names are the documentation
    pub const ACL: &str = "x-cos-acl";
    pub const BUCKET_AZ_TYPE: &str = "x-cos-bucket-az-type";
    pub const CONTENT_SHA1: &str = "x-cos-content-sha1";
    pub const COPY_SOURCE: &str = "x-cos-copy-source";
    pub const COPY_SOURCE_RANGE: &str = "x-cos-copy-source-range";
    pub const COPY_SOURCE_VERSION_ID: &str = "x-cos-copy-source-version-id";
    pub const CRC64: &str = "x-cos-hash-crc64ecma";
    pub const BUCKET_REGION: &str = "x-cos-bucket-region";
    pub const DELETE_MARKER: &str = "x-cos-delete-marker";
    pub const FORBID_OVERWRITE: &str = "x-cos-forbid-overwrite";
    pub const METADATA_DIRECTIVE: &str = "x-cos-metadata-directive";
    pub const NEXT_APPEND_POSITION: &str = "x-cos-next-append-position";
    pub const OBJECT_TYPE: &str = "x-cos-object-type";
    pub const REQUEST_ID: &str = "x-cos-request-id";
    pub const RESTORE: &str = "x-cos-restore";
    pub const RESTORE_STATUS: &str = "x-cos-restore-status";
    pub const SDK_RETRY: &str = "x-cos-sdk-retry";
    pub const SECURITY_TOKEN: &str = "x-cos-security-token";
    pub const SSE: &str = "x-cos-server-side-encryption";
    pub const SSE_CONTEXT: &str = "x-cos-server-side-encryption-context";
    pub const SSE_KMS_KEY_ID: &str = "x-cos-server-side-encryption-cos-kms-key-id";
    pub const STORAGE_CLASS: &str = "x-cos-storage-class";
    pub const STORAGE_TIER: &str = "x-cos-storage-tier";
    pub const SYMLINK_TARGET: &str = "x-cos-symlink-target";
    pub const TAGGING: &str = "x-cos-tagging";
    pub const TAGGING_COUNT: &str = "x-cos-tagging-count";
    pub const TAGGING_DIRECTIVE: &str = "x-cos-tagging-directive";
    pub const TRACE_ID: &str = "x-cos-trace-id";
    pub const VERSION_ID: &str = "x-cos-version-id";
}

/// The three headers by which a customer brings a key.
#[derive(Clone, Copy, Debug)]
pub struct CustomerKeyHeaders {
    /// The algorithm: `AES256`.
    pub algorithm: &'static str,
    /// The key, in base64.
    pub key: &'static str,
    /// MD5 of the key, in base64.
    pub md5: &'static str,
}

/// Of the object that the request is about.
pub const CUSTOMER_KEY: CustomerKeyHeaders = CustomerKeyHeaders {
    algorithm: "x-cos-server-side-encryption-customer-algorithm",
    key: "x-cos-server-side-encryption-customer-key",
    md5: "x-cos-server-side-encryption-customer-key-md5",
};

/// Of the object that is copied from.
pub const SOURCE_CUSTOMER_KEY: CustomerKeyHeaders = CustomerKeyHeaders {
    algorithm: "x-cos-copy-source-server-side-encryption-customer-algorithm",
    key: "x-cos-copy-source-server-side-encryption-customer-key",
    md5: "x-cos-copy-source-server-side-encryption-customer-key-md5",
};

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
