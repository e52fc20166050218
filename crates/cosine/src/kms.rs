//! The Transit engine, as the settings have it.

use std::sync::Arc;

use cosine_client::Server;
use cosine_crypt::KeyManagement;
use cosine_crypt::kms::{Transit, TransitOptions};

use crate::error::Error;
use crate::settings::Settings;

/// The engine that the settings name, if they name one. It is not asked yet.
pub fn transit(settings: &Settings) -> Result<Option<Arc<dyn KeyManagement>>, Error> {
    let Some(kms) = settings.encryption.kms.clone() else { return Ok(None) };
    let server = Server::new(kms.endpoint, kms.ca.as_deref())
        .map_err(|error| Error::System("kms_ca".to_owned(), error))?;
    Ok(Some(Arc::new(Transit::new(TransitOptions {
        server,
        mount: kms.mount,
        namespace: kms.namespace,
        token_file: kms.token_file,
        default_key: kms.default_key,
        appid: settings.account.appid,
        patience: kms.patience,
    }))))
}
