//! What `serve` and `dev` share: from engines to a server that runs until it is told to stop.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use cosine_access::{Credential, Keyring};
use cosine_http::{Api, Tls};
use cosine_store::{Clock, Engines, HEARTBEAT_SECONDS, Store, SystemClock};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::banner::{self, Secret};
use crate::error::Error;
use crate::files;
use crate::settings::Settings;

/// What must be right before anything is made on the disk.
pub struct Prepared {
    runtime: Runtime,
    listener: TcpListener,
    tls: Option<Tls>,
}

/// Starts the log, reads the TLS files, and takes the address.
pub fn prepare(settings: &Settings) -> Result<Prepared, Error> {
    start_log(&settings.log)?;
    let tls = load_tls(settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::System("cannot start threads".to_owned(), error))?;
    let listener = runtime
        .block_on(TcpListener::bind(settings.listen))
        .map_err(|error| Error::System(format!("cannot listen on {}", settings.listen), error))?;
    Ok(Prepared { runtime, listener, tls })
}

/// Serves these engines until SIGTERM or SIGINT. The credential is asked for when nothing else can
/// go wrong any more, since one that is made is shown only once.
pub fn run(
    mut settings: Settings,
    prepared: Prepared,
    engines: Engines,
    credential: impl FnOnce(&Settings) -> Result<(Credential, Secret), Error>,
) -> Result<(), Error> {
    let Prepared { runtime, listener, tls } = prepared;
    files::make_room(&mut settings.limits);
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(engines, Arc::clone(&clock))
            .await
            .map_err(|error| Error::Store(settings.data.display().to_string(), error))?;
        let stop = stop_signal().map_err(|error| Error::System("signals".to_owned(), error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::System("the listener".to_owned(), error))?;
        let (credential, secret) = credential(&settings)?;
        banner::print(&settings, address, &credential, secret);
        let api_settings = cosine_http::Settings {
            keyring: Keyring::new([credential]),
            hosts: settings.hosts,
            regions: settings.regions,
            limits: settings.limits,
        };
        let api = Arc::new(Api::new(store.clone(), clock, api_settings));
        tokio::select! {
            served = cosine_http::serve(api, listener, tls, stop) => {
                served.map_err(|error| Error::System("the listener failed".to_owned(), error))
            }
            fenced = stay_alive(store) => Err(Error::Fenced(fenced)),
        }
    })
}

fn start_log(filter: &str) -> Result<(), Error> {
    let refused = |error: String| Error::Settings(format!("log: {filter}: {error}"));
    let directives = EnvFilter::try_new(filter).map_err(|error| refused(error.to_string()))?;
    tracing_subscriber::fmt()
        .with_env_filter(directives)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // A log line that cannot be written must not end what it tells of: by default the complaint
        // about it goes to stderr as well, and panics there.
        .log_internal_errors(false)
        .try_init()
        .map_err(|error| refused(error.to_string()))
}

fn load_tls(settings: &Settings) -> Result<Option<Tls>, Error> {
    let Some((cert, key)) = &settings.tls else { return Ok(None) };
    let read = |path: &std::path::Path| {
        std::fs::read(path)
            .map_err(|error| Error::System(format!("cannot read {}", path.display()), error))
    };
    Tls::from_pem(&read(cert)?, &read(key)?).map(Some).map_err(|error| {
        let files = format!("cannot use {} and {}", cert.display(), key.display());
        Error::System(files, error)
    })
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
