//! The master key: from the data directory, another file, the environment or a command.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cosine_crypt::{Key, MasterKeys};
use cosine_http::{KeepMaster, Master};
use zeroize::Zeroizing;

use crate::credentials::{failed, write_secret};
use crate::error::Error;

/// Where the master key comes from.
#[derive(Clone, Default)]
pub enum Source {
    /// A file of the data directory, made at the first start.
    #[default]
    Data,
    /// A file of the operator's.
    File(PathBuf),
    /// The settings themselves.
    Text(Zeroizing<String>),
    /// What a command prints: a program and its arguments, apart by spaces. No shell is asked.
    Command(String),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Data => "Data",
            Self::File(_) => "File",
            Self::Text(_) => "Text",
            Self::Command(_) => "Command",
        })
    }
}

/// Where a data directory keeps its master key.
pub fn path(data: &Path) -> PathBuf {
    data.join("master-key")
}

/// The master key of a store, and who keeps it. A new store may have one made; where commits are not durable,
/// former keys are never taken away.
pub fn load(
    source: &Source,
    data: &Path,
    (is_new, durable): (bool, bool),
) -> Result<Master, Error> {
    match source {
        Source::Data => {
            let keeper = Keeper { data: data.to_owned() };
            let keys = load_or_make(data, is_new)?;
            Ok(Master::new(Arc::new(keys), Some(Box::new(keeper)), durable))
        }
        Source::File(path) => of_operator(&read(path)?, &path.display().to_string(), durable),
        Source::Text(text) => of_operator(text, "master_key", durable),
        Source::Command(line) => of_operator(&printed(line)?, "master_key_command", durable),
    }
}

/// One that is known to nobody, and kept nowhere.
pub fn passing() -> Result<Master, Error> {
    Ok(Master::new(Arc::new(MasterKeys::new(random()?, vec![])), None, true))
}

fn of_operator(text: &str, place: &str, durable: bool) -> Result<Master, Error> {
    Ok(Master::new(Arc::new(parse(text, place)?), None, durable))
}

fn parse(text: &str, place: &str) -> Result<MasterKeys, Error> {
    let wrong = || {
        let what = "does not hold a master key: 32 bytes in hex, and former ones behind it";
        Error::Settings(format!("{place} {what}"))
    };
    MasterKeys::parse(text).ok_or_else(wrong)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    read.map_err(|error| failed("read", path, error))?;
    Ok(text)
}

fn printed(line: &str) -> Result<Zeroizing<String>, Error> {
    let failed = |error| Error::System("master_key_command failed".to_owned(), error);
    let mut words = line.split_whitespace();
    let program = words.next().ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?;
    let mut command = Command::new(program);
    let output = command.args(words).stderr(Stdio::inherit()).output().map_err(failed)?;
    let printed = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(failed(std::io::Error::other(output.status.to_string())));
    }
    let text = std::str::from_utf8(&printed).map_err(std::io::Error::other).map_err(failed)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The key of a data directory, made at the first start, for its owner only. A store that is there has one
/// already, and no other would do.
fn load_or_make(data: &Path, is_new: bool) -> Result<MasterKeys, Error> {
    let path = path(data);
    match std::fs::exists(&path) {
        Ok(false) if !is_new => Err(Error::Settings(format!(
            "{} is missing: put back the master key that this store was made with, or say where it is",
            path.display()
        ))),
        Ok(false) => {
            let keys = MasterKeys::new(random()?, vec![]);
            write_secret(data, &path, keys.text().as_bytes())?;
            Ok(keys)
        }
        _ => parse(&read(&path)?, &path.display().to_string()),
    }
}

fn random() -> Result<Key, Error> {
    Key::random().map_err(|error| {
        Error::System("cannot make a key".to_owned(), std::io::Error::other(error))
    })
}

/// A data directory, which keeps its master key itself.
#[derive(Debug)]
struct Keeper {
    data: PathBuf,
}

impl KeepMaster for Keeper {
    fn keep(&self, keys: &MasterKeys) -> std::io::Result<()> {
        let kept = write_secret(&self.data, &path(&self.data), keys.text().as_bytes());
        kept.map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let data = tempfile::tempdir().unwrap();
        assert!(load_or_make(data.path(), false).is_err(), "of a store that is there");
        let made = load_or_make(data.path(), true).unwrap();
        let mode = std::fs::metadata(path(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(load_or_make(data.path(), false).unwrap().text(), made.text());
        let both = made.with_new().unwrap();
        Keeper { data: data.path().to_owned() }.keep(&both).unwrap();
        assert_eq!(load_or_make(data.path(), false).unwrap().text(), both.text());
        std::fs::write(path(data.path()), "00").unwrap();
        assert!(load_or_make(data.path(), true).is_err());
    }

    #[test]
    fn where_it_comes_from() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("key");
        let text = "ab".repeat(32);
        std::fs::write(&file, &text).unwrap();
        let sources = [
            Source::File(file.clone()),
            Source::Text(Zeroizing::new(text.clone())),
            Source::Command(format!("cat {}", file.display())),
        ];
        for source in sources {
            let master = load(&source, data.path(), (true, true)).unwrap();
            assert_eq!(master.keys().text().trim(), text, "{source:?}");
            assert!(master.rotate().is_err(), "its owner replaces it");
        }
        assert!(!path(data.path()).exists());
        for source in [
            Source::Text(Zeroizing::new("ab".to_owned())),
            Source::File("/nowhere".into()),
            Source::Command("false".to_owned()),
            Source::Command("/no/program".to_owned()),
            Source::Command(String::new()),
        ] {
            assert!(load(&source, data.path(), (true, true)).is_err(), "{source:?}");
        }
    }
}
