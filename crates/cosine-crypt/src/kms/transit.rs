//! Keys that HashiCorp Vault or OpenBao keeps, in its Transit engine, over HTTP.
//!
//! Source: the HTTP API of the Transit secrets engine. Keys are made and looked after there; they must
//! be of a type that authenticates associated data, such as `aes256-gcm96`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cosine_client::Server;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{KeyManagement, KeyUse, KmsError, Provider};
use crate::Key;

/// No answer is longer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// For so long a key that was there is taken to be there.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// So many keys are remembered.
const KNOWN_MAX: usize = 10_000;

/// Where the engine is, and how it is asked.
#[derive(Clone, Debug)]
pub struct TransitOptions {
    /// The server.
    pub server: Server,
    /// Where the engine is mounted, such as `transit`.
    pub mount: String,
    /// The namespace, if there is one.
    pub namespace: Option<String>,
    /// The file that holds the token; read anew each time, since agents renew tokens.
    pub token_file: PathBuf,
    /// The key that is used where none is named.
    pub default_key: Option<String>,
    /// An answer that takes longer does not come.
    pub patience: Duration,
}

/// The Transit engine.
#[derive(Debug)]
pub struct Transit {
    options: TransitOptions,
    /// Keys that were there, and when.
    known: Mutex<HashMap<String, Instant>>,
}

impl Transit {
    /// The engine at this place. Nothing is asked yet.
    pub fn new(options: TransitOptions) -> Self {
        Self { options, known: Mutex::default() }
    }

    async fn ask(
        &self,
        method: Method,
        (verb, key_id): (&str, &str),
        body: Option<Value>,
    ) -> Result<Value, KmsError> {
        let request = self.request(method, (verb, key_id), body)?;
        let work = async {
            let answer = self.options.server.send(request, self.options.patience).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok::<_, std::io::Error>((status, body.map_err(std::io::Error::other)?.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(self.options.patience, work)
            .await
            .map_err(|_| KmsError::Unavailable("it does not answer in time".to_owned()))?
            .map_err(|error| KmsError::Unavailable(error.to_string()))?;
        match status {
            StatusCode::OK => serde_json::from_slice(&body)
                .map_err(|_| KmsError::Unavailable("its answer is none".to_owned())),
            _ => Err(refusal(status, &body)),
        }
    }

    fn request(
        &self,
        method: Method,
        (verb, key_id): (&str, &str),
        body: Option<Value>,
    ) -> Result<Request<Full<Bytes>>, KmsError> {
        let refused = |why: String| KmsError::Refused(why);
        let TransitOptions { server, mount, namespace, token_file, .. } = &self.options;
        let token = std::fs::read_to_string(token_file)
            .map_err(|error| refused(format!("{}: {error}", token_file.display())))?;
        let mut token = HeaderValue::from_str(token.trim())
            .map_err(|_| refused("the token is none".to_owned()))?;
        token.set_sensitive(true);
        let host = server.endpoint().authority().map_or("", |authority| authority.as_str());
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1/{mount}/{verb}/{key_id}"))
            .header(header::HOST, host)
            .header("x-vault-request", "true")
            .header("x-vault-token", token);
        if let Some(namespace) = namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        request.body(Full::from(body)).map_err(|error| refused(error.to_string()))
    }

    /// Sees to it that a key is there: to seal with a key that is not may make one.
    async fn require(&self, key_id: &str) -> Result<(), KmsError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key_id).copied();
        if known.is_some_and(|since| since.elapsed() < KNOWN_FOR) {
            return Ok(());
        }
        self.ask(Method::GET, ("keys", key_id), None).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key_id.to_owned(), Instant::now());
        Ok(())
    }
}

/// What an answer that is none says.
fn refusal(status: StatusCode, body: &[u8]) -> KmsError {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = document
        .get("errors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let said: Vec<&str> = said.collect();
    let says = |text: &str| said.iter().any(|said| said.contains(text));
    match status {
        StatusCode::NOT_FOUND => KmsError::NotFound,
        StatusCode::BAD_REQUEST if says("key not found") => KmsError::NotFound,
        StatusCode::BAD_REQUEST if says("soft-deleted") || says("too old") => KmsError::Disabled,
        StatusCode::BAD_REQUEST => KmsError::Unsealable,
        StatusCode::FORBIDDEN => KmsError::Refused(said.join("; ")),
        StatusCode::TOO_MANY_REQUESTS => KmsError::Throttled,
        _ => KmsError::Unavailable(format!("{status}: {}", said.join("; "))),
    }
}

/// Key names go into a path: letters, digits, `-`, `_` and `.` are all that they are made of.
fn require_name(key_id: &str) -> Result<(), KmsError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_name = !key_id.is_empty() && key_id.len() <= 255 && key_id.chars().all(plain);
    if is_name && !key_id.contains("..") { Ok(()) } else { Err(KmsError::NotFound) }
}

/// The purpose may be long; its digest is not.
fn label(purpose: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, purpose))
}

#[async_trait]
impl KeyManagement for Transit {
    fn provider(&self) -> Provider {
        Provider::Transit
    }

    async fn default_key(&self, _appid: u64) -> Result<String, KmsError> {
        self.options.default_key.clone().ok_or(KmsError::NotFound)
    }

    async fn seal(&self, at: KeyUse<'_>, one_time: &Key) -> Result<Vec<u8>, KmsError> {
        require_name(at.key_id)?;
        self.require(at.key_id).await?;
        let plain = Zeroizing::new(STANDARD.encode(one_time.bytes().as_slice()));
        let body = json!({"plaintext": plain.as_str(), "associated_data": label(at.purpose)});
        let answer = self.ask(Method::POST, ("encrypt", at.key_id), Some(body)).await?;
        let sealed = answer
            .pointer("/data/ciphertext")
            .and_then(Value::as_str)
            .map(str::as_bytes)
            .map(<[u8]>::to_vec);
        sealed.ok_or_else(|| KmsError::Unavailable("its answer is none".to_owned()))
    }

    async fn open(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<Key, KmsError> {
        require_name(at.key_id)?;
        let sealed = std::str::from_utf8(sealed).map_err(|_| KmsError::Unsealable)?;
        let body = json!({"ciphertext": sealed, "associated_data": label(at.purpose)});
        let answer = self.ask(Method::POST, ("decrypt", at.key_id), Some(body)).await?;
        let none = || KmsError::Unavailable("its answer is none".to_owned());
        let plain = answer.pointer("/data/plaintext").and_then(Value::as_str).ok_or_else(none)?;
        let plain = Zeroizing::new(STANDARD.decode(plain).map_err(|_| none())?);
        let bytes = plain.as_slice().try_into().map_err(|_| KmsError::Unsealable)?;
        Ok(Key::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refusals_mean() {
        let said = |text: &str| format!("{{\"errors\":[\"{text}\"]}}");
        let table = [
            (404, "", KmsError::NotFound),
            (400, "encryption key not found", KmsError::NotFound),
            (400, "refusing to use soft-deleted key", KmsError::Disabled),
            (
                400,
                "ciphertext or signature version is disallowed by policy (too old)",
                KmsError::Disabled,
            ),
            (400, "cipher: message authentication failed", KmsError::Unsealable),
            (403, "permission denied", KmsError::Refused("permission denied".to_owned())),
            (429, "request path: rate limit quota exceeded", KmsError::Throttled),
        ];
        for (status, text, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, said(text).as_bytes()), expected, "{status} {text}");
        }
        let sealed = refusal(StatusCode::SERVICE_UNAVAILABLE, said("Vault is sealed").as_bytes());
        assert!(matches!(sealed, KmsError::Unavailable(why) if why.contains("sealed")));
    }

    #[test]
    fn names_of_keys_stay_in_their_place() {
        for name in ["a", "my-key_1.x"] {
            assert_eq!(require_name(name), Ok(()), "{name}");
        }
        for name in ["", "a/b", "..", "a..b", "a?b", "a%2fb", "ä", &"a".repeat(256)] {
            assert_eq!(require_name(name), Err(KmsError::NotFound), "{name}");
        }
    }
}
