//! What the store says, in COS's codes.

use cosine_store::{Error, Rejection, SourceError};
use cosine_wire::{ApiError, Code};

/// The answer to a failed operation. What is our own fault is logged whole and answered with a
/// code that says nothing of our insides.
pub fn store_error(error: Error) -> ApiError {
    match error {
        Error::NoSuchBucket => Code::NoSuchBucket.into(),
        Error::NoSuchKey => Code::NoSuchKey.into(),
        Error::BucketExists => Code::BucketAlreadyOwnedByYou.into(),
        Error::TooManyBuckets => Code::TooManyBuckets.into(),
        Error::BucketNotEmpty => Code::BucketNotEmpty.into(),
        Error::AlreadyExists => Code::FileAlreadyExists.into(),
        Error::Rejected(Rejection::Unchanged) => ApiError::new(
            Code::InvalidRequest,
            "The object would be copied onto itself with nothing changed: set \
             x-cos-metadata-directive to Replaced.",
        ),
        Error::DigestMismatch => Code::BadDigest.into(),
        Error::Source(error) => source_error(error),
        Error::Frozen => Code::SlowDown.into(),
        Error::Full => Code::InsufficientStorage.into(),
        Error::Busy => Code::PathConflict.into(),
        Error::Unknown | Error::Unavailable | Error::Fenced => {
            tracing::error!(%error, "the store refuses writes");
            Code::ServiceUnavailable.into()
        }
        Error::WrongStore
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

/// The answer to a body that did not arrive.
pub fn source_error(error: SourceError) -> ApiError {
    match error {
        SourceError::Cut => Code::IncompleteBody.into(),
        SourceError::Stalled => Code::RequestTimeout.into(),
        SourceError::TooLarge => Code::EntityTooLarge.into(),
        SourceError::NoRoom => Code::SlowDown.into(),
    }
}
