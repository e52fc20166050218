//! Why an operation did not happen.

use cosine_crypt::KeyError;

use crate::source::SourceError;

/// What the caller must do differently, or what is broken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such bucket.
    #[error("no such bucket")]
    NoSuchBucket,
    /// There is no such object.
    #[error("no such key")]
    NoSuchKey,
    /// There is no such version.
    #[error("no such version")]
    NoSuchVersion,
    /// A delete marker stands in the place of the object.
    #[error("deleted")]
    DeleteMarker(crate::record::DeleteMarker),
    /// There is no such upload, or it is over.
    #[error("no such upload")]
    NoSuchUpload,
    /// An upload has no part of this number and entity tag.
    #[error("no such part: {0}")]
    NoSuchPart(u16),
    /// Parts are not in rising order.
    #[error("the parts are not in order")]
    PartOrder,
    /// A part that is not the last one is too small.
    #[error("a part is too small")]
    PartTooSmall,
    /// What would be stored is larger than an object of its kind may be.
    #[error("too large")]
    EntityTooLarge,
    /// An object is as long as this, and was to be appended to at another place.
    #[error("it is {0} bytes long")]
    AppendPosition(u64),
    /// An object is not one that can be appended to.
    #[error("not appendable")]
    NotAppendable,
    /// Not in a bucket that keeps versions, or did.
    #[error("not in a bucket with versions")]
    Versioned,
    /// An object is in no archive, so there is nothing to restore.
    #[error("not archived")]
    NotArchived,
    /// An object is being restored already.
    #[error("a restore is in progress")]
    RestoreInProgress,
    /// Another deployment sent other bytes than it announced.
    #[error("what was fetched is not what was announced")]
    FetchMismatch,
    /// The bucket exists. Its name carries its account, so it is the caller's own.
    #[error("the bucket exists already")]
    BucketExists,
    /// The account has all the buckets it may have.
    #[error("the account has too many buckets")]
    TooManyBuckets,
    /// The bucket still holds something.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// The object exists, and the caller forbade overwriting.
    #[error("the object exists already")]
    AlreadyExists,
    /// The plan of a copy was to refuse it.
    #[error("the copy is refused: {0:?}")]
    Rejected(crate::copy::Rejection),
    /// The body is not as its sender announced.
    #[error("the body has another MD5 than announced")]
    DigestMismatch,
    /// The body did not arrive.
    #[error("the body did not arrive: {0}")]
    Source(#[from] SourceError),
    /// Somebody has been deciding from the whole of the bucket for too long.
    #[error("the bucket is frozen")]
    Frozen,
    /// A name, a number or a SecretId belongs to somebody already.
    #[error("the name, the number or the SecretId is taken")]
    IdentityExists,
    /// There is no such account, user, role or key.
    #[error("there is no such account, user, role or key")]
    NoSuchIdentity,
    /// Somebody has all the keys that one may have.
    #[error("there are too many keys already")]
    TooManyKeys,
    /// It does not go with the key that came, or a key management says no.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A part does not go with the encryption of its upload.
    #[error("a part does not go with the encryption of its upload: {0}")]
    UploadKey(KeyError),
    /// An object is encrypted in another way than what is appended to it was to be.
    #[error("the object is encrypted in another way")]
    OtherEncryption,
    /// There is no such key of the key management.
    #[error("there is no such key of the key management")]
    NoSuchKmsKey,
    /// A key of the key management is not in a state for that.
    #[error("the key of the key management is not in a state for that")]
    KmsKeyState,
    /// The master key is not the one that the store's key is sealed under.
    #[error("the master key is not the one that this store was made with")]
    WrongMasterKey,
    /// Others write the same thing all the time.
    #[error("too many writers at the same time")]
    Busy,
    /// Nobody can tell whether it happened.
    #[error("the outcome is unknown")]
    Unknown,
    /// The metadata and the blobs are not one store.
    #[error("the metadata and the blobs belong to different stores: wrong data directory?")]
    WrongStore,
    /// This run was taken for dead, and its blobs may be gone.
    #[error("this run was fenced off: restart")]
    Fenced,
    /// A stored record is not what was written.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A stored record is of a format that a newer program wrote.
    #[error("a {record} record of format {version}: written by a newer version of Cosine")]
    NewerFormat {
        /// Which kind of record.
        record: &'static str,
        /// Its format version.
        version: u8,
    },
    /// The version that was read has gone meanwhile, and its content with it: read the key again.
    #[error("the version is gone")]
    Gone,
    /// The disk is full but for its reserve: nothing may grow, all may be read and deleted.
    #[error("the disk is full but for its reserve")]
    Full,
    /// A sync failed earlier; nothing is written until the store is opened again.
    #[error("the store is read-only after a failed sync: restart to recover")]
    Unavailable,
    /// The metadata engine failed.
    #[error(transparent)]
    Kv(cosine_kv::Error),
    /// The data engine failed.
    #[error(transparent)]
    Blob(cosine_blob::Error),
    /// The operating system or the runtime failed.
    #[error("system: {0}")]
    System(String),
}

impl From<cosine_kv::Error> for Error {
    fn from(error: cosine_kv::Error) -> Self {
        match error {
            cosine_kv::Error::Poisoned => Error::Unavailable,
            other => Error::Kv(other),
        }
    }
}

impl From<cosine_blob::Error> for Error {
    fn from(error: cosine_blob::Error) -> Self {
        match error {
            cosine_blob::Error::Full => Error::Full,
            other => Error::Blob(other),
        }
    }
}
