//! The master key: what the key of a store, and the keys of its key management, are sealed under.
//!
//! There may be several: the first one seals, and all open. So a master key is replaced by putting a new
//! one in front, sealing everything anew, and taking the old one away.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::{KEY_BYTES, Key, SealError};

/// The master keys of a store, the current one first.
pub struct MasterKeys {
    keys: RwLock<Arc<[Arc<Key>]>>,
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeys").field("count", &self.count()).finish()
    }
}

impl MasterKeys {
    /// A current key, and those before it.
    pub fn new(current: Key, former: Vec<Key>) -> Self {
        let keys = std::iter::once(current).chain(former).map(Arc::new);
        Self { keys: RwLock::new(keys.collect()) }
    }

    /// Keys in hex, apart by white space, the current one first; `None` if they are not that, or none.
    pub fn parse(text: &str) -> Option<Self> {
        let keys: Vec<Key> = text.split_whitespace().map(Key::from_hex).collect::<Option<_>>()?;
        let mut keys = keys.into_iter();
        let current = keys.next()?;
        Some(Self::new(current, keys.collect()))
    }

    /// The same with a new one in front.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn with_new(&self) -> Result<Self, SealError> {
        let new = Arc::new(Key::random()?);
        let former = self.keys();
        let keys = std::iter::once(new).chain(former.iter().cloned()).collect();
        Ok(Self { keys: RwLock::new(keys) })
    }

    /// The current one alone.
    pub fn current(&self) -> Self {
        Self { keys: RwLock::new(self.keys().iter().take(1).cloned().collect()) }
    }

    /// As [`parse`](Self::parse) reads them, for whoever keeps them.
    pub fn text(&self) -> Zeroizing<String> {
        let keys = self.keys();
        // Of its full size at once: what grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(keys.len() * (2 * KEY_BYTES + 1)));
        for key in keys.iter() {
            for byte in key.bytes().iter() {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                text.extend([digit(byte >> 4), digit(byte & 15)]);
            }
            text.push('\n');
        }
        text
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys().len()
    }

    /// Has these take the place of those that there were.
    pub fn replace(&self, by: Self) {
        let by = by.keys.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = by;
    }

    fn keys(&self) -> Arc<[Arc<Key>]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Seals a key under the current one.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal_key(&self, purpose: &[u8], key: &Key) -> Result<Vec<u8>, SealError> {
        self.keys().first().ok_or(SealError::Unsealable)?.seal_key(purpose, key)
    }

    /// Opens a key that was sealed under any of them.
    ///
    /// # Errors
    /// [`SealError::Unsealable`].
    pub fn open_key(&self, purpose: &[u8], sealed: &[u8]) -> Result<Key, SealError> {
        let keys = self.keys();
        let mut opened = keys.iter().map(|master| master.open_key(purpose, sealed));
        opened.find_map(Result::ok).ok_or(SealError::Unsealable)
    }

    /// What was sealed under a former one, sealed under the current one; `None` if it is already.
    ///
    /// # Errors
    /// [`SealError`] if none of them opens it.
    pub fn rewrap(&self, purpose: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        let keys = self.keys();
        let current = keys.first().ok_or(SealError::Unsealable)?;
        if current.open_key(purpose, sealed).is_ok() {
            return Ok(None);
        }
        let key = self.open_key(purpose, sealed)?;
        current.seal_key(purpose, &key).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_seals_and_all_open() {
        let text = |byte: &str| byte.repeat(32);
        let old = MasterKeys::parse(&text("0a")).unwrap();
        let both = MasterKeys::parse(&format!("{}\n{}\n", text("0b"), text("0a"))).unwrap();
        let new = MasterKeys::parse(&text("0b")).unwrap();
        let sealed = old.seal_key(b"p", &Key::new(&[5; 32])).unwrap();
        assert!(new.open_key(b"p", &sealed).is_err());
        assert_eq!(*both.open_key(b"p", &sealed).unwrap().bytes(), [5; 32]);
        assert_eq!(old.rewrap(b"p", &sealed).unwrap(), None);
        let moved = both.rewrap(b"p", &sealed).unwrap().unwrap();
        assert_eq!(*new.open_key(b"p", &moved).unwrap().bytes(), [5; 32]);
        assert_eq!(both.rewrap(b"p", &moved).unwrap(), None);
        assert!(new.rewrap(b"p", &sealed).is_err());
        old.replace(both);
        assert_eq!(*old.open_key(b"p", &moved).unwrap().bytes(), [5; 32]);
        assert_eq!(old.text().as_str(), format!("{}\n{}\n", text("0b"), text("0a")));
        assert_eq!(old.current().text().as_str(), format!("{}\n", text("0b")));
        let three = old.with_new().unwrap();
        assert_eq!((three.count(), three.open_key(b"p", &sealed).is_ok()), (3, true));
        for text in ["", "0b", &text("xx"), &format!("{} 1", text("0b"))] {
            assert!(MasterKeys::parse(text).is_none(), "{text}");
        }
    }
}
