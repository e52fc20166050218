//! Who signs: from a SecretId to an identity and the secret that it signs with.
//!
//! What was looked up once is remembered until identities change: every request asks for the one row that
//! says whether they did. Other processes on the same store change it too, so nothing here is believed
//! without that.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cosine_access::{Account, Credential, Identity, Policy, PolicyError, PolicyKind, Session, Who};
use cosine_crypt::Key;
use cosine_store::{AccessKey, Bucket, Error, Holder, Revision, Store, Uid};
use cosine_wire::qsign::{Presented, SignKey, Signed};
use cosine_wire::{ApiError, Code};

use crate::error::store_error;
use crate::token::Token;

/// Of each kind, so much is remembered, as the bytes of the policies and tokens that it came from.
const REMEMBERED_BYTES_MAX: usize = 2 << 20;
/// What anything that is remembered weighs beside that.
const ENTRY_BYTES: usize = 256;

/// Somebody who may sign.
#[derive(Debug)]
pub struct Signer {
    /// The secret, and its public half.
    pub credential: Credential,
    /// Who it is.
    pub identity: Arc<Identity>,
    /// When temporary credentials expire, seconds since 1970 UTC.
    pub expires: Option<u64>,
    /// The SecretId of the lasting key that it goes back to.
    pub key: String,
    /// The last sign key, and the times for which it is good: a client signs many requests with one.
    pub last: Mutex<Option<Arc<(String, SignKey)>>>,
}

impl Signer {
    /// Verifies a signature.
    ///
    /// # Errors
    /// 403 `SignatureDoesNotMatch`.
    pub fn verify(&self, presented: &Presented, signed: Signed<'_>) -> Result<(), ApiError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|known| known.0 == presented.key_time());
        let known = known.cloned().unwrap_or_else(|| {
            let sign_key = presented.sign_key(&self.credential.secret_key);
            let made = Arc::new((presented.key_time().to_owned(), sign_key));
            *last = Some(Arc::clone(&made));
            made
        });
        drop(last);
        presented.verify_with(signed, &known.1)
    }

    /// Sees to it that temporary credentials have not expired.
    ///
    /// # Errors
    /// 400 `ExpiredToken`.
    pub fn require_unexpired(&self, now: u64) -> Result<(), ApiError> {
        match self.expires.is_some_and(|expires| now >= expires) {
            true => Err(Code::ExpiredToken.into()),
            false => Ok(()),
        }
    }
}

/// All who may sign, and whose things are.
#[derive(Debug)]
pub struct Directory {
    store: Store,
    key: Arc<Key>,
    root: Arc<Signer>,
    account: Account,
    memory: Mutex<Memory>,
}

/// What was looked up.
#[derive(Debug, Default)]
struct Memory {
    /// The state of identities that it is of.
    revision: Option<Revision>,
    keys: Remembered<String, Arc<Signer>>,
    sessions: Remembered<String, Arc<Signer>>,
    owners: Remembered<u64, Account>,
    /// Of buckets; each version is another key, so that these stay right by themselves.
    policies: Remembered<Uid, Arc<Policy>>,
}

/// Things by their keys, as many as their weight allows. Then all are forgotten: what is used comes back.
#[derive(Debug)]
struct Remembered<K, V> {
    things: HashMap<K, V>,
    weight: usize,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { things: HashMap::new(), weight: 0 }
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.things.get(key).cloned()
    }

    fn put(&mut self, key: K, value: V, weight: usize) -> V {
        let weight = weight + ENTRY_BYTES;
        if self.weight + weight > REMEMBERED_BYTES_MAX {
            self.clear();
        }
        if self.things.insert(key, value.clone()).is_none() {
            self.weight += weight;
        }
        value
    }

    fn clear(&mut self) {
        self.things.clear();
        self.weight = 0;
    }
}

impl Directory {
    /// All who may sign: the root credential, for the account of the settings, and whoever is in the
    /// store, whose secrets this key opens.
    pub fn new(store: Store, key: Arc<Key>, account: Account, root: Credential) -> Self {
        let root = Signer {
            key: root.secret_id.clone(),
            credential: root,
            identity: Arc::new(Identity::root(account)),
            expires: None,
            last: Mutex::default(),
        };
        Self { store, key, root: Arc::new(root), account, memory: Mutex::default() }
    }

    /// The account of the settings.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The key that secrets are sealed under.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Finds who has a SecretId; with a token, one of temporary credentials.
    ///
    /// # Errors
    /// 403 `InvalidAccessKeyId`.
    pub async fn signer(
        &self,
        secret_id: &str,
        token: Option<&str>,
    ) -> Result<Arc<Signer>, ApiError> {
        let signer = match token {
            None if secret_id == self.root.credential.secret_id => {
                return Ok(Arc::clone(&self.root));
            }
            None => self.by_key(secret_id).await,
            Some(token) => self.by_token(token).await,
        };
        let signer = signer?.filter(|signer| signer.credential.secret_id == secret_id);
        signer.ok_or_else(|| Code::InvalidAccessKeyId.into())
    }

    /// The account whose buckets have an APPID; with the uin 0 if it is none of here.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn owner(&self, appid: u64) -> Result<Account, ApiError> {
        if appid == self.account.appid {
            return Ok(self.account);
        }
        let revision = self.revision().await?;
        if let Some(owner) = self.memory(revision).owners.get(&appid) {
            return Ok(owner);
        }
        let found = self.store.account(appid).await.map_err(store_error)?;
        let owner = found.unwrap_or(Account { appid, uin: 0 });
        Ok(self.memory(revision).owners.put(appid, owner, 0))
    }

    /// The account and the user, or twice the account, that a number belongs to. One that is not known
    /// here is taken for an account's.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn person(&self, uin: u64) -> Result<(u64, u64), ApiError> {
        if uin == self.account.uin {
            return Ok((uin, uin));
        }
        match self.store.holder_of(uin).await.map_err(store_error)? {
            Some(holder) => Ok((self.owner(holder.appid).await?.uin, uin)),
            None => Ok((uin, uin)),
        }
    }

    /// The policy of a bucket, read once for each version of it.
    ///
    /// # Errors
    /// 500 `InternalError` for one that cannot be read any more: nobody knows what it would say.
    pub async fn policy(&self, bucket: &Bucket) -> Result<Option<Arc<Policy>>, ApiError> {
        for _ in 0..crate::authorise::LOOKS_MAX {
            let version = self.store.bucket_policy_version(bucket).await.map_err(store_error)?;
            let Some(version) = version else { return Ok(None) };
            if let Some(policy) = self.lock().policies.get(&version) {
                return Ok(Some(policy));
            }
            let text = self.store.bucket_policy(bucket).await.map_err(store_error)?;
            // Between the two, the policy may become another one.
            if let Some((_, text)) = text.filter(|(read, _)| *read == version) {
                let policy = stored(&text, PolicyKind::Resource)?;
                return Ok(Some(self.lock().policies.put(version, policy, text.len())));
            }
        }
        Err(store_error(Error::Busy))
    }

    async fn by_key(&self, secret_id: &str) -> Result<Option<Arc<Signer>>, ApiError> {
        let revision = self.revision().await?;
        if let Some(known) = self.memory(revision).keys.get(secret_id) {
            return Ok(Some(known));
        }
        let key = self.store.access_key(secret_id).await.map_err(store_error)?;
        let Some(key) = key.filter(|key| key.enabled) else {
            // Not remembered: anyone can make names up.
            return Ok(None);
        };
        let Some((signer, weight)) = self.signer_of(&key).await? else { return Ok(None) };
        Ok(Some(self.memory(revision).keys.put(secret_id.to_owned(), signer, weight)))
    }

    /// Who has a key, and how much there is to remember of it.
    async fn signer_of(&self, key: &AccessKey) -> Result<Option<(Arc<Signer>, usize)>, ApiError> {
        let Some((identity, weight)) = self.identity(&key.holder).await? else { return Ok(None) };
        let secret = self.key.open(&purpose(&key.secret_id), &key.secret).ok();
        let secret = secret.and_then(|secret| String::from_utf8(secret.to_vec()).ok());
        let Some(secret_key) = secret else {
            tracing::error!(secret_id = %key.secret_id, "the store's key does not open a secret");
            return Err(Code::InternalError.into());
        };
        let credential = Credential { secret_id: key.secret_id.clone(), secret_key };
        let (identity, key) = (Arc::new(identity), key.secret_id.clone());
        Ok(Some((
            Arc::new(Signer { credential, identity, expires: None, key, last: Mutex::default() }),
            weight,
        )))
    }

    /// Who somebody is now, and how long the text of its policy is.
    ///
    /// # Errors
    /// 500 `InternalError` for a policy that cannot be read any more.
    pub async fn identity(&self, holder: &Holder) -> Result<Option<(Identity, usize)>, ApiError> {
        let account = self.owner(holder.appid).await?;
        if account.uin == 0 {
            return Ok(None);
        }
        let Some(name) = &holder.user else { return Ok(Some((Identity::root(account), 0))) };
        let user = self.store.user(holder.appid, name).await.map_err(store_error)?;
        let Some(user) = user else { return Ok(None) };
        let policy = user.policy.as_deref().map(|text| stored(text, PolicyKind::Identity));
        let who = Who::User { uin: user.uin, name: name.clone() };
        let weight = user.policy.as_ref().map_or(0, String::len);
        Ok(Some((Identity { account, who, policy: policy.transpose()?, session: None }, weight)))
    }

    /// Who assumes a role.
    ///
    /// # Errors
    /// As for [`identity`](Self::identity).
    async fn role(&self, appid: u64, name: &str) -> Result<Option<(Identity, usize)>, ApiError> {
        let account = self.owner(appid).await?;
        let role = self.store.role(appid, name).await.map_err(store_error)?;
        let Some(role) = role else { return Ok(None) };
        let policy = role.policy.as_deref().map(|text| stored(text, PolicyKind::Identity));
        let who = Who::Role { name: name.to_owned() };
        let weight = role.policy.as_ref().map_or(0, String::len);
        Ok(Some((Identity { account, who, policy: policy.transpose()?, session: None }, weight)))
    }

    /// Whoever made temporary credentials, is what they are of: without it, or without the key that it
    /// made them with, they are worth nothing.
    async fn by_token(&self, token: &str) -> Result<Option<Arc<Signer>>, ApiError> {
        let revision = self.revision().await?;
        if let Some(known) = self.memory(revision).sessions.get(token) {
            return Ok(Some(known));
        }
        let Some(opened) = Token::open(&self.key, token) else { return Ok(None) };
        let made_with = &opened.key;
        let is_root = *made_with == self.root.credential.secret_id;
        if !is_root && self.by_key(made_with).await?.is_none() {
            return Ok(None);
        }
        let identity = match &opened.role {
            Some(role) => self.role(opened.holder.appid, role).await?,
            None => self.identity(&opened.holder).await?,
        };
        let Some((identity, weight)) = identity else { return Ok(None) };
        let policy = opened.policy.as_deref().map(|text| stored(text, PolicyKind::Identity));
        let session = Session { name: opened.name.clone(), policy: policy.transpose()? };
        let signer = Signer {
            identity: Arc::new(Identity { session: Some(session), ..identity }),
            credential: opened.credential,
            expires: Some(opened.expires),
            key: opened.key,
            last: Mutex::default(),
        };
        let weight = weight + 2 * token.len();
        let signer = Arc::new(signer);
        Ok(Some(self.memory(revision).sessions.put(token.to_owned(), signer, weight)))
    }

    async fn revision(&self) -> Result<Option<Revision>, ApiError> {
        self.store.identities_revision().await.map_err(store_error)
    }

    /// What is remembered of this state of identities; all else is forgotten.
    fn memory(&self, revision: Option<Revision>) -> MutexGuard<'_, Memory> {
        let mut memory = self.lock();
        if memory.revision != revision {
            memory.keys.clear();
            memory.sessions.clear();
            memory.owners.clear();
            memory.revision = revision;
        }
        memory
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the secret of a pair of keys is sealed for.
pub fn purpose(secret_id: &str) -> Vec<u8> {
    format!("secret key of {secret_id}").into_bytes()
}

/// A policy that was read when it was set.
fn stored(text: &str, kind: PolicyKind) -> Result<Arc<Policy>, ApiError> {
    let unreadable = |error: PolicyError| {
        tracing::error!(%error, "a stored policy cannot be read");
        ApiError::from(Code::InternalError)
    };
    Policy::parse(text, kind).map(Arc::new).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosine_kv::{Commit, Found, Kv, Scan, Write};
    use cosine_store::{BucketAcl, BucketName, Engines, NewBucket, SystemClock, Zones};

    const POLICY: &str =
        r#"{"statement":[{"effect":"deny","principal":"*","action":"*","resource":"*"}]}"#;

    /// A policy that is known to be there, and whose text is not, is not taken for none.
    #[tokio::test]
    async fn a_policy_without_its_text_lets_nobody_in() {
        let kv: Arc<dyn Kv> = Arc::new(cosine_kv::Memory::default());
        let engines =
            Engines { kv: Arc::clone(&kv), blobs: Arc::new(cosine_blob::Memory::default()) };
        let master = Arc::new(cosine_store::MasterKeys::new(Key::random().unwrap(), vec![]));
        let store = Store::open(engines, Arc::new(SystemClock), master).await.unwrap();
        let name = BucketName::parse("b-1250000000").unwrap();
        let (acl, zones) = (BucketAcl::Private, Zones::One);
        let new = NewBucket { name: name.clone(), region: "ap-x".into(), acl, zones };
        store.create_bucket(new).await.unwrap();
        let bucket = store.bucket(&name).await.unwrap();
        store.set_bucket_policy(&bucket, Some(POLICY.into())).await.unwrap();
        let credential = Credential { secret_id: "id".into(), secret_key: "key".into() };
        let account = Account { appid: 1_250_000_000, uin: 1 };
        let directory = || {
            let key = Arc::new(Key::random().unwrap());
            Directory::new(store.clone(), key, account, credential.clone())
        };
        assert!(directory().policy(&bucket).await.unwrap().is_some());

        let settings = kv.scan(Scan::prefix(b"s", 10)).await.unwrap().found;
        let texts = settings.into_iter().filter_map(|found| match found {
            Found::Row(key, _) => key.ends_with(b"policy-text").then_some(key),
            Found::CommonPrefix(_) => None,
        });
        let writes: Vec<_> = texts.map(Write::Delete).collect();
        assert_eq!(writes.len(), 1);
        let _ = kv.commit(Commit { conditions: vec![], writes }).await.unwrap();
        assert!(directory().policy(&bucket).await.is_err());
    }
}
