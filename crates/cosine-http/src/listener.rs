//! The listener: connections in, and a clean end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cosine_wire::{ApiError, Code};
use http::{Extensions, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Patience, Watched};
use crate::{Api, spelling};

/// The head of a request may take this many bytes on the wire; the API's own limit is lower and is
/// answered with a document.
const HEAD_BYTES_MAX: usize = 128 << 10;
/// This many requests are under way on an HTTP/2 connection. What would flood it otherwise (streams
/// that are reset at once, endless headers, settings, pings, empty data) h2 limits by itself.
const STREAMS_MAX: u32 = 128;
/// An HTTP/2 client is asked whether it is still there, this often, and has this long to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIME_MAX: Duration = Duration::from_secs(20);
/// A connection that is to end has this long for what is left to say on it.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// The kernel takes this much that it cannot send yet. By default it takes up to 4 MiB, which nobody
/// counts, and which a slow client has to read a third of before anyone sees that it reads.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 256 << 10;
/// After an accept that failed for want of something, the listener waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// This many clients for whom there is no connection left are told so at a time; more are hung up on.
const REFUSALS_MAX: usize = 64;
/// Telling one takes at most this long, and reads at most this many bytes.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);
const REFUSAL_BYTES_MAX: u64 = 64 << 10;

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
    let limits = api.settings.limits.clone();
    let spelling = spelling::recorded().await?;
    let shared = Arc::new(Shared { api, spelling, protocols: protocols() });
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let refusals = Refusals::new();
    let (stopping, stopped) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let (stream, _) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            refusals.refuse(stream, tls.is_none());
            continue;
        };
        let connection = Connection {
            shared: Arc::clone(&shared),
            activity: Activity::begin(),
            stopped: stopped.clone(),
            _slot: slot,
        };
        tokio::spawn(connection.secure_and_serve(stream, tls.clone()));
    }
    drop((listener, stopping));
    // All slots are free when all connections have ended.
    let ended = slots.acquire_many(limits.connections);
    if tokio::time::timeout(limits.drain_time, ended).await.is_err() {
        tracing::warn!("requests that were still under way are broken off");
    }
    Ok(())
}

/// What clients are told for whom there is no connection left.
struct Refusals {
    slots: Arc<Semaphore>,
    answer: Arc<str>,
}

impl Refusals {
    fn new() -> Self {
        let document = ApiError::from(Code::SlowDown).document("-", "-", "-");
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{document}",
            document.len()
        );
        Self { slots: Arc::new(Semaphore::new(REFUSALS_MAX)), answer: answer.into() }
    }

    /// Says so, if the client would understand and not too many are being told; hangs up.
    fn refuse(&self, mut stream: TcpStream, in_clear: bool) {
        tracing::debug!("a connection more than there may be");
        let Some(slot) = Arc::clone(&self.slots).try_acquire_owned().ok().filter(|_| in_clear)
        else {
            return;
        };
        let answer = Arc::clone(&self.answer);
        tokio::spawn(async move {
            let _slot = slot;
            // Hanging up on what was not read would take the answer back.
            let told = async {
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                tokio::io::copy(&mut stream.take(REFUSAL_BYTES_MAX), &mut tokio::io::sink()).await
            };
            if let Ok(Err(error)) = tokio::time::timeout(REFUSAL_TIME_MAX, told).await {
                tracing::debug!(%error, "a client could not be refused");
            }
        });
    }
}

/// What all connections have in common.
struct Shared {
    api: Arc<Api>,
    spelling: Extensions,
    protocols: Builder<TokioExecutor>,
}

struct Connection {
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    /// Closes when the server stops.
    stopped: watch::Receiver<()>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn secure_and_serve(mut self, stream: TcpStream, tls: Option<Tls>) {
        let local = stream.local_addr().map_or([0; 4], ipv4);
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "a connection's options");
        }
        if self.in_time(stream.readable()).await.is_none() {
            return;
        }
        let stream = Watched::new(stream, Arc::clone(&self.activity));
        match tls {
            None => self.serve(stream, local).await,
            // In a box, so that a connection in clear is not as large as one over TLS.
            Some(tls) => Box::pin(self.serve_tls(stream, local, tls)).await,
        }
    }

    async fn serve_tls(mut self, stream: Watched, local: [u8; 4], Tls(acceptor): Tls) {
        if let Some(stream) = self.in_time(acceptor.accept(stream)).await {
            self.serve(stream, local).await;
        }
    }

    fn patience(&self) -> Patience {
        let limits = &self.shared.api.settings.limits;
        Patience { idle: limits.header_time, stalled: limits.stall_time }
    }

    /// Waits for what comes before the first request. A client that says nothing holds neither a
    /// connection for ever nor the server's end.
    async fn in_time<T>(&mut self, first: impl Future<Output = io::Result<T>>) -> Option<T> {
        let patience = self.patience();
        tokio::select! {
            first = first => match first {
                Ok(first) => Some(first),
                Err(error) => {
                    tracing::debug!(%error, "a connection did not come about");
                    None
                }
            },
            () = self.activity.standstill(patience) => None,
            _ = self.stopped.changed() => None,
        }
    }

    async fn serve(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        local: [u8; 4],
    ) {
        let patience = self.patience();
        let service = service_fn(|request: Request<Incoming>| {
            let (shared, working) = (Arc::clone(&self.shared), self.activity.work());
            // In a box, since hyper keeps the place of a request for as long as the connection.
            Box::pin(async move {
                let Shared { api, spelling, .. } = &*shared;
                Ok::<_, Infallible>(api.respond(request, local, spelling, working).await)
            })
        });
        let protocols = &self.shared.protocols;
        let mut connection = pin!(protocols.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            biased;
            ended = &mut connection => Some(ended),
            () = self.activity.standstill(patience) => None,
            _ = self.stopped.changed() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                let patience = Patience { idle: CLOSE_TIME, ..patience };
                tokio::select! {
                    biased;
                    ended = connection => ended,
                    () = self.activity.standstill(patience) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection");
        }
    }
}

/// HTTP/1.1 and HTTP/2. Their own time limits are off: the activity of the connection is watched.
/// hyper's limit of 100 headers stays: for more it would fill 64 KiB of heap on every request, and
/// the holes that leaves double what an idle connection holds.
fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIME_MAX);
    builder
}

/// Answers leave at once, and wait with us rather than in the kernel's megabytes.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    Ok(())
}

fn ipv4(address: SocketAddr) -> [u8; 4] {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or([0; 4], |ip| ip.octets()),
    }
}
