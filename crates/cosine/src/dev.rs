//! `cosine dev`: the same server on the in-memory engines.

use std::sync::Arc;

use cosine_http::monitor;
use cosine_store::Engines;

use crate::banner::Secret;
use crate::error::Error;
use crate::run;
use crate::settings::Settings;

/// Serves from memory, with credentials that everyone knows.
pub fn run(settings: Settings) -> Result<(), Error> {
    let prepared = run::prepare(&settings)?;
    if !settings.listen.ip().is_loopback() {
        tracing::warn!(listen = %settings.listen, "whoever reaches this address owns it: the credentials are public");
    }
    let engines = Engines {
        kv: Arc::new(cosine_kv::Memory::default()),
        blobs: Arc::new(cosine_blob::Memory::default()),
    };
    run::run(settings, prepared, engines, monitor::registry(), |settings| {
        let none = || Error::Settings("secret_id and secret_key are empty".to_owned());
        Ok((settings.credential.clone().ok_or_else(none)?, Secret::Shown))
    })
}
