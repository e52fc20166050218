//! What `serve` and `dev` share: from engines to a server that runs until it is told to stop.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;

use cosine_access::Credential;
use cosine_client::Server;
use cosine_http::audit::Audit;
use cosine_http::{Api, Master, Monitor, Remote, Remotes, Tls};
use cosine_store::{Engines, Store, StoreOptions};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::background;
use crate::banner::{self, Addresses, Secret};
use crate::error::Error;
use crate::settings::{LogFormat, RemoteRegion, Settings};
use crate::{files, secrecy};

/// What must be right before anything is made on the disk.
pub struct Prepared {
    runtime: Runtime,
    listener: TcpListener,
    monitor: Option<TcpListener>,
    tls: Option<Tls>,
}

impl Prepared {
    /// Waits for something to happen before anything is served.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// Sees to it that no memory reaches a disk, starts the log, reads the TLS files, and takes the address.
pub fn prepare(settings: &Settings) -> Result<Prepared, Error> {
    start_log(&settings.log, settings.log_format)?;
    if !settings.encryption.core_files {
        secrecy::keep_memory_off_disks();
    }
    let tls = load_tls(settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::System("cannot start threads".to_owned(), error))?;
    let bind = |address| {
        runtime
            .block_on(TcpListener::bind(address))
            .map_err(|error| Error::System(format!("cannot listen on {address}"), error))
    };
    let listener = bind(settings.listen)?;
    let monitor = settings.monitor.map(bind).transpose()?;
    Ok(Prepared { runtime, listener, monitor, tls })
}

/// Serves these engines until SIGTERM or SIGINT; their figures are in the registry. The credential is asked for when nothing else can
/// go wrong any more, since one that is made is shown only once.
pub fn run(
    mut settings: Settings,
    prepared: Prepared,
    (engines, options): (Engines, StoreOptions),
    (registry, master): (Registry, Master),
    credential: impl FnOnce(&Settings) -> Result<(Credential, Secret), Error>,
) -> Result<(), Error> {
    let Prepared { runtime, listener, monitor, tls } = prepared;
    files::make_room(&mut settings.limits);
    let background = background::runtime()
        .map_err(|error| Error::System("cannot start threads".to_owned(), error))?;
    let served = runtime.block_on(async {
        let clock = Arc::clone(&options.clock);
        let store = Store::open_with(engines, options)
            .await
            .map_err(|error| Error::Store(settings.data.display().to_string(), error))?;
        let audit = Audit::open(settings.audit.clone())
            .map_err(|error| Error::System("cannot open the audit".to_owned(), error))?;
        let master = Arc::new(master);
        let stop = stop_signal().map_err(|error| Error::System("signals".to_owned(), error))?;
        let addresses = Addresses {
            api: local_address(&listener)?,
            monitor: monitor.as_ref().map(local_address).transpose()?,
        };
        let (credential, secret) = credential(&settings)?;
        banner::print(&settings, addresses, &credential, secret);
        let api_settings = cosine_http::Settings {
            account: settings.account,
            root: credential,
            sts_host: settings.sts_host,
            hosts: settings.hosts,
            regions: settings.regions,
            remotes: remotes(&settings.remotes)?,
            collector: settings.collector,
            limits: settings.limits,
            customer_keys_need_tls: settings.encryption.customer_keys_need_tls,
            master: Arc::clone(&master),
        };
        let api = Arc::new(Api::new(store.clone(), clock, api_settings, audit));
        if let Some(listener) = monitor {
            tokio::spawn(Monitor::new(Arc::clone(&api), registry).serve(listener));
        }
        background.spawn(background::collect(store.clone(), settings.collector));
        background.spawn(background::keys(store.clone(), master));
        if let Some(options) = settings.scrub {
            background.spawn(background::scrub(store.clone(), options));
        }
        tokio::select! {
            served = cosine_http::serve(api, listener, tls, stop) => {
                served.map_err(|error| Error::System("the listener failed".to_owned(), error))
            }
            fenced = background::stay_alive(store) => Err(Error::Fenced(fenced)),
        }
    });
    background.shutdown_background();
    served
}

/// The other deployments, ready to be asked.
fn remotes(regions: &[RemoteRegion]) -> Result<Remotes, Error> {
    let remote = |region: &RemoteRegion| {
        let failed = |error| Error::System(format!("regions.{}", region.name), error);
        let server = Server::new(region.endpoint.clone(), region.ca.as_deref()).map_err(failed)?;
        let keys = (region.secret_id.clone(), region.secret_key.clone());
        Ok((region.name.clone(), Remote::new(region.name.clone(), server, keys)))
    };
    regions.iter().map(remote).collect::<Result<_, Error>>().map(Remotes::new)
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|error| Error::System("the listener".to_owned(), error))
}

fn start_log(filter: &str, format: LogFormat) -> Result<(), Error> {
    let refused = |error: String| Error::Settings(format!("log: {filter}: {error}"));
    let targets: Targets =
        filter.parse().map_err(|error: ParseError| refused(error.to_string()))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal() && format == LogFormat::Text)
        .with_writer(std::io::stderr)
        // A log line that cannot be written must not end what it tells of: by default the complaint
        // about it goes to stderr as well, and panics there.
        .log_internal_errors(false);
    let log = tracing_subscriber::registry().with(targets);
    match format {
        LogFormat::Text => log.with(lines).try_init(),
        LogFormat::Json => {
            log.with(lines.json().flatten_event(true).with_span_list(false)).try_init()
        }
    }
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
