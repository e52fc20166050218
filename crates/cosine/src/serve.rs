//! `cosine serve`: a data directory.

use std::sync::Arc;

use cosine_blob::Files;
use cosine_kv::embedded::{Durability, Embedded, Options};
use cosine_store::Engines;

use crate::banner::Secret;
use crate::error::Error;
use crate::settings::Settings;
use crate::{credentials, run};

/// Opens the data directory and serves it.
pub fn run(mut settings: Settings) -> Result<(), Error> {
    let data = settings.data.clone();
    std::fs::create_dir_all(&data)
        .map_err(|error| Error::System(format!("cannot make {}", data.display()), error))?;
    let durable = settings.durability == Durability::Sync;
    if !durable {
        eprintln!("cosine: durability = \"os\": what is acknowledged can be lost with the power.");
    }
    let failed = |error: cosine_store::Error| Error::Store(data.display().to_string(), error);
    let options = Options { durability: settings.durability, ..Options::default() };
    let kv = Embedded::open(&data.join("meta"), options).map_err(|error| failed(error.into()))?;
    let blobs = Files::open(&data.join("blobs"), durable).map_err(|error| failed(error.into()))?;
    let engines = Engines { kv: Arc::new(kv), blobs: Arc::new(blobs) };
    let (credential, secret) = match settings.credential.take() {
        Some(credential) => (credential, Secret::Hidden("as set")),
        None => match credentials::load_or_make(&data, settings.account)? {
            (credential, true) => (credential, Secret::Shown),
            (credential, false) => {
                (credential, Secret::Hidden("in root-credentials in the data directory"))
            }
        },
    };
    run::run(settings, engines, credential, secret)
}
