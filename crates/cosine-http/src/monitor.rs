//! The second listener: metrics and health, in plain HTTP, for those who watch the server. It goes
//! on answering while the server drains.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::reply::{Reply, ReplyBody};
use crate::system::Endpoint;
use crate::{Api, figures};

/// Where the metrics are: the name that fits the others, and the one that Prometheus asks for.
const METRICS_PATHS: [&str; 2] = ["/-/metrics", "/metrics"];
const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// Watchers are few; more than this many connections wait.
const CONNECTIONS_MAX: usize = 64;
/// A connection that asks nothing is closed after this.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// After an accept that failed for want of something, the listener waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is watched.
#[derive(Debug)]
pub struct Monitor {
    api: Arc<Api>,
    registry: Registry,
}

impl Monitor {
    /// Shows the API's own figures beside those in the registry, whose names all begin with
    /// `cosine_`: see [`registry`].
    pub fn new(api: Arc<Api>, mut registry: Registry) -> Self {
        Arc::clone(&api.metrics).register(&mut registry);
        Self { api, registry }
    }

    /// Serves until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let monitor = Arc::new(self);
        let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = Arc::clone(&free).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let monitor = Arc::clone(&monitor);
                    tokio::spawn(async move {
                        monitor.converse(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the monitor could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn converse(&self, stream: TcpStream) {
        let service = service_fn(async |request| Ok::<_, Infallible>(self.respond(&request).await));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(IDLE_TIME_MAX);
        if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "connection to the monitor");
        }
    }

    async fn respond(&self, request: &Request<Incoming>) -> Response<ReplyBody> {
        let (method, path) = (request.method(), request.uri().path());
        let reply = if let Some(endpoint) = Endpoint::at(method, path) {
            endpoint.answer(&self.api).await
        } else if method == Method::GET && METRICS_PATHS.contains(&path) {
            self.metrics().await
        } else {
            Reply::text(StatusCode::NOT_FOUND, "not found\n")
        };
        let mut response = Response::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }

    async fn metrics(&self) -> Reply {
        match self.page().await {
            Ok(page) => Reply::text(StatusCode::OK, page).with(header::CONTENT_TYPE, METRICS_TYPE),
            Err(error) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    /// All figures, in the text format of OpenMetrics.
    ///
    /// # Errors
    /// If a figure does not fit the format.
    pub async fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        encode_registry(&mut page, &self.registry)?;
        encode(&mut page, &figures::registry(&self.api).await)?;
        Ok(page)
    }
}

/// A registry whose names begin with `cosine_`, with the program's version in it.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("cosine");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The version that runs", version);
    registry
}
