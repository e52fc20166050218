//! The routing table: every COS storage operation, what tells it from the others, its parameters,
//! and whether it is built. Nothing else decides what a request is. The page
//! `docs/operations.md` is made from this table.

use http::{HeaderMap, Method};

use cosine_access::{AclNeed, Action};
use cosine_wire::Code;
use cosine_wire::header::name;
use cosine_wire::query::Query;

/// What a request is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The service host.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
    /// The batch host.
    Control,
}

/// What a request must carry to be an operation, beyond method and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A query parameter, with or without a value.
    Query(&'static str),
    /// A header.
    Header(&'static str),
    /// A path of this form below the host; `*` is one segment.
    Path(&'static str),
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Built,
    /// What it reads can never have been set: the documented answer for that, which SDKs that probe
    /// take for "none".
    NotSet(Code),
    /// The same, where the documented answer is a document with this root.
    NotSetDocument(&'static str),
    /// 501 `NotImplemented`.
    Planned,
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// Which operation it is.
    pub operation: Operation,
    /// Its name, for labels and pages.
    pub name: &'static str,
    /// Its method.
    pub method: Method,
    /// What it is addressed to.
    pub scope: Scope,
    /// What tells it from the others; all must hold.
    pub when: &'static [When],
    /// Its query parameters.
    pub params: &'static [&'static str],
    /// The `x-cos-*` headers that it understands.
    pub headers: &'static [&'static str],
    /// What policies and ACLs know it by; without a name where everyone may.
    pub action: Action,
    /// The S3 action that is the same, without `s3:`; empty where there is none.
    pub s3_action: &'static str,
    /// How far it has come.
    pub state: State,
}

/// Query parameters that belong to no operation: the signature's, and the token's.
fn is_common_param(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("q-") || lower == "sign" || lower == "x-cos-security-token"
}

/// Headers that belong to no operation.
const COMMON_HEADERS: [&str; 2] = [name::SDK_RETRY, name::SECURITY_TOKEN];

impl Row {
    fn matches(&self, method: &Method, scope: Scope, request: &Ask<'_>) -> bool {
        self.method == *method
            && self.scope == scope
            && self.when.iter().all(|when| match when {
                When::Query(name) => request.query.has(name),
                When::Header(name) => request.headers.contains_key(*name),
                When::Path(form) => path_has_form(request.path, form),
            })
    }

    /// Whether a query parameter tells the operation from the others.
    pub fn is_selected_by(&self, name: &str) -> bool {
        let selects = |when: &When| matches!(when, When::Query(n) if n.eq_ignore_ascii_case(name));
        self.when.iter().any(selects)
    }

    /// Whether the operation has this query parameter.
    pub fn knows_param(&self, name: &str) -> bool {
        is_common_param(name)
            || self.is_selected_by(name)
            || self.params.iter().any(|param| param.eq_ignore_ascii_case(name))
    }

    /// Whether a header asks for something that the operation does not do. Only headers with COS's
    /// own prefixes do; `x-cos-meta-*` is metadata where the operation takes metadata.
    pub fn refuses_header(&self, name: &str) -> bool {
        let special = ["x-cos-", "x-ci-", "pic-operations"].iter().any(|p| name.starts_with(p));
        let listed = |header: &&'static str| match header.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => *header == name,
        };
        let selects = |when: &When| matches!(when, When::Header(header) if *header == name);
        special
            && !COMMON_HEADERS.contains(&name)
            && !self.headers.iter().any(listed)
            && !self.when.iter().any(selects)
    }
}

fn path_has_form(path: &str, form: &str) -> bool {
    let segments = |text| str::split(text, '/').filter(|segment| !segment.is_empty());
    let (mut path, mut form) = (segments(path), segments(form));
    loop {
        match (path.next(), form.next()) {
            (None, None) => return true,
            (Some(_), Some("*")) => {}
            (Some(segment), Some(wanted)) if segment == wanted => {}
            _ => return false,
        }
    }
}

/// What the table is asked with.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The decoded query.
    pub query: &'a Query,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The decoded path.
    pub path: &'a str,
}

/// Finds the row of a request: the first that matches, and rows that need more stand first.
///
/// # Errors
/// 405 `MethodNotAllowed`.
pub fn route(method: &Method, scope: Scope, ask: Ask<'_>) -> Result<&'static Row, Code> {
    TABLE.iter().find(|row| row.matches(method, scope, &ask)).ok_or(Code::MethodNotAllowed)
}

macro_rules! operations {
    ($($name:ident $method:ident $scope:ident
        [$($kind:ident $what:literal),*] [$($param:literal)*] [$($header:literal)*]
        [$($action:literal)*] $need:ident $s3:literal $state:expr;)*) => {
        /// Every COS storage operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // the names are COS's own
        pub enum Operation { $($name,)* }

        /// The table.
        pub static TABLE: &[Row] = &[$(Row {
            operation: Operation::$name,
            name: stringify!($name),
            method: Method::$method,
            scope: Scope::$scope,
            when: &[$(When::$kind($what)),*],
            params: &[$($param),*],
            headers: &[$($header),*],
            action: Action::cos(&[$($action),*], AclNeed::$need),
            s3_action: $s3,
            state: $state,
        },)*];
    };
}

use State::{Built, NotSet, NotSetDocument, Planned};

// Name, method, scope, what tells it, parameters, headers, COS actions, what an ACL grants it with, S3 action, state.
operations! {
    GetService GET Service [] ["tagkey" "tagvalue" "region" "create-time" "range" "marker" "max-keys"] [] ["GetService"] Nothing "ListAllMyBuckets" Built;

    GetBucketAcl GET Bucket [Query "acl"] [] [] ["GetBucketACL"] BucketReadAcp "GetBucketAcl" Built;
    PutBucketAcl PUT Bucket [Query "acl"] [] ["x-cos-acl" "x-cos-grant-*"] ["PutBucketACL"] BucketWriteAcp "PutBucketAcl" Built;
    GetBucketCors GET Bucket [Query "cors"] [] [] ["GetBucketCORS"] Nothing "GetBucketCORS" Built;
    PutBucketCors PUT Bucket [Query "cors"] [] [] ["PutBucketCORS"] Nothing "PutBucketCORS" Built;
    DeleteBucketCors DELETE Bucket [Query "cors"] [] [] ["DeleteBucketCORS"] Nothing "PutBucketCORS" Built;
    GetBucketLifecycle GET Bucket [Query "lifecycle"] [] [] ["GetBucketLifecycle"] Nothing "GetLifecycleConfiguration" NotSet(Code::NoSuchLifecycleConfiguration);
    PutBucketLifecycle PUT Bucket [Query "lifecycle"] [] [] ["PutBucketLifecycle"] Nothing "PutLifecycleConfiguration" Planned;
    DeleteBucketLifecycle DELETE Bucket [Query "lifecycle"] [] [] ["DeleteBucketLifecycle"] Nothing "PutLifecycleConfiguration" Planned;
    GetBucketPolicy GET Bucket [Query "policy"] [] [] ["GetBucketPolicy"] Nothing "GetBucketPolicy" Built;
    PutBucketPolicy PUT Bucket [Query "policy"] [] [] ["PutBucketPolicy"] Nothing "PutBucketPolicy" Built;
    DeleteBucketPolicy DELETE Bucket [Query "policy"] [] [] ["DeleteBucketPolicy"] Nothing "DeleteBucketPolicy" Built;
    GetBucketReferer GET Bucket [Query "referer"] [] [] ["GetBucketReferer"] Nothing "" NotSetDocument("<RefererConfiguration/>");
    PutBucketReferer PUT Bucket [Query "referer"] [] [] ["PutBucketReferer"] Nothing "" Planned;
    GetBucketVersioning GET Bucket [Query "versioning"] [] [] ["GetBucketVersioning"] Nothing "GetBucketVersioning" Built;
    PutBucketVersioning PUT Bucket [Query "versioning"] [] [] ["PutBucketVersioning"] Nothing "PutBucketVersioning" Built;
    GetBucketReplication GET Bucket [Query "replication"] [] [] ["GetBucketReplication"] Nothing "GetReplicationConfiguration" NotSet(Code::ReplicationConfigurationNotFoundError);
    PutBucketReplication PUT Bucket [Query "replication"] [] [] ["PutBucketReplication"] Nothing "PutReplicationConfiguration" Planned;
    DeleteBucketReplication DELETE Bucket [Query "replication"] [] [] ["DeleteBucketReplication"] Nothing "PutReplicationConfiguration" Planned;
    GetBucketTagging GET Bucket [Query "tagging"] [] [] ["GetBucketTagging"] Nothing "GetBucketTagging" NotSet(Code::NoSuchTagSet);
    PutBucketTagging PUT Bucket [Query "tagging"] [] [] ["PutBucketTagging"] Nothing "PutBucketTagging" Planned;
    DeleteBucketTagging DELETE Bucket [Query "tagging"] [] [] ["DeleteBucketTagging"] Nothing "PutBucketTagging" Planned;
    GetBucketWebsite GET Bucket [Query "website"] [] [] ["GetBucketWebsite"] Nothing "GetBucketWebsite" NotSet(Code::NoSuchWebsiteConfiguration);
    PutBucketWebsite PUT Bucket [Query "website"] [] [] ["PutBucketWebsite"] Nothing "PutBucketWebsite" Planned;
    DeleteBucketWebsite DELETE Bucket [Query "website"] [] [] ["DeleteBucketWebsite"] Nothing "DeleteBucketWebsite" Planned;
    GetBucketLogging GET Bucket [Query "logging"] [] [] ["GetBucketLogging"] Nothing "GetBucketLogging" NotSetDocument("<BucketLoggingStatus/>");
    PutBucketLogging PUT Bucket [Query "logging"] [] [] ["PutBucketLogging"] Nothing "PutBucketLogging" Planned;
    GetBucketInventory GET Bucket [Query "inventory", Query "id"] [] [] ["GetBucketInventory"] Nothing "GetInventoryConfiguration" NotSet(Code::InventoryConfigurationNotFoundError);
    ListBucketInventory GET Bucket [Query "inventory"] ["continuation-token"] [] ["ListBucketInventory"] Nothing "GetInventoryConfiguration" NotSetDocument("<ListInventoryConfigurationResult/>");
    PutBucketInventory PUT Bucket [Query "inventory"] ["id"] [] ["PutBucketInventory"] Nothing "PutInventoryConfiguration" Planned;
    DeleteBucketInventory DELETE Bucket [Query "inventory"] ["id"] [] ["DeleteBucketInventory"] Nothing "PutInventoryConfiguration" Planned;
    PostBucketInventory POST Bucket [Query "inventory"] ["id"] [] ["PostBucketInventory"] Nothing "" Planned;
    GetBucketDomain GET Bucket [Query "domain"] [] [] ["GetBucketDomain"] Nothing "" NotSet(Code::DomainConfigNotFoundError);
    PutBucketDomain PUT Bucket [Query "domain"] [] [] ["PutBucketDomain"] Nothing "" Planned;
    DeleteBucketDomain DELETE Bucket [Query "domain"] [] [] ["DeleteBucketDomain"] Nothing "" Planned;
    GetBucketDomainCertificate GET Bucket [Query "domaincertificate"] ["domainname"] [] ["GetBucketDomainCertificate"] Nothing "" NotSetDocument("<DomainCertificate><Status>Disabled</Status></DomainCertificate>");
    PutBucketDomainCertificate PUT Bucket [Query "domaincertificate"] [] [] ["PutBucketDomainCertificate"] Nothing "" Planned;
    DeleteBucketDomainCertificate DELETE Bucket [Query "domaincertificate"] ["domainname"] [] ["DeleteBucketDomainCertificate"] Nothing "" Planned;
    GetBucketEncryption GET Bucket [Query "encryption"] [] [] ["GetBucketEncryption"] Nothing "GetEncryptionConfiguration" Built;
    PutBucketEncryption PUT Bucket [Query "encryption"] [] [] ["PutBucketEncryption"] Nothing "PutEncryptionConfiguration" Built;
    DeleteBucketEncryption DELETE Bucket [Query "encryption"] [] [] ["DeleteBucketEncryption"] Nothing "PutEncryptionConfiguration" Built;
    GetBucketOrigin GET Bucket [Query "origin"] [] [] ["GetBucketOrigin"] Nothing "" NotSet(Code::OriginConfigurationNotFoundError);
    PutBucketOrigin PUT Bucket [Query "origin"] [] [] ["PutBucketOrigin"] Nothing "" Planned;
    DeleteBucketOrigin DELETE Bucket [Query "origin"] [] [] ["DeleteBucketOrigin"] Nothing "" Planned;
    GetBucketIntelligentTieringV1 GET Bucket [Query "intelligenttiering"] [] [] ["GetBucketIntelligentTiering"] Nothing "" NotSetDocument("<IntelligentTieringConfiguration/>");
    PutBucketIntelligentTieringV1 PUT Bucket [Query "intelligenttiering"] [] [] ["PutBucketIntelligentTiering"] Nothing "" Planned;
    GetBucketIntelligentTiering GET Bucket [Query "intelligent-tiering", Query "id"] [] [] ["GetBucketIntelligentTiering"] Nothing "GetIntelligentTieringConfiguration" NotSet(Code::IntelligentTieringConfigurationNotFoundError);
    ListBucketIntelligentTiering GET Bucket [Query "intelligent-tiering"] [] [] ["ListBucketIntelligentTiering"] Nothing "GetIntelligentTieringConfiguration" NotSetDocument("<ListBucketIntelligentTieringConfigurationsOutput/>");
    PutBucketIntelligentTiering PUT Bucket [Query "intelligent-tiering"] ["id"] [] ["PutBucketIntelligentTiering"] Nothing "PutIntelligentTieringConfiguration" Planned;
    DeleteBucketIntelligentTiering DELETE Bucket [Query "intelligent-tiering"] ["id"] [] ["DeleteBucketIntelligentTiering"] Nothing "PutIntelligentTieringConfiguration" Planned;
    GetBucketAccelerate GET Bucket [Query "accelerate"] [] [] ["GetBucketAccelerate"] Nothing "GetAccelerateConfiguration" NotSetDocument("<AccelerateConfiguration/>");
    PutBucketAccelerate PUT Bucket [Query "accelerate"] [] [] ["PutBucketAccelerate"] Nothing "PutAccelerateConfiguration" Planned;
    GetBucketObjectLock GET Bucket [Query "object-lock"] [] [] ["GetBucketObjectLockConfiguration"] Nothing "GetBucketObjectLockConfiguration" NotSet(Code::NoSuchObjectLockConfiguration);
    PutBucketObjectLock PUT Bucket [Query "object-lock"] [] [] ["PutBucketObjectLockConfiguration"] Nothing "PutBucketObjectLockConfiguration" Planned;
    GetBucketStrictSignature GET Bucket [Query "strict-signature"] [] [] ["GetBucketStrictSignature"] Nothing "" Planned;
    PutBucketStrictSignature PUT Bucket [Query "strict-signature"] [] [] ["PutBucketStrictSignature"] Nothing "" Planned;
    DeleteBucketStrictSignature DELETE Bucket [Query "strict-signature"] [] [] ["DeleteBucketStrictSignature"] Nothing "" Planned;
    GetBucketLocation GET Bucket [Query "location"] [] [] ["GetBucketLocation"] Nothing "GetBucketLocation" Built;
    GetBucketObjectVersions GET Bucket [Query "versions"] ["prefix" "delimiter" "encoding-type" "key-marker" "version-id-marker" "max-keys"] [] ["GetBucketObjectVersions"] BucketRead "ListBucketVersions" Built;
    ListMultipartUploads GET Bucket [Query "uploads"] ["prefix" "delimiter" "encoding-type" "key-marker" "upload-id-marker" "max-uploads"] [] ["ListMultipartUploads"] BucketRead "ListBucketMultipartUploads" Built;
    DeleteMultipleObjects POST Bucket [Query "delete"] [] [] ["DeleteObject" "DeleteMultipleObjects"] BucketWrite "DeleteObject" Built;
    PostObject POST Bucket [] [] ["x-cos-tagging" "x-cos-storage-class" "x-cos-acl" "x-cos-grant-*" "x-cos-forbid-overwrite" "x-cos-meta-*" "x-cos-server-side-encryption" "x-cos-server-side-encryption-*"] ["PostObject"] BucketWrite "PutObject" Built;
    GetBucket GET Bucket [] ["prefix" "delimiter" "marker" "max-keys" "encoding-type"] [] ["GetBucket"] BucketRead "ListBucket" Built;
    HeadBucket HEAD Bucket [] [] [] ["HeadBucket"] BucketRead "ListBucket" Built;
    PutBucket PUT Bucket [] [] ["x-cos-acl" "x-cos-grant-*"] ["PutBucket"] Nothing "CreateBucket" Built;
    OptionsBucket OPTIONS Bucket [] [] [] [] Nothing "" Built;
    DeleteBucket DELETE Bucket [] [] [] ["DeleteBucket"] Nothing "DeleteBucket" Built;

    GetObjectAcl GET Object [Query "acl"] ["versionId"] [] ["GetObjectACL"] ObjectReadAcp "GetObjectAcl" Built;
    PutObjectAcl PUT Object [Query "acl"] ["versionId"] ["x-cos-acl" "x-cos-grant-*"] ["PutObjectACL"] ObjectWriteAcp "PutObjectAcl" Built;
    GetObjectTagging GET Object [Query "tagging"] ["versionId"] [] ["GetObjectTagging"] Nothing "GetObjectTagging" Built;
    PutObjectTagging PUT Object [Query "tagging"] ["versionId"] [] ["PutObjectTagging"] Nothing "PutObjectTagging" Built;
    DeleteObjectTagging DELETE Object [Query "tagging"] ["versionId"] [] ["DeleteObjectTagging"] Nothing "DeleteObjectTagging" Built;
    GetObjectRetention GET Object [Query "retention"] [] [] ["GetObjectRetention"] Nothing "GetObjectRetention" Planned;
    PutObjectRetention PUT Object [Query "retention"] [] [] ["PutObjectRetention"] Nothing "PutObjectRetention" Planned;
    GetSymlink GET Object [Query "symlink"] ["versionId"] [] ["GetSymlink"] ObjectRead "" Built;
    PutSymlink PUT Object [Query "symlink"] [] ["x-cos-symlink-target" "x-cos-storage-class" "x-cos-tagging" "x-cos-acl" "x-cos-grant-*" "x-cos-forbid-overwrite" "x-cos-meta-*"] ["PutSymlink"] BucketWrite "" Built;
    ListParts GET Object [Query "uploadId"] ["max-parts" "part-number-marker" "encoding-type"] [] ["ListParts"] BucketWrite "ListMultipartUploadParts" Built;
    UploadPartCopy PUT Object [Query "uploadId", Header "x-cos-copy-source"] ["partNumber"] [
        "x-cos-copy-source-range" "x-cos-copy-source-if-match" "x-cos-copy-source-if-none-match"
        "x-cos-copy-source-if-modified-since" "x-cos-copy-source-if-unmodified-since"
        "x-cos-server-side-encryption" "x-cos-server-side-encryption-*"
        "x-cos-copy-source-server-side-encryption-customer-*"
    ] ["UploadPartCopy" "PutObject"] BucketWrite "PutObject" Built;
    UploadPart PUT Object [Query "uploadId"] ["partNumber"] ["x-cos-server-side-encryption" "x-cos-server-side-encryption-*"] ["UploadPart"] BucketWrite "PutObject" Built;
    InitiateMultipartUpload POST Object [Query "uploads"] [] ["x-cos-tagging" "x-cos-storage-class" "x-cos-acl" "x-cos-grant-*" "x-cos-forbid-overwrite" "x-cos-meta-*" "x-cos-server-side-encryption" "x-cos-server-side-encryption-*" "x-cos-copy-source-server-side-encryption-customer-*"] ["InitiateMultipartUpload"] BucketWrite "PutObject" Built;
    CompleteMultipartUpload POST Object [Query "uploadId"] [] ["x-cos-tagging" "x-cos-storage-class" "x-cos-acl" "x-cos-grant-*" "x-cos-forbid-overwrite" "x-cos-meta-*" "x-cos-server-side-encryption" "x-cos-server-side-encryption-*"] ["CompleteMultipartUpload"] BucketWrite "PutObject" Built;
    AbortMultipartUpload DELETE Object [Query "uploadId"] [] [] ["AbortMultipartUpload"] BucketWrite "AbortMultipartUpload" Built;
    AppendObject POST Object [Query "append"] ["position"] ["x-cos-tagging" "x-cos-storage-class" "x-cos-acl" "x-cos-grant-*" "x-cos-meta-*" "x-cos-server-side-encryption" "x-cos-server-side-encryption-*"] ["AppendObject"] BucketWrite "" Built;
    PostObjectRestore POST Object [Query "restore"] ["versionId"] ["x-cos-server-side-encryption-customer-*"] ["PostObjectRestore" "RestoreObject"] Nothing "RestoreObject" Built;
    SelectObjectContent POST Object [Query "select"] ["select-type"] [] ["GetObject"] ObjectRead "GetObject" Planned;
    PutObjectCopy PUT Object [Header "x-cos-copy-source"] [] [
        "x-cos-metadata-directive" "x-cos-tagging-directive" "x-cos-tagging" "x-cos-copy-source-if-match"
        "x-cos-copy-source-if-none-match" "x-cos-copy-source-if-modified-since"
        "x-cos-copy-source-if-unmodified-since" "x-cos-storage-class" "x-cos-acl" "x-cos-grant-*"
        "x-cos-forbid-overwrite" "x-cos-meta-*"
        "x-cos-server-side-encryption" "x-cos-server-side-encryption-*"
        "x-cos-copy-source-server-side-encryption-customer-*"
    ] ["PutObject" "PutObjectCopy"] BucketWrite "PutObject" Built;
    PutObject PUT Object [] [] ["x-cos-tagging" "x-cos-storage-class" "x-cos-acl" "x-cos-grant-*" "x-cos-forbid-overwrite" "x-cos-meta-*" "x-cos-server-side-encryption" "x-cos-server-side-encryption-*"] ["PutObject"] BucketWrite "PutObject" Built;
    GetObject GET Object [] ["versionId" "response-content-type" "response-content-language" "response-expires" "response-cache-control" "response-content-disposition" "response-content-encoding"] ["x-cos-server-side-encryption-customer-*"] ["GetObject"] ObjectRead "GetObject" Built;
    HeadObject HEAD Object [] ["versionId" "response-content-type" "response-content-language" "response-expires" "response-cache-control" "response-content-disposition" "response-content-encoding"] ["x-cos-server-side-encryption-customer-*"] ["HeadObject"] ObjectRead "GetObject" Built;
    DeleteObject DELETE Object [] ["versionId"] [] ["DeleteObject"] BucketWrite "DeleteObject" Built;
    OptionsObject OPTIONS Object [] [] [] [] Nothing "" Built;

    CreateJob POST Control [Path "jobs"] [] ["x-cos-appid"] ["CreateJob"] Nothing "" Planned;
    ListJobs GET Control [Path "jobs"] ["jobStatuses" "maxResults" "nextToken"] ["x-cos-appid"] ["ListJobs"] Nothing "" Planned;
    DescribeJob GET Control [Path "jobs/*"] [] ["x-cos-appid"] ["DescribeJob"] Nothing "" Planned;
    UpdateJobPriority POST Control [Path "jobs/*/priority"] ["priority"] ["x-cos-appid"] ["UpdateJobPriority"] Nothing "" Planned;
    UpdateJobStatus POST Control [Path "jobs/*/status"] ["requestedJobStatus" "statusUpdateReason"] ["x-cos-appid"] ["UpdateJobStatus"] Nothing "" Planned;
    DeleteJob DELETE Control [Path "jobs/*"] [] ["x-cos-appid"] ["DeleteJob"] Nothing "" Planned;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        method: Method,
        scope: Scope,
        path: &str,
        query: &str,
        copies: bool,
    ) -> Option<Operation> {
        let query = Query::parse(query).unwrap();
        let mut headers = HeaderMap::new();
        if copies {
            headers.insert("x-cos-copy-source", "s-1/k".parse().unwrap());
        }
        let ask = Ask { query: &query, headers: &headers, path };
        route(&method, scope, ask).ok().map(|row| row.operation)
    }

    #[test]
    fn requests_find_their_rows() {
        use Operation::*;
        use Scope::{Bucket, Control, Object, Service};
        let (get, put, post, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
        let table = [
            (&get, Service, "/", "", false, Some(GetService)),
            (&get, Bucket, "/", "", false, Some(GetBucket)),
            (&get, Bucket, "/", "acl", false, Some(GetBucketAcl)),
            (&get, Bucket, "/", "Inventory=&id=1", false, Some(GetBucketInventory)),
            (&get, Bucket, "/", "inventory", false, Some(ListBucketInventory)),
            (&put, Object, "/k", "", false, Some(PutObject)),
            (&put, Object, "/k", "", true, Some(PutObjectCopy)),
            (&put, Object, "/k", "partNumber=1&uploadId=x", false, Some(UploadPart)),
            (&put, Object, "/k", "partNumber=1&uploadId=x", true, Some(UploadPartCopy)),
            (&post, Object, "/k", "uploads", false, Some(InitiateMultipartUpload)),
            (&post, Bucket, "/", "delete", false, Some(DeleteMultipleObjects)),
            (&delete, Object, "/k", "", true, Some(DeleteObject)),
            (&post, Object, "/k", "", false, None),
            (&put, Service, "/", "", false, None),
            (&get, Control, "/jobs", "", false, Some(ListJobs)),
            (&get, Control, "/jobs/1", "", false, Some(DescribeJob)),
            (&post, Control, "/jobs/1/priority", "", false, Some(UpdateJobPriority)),
            (&post, Control, "/other", "", false, None),
        ];
        for (method, scope, path, query, copies, expected) in table {
            let found = find(method.clone(), scope, path, query, copies);
            assert_eq!(found, expected, "{method} {path}?{query}");
        }
    }

    /// A row that a row before it swallows could never be found.
    #[test]
    fn no_row_stands_behind_one_that_needs_less() {
        for (at, row) in TABLE.iter().enumerate() {
            for earlier in &TABLE[..at] {
                let swallows = earlier.method == row.method
                    && earlier.scope == row.scope
                    && earlier.when.iter().all(|when| row.when.contains(when));
                assert!(!swallows, "{} swallows {}", earlier.name, row.name);
            }
        }
    }

    #[test]
    fn headers_that_ask_for_more_are_refused() {
        let row = TABLE.iter().find(|row| row.operation == Operation::PutObjectCopy).unwrap();
        for header in ["x-cos-server-side-encryptions", "pic-operations", "x-cos-new"] {
            assert!(row.refuses_header(header), "{header}");
        }
        for header in [
            "x-cos-copy-source",
            "x-cos-meta-a",
            "x-cos-acl",
            "x-cos-sdk-retry",
            "content-type",
            "x-other",
        ] {
            assert!(!row.refuses_header(header), "{header}");
        }
    }
}
