//! What `serve` and `dev` share: from engines to a server that runs until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use cosine_access::{Credential, Keyring};
use cosine_http::{Api, Tls};
use cosine_store::{Clock, Engines, HEARTBEAT_SECONDS, Store, SystemClock};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::banner::{self, Secret};
use crate::error::Error;
use crate::settings::Settings;

/// Serves these engines until SIGTERM or SIGINT.
pub fn run(
    settings: Settings,
    engines: Engines,
    credential: Credential,
    secret: Secret,
) -> Result<(), Error> {
    start_log(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::System("cannot start threads".to_owned(), error))?;
    runtime.block_on(serve(settings, engines, credential, secret))
}

async fn serve(
    settings: Settings,
    engines: Engines,
    credential: Credential,
    secret: Secret,
) -> Result<(), Error> {
    let tls = load_tls(&settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open(engines, Arc::clone(&clock))
        .await
        .map_err(|error| Error::Store(settings.data.display().to_string(), error))?;
    let listening = |error| Error::System(format!("cannot listen on {}", settings.listen), error);
    let stop = stop_signal().map_err(|error| Error::System("signals".to_owned(), error))?;
    let listener = TcpListener::bind(settings.listen).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    banner::print(&settings, address, &credential, secret);
    let api = Api::new(
        store.clone(),
        clock,
        cosine_http::Settings {
            keyring: Keyring::new([credential]),
            hosts: settings.hosts,
            regions: settings.regions,
        },
    );
    tokio::select! {
        served = cosine_http::serve(Arc::new(api), listener, tls, stop) => {
            served.map_err(|error| Error::System("the listener failed".to_owned(), error))
        }
        fenced = stay_alive(store) => Err(Error::Fenced(fenced)),
    }
}

fn start_log(filter: &str) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Error::Settings(format!("log: {filter}: {error}")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.try_init().map_err(|error| Error::Settings(format!("log: {error}")))
}

fn load_tls(settings: &Settings) -> Result<Option<Tls>, Error> {
    let Some((cert, key)) = &settings.tls else { return Ok(None) };
    let read = |path: &std::path::Path| {
        std::fs::read(path)
            .map_err(|error| Error::System(format!("cannot read {}", path.display()), error))
    };
    Tls::from_pem(&read(cert)?, &read(key)?)
        .map(Some)
        .map_err(|error| Error::System("cannot use the TLS files".to_owned(), error))
}

/// Completes at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new connections, requests under way finish");
    })
}

/// Beats until others take this run for dead; then it must write no more.
async fn stay_alive(store: Store) -> cosine_store::Error {
    loop {
        tokio::time::sleep(Duration::from_secs(HEARTBEAT_SECONDS)).await;
        match store.heartbeat().await {
            Err(error @ cosine_store::Error::Fenced) => return error,
            Err(error) => tracing::warn!(%error, "the heartbeat failed"),
            Ok(()) => {}
        }
    }
}
