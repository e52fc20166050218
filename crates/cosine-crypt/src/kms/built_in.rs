//! Keys that the store keeps itself, sealed under its master key.

use std::sync::Arc;

use async_trait::async_trait;

use super::{KeyManagement, KeyUse, KmsError, Provider};
use crate::{Key, MasterKeys, SealError};

/// Which version of a key sealed something, in front of it.
const VERSION_BYTES: usize = 4;

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Whose it is.
    pub appid: u64,
    /// Whether anything is sealed and opened with it.
    pub enabled: bool,
    /// Its versions, oldest first, each sealed under the master key; the last one seals.
    pub versions: Vec<Vec<u8>>,
}

/// Where keys are kept.
#[async_trait]
pub trait KeyTable: std::fmt::Debug + Send + Sync {
    /// A key, unless it does not exist, or no more.
    ///
    /// # Errors
    /// [`KmsError::Unavailable`].
    async fn find(&self, key_id: &str) -> Result<Option<StoredKey>, KmsError>;

    /// The default key of an account; made, if there is none.
    ///
    /// # Errors
    /// [`KmsError::Unavailable`].
    async fn default_key(&self, appid: u64) -> Result<String, KmsError>;
}

/// The built-in key management.
#[derive(Debug)]
pub struct BuiltIn {
    table: Arc<dyn KeyTable>,
    master: Arc<MasterKeys>,
}

/// What a version of a key is sealed for.
fn purpose(key_id: &str) -> Vec<u8> {
    [b"kms key ", key_id.as_bytes()].concat()
}

/// A new version of a key, sealed under the master key.
///
/// # Errors
/// [`SealError::NoRandom`].
pub fn new_material(master: &MasterKeys, key_id: &str) -> Result<Vec<u8>, SealError> {
    master.seal_key(&purpose(key_id), &Key::random()?)
}

impl BuiltIn {
    /// Over these keys, under this master key.
    pub fn new(table: Arc<dyn KeyTable>, master: Arc<MasterKeys>) -> Self {
        Self { table, master }
    }

    async fn find(&self, at: KeyUse<'_>) -> Result<StoredKey, KmsError> {
        let key = self.table.find(at.key_id).await?;
        let key = key.filter(|key| key.appid == at.appid).ok_or(KmsError::NotFound)?;
        if key.enabled { Ok(key) } else { Err(KmsError::Disabled) }
    }

    fn material(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<Key, KmsError> {
        let opened = self.master.open_key(&purpose(at.key_id), sealed);
        opened.map_err(|_| KmsError::Refused("the key does not open under the master key".into()))
    }

    /// What a version of a key was sealed as, under the current master key; `None` if it is already.
    ///
    /// # Errors
    /// [`SealError`], if no master key opens it.
    pub fn rewrap(
        master: &MasterKeys,
        key_id: &str,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, SealError> {
        master.rewrap(&purpose(key_id), sealed)
    }
}

#[async_trait]
impl KeyManagement for BuiltIn {
    fn provider(&self) -> Provider {
        Provider::BuiltIn
    }

    async fn default_key(&self, appid: u64) -> Result<String, KmsError> {
        self.table.default_key(appid).await
    }

    async fn seal(&self, at: KeyUse<'_>, one_time: &Key) -> Result<Vec<u8>, KmsError> {
        let key = self.find(at).await?;
        let (last, front) = key.versions.split_last().ok_or(KmsError::NotFound)?;
        let version = u32::try_from(front.len()).map_err(|_| KmsError::NotFound)?;
        let sealed = self.material(at, last)?.seal_key(at.purpose, one_time);
        let sealed = sealed.map_err(|error| KmsError::Unavailable(error.to_string()))?;
        Ok([&version.to_be_bytes()[..], &sealed].concat())
    }

    async fn open(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<Key, KmsError> {
        let key = self.find(at).await?;
        let (version, sealed) =
            sealed.split_first_chunk::<VERSION_BYTES>().ok_or(KmsError::Unsealable)?;
        let version = key.versions.get(u32::from_be_bytes(*version) as usize);
        let material = self.material(at, version.ok_or(KmsError::Unsealable)?)?;
        material.open_key(at.purpose, sealed).map_err(|_| KmsError::Unsealable)
    }

    async fn is_latest(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<bool, KmsError> {
        let latest = u32::try_from(self.find(at).await?.versions.len().saturating_sub(1));
        let version = sealed.first_chunk::<VERSION_BYTES>().map(|at| u32::from_be_bytes(*at));
        Ok(version.is_some() && version == latest.ok())
    }
}
