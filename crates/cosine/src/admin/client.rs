//! One signed request at a time, over plain HTTP or TLS.

use std::io::{Error as IoError, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ArgMatches;
use cosine_access::{Account, Credential};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::trust;
use crate::error::Error;
use crate::{credentials, sign};

/// A signature is good for this long, and was so for this long.
const VALID_SECONDS: u64 = 300;
/// No answer is longer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A server, and who asks it.
pub struct Client {
    endpoint: Uri,
    ca: Option<PathBuf>,
    credential: Credential,
}

impl Client {
    /// The server and the credential that the flags, the environment or a data directory name.
    pub fn new(matches: &ArgMatches) -> Result<Self, Error> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let endpoint: Uri = text("endpoint")
            .unwrap_or_default()
            .parse()
            .map_err(|error| Error::Settings(format!("endpoint: {error}")))?;
        if endpoint.host().is_none() || !matches!(endpoint.scheme_str(), Some("http" | "https")) {
            return Err(Error::Settings(format!(
                "endpoint: {endpoint} is not http(s)://<host>:<port>"
            )));
        }
        let setting = |flag: &str, env: &str| {
            text(flag).or_else(|| std::env::var(env).ok().filter(|value| !value.is_empty()))
        };
        // Whose credential it is, is for the server to say.
        let account = Account { appid: 0, uin: 0 };
        let pair =
            (setting("secret-id", "COSINE_SECRET_ID"), setting("secret-key", "COSINE_SECRET_KEY"));
        let data = setting("data", "COSINE_DATA");
        let credential = match (pair, data) {
            ((Some(secret_id), Some(secret_key)), _) => {
                Some(Credential { secret_id, secret_key, account })
            }
            (_, Some(data)) => credentials::load(&PathBuf::from(data), account)?,
            _ => None,
        };
        let credential = credential.ok_or_else(|| {
            let hint = "set COSINE_SECRET_ID and COSINE_SECRET_KEY, or --data";
            Error::Settings(format!("no root credential: {hint}"))
        })?;
        Ok(Self { endpoint, ca: text("ca").map(PathBuf::from), credential })
    }

    /// Asks; returns the JSON of the answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Value, Error> {
        let failed = |error| Error::System(format!("cannot ask {}", self.endpoint), error);
        let request =
            self.request(method, path, headers).map_err(|error| failed(invalid(error)))?;
        let stream = self.connect().await.map_err(failed)?;
        let (status, body) = converse(stream, request).await.map_err(failed)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| failed(invalid(error)));
        }
        let text = String::from_utf8_lossy(&body);
        let node = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once("</").map(|(value, _)| value.to_owned())
        };
        let code = node("Code").unwrap_or_else(|| status.to_string());
        let what = format!("{code}: {}", node("Message").unwrap_or_default());
        Err(Error::System(format!("{} refuses", self.endpoint), IoError::other(what)))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Request<Empty<Bytes>>, http::Error> {
        let host = self.endpoint.authority().map_or("", |authority| authority.as_str());
        let mut signed = HeaderMap::new();
        signed.insert(header::HOST, HeaderValue::from_str(host)?);
        for (name, value) in headers {
            signed.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let window = (now.saturating_sub(VALID_SECONDS), now + VALID_SECONDS);
        let line = sign::authorization(method.as_str(), path, &signed, &self.credential, window);
        let mut request = Request::builder().method(method).uri(path).body(Empty::new())?;
        *request.headers_mut() = signed;
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_str(&line)?);
        Ok(request)
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let host = self.endpoint.host().unwrap_or_default();
        let secure = self.endpoint.scheme_str() == Some("https");
        let port = self.endpoint.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, port)).await?;
        if !secure {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(bare.to_owned()).map_err(invalid)?;
        let connector = TlsConnector::from(Arc::new(trust::tls(self.ca.as_deref())?));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

/// What a request can go over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn converse(
    stream: Box<dyn Stream>,
    request: Request<Empty<Bytes>>,
) -> std::io::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(IoError::other)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(IoError::other)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok((status, body.map_err(IoError::other)?.to_bytes()))
}

pub(super) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> IoError {
    IoError::new(ErrorKind::InvalidData, error)
}
