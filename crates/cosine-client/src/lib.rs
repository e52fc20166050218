//! A client of a server that speaks COS: one signed request at a time, over plain HTTP or TLS.
//!
//! For `cosine admin`, and for copies from the regions of other deployments. [`Server::send`] asks other
//! servers, such as a key management.

mod trust;

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use cosine_wire::encode::encode_key;
use cosine_wire::qsign::{self, Signed};
use cosine_wire::query::Query;

/// A signature is good for this long, and was so for this long.
const VALID_SECONDS: u64 = 300;
/// A server that has not answered for this long is not there.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and whom to trust for it.
#[derive(Clone, Debug)]
pub struct Server {
    endpoint: Uri,
    tls: Option<Arc<ClientConfig>>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The `Host` header.
    pub host: &'a str,
    /// The path, decoded.
    pub path: &'a str,
    /// Parameters, decoded, in their order.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers. All are signed.
    pub headers: HeaderMap,
    /// The body. It is not signed.
    pub body: Bytes,
    /// SecretId and SecretKey.
    pub keys: (&'a str, &'a str),
    /// Seconds since 1970 UTC.
    pub now: u64,
}

impl Server {
    /// The server at `http(s)://<host>:<port>`. Over TLS, what the system trusts is trusted, and the
    /// certificates in `ca`.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(endpoint: Uri, ca: Option<&Path>) -> std::io::Result<Self> {
        let secure = endpoint.scheme_str() == Some("https");
        let tls = secure.then(|| trust::tls(ca)).transpose()?.map(Arc::new);
        Ok(Self { endpoint, tls })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Uri {
        &self.endpoint
    }

    /// The same server by another host name, such as that of a bucket.
    pub fn at(&self, host: &str) -> std::io::Result<Self> {
        let scheme = self.endpoint.scheme_str().unwrap_or("http");
        let port = self.endpoint.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let endpoint = format!("{scheme}://{host}{port}").parse().map_err(invalid)?;
        Ok(Self { endpoint, tls: self.tls.clone() })
    }

    /// Asks on a connection of its own, and waits for the head of the answer.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not answer in thirty seconds.
    pub async fn ask(&self, ask: Ask<'_>) -> std::io::Result<Response<Incoming>> {
        self.send(request(ask).map_err(invalid)?, PATIENCE).await
    }

    /// Sends a request as it is, on a connection of its own, and waits for the head of the answer.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not answer in time.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> std::io::Result<Response<Incoming>> {
        let answer = async {
            let stream = TokioIo::new(self.connect().await?);
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.map_err(Error::other)?;
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(Error::other)
        };
        tokio::time::timeout(patience, answer)
            .await
            .map_err(|_| Error::from(ErrorKind::TimedOut))?
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let host = self.endpoint.host().unwrap_or_default();
        let default = if self.tls.is_some() { 443 } else { 80 };
        let port = self.endpoint.port_u16().unwrap_or(default);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect(&resolve(bare, port).await?[..]).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => {
                let name = ServerName::try_from(bare.to_owned()).map_err(invalid)?;
                Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
            }
        }
    }
}

/// Lookups of names at a time: one that hangs keeps its thread, and the others wait for none.
static LOOKUPS: Semaphore = Semaphore::const_new(8);

/// The addresses of a host, by its name or as it is.
async fn resolve(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let turn = LOOKUPS.acquire().await.map_err(Error::other)?;
    let host = host.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let _until_it_is_found = turn;
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    });
    found.await.map_err(Error::other)?
}

/// What a request can go over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn request(ask: Ask<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut headers = ask.headers;
    headers.insert(header::HOST, HeaderValue::from_str(ask.host)?);
    let pairs = ask.query.iter().map(|(name, value)| format!("{name}={}", encode_key(value)));
    let query = pairs.collect::<Vec<_>>().join("&");
    let parsed = Query::parse(&query).unwrap_or_default();
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    let signed = Signed {
        method: ask.method.as_str(),
        path: ask.path.as_bytes(),
        query: &parsed,
        headers: &headers,
        authority: ask.host,
    };
    let window = (ask.now.saturating_sub(VALID_SECONDS), ask.now + VALID_SECONDS);
    let line = qsign::sign(signed, &names, ask.keys.0, ask.keys.1, window);
    let mut target = encode_key(ask.path);
    if !query.is_empty() {
        target.extend(["?", &query]);
    }
    let mut request =
        Request::builder().method(ask.method).uri(target).body(Full::new(ask.body))?;
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&line)?);
    *request.headers_mut() = headers;
    Ok(request)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
