//! The listener: connections in, and a clean end.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cosine_wire::{ApiError, Code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::activity::Activity;
use crate::connection::{Connection, Open, Shared};
use crate::{Api, spelling};

/// After an accept that failed for want of something, the listener waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// This many clients for whom there is no connection left are told so at a time; more are hung up on.
const REFUSALS_MAX: usize = 64;
/// Telling one takes at most this long, and reads at most this many bytes.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);
const REFUSAL_BYTES_MAX: u64 = 64 << 10;

/// How connections are secured.
#[derive(Clone)]
pub struct Tls(pub(crate) TlsAcceptor);

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
    let shared = Arc::new(Shared::new(Arc::clone(&api), spelling));
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
            _open: Open::new(&api.metrics.connections),
            _slot: slot,
        };
        tokio::spawn(connection.run(stream, tls.clone()));
    }
    api.stopping.store(true, Ordering::Relaxed);
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
