//! The key that a data directory's secrets are sealed under.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use cosine_crypt::{KEY_BYTES, StoreKey};
use cosine_store::Store;
use cosine_wire::encode::hex;

use crate::credentials::{failed, write_secret};
use crate::error::Error;

/// What is sealed to know the right key by.
const CHECK: &[u8] = b"key check";

/// Where a data directory keeps its key.
pub fn path(data: &Path) -> PathBuf {
    data.join("store-key")
}

/// The key of a data directory, made at the first start: 32 bytes in hex, for its owner only.
pub fn load_or_make(data: &Path) -> Result<StoreKey, Error> {
    let path = path(data);
    let mut text = String::new();
    match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return make(data, &path),
        Err(error) => return Err(failed("read", &path, error)),
        Ok(_) => {}
    }
    parse(text.trim())
        .map(StoreKey::new)
        .ok_or_else(|| Error::Settings(format!("{} does not hold 32 bytes in hex", path.display())))
}

fn make(data: &Path, path: &Path) -> Result<StoreKey, Error> {
    let key = new()?;
    write_secret(data, path, format!("{}\n", hex(&*key.bytes())).as_bytes())?;
    Ok(key)
}

/// A new key.
pub fn new() -> Result<StoreKey, Error> {
    StoreKey::random().map_err(|error| {
        Error::System("cannot make a key".to_owned(), std::io::Error::other(error))
    })
}

fn parse(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits = text.len() == 2 * KEY_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut bytes = [0; KEY_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    digits.then_some(bytes)
}

/// Sees to it that a store's secrets are sealed under this key, and no other.
pub async fn require_own(store: &Store, key: &StoreKey, place: &str) -> Result<(), Error> {
    let failed = |error| Error::Store(place.to_owned(), error);
    let sealed = key
        .seal(CHECK, CHECK)
        .map_err(|error| Error::System("cannot seal".to_owned(), std::io::Error::other(error)))?;
    let kept = store.key_check(sealed).await.map_err(failed)?;
    match key.open(CHECK, &kept) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Settings(format!(
            "store-key in {place} is not the key that this store was made with: put that one back"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let data = tempfile::tempdir().unwrap();
        let made = load_or_make(data.path()).unwrap();
        let mode = std::fs::metadata(path(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(*load_or_make(data.path()).unwrap().bytes(), *made.bytes());
        std::fs::write(path(data.path()), "00").unwrap();
        assert!(load_or_make(data.path()).is_err());
    }
}
