//! A key, and what is sealed under it: other keys, and small values.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The first byte of a sealed value.
const FORM: u8 = 1;
/// Bytes that make the key of each value one that was never used, and never will be.
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// Why something could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was not sealed under this key for this purpose, or it was changed since.
    #[error("it was not sealed under this key, or it was changed")]
    Unsealable,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// A secret key. It never shows in debug output, and is wiped when it is dropped.
pub struct Key(Box<[u8; KEY_BYTES]>);

impl Key {
    /// The key of these bytes. They are copied once, to where they will be wiped; those that were given are
    /// their owner's to wipe.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key = Self::unset();
        key.0.copy_from_slice(bytes);
        key
    }

    /// The key of these bytes, if they are as many as a key has.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().filter(|key| key.len() == bytes.len()).map(Self::new)
    }

    /// The key that is written in so many hex digits, if it is one.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 2 * KEY_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut key = Self::unset();
        for (byte, pair) in key.0.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(key)
    }

    /// A new key.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn random() -> Result<Self, SealError> {
        let mut key = Self::unset();
        SystemRandom::new().fill(&mut *key.0).map_err(|_| SealError::NoRandom)?;
        Ok(key)
    }

    /// On the heap, where it stays when it is handed on: what is moved leaves its bytes behind.
    fn unset() -> Self {
        Self(Box::new([0; KEY_BYTES]))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Seals a value for a purpose: what is sealed for one cannot be opened for another.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal(&self, purpose: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| SealError::NoRandom)?;
        self.seal_with(salt, purpose, plain)
    }

    /// Seals a key for a purpose.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal_key(&self, purpose: &[u8], key: &Self) -> Result<Vec<u8>, SealError> {
        self.seal(purpose, &*key.0)
    }

    /// Opens a key that was sealed for this purpose.
    ///
    /// # Errors
    /// [`SealError::Unsealable`].
    pub fn open_key(&self, purpose: &[u8], sealed: &[u8]) -> Result<Self, SealError> {
        Self::from_slice(&self.open(purpose, sealed)?).ok_or(SealError::Unsealable)
    }

    /// Seals a key for a purpose for which no other key is ever sealed under this one: what stands for the
    /// random bytes follows from the purpose, and need not be kept. So the same is sealed as the same.
    ///
    /// # Errors
    /// [`SealError::Unsealable`], if the cipher refuses: it never does.
    pub fn seal_only_key(&self, purpose: &[u8], key: &Self) -> Result<Vec<u8>, SealError> {
        let mut sealed = self.seal_with(only_salt(purpose), purpose, &*key.0)?;
        Ok(sealed.split_off(1 + SALT_BYTES))
    }

    /// Opens a key that was sealed so.
    ///
    /// # Errors
    /// [`SealError::Unsealable`].
    pub fn open_only_key(&self, purpose: &[u8], sealed: &[u8]) -> Result<Self, SealError> {
        let whole = [&[FORM], &only_salt(purpose)[..], sealed].concat();
        self.open_key(purpose, &whole)
    }

    fn seal_with(
        &self,
        salt: [u8; SALT_BYTES],
        purpose: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let key = self.one_time_key(&salt, purpose)?;
        let mut sealed = Vec::with_capacity(1 + SALT_BYTES + plain.len() + TAG_BYTES);
        sealed.push(FORM);
        sealed.extend_from_slice(&salt);
        let mut text = Zeroizing::new(plain.to_vec());
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(purpose), text.as_mut_slice());
        let tag = tag.map_err(|_| SealError::Unsealable)?;
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a value that was sealed for this purpose.
    ///
    /// # Errors
    /// [`SealError::Unsealable`].
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (form, rest) = sealed.split_first().ok_or(SealError::Unsealable)?;
        let (salt, text) = rest.split_first_chunk::<SALT_BYTES>().ok_or(SealError::Unsealable)?;
        if *form != FORM {
            return Err(SealError::Unsealable);
        }
        let key = self.one_time_key(salt, purpose)?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = key.open_in_place(nonce(), Aad::from(purpose), text.as_mut_slice());
        let length = plain.map_err(|_| SealError::Unsealable)?.len();
        text.truncate(length);
        Ok(text)
    }

    fn one_time_key(
        &self,
        salt: &[u8; SALT_BYTES],
        purpose: &[u8],
    ) -> Result<LessSafeKey, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let secret = Salt::new(HKDF_SHA256, salt).extract(&*self.0);
        secret
            .expand(&[purpose], Length)
            .and_then(|expanded| expanded.fill(bytes.as_mut_slice()))
            .map_err(|_| SealError::Unsealable)?;
        cipher(&bytes)
    }

    /// The key as one that many messages are sealed under, each with a nonce of its own.
    pub(crate) fn cipher(&self) -> Result<LessSafeKey, SealError> {
        cipher(&self.0)
    }
}

/// What stands for the random bytes of what is sealed once for a purpose.
fn only_salt(purpose: &[u8]) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    salt.iter_mut().zip(digest(&SHA256, purpose).as_ref()).for_each(|(to, from)| *to = *from);
    salt
}

fn cipher(bytes: &[u8; KEY_BYTES]) -> Result<LessSafeKey, SealError> {
    let key = UnboundKey::new(&AES_256_GCM, bytes);
    key.map(LessSafeKey::new).map_err(|_| SealError::Unsealable)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A key that is used once needs no nonce.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[derive(Clone, Copy)]
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else_does(
            plain in any::<Vec<u8>>(), flip in any::<proptest::sample::Index>(), bit in 0..8u8,
        ) {
            let key = Key::new(&[7; KEY_BYTES]);
            let sealed = key.seal(b"purpose", &plain).unwrap();
            prop_assert_eq!(&**key.open(b"purpose", &sealed).unwrap(), &plain);
            prop_assert!(key.open(b"another", &sealed).is_err());
            prop_assert!(Key::new(&[8; KEY_BYTES]).open(b"purpose", &sealed).is_err());
            let mut changed = sealed.clone();
            changed[flip.index(sealed.len())] ^= 1 << bit;
            prop_assert!(key.open(b"purpose", &changed).is_err());
            prop_assert!(key.open(b"purpose", &sealed[..sealed.len() - 1]).is_err());
            prop_assert_ne!(key.seal(b"purpose", &plain).unwrap(), sealed);
        }
    }

    /// One for each purpose, and the same each time; opens for its purpose alone.
    #[test]
    fn a_key_that_is_sealed_once_for_a_purpose() {
        let (key, below) = (Key::new(&[7; KEY_BYTES]), Key::new(&[9; KEY_BYTES]));
        let sealed = key.seal_only_key(b"purpose", &below).unwrap();
        assert_eq!(sealed.len(), KEY_BYTES + TAG_BYTES);
        assert_eq!(key.seal_only_key(b"purpose", &below).unwrap(), sealed);
        assert_eq!(key.open_only_key(b"purpose", &sealed).unwrap().bytes(), &[9; KEY_BYTES]);
        assert!(key.open_only_key(b"another", &sealed).is_err());
        assert!(below.open_only_key(b"purpose", &sealed).is_err());
        assert!(key.open_only_key(b"purpose", &sealed[1..]).is_err());
        assert_ne!(key.seal_only_key(b"another", &below).unwrap(), sealed);
    }

    /// The vectors of `docs/format.md`.
    #[test]
    fn the_form_stays() {
        let key = Key::new(&std::array::from_fn(|n| n as u8));
        let sealed = key.seal_with([0xaa; SALT_BYTES], b"test", b"secret").unwrap();
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            format!("01{}7d93f69377c4b589ca8fc842988e6b71d43994350416", "aa".repeat(32))
        );
        let only = key.seal_only_key(b"test", &Key::new(&[0xbb; KEY_BYTES])).unwrap();
        let hex: String = only.iter().map(|byte| format!("{byte:02x}")).collect();
        let (front, back) = hex.split_at(48);
        assert_eq!(front, "8de00d437f1450e26e42067634efa11834ccc0276aea9624");
        assert_eq!(back, "43b7ecd9a196253d55175e2deec7c8b06e38042bdfa51336");
        assert_eq!(format!("{key:?}"), "Key(..)");
    }
}
