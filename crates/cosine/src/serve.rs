//! `cosine serve`: a data directory.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use cosine_access::Credential;
use cosine_blob::files;
use cosine_http::monitor;
use cosine_kv::Scan;
use cosine_kv::embedded::{Durability, Embedded, Options};
use cosine_store::{Engines, StoreOptions, SystemClock};

use crate::banner::Secret;
use crate::error::Error;
use crate::settings::{Pool, Settings};
use crate::{credentials, kms, master_key, pools, run};

/// Opens the data directory and serves it.
pub fn run(settings: Settings) -> Result<(), Error> {
    let prepared = run::prepare(&settings)?;
    let data = settings.data.clone();
    make_directory(&data)
        .map_err(|error| Error::System(format!("cannot make {}", data.display()), error))?;
    let durable = settings.durability == Durability::Sync;
    let failed = |error: cosine_store::Error| Error::Store(data.display().to_string(), error);
    let options = Options {
        durability: settings.durability,
        reserve_bytes: settings.disk_reserve,
        ..Options::default()
    };
    let kv = Embedded::open(&data.join("meta"), options).map_err(|error| failed(error.into()))?;
    let options = files::Options { durable, reserve_bytes: settings.disk_reserve };
    let blobs = prepared.block_on(pools::prepare(&data, &settings.pools, options))?;
    let mut registry = monitor::registry();
    kv.register(&mut registry);
    let engines = Engines { kv: Arc::new(kv), blobs: Arc::new(blobs) };
    let classes = |pool: &Pool| {
        let number = pool.number;
        pool.classes.clone().into_iter().map(move |class| (class, number))
    };
    let first = prepared.block_on(engines.kv.scan(Scan::prefix(b"", 1)));
    let is_new = first.map_err(|error| failed(error.into()))?.found.is_empty();
    let master = master_key::load(&settings.encryption.master_key, &data, (is_new, durable))?;
    let options = StoreOptions {
        kms: kms::transit(&settings)?,
        encrypt_at_rest: settings.encryption.at_rest,
        rewrap: settings.encryption.rewrap.clone(),
        pools: settings.pools.iter().flat_map(classes).collect(),
        restore_times: settings.restore_times,
        ..StoreOptions::new(Arc::new(SystemClock), Arc::clone(master.keys()))
    };
    run::run(settings, prepared, (engines, options), (registry, master), credential)
}

/// Makes a directory, and sees to it that it is still there after a power cut: its entry is in its
/// parent, and so on upwards for every level that was missing.
pub fn make_directory(directory: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|level| !level.as_os_str().is_empty() && !level.is_dir())
        .collect();
    std::fs::create_dir_all(directory)?;
    for level in missing {
        let parent = level.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn credential(settings: &Settings) -> Result<(Credential, Secret), Error> {
    if let Some(credential) = &settings.credential {
        return Ok((credential.clone(), Secret::Hidden("as set")));
    }
    let (credential, is_new) = credentials::load_or_make(&settings.data)?;
    let kept = Secret::Hidden("in root-credentials in the data directory");
    Ok((credential, if is_new { Secret::Shown } else { kept }))
}
