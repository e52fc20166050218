//! The blobs of a data directory: those in it, and those in storage pools on other disks.
//!
//! A data directory knows its pools by itself: `pools/<number>` in it is a link to each. So a pool that is
//! configured no more is still there for what lies in it, and a check finds everything. A pool of a
//! store that bears its mark, and has a link and no mark itself, is not mounted.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cosine_blob::{Blobs, Files, PoolId, Pools, files};

use crate::error::Error;
use crate::serve::make_directory;
use crate::settings::Pool;

/// Where the links are.
const LINKS: &str = "pools";

/// Opens the blobs of a data directory, and of all its pools, after those that are configured and new
/// have been made.
///
/// # Errors
/// If a pool of a number is elsewhere, is not mounted, or holds what is none of this store's.
pub async fn prepare(data: &Path, pools: &[Pool], options: files::Options) -> Result<Pools, Error> {
    let mut others = known(data, options)?;
    let mut new = Vec::new();
    for pool in pools {
        let failed = |error| {
            Error::System(format!("pool {}: {}", pool.name, pool.directory.display()), error)
        };
        let link = data.join(LINKS).join(pool.number.number().to_string());
        match link.read_link() {
            Ok(known) => require_place(pool, &known, &link)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_directory(&pool.directory).map_err(failed)?;
                let directory = pool.directory.canonicalize().map_err(failed)?;
                others.insert(pool.number, open(&directory, options)?);
                new.push((directory, link));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    let blobs = Pools::new(open(&data.join("blobs"), options)?, others);
    if !new.is_empty() {
        blobs.adopt_new().await.map_err(|error| store_failed(data, error))?;
        make_links(data, &new)?;
    }
    Ok(blobs)
}

/// That a pool that is known lies where the configuration has it.
fn require_place(pool: &Pool, known: &Path, link: &Path) -> Result<(), Error> {
    if pool.directory.canonicalize().is_ok_and(|directory| directory == known) {
        return Ok(());
    }
    Err(Error::Settings(format!(
        "pool {}: number {} lies in {}; move what is there, and change the link {}",
        pool.name,
        pool.number.number(),
        known.display(),
        link.display(),
    )))
}

fn make_links(data: &Path, new: &[(PathBuf, PathBuf)]) -> Result<(), Error> {
    let directory = data.join(LINKS);
    let failed = |error| Error::System(format!("cannot write {}", directory.display()), error);
    make_directory(&directory).map_err(failed)?;
    for (pool, link) in new {
        symlink(pool, link).map_err(failed)?;
    }
    std::fs::File::open(&directory).and_then(|links| links.sync_all()).map_err(failed)
}

/// Opens the blobs of a data directory, and of all the pools that it knows.
///
/// # Errors
/// If a directory cannot be read, a link is none of a pool's, or a pool is not mounted.
pub fn open_all(data: &Path) -> Result<Pools, Error> {
    let others = known(data, Default::default())?;
    Ok(Pools::new(open(&data.join("blobs"), Default::default())?, others))
}

/// The pools that have links.
fn known(data: &Path, options: files::Options) -> Result<BTreeMap<PoolId, Arc<dyn Blobs>>, Error> {
    let mut known = BTreeMap::new();
    for (number, directory) in links(data)? {
        let missing = || {
            let what = "is not there, or not mounted";
            let number = number.number();
            Error::Settings(format!("pool {number} {what}: {}", directory.display()))
        };
        // Opening a directory makes what it lacks. A store that was never opened to the end has no mark.
        if is_marked(&data.join("blobs")) && !is_marked(&directory) {
            return Err(missing());
        }
        known.insert(number, open(&directory, options)?);
    }
    Ok(known)
}

fn is_marked(directory: &Path) -> bool {
    directory.join(files::STORE_FILE).is_file()
}

fn open(directory: &Path, options: files::Options) -> Result<Arc<dyn Blobs>, Error> {
    match Files::open(directory, options) {
        Ok(blobs) => Ok(Arc::new(blobs)),
        Err(error) => Err(store_failed(directory, error)),
    }
}

fn store_failed(directory: &Path, error: cosine_blob::Error) -> Error {
    Error::Store(directory.display().to_string(), cosine_store::Error::from(error))
}

fn links(data: &Path) -> Result<Vec<(PoolId, PathBuf)>, Error> {
    let directory = data.join(LINKS);
    let failed = |error| Error::System(format!("cannot read {}", directory.display()), error);
    let entries = match directory.read_dir() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(failed)?,
    };
    let mut links = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok()).and_then(PoolId::new);
        let strange = || Error::Settings(format!("{} is no pool's", entry.path().display()));
        links.push((number.filter(|n| n.number() > 0).ok_or_else(strange)?, entry.path()));
    }
    Ok(links)
}
