//! Keys that customers bring with every request, and that are kept nowhere (SSE-C).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::{KEY_BYTES, Key};

/// A customer's key. Clones are the same key.
#[derive(Clone)]
pub struct CustomerKey {
    key: Arc<Key>,
    md5: [u8; 16],
}

/// What is wrong with the bytes that are said to be a customer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomerKeyError {
    /// They are not 32.
    #[error("the key is not 256 bits long")]
    Length,
    /// They are others than were announced.
    #[error("the key does not have the MD5 that was announced")]
    Md5,
}

impl CustomerKey {
    /// The key of these bytes, which have this MD5.
    ///
    /// # Errors
    /// [`CustomerKeyError`].
    pub fn new(bytes: &[u8], md5: [u8; 16]) -> Result<Self, CustomerKeyError> {
        let key = Key::from_slice(bytes).ok_or(CustomerKeyError::Length)?;
        if <[u8; 16]>::from(Md5::digest(bytes)) != md5 {
            return Err(CustomerKeyError::Md5);
        }
        Ok(Self { key: Arc::new(key), md5 })
    }

    /// MD5 of the key, by which its owner knows it. Never stored in clear.
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What entity tags of bytes that are encrypted with the key are made with.
    pub fn tag_key(&self) -> TagKey {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.bytes().as_slice());
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let made = hmac::sign(&key, b"entity tag");
        bytes.iter_mut().zip(made.as_ref()).for_each(|(to, from)| *to = *from);
        TagKey(Key::new(&bytes))
    }

    /// What stands for a digest of bytes that are encrypted with the key: the same for the same bytes and
    /// key, and of no use to whoever lacks the key.
    pub fn blind(&self, digest: [u8; 16]) -> [u8; 16] {
        self.tag_key().blind(digest)
    }

    /// Whether both are the same key.
    pub fn is(&self, other: &Self) -> bool {
        let (a, b) = (self.key.bytes(), other.key.bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(a.as_slice(), b.as_slice()).is_ok()
    }
}

/// What follows from a customer's key, does not lead back to it, and suffices for entity tags.
#[derive(Debug)]
pub struct TagKey(Key);

impl TagKey {
    /// The one of these bytes, if they are as many as it has.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Key::from_slice(bytes).map(Self)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.bytes()
    }

    /// As [`CustomerKey::blind`].
    pub fn blind(&self, digest: [u8; 16]) -> [u8; 16] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.bytes().as_slice());
        let mut blind = [0; 16];
        let made = hmac::sign(&key, &digest);
        blind.iter_mut().zip(made.as_ref()).for_each(|(to, from)| *to = *from);
        blind
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_length_and_its_digest() {
        let bytes = *b"0123456789ABCDEF0123456789ABCDEF";
        let md5 = <[u8; 16]>::from(Md5::digest(bytes));
        let key = CustomerKey::new(&bytes, md5).unwrap();
        assert_eq!(CustomerKey::new(&bytes[1..], md5).unwrap_err(), CustomerKeyError::Length);
        assert_eq!(CustomerKey::new(&bytes, [0; 16]).unwrap_err(), CustomerKeyError::Md5);
        assert_eq!(format!("{key:?}"), "CustomerKey(..)");
        assert!(key.is(&key.clone()));
    }

    /// The same for the same digest and key, another for others.
    #[test]
    fn a_blind_digest_depends_on_digest_and_key() {
        let key = |byte| {
            let bytes = [byte; 32];
            CustomerKey::new(&bytes, Md5::digest(bytes).into()).unwrap()
        };
        assert_eq!(key(1).blind([5; 16]), key(1).blind([5; 16]));
        assert_ne!(key(1).blind([5; 16]), key(2).blind([5; 16]));
        assert_ne!(key(1).blind([5; 16]), key(1).blind([6; 16]));
        assert_ne!(key(1).blind([5; 16]), [5; 16]);
        assert!(!key(1).is(&key(2)));
    }
}
