//! The root credential of a data directory.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cosine_access::{Account, Credential};

use crate::error::Error;

/// Where a data directory keeps the pair that was made for it.
pub fn path(data: &Path) -> PathBuf {
    data.join("root-credentials")
}

/// The pair of a data directory, and whether it was made just now.
pub fn load_or_make(data: &Path, account: Account) -> Result<(Credential, bool), Error> {
    match load(data, account)? {
        Some(credential) => Ok((credential, false)),
        None => make(data, account).map(|credential| (credential, true)),
    }
}

/// The pair of a data directory, if it has one.
pub fn load(data: &Path, account: Account) -> Result<Option<Credential>, Error> {
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
        (Some(secret_id), Some(secret_key)) => {
            Ok(Some(Credential { secret_id, secret_key, account }))
        }
        _ => Err(Error::Settings(format!(
            "{} does not hold secret_id= and secret_key=",
            path.display()
        ))),
    }
}

fn make(data: &Path, account: Account) -> Result<Credential, Error> {
    let path = path(data);
    let secret_id = format!("AKID{}", random_text(32)?);
    let secret_key = random_text(32)?;
    let write = || {
        let temporary = path.with_extension("new");
        // One that was left behind could be open to others; it goes, and a new one takes its place.
        match remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        write!(file, "secret_id={secret_id}\nsecret_key={secret_key}\n")?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        File::open(data)?.sync_all()
    };
    write().map_err(|error| failed("write", &path, error))?;
    Ok(Credential { secret_id, secret_key, account })
}

/// Letters and digits, evenly drawn.
fn random_text(length: usize) -> Result<String, Error> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::System("cannot draw random bytes".to_owned(), std::io::Error::other(error))
        })?;
        // Only values below 4 * 62 are used, so that no letter is likelier than another.
        let letters = bytes.iter().filter(|byte| **byte < 248);
        let letters = letters.filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
        text.extend(letters.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    Ok(text)
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::System(format!("cannot {what} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pair_is_made_once_and_only_its_owner_can_read_it() {
        let data = tempfile::tempdir().unwrap();
        let account = Account { appid: 1, uin: 2 };
        let (made, is_new) = load_or_make(data.path(), account).unwrap();
        assert!(is_new && made.secret_id.len() == 36 && made.secret_key.len() == 32);
        let mode = std::fs::metadata(path(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (again, is_new) = load_or_make(data.path(), account).unwrap();
        assert!(!is_new);
        assert_eq!((again.secret_id, again.secret_key), (made.secret_id, made.secret_key));
        std::fs::write(path(data.path()), "secret_id=x\n").unwrap();
        assert!(load(data.path(), account).is_err());
    }
}
