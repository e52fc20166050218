//! What the store says, in COS's codes.

use cosine_store::{Error, KeyError, KmsError, Rejection, SourceError};
use cosine_wire::header::name;
use cosine_wire::{ApiError, Code};

use crate::params::show_version_id;

/// The answer to a failed operation. What is our own fault is logged whole and answered with a
/// code that says nothing of our insides.
pub fn store_error(error: Error) -> ApiError {
    match error {
        Error::NoSuchBucket => Code::NoSuchBucket.into(),
        Error::NoSuchKey => Code::NoSuchKey.into(),
        Error::NoSuchVersion => Code::NoSuchVersion.into(),
        Error::DeleteMarker(marker) => ApiError::from(Code::NoSuchKey)
            .with_header(name::DELETE_MARKER, "true".to_owned())
            .with_header(name::VERSION_ID, show_version_id(marker.id())),
        Error::NoSuchUpload => Code::NoSuchUpload.into(),
        Error::NoSuchPart(number) => ApiError::new(
            Code::InvalidPart,
            format!("Part {number} could not be found, or its entity tag is another one."),
        ),
        Error::PartOrder => Code::InvalidPartOrder.into(),
        Error::PartTooSmall => Code::EntityTooSmall.into(),
        Error::EntityTooLarge => Code::EntityTooLarge.into(),
        Error::AppendPosition(length) => ApiError::from(Code::AppendPositionErr)
            .with_header(name::NEXT_APPEND_POSITION, length.to_string()),
        Error::NotAppendable => Code::ObjectNotAppendable.into(),
        Error::Versioned => ApiError::new(
            Code::InvalidBucketState,
            "Objects are not appended to in a bucket that keeps versions, or did.",
        ),
        Error::NotArchived => Code::RestoreNonArchiveObject.into(),
        Error::RestoreInProgress => Code::RestoreAlreadyInProgress.into(),
        Error::FetchMismatch => ApiError::new(
            Code::ServiceUnavailable,
            "The other region sent other bytes than it announced.",
        ),
        Error::IdentityExists => Code::EntityAlreadyExists.into(),
        Error::NoSuchIdentity => Code::NoSuchEntity.into(),
        Error::TooManyKeys => Code::LimitExceeded.into(),
        Error::BucketExists => Code::BucketAlreadyOwnedByYou.into(),
        Error::TooManyBuckets => Code::TooManyBuckets.into(),
        Error::BucketNotEmpty => Code::BucketNotEmpty.into(),
        Error::AlreadyExists => Code::FileAlreadyExists.into(),
        Error::Rejected(rejection) => rejected(rejection),
        Error::DigestMismatch => Code::BadDigest.into(),
        Error::Source(error) => source_error(error),
        Error::Key(error) => key_error(error),
        Error::UploadKey(_) => ApiError::new(
            Code::InvalidArgument,
            "The part does not come with the customer key that the upload began with.",
        ),
        Error::OtherEncryption => {
            ApiError::new(Code::InvalidArgument, "The object is encrypted in another way.")
        }
        Error::NoSuchKmsKey => Code::KmsKeyNotExist.into(),
        Error::KmsKeyState => Code::KmsKeyDisabled.into(),
        Error::Frozen => Code::SlowDown.into(),
        Error::Full => Code::InsufficientStorage.into(),
        Error::Busy => Code::PathConflict.into(),
        Error::Unknown | Error::Unavailable | Error::Fenced => {
            tracing::error!(%error, "the store refuses writes");
            Code::ServiceUnavailable.into()
        }
        Error::WrongStore
        | Error::WrongMasterKey
        | Error::Damaged(_)
        | Error::NewerFormat { .. }
        | Error::Gone
        | Error::Kv(_)
        | Error::Blob(_)
        | Error::System(_) => {
            tracing::error!(%error, "an operation failed");
            Code::InternalError.into()
        }
    }
}

/// The answer to a copy that the plan was to refuse.
fn rejected(rejection: Rejection) -> ApiError {
    match rejection {
        Rejection::Unchanged => ApiError::new(
            Code::InvalidRequest,
            "The object would be copied onto itself with nothing changed: set \
             x-cos-metadata-directive to Replaced.",
        ),
        Rejection::NotRestored => Code::InvalidObjectState.into(),
        Rejection::TooLarge => ApiError::new(
            Code::EntityTooLarge,
            "More than 5 GB would have to move within one request: use Upload Part - Copy.",
        ),
    }
}

/// The answer where a key is missing, or is another one, or cannot be had.
fn key_error(error: KeyError) -> ApiError {
    let code = match &error {
        KeyError::CustomerKeyMissing | KeyError::CustomerKeyWrong => Code::SsecDecryptHeaderInvalid,
        KeyError::CustomerKeyUnwanted => {
            let message = "The object is not encrypted with a customer key.";
            return ApiError::new(Code::InvalidRequest, message);
        }
        KeyError::Kms(KmsError::NotFound) => Code::KmsKeyNotExist,
        KeyError::Kms(KmsError::Disabled) => Code::KmsKeyDisabled,
        KeyError::Kms(KmsError::Unsealable) => Code::KmsException,
        KeyError::Kms(KmsError::Throttled) => Code::KmsFreqControl,
        KeyError::Kms(KmsError::Refused(_)) => Code::KmsInternalException,
        KeyError::Kms(KmsError::Unavailable(_)) => Code::ServiceUnavailable,
        KeyError::Damaged | KeyError::NoRandom => Code::InternalError,
    };
    if code.status() >= 500 {
        tracing::error!(%error, "a key cannot be had");
    }
    code.into()
}

/// The answer to a body that did not arrive.
pub fn source_error(error: SourceError) -> ApiError {
    match error {
        SourceError::Cut => Code::IncompleteBody.into(),
        SourceError::Stalled => Code::RequestTimeout.into(),
        SourceError::TooLarge => Code::EntityTooLarge.into(),
        SourceError::NoRoom => Code::SlowDown.into(),
    }
}
