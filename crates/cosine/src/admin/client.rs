//! One signed request at a time, over plain HTTP or TLS.

use std::io::{Error as IoError, ErrorKind};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use clap::ArgMatches;
use cosine_access::Credential;
use cosine_client::{Ask, Server};
use cosine_wire::encode::hex;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use serde_json::Value;

use crate::credentials;
use crate::error::Error;

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
        let pair =
            (setting("secret-id", "COSINE_SECRET_ID"), setting("secret-key", "COSINE_SECRET_KEY"));
        let data = setting("data", "COSINE_DATA");
        let credential = match (pair, data) {
            ((Some(secret_id), Some(secret_key)), _) => Some(Credential { secret_id, secret_key }),
            (_, Some(data)) => credentials::load(&PathBuf::from(data))?,
            _ => None,
        };
        let credential = credential.ok_or_else(|| {
            let hint = "set COSINE_SECRET_ID and COSINE_SECRET_KEY, or --data";
            Error::Settings(format!("no root credential: {hint}"))
        })?;
        Ok(Self { endpoint, ca: text("ca").map(PathBuf::from), credential })
    }

    /// Posts JSON; returns that of the answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let body = body.to_string();
        let digest = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
        let headers = [("x-cosine-content-sha256", digest)];
        self.send(Method::POST, path, &headers, body.into()).await
    }

    /// Asks; returns the JSON of the answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Value, Error> {
        self.send(method, path, headers, Bytes::new()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Value, Error> {
        let failed = |error| Error::System(format!("cannot ask {}", self.endpoint), error);
        let (status, body) = self.converse(method, path, headers, body).await.map_err(failed)?;
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

    async fn converse(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> std::io::Result<(StatusCode, Bytes)> {
        let server = Server::new(self.endpoint.clone(), self.ca.as_deref())?;
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(invalid)?;
            sent.insert(HeaderName::from_static(name), value);
        }
        let answer = server.ask(Ask {
            method,
            host: self.endpoint.authority().map_or("", |authority| authority.as_str()),
            path,
            query: &[],
            headers: sent,
            body,
            keys: (&self.credential.secret_id, &self.credential.secret_key),
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        });
        let answer = answer.await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok((status, body.map_err(IoError::other)?.to_bytes()))
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> IoError {
    IoError::new(ErrorKind::InvalidData, error)
}
