//! COS error codes and the error document.
//!
//! Source: the COS error code tables (436/7730) and `PUT Object - Copy`, "Error codes".

use std::borrow::Cow;

use crate::xml::Xml;

macro_rules! codes {
    ($($code:ident $status:literal $message:literal;)*) => {
        /// A COS error code: what a client matches on. Each has one HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // the names are the documentation: they are COS's own
        pub enum Code { $($code,)* }

        impl Code {
            /// Every code, in the order of the enum: a code's place is `code as usize`.
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// The code as it stands in the document's `Code` node.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }
            /// The HTTP status that goes with the code.
            pub const fn status(self) -> u16 {
                match self { $(Code::$code => $status,)* }
            }
            /// The message used where an operation has nothing more precise to say.
            pub const fn message(self) -> &'static str {
                match self { $(Code::$code => $message,)* }
            }
        }
    };
}

codes! {
    NotModified 304 "Not Modified";
    AccessForbidden 403 "The request is not allowed by the CORS rules of the bucket.";
    ActionAccelerateNotSupported 400 "The operation is not supported on an acceleration domain.";
    BadDigest 400 "The Content-MD5 you specified did not match what we received.";
    BadRequest 400 "The request is not valid.";
    BucketNameTooLong 400 "The bucket name is too long.";
    EntityTooSmall 400 "A part that is not the last one is smaller than 1 MB.";
    EntityTooLarge 400 "Your proposed upload exceeds the maximum allowed object size.";
    IncompleteBody 400 "The body is shorter than the declared Content-Length.";
    InvalidArgument 400 "Invalid argument.";
    InvalidBucketName 400 "The specified bucket is not valid.";
    InvalidCopySource 400 "The copy source is not valid.";
    InvalidDelimiter 400 "The delimiter must be a single character.";
    InvalidDigest 400 "The Content-MD5 you specified is not valid.";
    InvalidObjectName 400 "The specified object name is not valid.";
    InvalidPart 400 "A part could not be found, or its entity tag is another one.";
    InvalidPartOrder 400 "The list of parts is not in ascending order.";
    InvalidRegionName 400 "The specified region is not served here.";
    InvalidRequest 400 "Invalid request.";
    InvalidTag 400 "The tags are not valid.";
    InvalidURI 400 "The specified URI could not be parsed.";
    KeyTooLong 400 "Your key is too long.";
    MalformedXML 400 "The XML you provided was not well-formed or did not validate.";
    MAZOperationNotSupportOnOAZBucket 400 "A multi-AZ storage class needs a multi-AZ bucket.";
    OAZOperationNotSupportOnMAZBucket 400 "A multi-AZ bucket takes multi-AZ storage classes only.";
    MissingRequestBodyError 400 "The request has no body.";
    MissingHost 400 "The Host header is missing.";
    RequestTimeout 400 "The body was not received in time.";
    TooManyBuckets 400 "You have reached the limit of buckets of this account.";
    UnexpectedContent 400 "This request does not take a body.";
    XMLSizeLimit 400 "The XML body is too large.";
    AttachmentFull 400 "An ACL holds at most 100 grants.";
    ExpiredToken 400 "The temporary credentials have expired.";
    IncorrectNumberOfFilesInPostRequest 400 "A form holds exactly one file.";
    InvalidPolicyDocument 400 "The policy of the form is not valid.";
    LimitExceeded 400 "There are as many as there may be.";
    MalformedPolicy 400 "The policy is not valid.";
    MalformedPOSTRequest 400 "The body is not a form as multipart/form-data.";
    PolicyFull 400 "A bucket policy holds at most 20 KB.";
    KmsException 400 "The key management service refuses to open what the key sealed.";
    KmsKeyDisabled 400 "The KMS key is disabled, or is to be deleted.";
    KmsKeyNotExist 400 "The KMS key does not exist.";
    SsecDecryptHeaderInvalid 400 "The object is encrypted with a customer key: the request lacks it, or has another.";
    AccessDenied 403 "Access Denied.";
    InvalidAccessKeyId 403 "The access key Id you provided does not exist in our records.";
    InvalidObjectState 403 "The object is archived, and has to be restored before it can be read.";
    RequestTimeTooSkewed 403 "The difference between the request time and the server time is too large.";
    SSEHeaderNotAllowed 400 "The encryption header is not allowed here.";
    SignatureDoesNotMatch 403 "The Signature you specified is invalid.";
    DomainConfigNotFoundError 404 "The bucket has no domain configuration.";
    IntelligentTieringConfigurationNotFoundError 404 "The configuration does not exist.";
    InventoryConfigurationNotFoundError 404 "The inventory configuration does not exist.";
    NoSuchBucket 404 "The specified bucket does not exist.";
    NoSuchCORSConfiguration 404 "The CORS configuration does not exist.";
    NoSuchEncryptionConfiguration 404 "The encryption configuration does not exist.";
    NoSuchEntity 404 "There is no such account, user, role or key.";
    NoSuchKey 404 "The specified key does not exist.";
    NoSuchLifecycleConfiguration 404 "The lifecycle configuration does not exist.";
    NoSuchObjectLockConfiguration 404 "The object lock configuration does not exist.";
    NoSuchPolicyVersion 404 "The bucket policy does not exist.";
    NoSuchTagSet 404 "The tag set does not exist.";
    NoSuchUpload 404 "The specified upload does not exist: it was completed or aborted, or never was.";
    NoSuchVersion 404 "The specified version does not exist.";
    NoSuchWebsiteConfiguration 404 "The website configuration does not exist.";
    OriginConfigurationNotFoundError 404 "The origin configuration does not exist.";
    ReplicationConfigurationNotFoundError 404 "The replication configuration does not exist.";
    MethodNotAllowed 405 "The specified method is not allowed against this resource.";
    RestoreNonArchiveObject 405 "The object is in no archive.";
    AppendPositionErr 409 "The position is not the length of the object.";
    BucketAlreadyOwnedByYou 409 "The bucket you tried to create already exists, and you own it.";
    EntityAlreadyExists 409 "The name, the number or the SecretId is taken.";
    BucketNotEmpty 409 "The bucket you tried to delete is not empty.";
    FileAlreadyExists 409 "The object already exists and overwriting it is forbidden.";
    InvalidBucketState 409 "The state of the bucket does not allow it.";
    ObjectNotAppendable 409 "The object was not made by APPEND Object.";
    RestoreAlreadyInProgress 409 "The object is being restored already.";
    PathConflict 409 "Too many writes to the same key at the same time.";
    MissingContentLength 411 "You must provide the Content-Length HTTP header.";
    PreconditionFailed 412 "At least one of the pre-conditions you specified did not hold.";
    InvalidRange 416 "The requested range is not satisfiable.";
    InternalError 500 "We encountered an internal error. Please try again.";
    KmsInternalException 500 "The key management service refuses this server.";
    NotImplemented 501 "A header, parameter or operation you asked for is not implemented.";
    KmsFreqControl 503 "The key management service is asked too often.";
    ServiceUnavailable 503 "The service is unavailable. Please try again later.";
    SlowDown 503 "Please reduce your request rate.";
    InsufficientStorage 507 "The disk is full but for its reserve: objects can be read and deleted, not written.";
}

/// A refusal on its way to a client: a code, a message for a person, and optional extra nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct ApiError {
    /// What the client matches on.
    pub code: Code,
    /// What a person reads.
    pub message: Cow<'static, str>,
    /// Flat text nodes after the five standard ones (never nested: the Java SDK's parser cannot
    /// take them).
    pub details: Vec<(&'static str, String)>,
    /// Headers that go with the answer, such as the entity tag with a 304.
    pub headers: Vec<(&'static str, String)>,
}

impl ApiError {
    /// An error with a message of its own.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    /// Adds a text node to the document.
    pub fn with_detail(mut self, node: &'static str, text: String) -> Self {
        self.details.push((node, text));
        self
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Renders the error document: `Code`, `Message`, `Resource`, `RequestId`, `TraceId`, all
    /// non-empty, then the details.
    pub fn document(&self, resource: &str, request_id: &str, trace_id: &str) -> String {
        self.render(Xml::error_document(), resource, request_id, trace_id)
    }

    /// The same, for an answer whose declaration has been sent already: an error within a 200.
    pub fn root(&self, resource: &str, request_id: &str, trace_id: &str) -> String {
        self.render(Xml::continued(), resource, request_id, trace_id)
    }

    fn render(&self, mut xml: Xml, resource: &str, request_id: &str, trace_id: &str) -> String {
        xml.open("Error");
        xml.text("Code", self.code.as_str());
        xml.text("Message", &printable(&self.message));
        xml.text("Resource", &printable(resource));
        xml.text("RequestId", request_id);
        xml.text("TraceId", trace_id);
        for (node, text) in &self.details {
            xml.text(node, &printable(text));
        }
        xml.close("Error");
        xml.finish()
    }
}

/// Control characters, which XML has no place for, percent-encoded.
fn printable(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c == '\n' || !c.is_ascii_control();
    if text.chars().all(plain) {
        return text.into();
    }
    let one = |c: char| if plain(c) { c.to_string() } else { format!("%{:02X}", u32::from(c)) };
    text.chars().map(one).collect()
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self::new(code, code.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_has_the_five_nodes_in_order_and_details_after_them() {
        let error =
            ApiError::new(Code::NoSuchKey, "no <such> key").with_detail("Key", "a&b\u{1}".into());
        assert_eq!(
            error.document("b-1.cos.r.myqcloud.com/a", "rid", "tid"),
            "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>NoSuchKey</Code>\n\
             \t<Message>no &lt;such&gt; key</Message>\n\
             \t<Resource>b-1.cos.r.myqcloud.com/a</Resource>\n\
             \t<RequestId>rid</RequestId>\n\t<TraceId>tid</TraceId>\n\
             \t<Key>a&amp;b%01</Key>\n</Error>"
        );
    }
}
