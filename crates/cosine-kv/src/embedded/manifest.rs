//! The files that say which files there are.
//!
//! Each tree of fjall has a manifest, and a file that names it together with its checksum. fjall
//! writes that checksum and does not read it: a flipped byte in a manifest is a panic, or a table
//! less. And a tree without the file that names its manifest is removed as one that was never made
//! to the end. So both are looked at before fjall opens anything.

use std::fs::{File, TryLockError, read, read_dir};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::Error;

/// Holds a directory for each tree.
const TREES: &str = "keyspaces";
/// In a tree, names the manifest: its number (8 bytes LE), XXH3-128 of it (16 bytes LE), and a byte
/// that says which checksum this is.
const CURRENT: &str = "current";
const XXH3: u8 = 0;
/// fjall's own lock.
const LOCK: &str = "lock";

/// Sees to it that every manifest is what was written.
///
/// # Errors
/// [`Error::Engine`] names the file that is not; [`Error::Locked`] if another process has the engine
/// open, and may be writing it.
pub(super) fn verify(directory: &Path) -> Result<(), Error> {
    verify_all(&directory.join(TREES)).map_err(|error| match is_locked(directory) {
        true => Error::Locked,
        false => Error::Engine(error),
    })
}

fn verify_all(trees: &Path) -> Result<(), String> {
    let unreadable = |error| format!("{}: {error}", trees.display());
    for entry in read_dir(trees).map_err(unreadable)? {
        let tree = entry.map_err(unreadable)?.path();
        if tree.is_dir() {
            verify_tree(&tree)?;
        }
    }
    Ok(())
}

fn verify_tree(tree: &Path) -> Result<(), String> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| format!("{}: {error}", path.display())
    };
    let current = tree.join(CURRENT);
    let stored = read(&current).map_err(at(&current))?;
    let damaged = |path: &Path| format!("{} is damaged", path.display());
    let (number, rest) = stored.split_first_chunk::<8>().ok_or_else(|| damaged(&current))?;
    let (sum, kind) = rest.split_first_chunk::<16>().ok_or_else(|| damaged(&current))?;
    if kind != [XXH3] {
        return Err(damaged(&current));
    }
    let manifest = tree.join(format!("v{}", u64::from_le_bytes(*number)));
    let bytes = read(&manifest).map_err(at(&manifest))?;
    match xxh3_128(&bytes) == u128::from_le_bytes(*sum) {
        true => Ok(()),
        false => Err(damaged(&manifest)),
    }
}

fn is_locked(directory: &Path) -> bool {
    let lock = File::open(directory.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}
