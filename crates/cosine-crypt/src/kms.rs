//! Key management: keys that have names, and that never leave whoever keeps them.

mod built_in;
mod transit;

pub use built_in::{BuiltIn, KeyTable, StoredKey, new_material};
pub use transit::{Transit, TransitOptions};

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Key;

/// Who keeps keys. The order is part of the stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provider {
    /// The store itself, under its master key.
    BuiltIn,
    /// The Transit engine of HashiCorp Vault or OpenBao.
    Transit,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "the built-in key management",
            Self::Transit => "the Transit engine",
        })
    }
}

/// Why key management did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// There is no such key, or no more, or not for this account.
    #[error("there is no such key")]
    NotFound,
    /// The key is disabled, or about to be deleted.
    #[error("the key is disabled")]
    Disabled,
    /// What was sealed does not open: another key, another context, or it was changed.
    #[error("it was not sealed under this key with this context")]
    Unsealable,
    /// Asked too often.
    #[error("the key management is asked too often")]
    Throttled,
    /// The key management refuses the server, whatever it asks.
    #[error("the key management refuses: {0}")]
    Refused(String),
    /// It does not answer, or not in time.
    #[error("the key management cannot be reached: {0}")]
    Unavailable(String),
}

/// Which key, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse<'a> {
    /// The key's id.
    pub key_id: &'a str,
    /// The account on whose behalf.
    pub appid: u64,
    /// What is sealed for one purpose does not open for another.
    pub purpose: &'a [u8],
}

/// A key management, as encryption needs it: it seals and opens one-time keys.
#[async_trait]
pub trait KeyManagement: fmt::Debug + Send + Sync {
    /// Which one it is.
    fn provider(&self) -> Provider;

    /// The key of an account that is used where none is named; made, if there is none yet.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn default_key(&self, appid: u64) -> Result<String, KmsError>;

    /// Seals a one-time key.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn seal(&self, at: KeyUse<'_>, one_time: &Key) -> Result<Vec<u8>, KmsError>;

    /// Opens a one-time key.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn open(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<Key, KmsError>;

    /// Whether a one-time key is sealed under the key's latest version, as a new one would be.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn is_latest(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<bool, KmsError>;
}
