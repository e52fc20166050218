//! The listener: connections in, and a clean end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Extensions, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::{Api, spelling};

/// A client that does not finish its headers in this time is dropped.
const HEADER_TIME_MAX: Duration = Duration::from_secs(30);
/// The head of a request may take this many bytes on the wire; the API's own limit is lower and is
/// answered with a document.
const HEAD_BYTES_MAX: usize = 128 << 10;
/// A request may have this many headers on the wire. hyper answers for what is beyond, with a bare
/// 431.
const HEADERS_MAX: usize = 1000;
/// After the word to stop, requests under way have this long.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(25);
/// After an accept that failed for want of something, the listener waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are secured.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// TLS with this certificate chain and key, both in PEM.
    ///
    /// # Errors
    /// If they are not PEM, or do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> io::Result<Self> {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid(format!("certificate: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| invalid(format!("private key: {error}")))?;
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| invalid(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// Serves until `stop` completes, then lets requests under way finish.
///
/// # Errors
/// If hyper does not read its own protocol; a connection that cannot be accepted is logged.
pub async fn serve(
    api: Arc<Api>,
    listener: TcpListener,
    tls: Option<Tls>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let spelling = Arc::new(spelling::recorded().await?);
    let graceful = GracefulShutdown::new();
    let (stopping, stopped) = watch::channel(());
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = Connection {
                        api: Arc::clone(&api),
                        spelling: Arc::clone(&spelling),
                        watcher: graceful.watcher(),
                        stopped: stopped.clone(),
                        _open: Open::new(&api.metrics.connections),
                    };
                    tokio::spawn(connection.secure_and_serve(stream, tls.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    api.stopping.store(true, Ordering::Relaxed);
    drop((listener, stopping));
    if tokio::time::timeout(DRAIN_TIME_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that were still under way are broken off");
    }
    Ok(())
}

struct Connection {
    api: Arc<Api>,
    spelling: Arc<Extensions>,
    watcher: Watcher,
    /// Closes when the server stops.
    stopped: watch::Receiver<()>,
    _open: Open,
}

/// Counts a connection as long as it lives.
struct Open(Gauge);

impl Open {
    fn new(connections: &Gauge) -> Self {
        connections.inc();
        Self(connections.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Connection {
    async fn secure_and_serve(mut self, stream: TcpStream, tls: Option<Tls>) {
        let local = stream.local_addr().map_or([0; 4], ipv4);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        match tls {
            None => {
                if self.in_time(stream.readable()).await.is_some() {
                    self.serve(stream, local).await;
                }
            }
            Some(Tls(acceptor)) => {
                if let Some(stream) = self.in_time(acceptor.accept(stream)).await {
                    self.serve(stream, local).await;
                }
            }
        }
    }

    /// Waits for a client's first word. One that says nothing holds neither a connection for ever
    /// nor the server's end.
    async fn in_time<T>(&mut self, first: impl Future<Output = io::Result<T>>) -> Option<T> {
        tokio::select! {
            first = tokio::time::timeout(HEADER_TIME_MAX, first) => match first {
                Ok(Ok(first)) => Some(first),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a connection did not come about");
                    None
                }
                Err(_) => None,
            },
            _ = self.stopped.changed() => None,
        }
    }

    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        local: [u8; 4],
    ) {
        let Self { api, spelling, watcher, stopped: _, _open } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let (api, spelling) = (Arc::clone(&api), Arc::clone(&spelling));
            async move { Ok::<_, Infallible>(api.respond(request, local, &spelling).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX);
        builder.http2().timer(TokioTimer::new()).max_header_list_size(HEAD_BYTES_MAX as u32);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "connection");
        }
    }
}

fn ipv4(address: SocketAddr) -> [u8; 4] {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or([0; 4], |ip| ip.octets()),
    }
}
