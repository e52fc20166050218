//! Making a new engine, so that it is there whole or not at all.
//!
//! fjall makes its files one after the other, and what a crash leaves half made does not open
//! again; nor does it sync every directory that it makes. So a mark stands in the directory until
//! everything is made and synced, and whoever finds the mark begins again.

use std::fs::{File, TryLockError, create_dir_all, read_dir, remove_dir_all, remove_file};
use std::io::ErrorKind;
use std::path::Path;

use crate::Error;

/// While this is here, nothing in the directory counts.
const MARK: &str = "making";
/// What fjall makes. Other files are not ours to remove.
const MADE: [&str; 4] = ["lock", "0.jnl", "version", "keyspaces"];

/// Has `make` make the engine's files in `directory` if they are not there, or only half.
///
/// # Errors
/// [`Error::Locked`] if another process is making them; [`Error::Engine`].
pub(super) fn make_once(
    directory: &Path,
    make: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    create_dir_all(directory).map_err(failed)?;
    // At every open: an earlier one may have ended between making the directory and syncing it.
    directory.parent().map_or(Ok(()), sync).map_err(failed)?;
    if is_made(directory) {
        return Ok(());
    }
    let lock = File::open(directory).map_err(failed)?;
    // Where directories cannot be locked, fjall's own lock has to do.
    if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(Error::Locked);
    }
    if is_made(directory) {
        return Ok(());
    }
    begin(directory).map_err(failed)?;
    make()?;
    finish(directory).map_err(failed)
}

/// Whether there is nothing to make. Files without a mark are a store's, however damaged: it is for
/// fjall to say what is wrong with them.
fn is_made(directory: &Path) -> bool {
    let there = |name: &&str| directory.join(name).exists();
    !there(&MARK) && MADE.iter().any(there)
}

/// Puts the mark, and removes what an earlier attempt left.
fn begin(directory: &Path) -> std::io::Result<()> {
    File::create(directory.join(MARK))?;
    sync(directory)?;
    for name in MADE {
        let path = directory.join(name);
        let removed = if path.is_dir() { remove_dir_all(path) } else { remove_file(path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes everything durable, and only then takes the mark away.
fn finish(directory: &Path) -> std::io::Result<()> {
    for name in MADE {
        sync_all_below(&directory.join(name))?;
    }
    sync(directory)?;
    remove_file(directory.join(MARK))?;
    sync(directory)
}

fn sync_all_below(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in read_dir(path)? {
            sync_all_below(&entry?.path())?;
        }
    }
    sync(path)
}

fn sync(path: &Path) -> std::io::Result<()> {
    // The parent of a path of one name is the empty path.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

fn failed(error: std::io::Error) -> Error {
    Error::Engine(error.to_string())
}
