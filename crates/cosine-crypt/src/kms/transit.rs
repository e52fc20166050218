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
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use zeroize::{Zeroize, Zeroizing};

use super::{KeyManagement, KeyUse, KmsError, Provider};
use crate::Key;

/// No answer is longer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// For so long a key that was there is taken to be there.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// So many keys are remembered.
const KNOWN_MAX: usize = 10_000;
/// Reads of token files at a time: one that hangs keeps its thread, and the others wait for none.
static TOKEN_READS: Semaphore = Semaphore::const_new(8);

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
    /// The account whose keys may have any name. Those of another one's begin with its APPID and a hyphen.
    pub appid: u64,
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
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Answer, KmsError> {
        let work = async {
            let request = self.request(method, (verb, key_id), body).await?;
            let unreachable = |error: std::io::Error| KmsError::Unavailable(error.to_string());
            let sent = self.options.server.send(request, self.options.patience).await;
            let answer = sent.map_err(unreachable)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| unreachable(std::io::Error::other(error)))?.to_bytes();
            match status {
                StatusCode::OK => Answer::parse(&body).ok_or_else(nonsense),
                _ => Err(refusal((verb, status), &body)),
            }
        };
        let answered = tokio::time::timeout(self.options.patience, work).await;
        answered.map_err(|_| KmsError::Unavailable("it does not answer in time".to_owned()))?
    }

    async fn request(
        &self,
        method: Method,
        (verb, key_id): (&str, &str),
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, KmsError> {
        let TransitOptions { server, mount, namespace, .. } = &self.options;
        let host = server.endpoint().authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1/{mount}/{verb}/{key_id}"))
            .header(header::HOST, host)
            .header("x-vault-request", "true")
            .header("x-vault-token", self.token().await?);
        if let Some(namespace) = namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let body = Full::new(Bytes::from_owner(body));
        request.body(body).map_err(|error| KmsError::Refused(error.to_string()))
    }

    /// The token, as its file has it now. The file may lie anywhere: no thread of requests waits for it.
    async fn token(&self) -> Result<HeaderValue, KmsError> {
        let path = self.options.token_file.clone();
        let turn = TOKEN_READS.acquire().await;
        let turn = turn.map_err(|error| KmsError::Unavailable(error.to_string()))?;
        let read = tokio::task::spawn_blocking(move || {
            let _until_it_is_read = turn;
            let read = std::fs::read_to_string(&path).map(Zeroizing::new);
            read.map_err(|error| KmsError::Refused(format!("{}: {error}", path.display())))
        });
        let text = read.await.map_err(|error| KmsError::Unavailable(error.to_string()))??;
        let token = HeaderValue::from_str(text.trim());
        let mut token = token.map_err(|_| KmsError::Refused("the token is none".to_owned()))?;
        token.set_sensitive(true);
        Ok(token)
    }

    /// Sees to it that a key is there: to seal with a key that is not may make one.
    async fn require(&self, key_id: &str) -> Result<(), KmsError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key_id).copied();
        if known.is_some_and(|since| since.elapsed() < KNOWN_FOR) {
            return Ok(());
        }
        self.ask(Method::GET, ("keys", key_id), Zeroizing::default()).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key_id.to_owned(), Instant::now());
        Ok(())
    }

    /// Key names go into a path: letters, digits, `-`, `_` and `.` are all that they are made of. They say
    /// whose they are.
    fn require_name(&self, at: KeyUse<'_>) -> Result<(), KmsError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let KeyUse { key_id, appid, .. } = at;
        let is_name = !key_id.is_empty()
            && key_id.len() <= 255
            && key_id.chars().all(plain)
            && !key_id.starts_with('.')
            && !key_id.contains("..");
        let is_own = appid == self.options.appid || key_id.starts_with(&format!("{appid}-"));
        if is_name && is_own { Ok(()) } else { Err(KmsError::NotFound) }
    }
}

/// What is in an answer, wiped when it is dropped.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    data: AnswerData,
}

#[derive(Default, Deserialize)]
struct AnswerData {
    ciphertext: Option<String>,
    plaintext: Option<String>,
    latest_version: Option<u64>,
}

impl Answer {
    fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

impl Drop for AnswerData {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

fn nonsense() -> KmsError {
    KmsError::Unavailable("its answer is none".to_owned())
}

/// What an answer says that is no success.
fn refusal((verb, status): (&str, StatusCode), body: &[u8]) -> KmsError {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = document.get("errors").and_then(Value::as_array).into_iter().flatten();
    let said: Vec<&str> = said.filter_map(Value::as_str).collect();
    let says = |text: &str| said.iter().any(|said| said.contains(text));
    let refused = || KmsError::Refused(format!("{status}: {}", said.join("; ")));
    match status {
        // Nothing is mounted there.
        StatusCode::NOT_FOUND if says("no handler") => refused(),
        StatusCode::NOT_FOUND => KmsError::NotFound,
        StatusCode::BAD_REQUEST if says("key not found") => KmsError::NotFound,
        StatusCode::BAD_REQUEST if says("soft-deleted") || says("too old") => KmsError::Disabled,
        StatusCode::BAD_REQUEST if verb == "decrypt" => KmsError::Unsealable,
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => refused(),
        StatusCode::TOO_MANY_REQUESTS => KmsError::Throttled,
        _ => KmsError::Unavailable(format!("{status}: {}", said.join("; "))),
    }
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

    async fn default_key(&self, appid: u64) -> Result<String, KmsError> {
        let default = self.options.default_key.as_ref().ok_or(KmsError::NotFound)?;
        Ok(match appid == self.options.appid {
            true => default.clone(),
            false => format!("{appid}-{default}"),
        })
    }

    async fn seal(&self, at: KeyUse<'_>, one_time: &Key) -> Result<Vec<u8>, KmsError> {
        self.require_name(at)?;
        self.require(at.key_id).await?;
        let plain = Zeroizing::new(STANDARD.encode(one_time.bytes()));
        let body = body("plaintext", plain.as_bytes(), at.purpose);
        let mut answer = self.ask(Method::POST, ("encrypt", at.key_id), body).await?;
        answer.data.ciphertext.take().map(String::into_bytes).ok_or_else(nonsense)
    }

    async fn open(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<Key, KmsError> {
        self.require_name(at)?;
        let is_text = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\".contains(byte);
        if !sealed.iter().all(is_text) {
            return Err(KmsError::Unsealable);
        }
        let body = body("ciphertext", sealed, at.purpose);
        let answer = self.ask(Method::POST, ("decrypt", at.key_id), body).await?;
        let plain = answer.data.plaintext.as_deref().ok_or_else(nonsense)?;
        let plain = Zeroizing::new(STANDARD.decode(plain).map_err(|_| nonsense())?);
        Key::from_slice(&plain).ok_or(KmsError::Unsealable)
    }

    async fn is_latest(&self, at: KeyUse<'_>, sealed: &[u8]) -> Result<bool, KmsError> {
        self.require_name(at)?;
        let answer = self.ask(Method::GET, ("keys", at.key_id), Zeroizing::default()).await?;
        let latest = answer.data.latest_version.ok_or_else(nonsense)?;
        Ok(sealed.starts_with(format!("vault:v{latest}:").as_bytes()))
    }
}

/// A body with one value, which needs no escapes, and the label of what it is for.
fn body(name: &str, value: &[u8], purpose: &[u8]) -> Zeroizing<Vec<u8>> {
    let label = label(purpose);
    let parts: [&[u8]; 7] = [
        b"{\"",
        name.as_bytes(),
        b"\":\"",
        value,
        b"\",\"associated_data\":\"",
        label.as_bytes(),
        b"\"}",
    ];
    // Of its full size at once: what grows leaves copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| body.extend_from_slice(part));
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refusals_mean() {
        let said = |text: &str| format!("{{\"errors\":[\"{text}\"]}}");
        let refused = |text: &str| KmsError::Refused(text.to_owned());
        let too_old = "ciphertext or signature version is disallowed by policy (too old)";
        let table = [
            ("keys", 404, "", KmsError::NotFound),
            ("keys", 404, "no handler for route", refused("404 Not Found: no handler for route")),
            ("decrypt", 400, "encryption key not found", KmsError::NotFound),
            ("encrypt", 400, "refusing to use soft-deleted key", KmsError::Disabled),
            ("decrypt", 400, too_old, KmsError::Disabled),
            ("decrypt", 400, "cipher: message authentication failed", KmsError::Unsealable),
            ("encrypt", 400, "no AEAD", refused("400 Bad Request: no AEAD")),
            ("encrypt", 403, "permission denied", refused("403 Forbidden: permission denied")),
            ("encrypt", 429, "rate limit quota exceeded", KmsError::Throttled),
        ];
        for (verb, status, text, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal((verb, status), said(text).as_bytes()), expected, "{verb} {text}");
        }
        let sealed = StatusCode::SERVICE_UNAVAILABLE;
        let sealed = refusal(("keys", sealed), said("Vault is sealed").as_bytes());
        assert!(matches!(sealed, KmsError::Unavailable(why) if why.contains("sealed")));
    }

    #[test]
    fn names_of_keys_stay_in_their_place_and_with_their_account() {
        let transit = Transit::new(TransitOptions {
            server: Server::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap(),
            mount: "transit".to_owned(),
            namespace: None,
            token_file: "/nowhere".into(),
            default_key: Some("default".to_owned()),
            appid: 5,
            patience: Duration::from_secs(1),
        });
        let name = |key_id, appid| transit.require_name(KeyUse { key_id, appid, purpose: b"" });
        for key_id in ["a", "my-key_1.x", "7-x"] {
            assert_eq!(name(key_id, 5), Ok(()), "{key_id}");
        }
        let long = "a".repeat(256);
        for key_id in ["", ".", "a/b", "..", "a..b", "a?b", "a%2fb", "ä", &long] {
            assert_eq!(name(key_id, 5), Err(KmsError::NotFound), "{key_id}");
        }
        assert_eq!(name("7-x", 7), Ok(()));
        for key_id in ["a", "5-x", "77-x", "7", "x7-"] {
            assert_eq!(name(key_id, 7), Err(KmsError::NotFound), "{key_id}");
        }
    }

    #[test]
    fn a_body_is_json() {
        let body = body("plaintext", b"YQ==", b"purpose");
        let parsed: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(parsed["plaintext"], "YQ==");
        assert_eq!(parsed["associated_data"], label(b"purpose"));
    }
}
