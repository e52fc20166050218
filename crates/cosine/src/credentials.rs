//! The root credential of a data directory.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cosine_access::Credential;
use cosine_http::secret::new_pair;

use crate::error::Error;

/// Where a data directory keeps the pair that was made for it.
pub fn path(data: &Path) -> PathBuf {
    data.join("root-credentials")
}

/// The pair of a data directory, and whether it was made just now.
pub fn load_or_make(data: &Path) -> Result<(Credential, bool), Error> {
    match load(data)? {
        Some(credential) => Ok((credential, false)),
        None => make(data).map(|credential| (credential, true)),
    }
}

/// The pair of a data directory, if it has one.
pub fn load(data: &Path) -> Result<Option<Credential>, Error> {
    let path = path(data);
    let mut text = String::new();
    match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path, error)),
        Ok(_) => {}
    }
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    match (value("secret_id"), value("secret_key")) {
        (Some(secret_id), Some(secret_key)) => Ok(Some(Credential { secret_id, secret_key })),
        _ => Err(Error::Settings(format!(
            "{} does not hold secret_id= and secret_key=",
            path.display()
        ))),
    }
}

fn make(data: &Path) -> Result<Credential, Error> {
    let (secret_id, secret_key) = new_pair().ok_or_else(|| {
        Error::System("cannot draw random bytes".to_owned(), ErrorKind::Other.into())
    })?;
    let text = format!("secret_id={secret_id}\nsecret_key={secret_key}\n");
    write_secret(data, &path(data), text.as_bytes())?;
    Ok(Credential { secret_id, secret_key })
}

/// Writes a file that only its owner can read, whole and for good, or not at all.
pub fn write_secret(data: &Path, path: &Path, text: &[u8]) -> Result<(), Error> {
    let write = || {
        let temporary = path.with_extension("new");
        // One that was left behind could be open to others; it goes, and a new one takes its place.
        match remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(data)?.sync_all()
    };
    write().map_err(|error| failed("write", path, error))
}

/// That a file could not be read or written.
pub fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::System(format!("cannot {what} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pair_is_made_once_and_only_its_owner_can_read_it() {
        let data = tempfile::tempdir().unwrap();
        let (made, is_new) = load_or_make(data.path()).unwrap();
        assert!(is_new && made.secret_id.len() == 36 && made.secret_key.len() == 32);
        let mode = std::fs::metadata(path(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (again, is_new) = load_or_make(data.path()).unwrap();
        assert!(!is_new);
        assert_eq!((again.secret_id, again.secret_key), (made.secret_id, made.secret_key));
        std::fs::write(path(data.path()), "secret_id=x\n").unwrap();
        assert!(load(data.path()).is_err());
    }
}
