//! `cosine dev`: the same server on the in-memory engines.

use std::sync::Arc;

use cosine_store::Engines;

use crate::banner::Secret;
use crate::error::Error;
use crate::run;
use crate::settings::Settings;

/// Serves from memory, with credentials that everyone knows.
pub fn run(mut settings: Settings) -> Result<(), Error> {
    let credential = settings
        .credential
        .take()
        .ok_or_else(|| Error::Settings("secret_id and secret_key are empty".to_owned()))?;
    if !settings.listen.ip().is_loopback() {
        eprintln!(
            "cosine: these credentials are public: whoever reaches {} owns it.",
            settings.listen
        );
    }
    let engines = Engines {
        kv: Arc::new(cosine_kv::Memory::default()),
        blobs: Arc::new(cosine_blob::Memory::default()),
    };
    run::run(settings, engines, credential, Secret::Shown)
}
