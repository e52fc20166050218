//! Envelopes: the content key of an object, sealed as the object's encryption says.
//!
//! The bytes of an object are sealed under data keys, these under the object's content key, and that one
//! in the version's envelope. So another kind of encryption, or another key, is another envelope, and
//! no byte is sealed anew. An envelope is bound to its place: it does not open for another content key,
//! in another bucket, or under another object key.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::kms::{KeyManagement, KeyUse, KmsError, Provider};
use crate::{CustomerKey, Key, SealError};

/// How an object is to be encrypted, as a client asks for it.
#[derive(Clone, Default)]
pub enum Encryption {
    /// Not at all, as far as the client is concerned.
    #[default]
    None,
    /// Under the key of the store: SSE-COS.
    Cos,
    /// Under a key of the key management: SSE-KMS.
    Kms {
        /// Which one; the account's default one where none is named.
        key_id: Option<String>,
        /// The encryption context, as it came. It binds: without it nothing opens.
        context: Vec<u8>,
    },
    /// Under a key of the customer's: SSE-C.
    Customer(CustomerKey),
}

impl fmt::Debug for Encryption {
    /// Without the context, which is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Cos => f.write_str("Cos"),
            Self::Kms { key_id, .. } => {
                f.debug_struct("Kms").field("key_id", key_id).finish_non_exhaustive()
            }
            Self::Customer(_) => f.write_str("Customer(..)"),
        }
    }
}

/// A content key, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Envelope {
    /// Under the key of the store, with nothing to be seen of it.
    AtRest(Vec<u8>),
    /// Under the key of the store.
    Cos(Vec<u8>),
    /// Under a one-time key, which a key of the key management seals.
    Kms(KmsEnvelope),
    /// Under a key of the customer's.
    Customer(Vec<u8>),
}

/// A content key, sealed by way of the key management.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsEnvelope {
    /// Who has the key.
    pub provider: Provider,
    /// Its id there.
    pub key_id: String,
    /// The encryption context, sealed under the key of the store: it is never shown.
    pub context: Vec<u8>,
    /// The one-time key, as the provider sealed it.
    pub one_time: Vec<u8>,
    /// The content key, sealed under the one-time key.
    pub content_key: Vec<u8>,
}

/// What is shown of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// SSE-COS.
    Cos,
    /// SSE-KMS, and the key's id.
    Kms(&'a str),
    /// SSE-C.
    Customer,
}

impl Envelope {
    /// What clients see of it.
    pub fn shown(&self) -> Shown<'_> {
        match self {
            Self::AtRest(_) => Shown::Nothing,
            Self::Cos(_) => Shown::Cos,
            Self::Kms(kms) => Shown::Kms(&kms.key_id),
            Self::Customer(_) => Shown::Customer,
        }
    }

    /// What was asked for when it was made, but for the context; `customer` is the customer's key that
    /// came, if one did.
    ///
    /// # Errors
    /// [`KeyError::CustomerKeyMissing`], [`KeyError::CustomerKeyUnwanted`].
    pub fn encryption(&self, customer: Option<&CustomerKey>) -> Result<Encryption, KeyError> {
        match (self, customer) {
            (Self::Customer(_), Some(key)) => Ok(Encryption::Customer(key.clone())),
            (Self::Customer(_), None) => Err(KeyError::CustomerKeyMissing),
            (_, Some(_)) => Err(KeyError::CustomerKeyUnwanted),
            (Self::AtRest(_), None) => Ok(Encryption::None),
            (Self::Cos(_), None) => Ok(Encryption::Cos),
            (Self::Kms(kms), None) => {
                Ok(Encryption::Kms { key_id: Some(kms.key_id.clone()), context: vec![] })
            }
        }
    }
}

/// Where an envelope belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The content key's identity.
    pub content_key: [u8; 16],
    /// The bucket, this incarnation of it.
    pub bucket: [u8; 16],
    /// The object key.
    pub object: &'a str,
    /// The account that the bucket belongs to, and whose keys its objects are encrypted under.
    pub appid: u64,
}

impl Place<'_> {
    /// The purpose that a content key is sealed for: kind, place, and for SSE-KMS the context.
    fn purpose(&self, kind: &str, context: &[u8]) -> Vec<u8> {
        let length = (self.object.len() as u64).to_be_bytes();
        let object = self.object.as_bytes();
        [
            b"content key ",
            kind.as_bytes(),
            b"\0",
            &self.content_key,
            &self.bucket,
            &length,
            object,
            context,
        ]
        .concat()
    }

    fn context_purpose(&self) -> Vec<u8> {
        self.purpose("context", &[])
    }
}

/// Why a content key could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It takes the customer's key, and none came.
    #[error("the object is encrypted with a key of the customer's, which is missing")]
    CustomerKeyMissing,
    /// It is not the key that the object is encrypted with.
    #[error("it is not the customer's key that the object is encrypted with")]
    CustomerKeyWrong,
    /// A customer's key came for what none is needed for.
    #[error("the object is not encrypted with a key of the customer's")]
    CustomerKeyUnwanted,
    /// The key management says no, or nothing.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// What is stored is not what was sealed under the key of this store.
    #[error("an envelope does not open under the key of the store")]
    Damaged,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

impl From<SealError> for KeyError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Unsealable => Self::Damaged,
            SealError::NoRandom => Self::NoRandom,
        }
    }
}

/// The keys that a store seals under.
#[derive(Clone, Debug)]
pub struct Keyring {
    store: Arc<Key>,
    /// Where new objects find their keys.
    kms: Arc<dyn KeyManagement>,
    /// Where older ones may have theirs.
    others: Vec<Arc<dyn KeyManagement>>,
}

impl Keyring {
    /// The key of a store; the key management of new objects, and those that objects may be encrypted by
    /// already.
    pub fn new(
        store: Arc<Key>,
        kms: Arc<dyn KeyManagement>,
        others: Vec<Arc<dyn KeyManagement>>,
    ) -> Self {
        Self { store, kms, others }
    }

    /// The key of the store.
    pub fn store(&self) -> &Arc<Key> {
        &self.store
    }

    /// Seals a content key in an envelope. What asks for no encryption is sealed at rest.
    ///
    /// # Errors
    /// [`KeyError::Kms`], [`KeyError::NoRandom`].
    pub async fn seal(
        &self,
        key: &Key,
        encryption: &Encryption,
        place: Place<'_>,
    ) -> Result<Envelope, KeyError> {
        let store = |kind| self.store.seal_key(&place.purpose(kind, &[]), key);
        Ok(match encryption {
            Encryption::None => Envelope::AtRest(store("at rest")?),
            Encryption::Cos => Envelope::Cos(store("cos")?),
            Encryption::Customer(customer) => {
                let purpose = place.purpose("customer", &[]);
                Envelope::Customer(customer.key().seal_key(&purpose, key)?)
            }
            Encryption::Kms { key_id, context } => {
                let key_id = match key_id {
                    Some(key_id) => key_id.clone(),
                    None => self.kms.default_key(place.appid).await?,
                };
                let one_time = Key::random()?;
                let purpose = place.purpose("kms", context);
                let at = KeyUse { key_id: &key_id, appid: place.appid, purpose: &purpose };
                let sealed = self.kms.seal(at, &one_time).await?;
                Envelope::Kms(KmsEnvelope {
                    provider: self.kms.provider(),
                    context: self.store.seal(&place.context_purpose(), context)?,
                    one_time: sealed,
                    content_key: one_time.seal_key(&purpose, key)?,
                    key_id,
                })
            }
        })
    }

    /// Opens an envelope; `customer` is the customer's key that came, if one did.
    ///
    /// # Errors
    /// [`KeyError`]. A wrong customer's key cannot be told from a damaged envelope.
    pub async fn open(
        &self,
        envelope: &Envelope,
        customer: Option<&CustomerKey>,
        place: Place<'_>,
    ) -> Result<Key, KeyError> {
        let store = |kind, sealed| self.store.open_key(&place.purpose(kind, &[]), sealed);
        match (envelope, customer) {
            (Envelope::Customer(_), None) => Err(KeyError::CustomerKeyMissing),
            (Envelope::Customer(sealed), Some(customer)) => {
                let opened = customer.key().open_key(&place.purpose("customer", &[]), sealed);
                opened.map_err(|_| KeyError::CustomerKeyWrong)
            }
            (_, Some(_)) => Err(KeyError::CustomerKeyUnwanted),
            (Envelope::AtRest(sealed), None) => Ok(store("at rest", sealed)?),
            (Envelope::Cos(sealed), None) => Ok(store("cos", sealed)?),
            (Envelope::Kms(kms), None) => {
                let context = self.store.open(&place.context_purpose(), &kms.context)?;
                let purpose = place.purpose("kms", &context);
                let at = KeyUse { key_id: &kms.key_id, appid: place.appid, purpose: &purpose };
                let one_time = self.provider(kms.provider)?.open(at, &kms.one_time).await?;
                Ok(one_time.open_key(&purpose, &kms.content_key)?)
            }
        }
    }

    fn provider(&self, provider: Provider) -> Result<&dyn KeyManagement, KmsError> {
        let all = std::iter::once(&self.kms).chain(&self.others);
        let found = all.map(Arc::as_ref).find(|kms| kms.provider() == provider);
        found.ok_or_else(|| KmsError::Unavailable(format!("{provider} is not configured")))
    }

    /// The encryption context of an envelope, if it is one of the key management's. Asks nobody.
    ///
    /// # Errors
    /// [`KeyError::Damaged`].
    pub fn context(
        &self,
        envelope: &Envelope,
        place: Place<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let Envelope::Kms(kms) = envelope else { return Ok(None) };
        Ok(Some(self.store.open(&place.context_purpose(), &kms.context)?))
    }

    /// Whether an envelope is sealed under the very key that `encryption` asks for, and under its latest
    /// version: then a re-wrap would change no key.
    pub async fn is_under(
        &self,
        envelope: &Envelope,
        customer: Option<&CustomerKey>,
        (encryption, appid): (&Encryption, u64),
    ) -> Result<bool, KeyError> {
        Ok(match (envelope, encryption) {
            (Envelope::AtRest(_) | Envelope::Cos(_), Encryption::None | Encryption::Cos) => true,
            (Envelope::Customer(_), Encryption::Customer(wanted)) => {
                customer.is_some_and(|customer| customer.is(wanted))
            }
            (Envelope::Kms(kms), Encryption::Kms { key_id, .. }) => {
                let wanted = match key_id {
                    Some(key_id) => key_id.clone(),
                    None => self.kms.default_key(appid).await?,
                };
                let at = KeyUse { key_id: &wanted, appid, purpose: &[] };
                kms.provider == self.kms.provider()
                    && kms.key_id == wanted
                    && self.kms.is_latest(at, &kms.one_time).await?
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests;
