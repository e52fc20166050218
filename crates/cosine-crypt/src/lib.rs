//! How bytes and keys are sealed: one key under another ([`Key`]), an object's bytes in segments
//! ([`segment`]), and the content key of an object as its encryption says ([`envelope`]).
//!
//! Nothing here knows what is sealed, or where it lies. All forms are in `docs/format.md`.

pub mod customer;
pub mod envelope;
mod key;
pub mod kms;
mod master;
pub mod segment;

pub use customer::{CustomerKey, CustomerKeyError, TagKey};
pub use envelope::{Encryption, Envelope, KeyError, Keyring, Place, Shown};
pub use key::{KEY_BYTES, Key, SealError};
pub use kms::{KeyManagement, KmsError, Provider};
pub use master::MasterKeys;
