//! The blobs of a data directory: those in it, and those in storage pools on other disks.
//!
//! A data directory knows its pools by itself: `pools/<number>` in it is a link to each. So a pool that is
//! configured no more is still there for what lies in it, and a check finds everything.

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

/// Sees to it that each pool that is configured has its directory and its link.
///
/// # Errors
/// If a pool of this number is elsewhere.
pub fn link(data: &Path, pools: &[Pool]) -> Result<(), Error> {
    for pool in pools {
        let failed = |error| {
            Error::System(format!("pool {}: {}", pool.name, pool.directory.display()), error)
        };
        make_directory(&pool.directory).map_err(failed)?;
        let directory = pool.directory.canonicalize().map_err(failed)?;
        make_directory(&data.join(LINKS)).map_err(failed)?;
        let link = data.join(LINKS).join(pool.number.number().to_string());
        match link.read_link() {
            Ok(known) if known == directory => {}
            Ok(known) => {
                let what = format!(
                    "pool {}: number {} lies in {}; move what is there, and change the link {}",
                    pool.name,
                    pool.number.number(),
                    known.display(),
                    link.display(),
                );
                return Err(Error::Settings(what));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                symlink(&directory, &link).map_err(failed)?;
                let links = std::fs::File::open(data.join(LINKS)).map_err(failed)?;
                links.sync_all().map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Opens the blobs of a data directory, and of all its pools.
///
/// # Errors
/// If a directory cannot be read, or a link is none of a pool's.
pub fn open(data: &Path, options: files::Options) -> Result<Pools, Error> {
    let failed = |error: cosine_blob::Error| {
        Error::Store(data.display().to_string(), cosine_store::Error::from(error))
    };
    let first = Files::open(&data.join("blobs"), options).map_err(failed)?;
    let mut others: BTreeMap<PoolId, Arc<dyn Blobs>> = BTreeMap::new();
    for (number, directory) in links(data)? {
        if !directory.is_dir() {
            let what = format!("pool {} is not there: {}", number.number(), directory.display());
            return Err(Error::Settings(what));
        }
        let blobs = Files::open(&directory, options).map_err(failed)?;
        others.insert(number, Arc::new(blobs));
    }
    Ok(Pools::new(Arc::new(first), others))
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
