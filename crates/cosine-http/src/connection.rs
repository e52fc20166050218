//! One connection: its handshake, its protocol, and its requests, one after the other.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::Api;
use crate::activity::{Activity, Patience};
use crate::client::Client;
use crate::listener::Tls;
use crate::meter::Metered;
use crate::watched::Watched;

/// The head of a request may take this many bytes on the wire; the API's own limit is lower and is
/// answered with a document.
const HEAD_BYTES_MAX: usize = 128 << 10;
/// A request may have this many headers on the wire. hyper answers for what is beyond, with a bare
/// 431.
const HEADERS_MAX: usize = 1000;
/// This many requests are under way on an HTTP/2 connection. What would flood it otherwise (streams
/// that are reset at once, endless headers, settings, pings, empty data) h2 limits by itself.
const STREAMS_MAX: u32 = 128;
/// An HTTP/2 client is asked whether it is still there, this often, and has this long to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIME_MAX: Duration = Duration::from_secs(20);
/// An HTTP/1.1 connection that is idle for this long gives its buffers up.
const REST_AFTER: Duration = Duration::from_millis(100);
/// A connection that is to end has this long for what is left to say on it.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// The kernel takes this much that it cannot send yet. By default it takes up to 4 MiB, which nobody
/// counts, and which a slow client has to read a third of before anyone sees that it reads.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 256 << 10;

/// What all connections have in common.
pub struct Shared {
    api: Arc<Api>,
    spelling: Extensions,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Shared {
    /// HTTP/1.1 and HTTP/2. Their own time limits are off: the activity of a connection is watched.
    pub fn new(api: Arc<Api>, spelling: Extensions) -> Self {
        let mut http1 = http1::Builder::new();
        http1.header_read_timeout(None).max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_concurrent_streams(STREAMS_MAX)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIME_MAX);
        Self { api, spelling, http1, http2 }
    }
}

/// A connection, and its right to be there.
pub struct Connection {
    /// What it shares with all others.
    pub shared: Arc<Shared>,
    /// What is going on on it.
    pub activity: Arc<Activity>,
    /// Closes when the server stops.
    pub stopped: watch::Receiver<()>,
    /// That it is counted.
    pub _open: Open,
    /// Its place among those that there may be.
    pub _slot: OwnedSemaphorePermit,
}

/// Counts a connection as long as it lives.
pub struct Open(Gauge);

impl Open {
    /// One more.
    pub fn new(connections: &Gauge) -> Self {
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
    /// Serves it to its end.
    pub async fn run(mut self, stream: TcpStream, tls: Option<Tls>) {
        let client = Client::new(stream.local_addr().ok(), stream.peer_addr().ok());
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "a connection's options");
        }
        match tls {
            None => self.serve(stream, client).await,
            // In a box, so that a connection in clear is not as large as one over TLS.
            Some(tls) => Box::pin(self.serve_tls(stream, client, tls)).await,
        }
    }

    async fn serve_tls(&mut self, stream: TcpStream, client: Client, Tls(acceptor): Tls) {
        if let Some(stream) = self.in_time(acceptor.accept(stream)).await {
            let client = client.over_tls(stream.get_ref().1.protocol_version());
            self.serve(stream, client).await;
        }
    }

    /// An idle HTTP/1.1 connection is taken apart, down to its socket, and put together again when
    /// something comes: hyper keeps 24 KiB of buffers for it, and most connections are idle.
    async fn serve<S>(&mut self, stream: S, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stream = Watched::new(stream, Arc::clone(&self.activity));
        while let Some(is_http2) = self.in_time(stream.begins_http2()).await {
            if is_http2 {
                return Box::pin(self.serve_http2(stream, client)).await;
            }
            match self.serve_http1(stream, client, REST_AFTER).await {
                None => return,
                Some(idle) if idle.is_at_rest() => stream = idle,
                Some(half_a_head) => {
                    self.serve_http1(half_a_head, client, Duration::MAX).await;
                    return;
                }
            }
        }
    }

    fn patience(&self) -> Patience {
        let limits = &self.shared.api.settings.limits;
        Patience { idle: limits.header_time, stalled: limits.stall_time }
    }

    /// Waits for what comes before a request. A client that says nothing holds neither a connection
    /// for ever nor the server's end.
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

    fn service(
        &self,
        client: Client,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<Metered>,
        Error = Infallible,
        Future = Responding,
    > + Unpin
    + 'static {
        let (shared, activity) = (Arc::clone(&self.shared), Arc::clone(&self.activity));
        service_fn(move |request: Request<Incoming>| -> Responding {
            let (shared, working) = (Arc::clone(&shared), activity.work());
            // In a box, since hyper keeps the place of a request for as long as the connection.
            Box::pin(async move {
                let Shared { api, spelling, .. } = &*shared;
                Ok(api.respond(request, client, spelling, working).await)
            })
        })
    }

    /// Serves until it ends, or is idle for `rest_after`: then it comes back.
    async fn serve_http1<S>(
        &mut self,
        stream: Watched<S>,
        client: Client,
        rest_after: Duration,
    ) -> Option<Watched<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let patience = self.patience();
        let until_rest = Patience { idle: patience.idle.min(rest_after), ..patience };
        let service = self.service(client);
        let mut connection = self.shared.http1.serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            biased;
            ended = &mut connection => {
                note(ended);
                None
            }
            () = self.activity.standstill(until_rest) => {
                if self.activity.is_over(patience) {
                    return None;
                }
                let parts = connection.into_parts();
                Some(parts.io.into_inner().with_front(parts.read_buf))
            }
            _ = self.stopped.changed() => {
                self.finish(Pin::new(&mut connection)).await;
                None
            }
        }
    }

    async fn serve_http2<S>(&mut self, stream: Watched<S>, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let patience = self.patience();
        let service = self.service(client);
        let mut connection =
            pin!(self.shared.http2.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            biased;
            ended = &mut connection => return note(ended),
            () = self.activity.standstill(patience) => {}
            _ = self.stopped.changed() => {}
        }
        self.finish(connection).await;
    }

    /// Takes no further request, and serves those that are under way.
    async fn finish<C: GracefulConnection<Error = hyper::Error>>(
        &self,
        mut connection: Pin<&mut C>,
    ) {
        connection.as_mut().graceful_shutdown();
        let patience = Patience { idle: CLOSE_TIME, ..self.patience() };
        tokio::select! {
            biased;
            ended = connection => note(ended),
            () = self.activity.standstill(patience) => {}
        }
    }
}

type Responding = Pin<Box<dyn Future<Output = Result<Response<Metered>, Infallible>> + Send>>;

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection");
    }
}

/// Answers leave at once, and wait with us rather than in the kernel's megabytes.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    Ok(())
}
