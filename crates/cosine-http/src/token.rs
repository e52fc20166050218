//! Tokens of temporary credentials. A token holds all there is to know of them, sealed under the store's
//! key: nothing is stored, and nothing has to be cleared away.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cosine_access::Credential;
use cosine_crypt::{Key, SealError};
use cosine_store::Holder;
use serde_json::{Value, json};

const PURPOSE: &[u8] = b"token of temporary credentials";
/// No token is longer.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What temporary credentials are.
#[derive(Clone, Debug)]
pub struct Token {
    /// The pair of keys.
    pub credential: Credential,
    /// Who made them, or whose role it is.
    pub holder: Holder,
    /// The role, where one was assumed.
    pub role: Option<String>,
    /// What their maker called them.
    pub name: String,
    /// What they are narrowed to.
    pub policy: Option<String>,
    /// When they expire, seconds since 1970 UTC.
    pub expires: u64,
    /// The SecretId of the lasting key that they were made with.
    pub key: String,
}

impl Token {
    /// Seals.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal(&self, key: &Key) -> Result<String, SealError> {
        let text = json!({
            "id": self.credential.secret_id,
            "secret": self.credential.secret_key,
            "appid": self.holder.appid,
            "user": self.holder.user,
            "role": self.role,
            "name": self.name,
            "policy": self.policy,
            "expires": self.expires,
            "key": self.key,
        });
        let sealed = key.seal(PURPOSE, text.to_string().as_bytes())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what clients present; `None` for what was never sealed here.
    pub fn open(key: &Key, token: &str) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        let value: Value = serde_json::from_slice(&key.open(PURPOSE, &sealed).ok()?).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        Some(Self {
            credential: Credential { secret_id: text("id")?, secret_key: text("secret")? },
            holder: Holder { appid: number("appid")?, user: text("user") },
            role: text("role"),
            name: text("name")?,
            policy: text("policy"),
            expires: number("expires")?,
            key: text("key")?,
        })
    }
}
