//! Checksums of plain bytes: in clear beside plain bytes, sealed beside sealed ones, since in clear they
//! would confirm a guess of what is sealed.

use cosine_crypt::Key;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Etag;
use crate::Error;

/// Checksums, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sums<T> {
    /// Of plain bytes.
    Clear(T),
    /// Of sealed bytes: postcard encoded, and sealed under the key of the store.
    Sealed(Vec<u8>),
}

/// Of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentSums {
    /// CRC-64/XZ of all bytes.
    pub crc64: u64,
    /// MD5 of all bytes, where it is known.
    pub md5: Option<[u8; 16]>,
    /// The entity tag of an object that shows them plain.
    pub etag: Etag,
}

/// Of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSums {
    /// The entity tag that is shown.
    pub etag: Etag,
    /// CRC-64/XZ of the plain bytes.
    pub crc64: u64,
}

/// Of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSums {
    /// The entity tag that is shown.
    pub etag: [u8; 16],
    /// MD5 of the bytes, or what stands for it.
    pub md5: [u8; 16],
    /// CRC-64/XZ of the bytes.
    pub crc64: u64,
}

/// What checksums are sealed for: those of one owner are not those of another.
fn purpose(owner: &[u8]) -> Vec<u8> {
    [b"checksums ", owner].concat()
}

impl<T: Serialize + DeserializeOwned + Clone> Sums<T> {
    /// Checksums to store beside bytes that are sealed, or not.
    ///
    /// # Errors
    /// [`Error::System`] if there are no random bytes.
    pub fn keep(sums: T, sealed: bool, (key, owner): (&Key, &[u8])) -> Result<Self, Error> {
        if !sealed {
            return Ok(Self::Clear(sums));
        }
        let system = |error: &dyn std::fmt::Display| Error::System(error.to_string());
        let plain = postcard::to_allocvec(&sums).map_err(|error| system(&error))?;
        let sealed = key.seal(&purpose(owner), &plain).map_err(|error| system(&error))?;
        Ok(Self::Sealed(sealed))
    }

    /// The checksums.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they were not sealed under this key for this owner.
    pub fn read(&self, key: &Key, owner: &[u8]) -> Result<T, Error> {
        let sealed = match self {
            Self::Clear(sums) => return Ok(sums.clone()),
            Self::Sealed(sealed) => sealed,
        };
        let damaged = || Error::Damaged("sealed checksums are not what was sealed".to_owned());
        let plain = key.open(&purpose(owner), sealed).map_err(|_| damaged())?;
        postcard::from_bytes(&plain).map_err(|_| damaged())
    }

    /// The checksums, if they are in clear, or there is a key.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn known(&self, key: Option<&Key>, owner: &[u8]) -> Result<Option<T>, Error> {
        match (self, key) {
            (Self::Clear(sums), _) => Ok(Some(sums.clone())),
            (Self::Sealed(_), None) => Ok(None),
            (Self::Sealed(_), Some(key)) => self.read(key, owner).map(Some),
        }
    }

    /// The checksums, if they are in clear.
    pub fn clear(&self) -> Option<&T> {
        match self {
            Self::Clear(sums) => Some(sums),
            Self::Sealed(_) => None,
        }
    }
}
