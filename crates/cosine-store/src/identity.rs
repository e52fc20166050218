//! Accounts beside the one in the settings, their users and roles, and everyone's keys.
//!
//! What secrets are is not known here: they come sealed, and go sealed. Each change also counts up one row,
//! by which those who remember identities notice; it is a condition as well, so that changes happen one
//! after the other, and what was looked up before one still holds when it is made.

use std::sync::atomic::Ordering;

use cosine_access::Account;
use cosine_kv::{Commit, Condition, Found, Outcome, Revision, Scan, Write};
use tracing::Instrument;

use crate::commit::ATTEMPTS_MAX;
use crate::record::{
    AccessKeyRecord, AccountRecord, IdentitiesRecord, Record, RoleRecord, UinRecord, UserRecord,
};
use crate::{Error, Store, key};

/// A user, a role or an account has this many keys at most.
pub const KEYS_MAX: usize = 10;
/// A page of a walk over rows.
const PAGE: usize = 1000;
/// Names of users and roles hold at most this many bytes.
pub const IDENTITY_NAME_BYTES_MAX: usize = 64;

/// Whose keys, or what else, belongs to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub appid: u64,
    /// The user of it; `None` for the account itself.
    pub user: Option<String>,
}

/// A pair of keys, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub secret_id: String,
    /// The secret half, sealed.
    pub secret: Vec<u8>,
    /// Whose it is.
    pub holder: Holder,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// Whether it opens anything.
    pub enabled: bool,
}

impl AccessKey {
    fn of(secret_id: String, record: AccessKeyRecord) -> Self {
        let holder = Holder { appid: record.appid, user: record.user };
        let AccessKeyRecord { secret, created, enabled, .. } = record;
        Self { secret_id, secret, holder, created, enabled }
    }

    fn put(&self) -> Result<Write, Error> {
        AccessKeyRecord {
            appid: self.holder.appid,
            user: self.holder.user.clone(),
            secret: self.secret.clone(),
            created: self.created,
            enabled: self.enabled,
        }
        .put(key::access_key(&self.secret_id))
    }
}

/// What a change of identities turns out to be: what to write, or why not.
type Change = Result<Vec<Write>, Error>;

impl Store {
    /// Which state of identities this is. Where no other process can change them, this one knows.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn identities_revision(&self) -> Result<Option<Revision>, Error> {
        if self.kv().exclusive() {
            return Ok(Some(Revision(self.inner.identity_changes.load(Ordering::Acquire))));
        }
        Ok(self.kv().get(&key::identities()).await?.map(|row| row.revision))
    }

    /// Finds a pair of keys.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn access_key(&self, secret_id: &str) -> Result<Option<AccessKey>, Error> {
        let record = self.read_record(key::access_key(secret_id)).await?;
        Ok(record.map(|record| AccessKey::of(secret_id.to_owned(), record)))
    }

    /// Finds an account.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn account(&self, appid: u64) -> Result<Option<Account>, Error> {
        let record: Option<AccountRecord> = self.read_record(key::account(appid)).await?;
        Ok(record.map(|record| Account { appid, uin: record.uin }))
    }

    /// Finds a user.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn user(&self, appid: u64, name: &str) -> Result<Option<UserRecord>, Error> {
        self.read_record(key::user(appid, name)).await
    }

    /// Finds a role.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn role(&self, appid: u64, name: &str) -> Result<Option<RoleRecord>, Error> {
        self.read_record(key::role(appid, name)).await
    }

    /// Whose a number is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn holder_of(&self, uin: u64) -> Result<Option<Holder>, Error> {
        let record: Option<UinRecord> = self.read_record(key::uin(uin)).await?;
        Ok(record.map(|record| Holder { appid: record.appid, user: record.user }))
    }

    /// All accounts.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let rows = self.records::<AccountRecord>(&key::accounts()).await?;
        let account = |(row, record): (Vec<u8>, AccountRecord)| {
            Some(Account { appid: key::appid_of(&row)?, uin: record.uin })
        };
        Ok(rows.into_iter().filter_map(account).collect())
    }

    /// All users of an account, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn users(&self, appid: u64) -> Result<Vec<(String, UserRecord)>, Error> {
        self.named(&key::users(appid)).await
    }

    /// All roles of an account, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn roles(&self, appid: u64) -> Result<Vec<(String, RoleRecord)>, Error> {
        self.named(&key::roles(appid)).await
    }

    /// All keys of somebody.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn access_keys(&self, holder: &Holder) -> Result<Vec<AccessKey>, Error> {
        let rows = self.records::<AccessKeyRecord>(&key::access_keys()).await?;
        let keys = rows.into_iter().filter_map(|(row, record)| {
            let key = AccessKey::of(key::secret_id_of(&row)?, record);
            (key.holder == *holder).then_some(key)
        });
        Ok(keys.collect())
    }

    /// Makes an account, with its first keys.
    ///
    /// # Errors
    /// [`Error::IdentityExists`] for an APPID, a uin or a SecretId that is taken.
    pub async fn add_account(&self, account: Account, first: &AccessKey) -> Result<(), Error> {
        let Account { appid, uin } = account;
        self.change_identities(|| async {
            self.require_free(key::account(appid)).await?;
            self.require_free(key::uin(uin)).await?;
            self.require_free(key::access_key(&first.secret_id)).await?;
            Ok(vec![
                AccountRecord { uin, created: self.now_seconds() }.put(key::account(appid))?,
                UinRecord { appid, user: None }.put(key::uin(uin))?,
                first.put()?,
            ])
        })
        .await
    }

    /// Makes a user, with its first keys.
    ///
    /// # Errors
    /// [`Error::IdentityExists`] for a name, a uin or a SecretId that is taken.
    pub async fn add_user(
        &self,
        (appid, name): (u64, &str),
        uin: u64,
        policy: Option<String>,
        first: &AccessKey,
    ) -> Result<(), Error> {
        self.change_identities(|| async {
            self.require_free(key::user(appid, name)).await?;
            self.require_free(key::uin(uin)).await?;
            self.require_free(key::access_key(&first.secret_id)).await?;
            let user = UserRecord { uin, created: self.now_seconds(), policy: policy.clone() };
            Ok(vec![
                user.put(key::user(appid, name))?,
                UinRecord { appid, user: Some(name.to_owned()) }.put(key::uin(uin))?,
                first.put()?,
            ])
        })
        .await
    }

    /// Says what a user may do.
    ///
    /// # Errors
    /// [`Error::NoSuchIdentity`].
    pub async fn set_user_policy(
        &self,
        (appid, name): (u64, &str),
        policy: Option<String>,
    ) -> Result<(), Error> {
        self.change_identities(|| async {
            let user = self.user(appid, name).await?.ok_or(Error::NoSuchIdentity)?;
            let user = UserRecord { policy: policy.clone(), ..user };
            Ok(vec![user.put(key::user(appid, name))?])
        })
        .await
    }

    /// Removes a user, and its keys.
    ///
    /// # Errors
    /// [`Error::NoSuchIdentity`].
    pub async fn remove_user(&self, appid: u64, name: &str) -> Result<(), Error> {
        let holder = Holder { appid, user: Some(name.to_owned()) };
        self.change_identities(|| async {
            let user = self.user(appid, name).await?.ok_or(Error::NoSuchIdentity)?;
            let keys = self.access_keys(&holder).await?.into_iter();
            let keys = keys.map(|key| Write::Delete(key::access_key(&key.secret_id)));
            let rows = [Write::Delete(key::user(appid, name)), Write::Delete(key::uin(user.uin))];
            Ok(rows.into_iter().chain(keys).collect())
        })
        .await
    }

    /// Makes a role, or changes it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn set_role(
        &self,
        (appid, name): (u64, &str),
        trust: &str,
        policy: Option<String>,
    ) -> Result<(), Error> {
        self.change_identities(|| async {
            let known = self.role(appid, name).await?;
            let created = known.map_or_else(|| self.now_seconds(), |role| role.created);
            let role = RoleRecord { created, trust: trust.to_owned(), policy: policy.clone() };
            Ok(vec![role.put(key::role(appid, name))?])
        })
        .await
    }

    /// Removes a role.
    ///
    /// # Errors
    /// [`Error::NoSuchIdentity`].
    pub async fn remove_role(&self, appid: u64, name: &str) -> Result<(), Error> {
        self.change_identities(|| async {
            self.role(appid, name).await?.ok_or(Error::NoSuchIdentity)?;
            Ok(vec![Write::Delete(key::role(appid, name))])
        })
        .await
    }

    /// Gives somebody another pair of keys.
    ///
    /// # Errors
    /// [`Error::NoSuchIdentity`], [`Error::IdentityExists`], [`Error::TooManyKeys`].
    pub async fn add_access_key(&self, new: &AccessKey) -> Result<(), Error> {
        self.change_identities(|| async {
            self.require_free(key::access_key(&new.secret_id)).await?;
            if let Some(name) = &new.holder.user {
                let user = self.user(new.holder.appid, name).await?;
                user.ok_or(Error::NoSuchIdentity)?;
            }
            if self.access_keys(&new.holder).await?.len() >= KEYS_MAX {
                return Err(Error::TooManyKeys);
            }
            Ok(vec![new.put()?])
        })
        .await
    }

    /// Switches a pair of keys on or off, or, with `None`, removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchIdentity`].
    pub async fn set_access_key(
        &self,
        secret_id: &str,
        appid: u64,
        enabled: Option<bool>,
    ) -> Result<(), Error> {
        self.change_identities(|| async {
            let key = self.access_key(secret_id).await?;
            let key = key.filter(|key| key.holder.appid == appid);
            let key = key.ok_or(Error::NoSuchIdentity)?;
            Ok(vec![match enabled {
                Some(enabled) => AccessKey { enabled, ..key }.put()?,
                None => Write::Delete(key::access_key(secret_id)),
            }])
        })
        .await
    }

    /// Decides and writes, again if others changed something meanwhile.
    async fn change_identities<F>(&self, decide: impl Fn() -> F) -> Result<(), Error>
    where
        F: Future<Output = Change>,
    {
        self.require_room()?;
        let row_key = key::identities();
        for _ in 0..ATTEMPTS_MAX {
            let row = self.kv().get(&row_key).await?;
            let (condition, changes) = match &row {
                None => (Condition::Absent(row_key.clone()), 0),
                Some(row) => (
                    Condition::Unchanged(row_key.clone(), row.revision),
                    IdentitiesRecord::decode(&row_key, &row.value)?.changes,
                ),
            };
            let mut writes = decide().await?;
            writes.push(IdentitiesRecord { changes: changes + 1 }.put(row_key.clone())?);
            match self.commit_identities(Commit { conditions: vec![condition], writes }).await? {
                Outcome::Committed(_) => return Ok(()),
                Outcome::Conflict => {}
                Outcome::Unknown => return Err(Error::Unknown),
            }
        }
        Err(Error::Busy)
    }

    /// Commits, and says that something may have changed, on a task of its own: a caller that goes away
    /// would leave a change that nobody notices, and a key that was switched off would open as before.
    async fn commit_identities(&self, commit: Commit) -> Result<Outcome, Error> {
        let store = self.clone();
        let commit = async move {
            let outcome = store.kv().commit(commit).await;
            store.inner.identity_changes.fetch_add(1, Ordering::Release);
            outcome
        };
        let outcome = tokio::spawn(commit.in_current_span()).await;
        Ok(outcome.map_err(|error| Error::System(error.to_string()))??)
    }

    async fn require_free(&self, key: Vec<u8>) -> Result<(), Error> {
        match self.kv().get(&key).await? {
            None => Ok(()),
            Some(_) => Err(Error::IdentityExists),
        }
    }

    fn now_seconds(&self) -> i64 {
        (self.now() / 1_000_000).cast_signed()
    }

    async fn named<R: Record>(&self, prefix: &[u8]) -> Result<Vec<(String, R)>, Error> {
        let rows = self.records(prefix).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(row, record)| Some((key::name_of(&row)?, record)))
            .collect())
    }

    /// All records whose keys have a prefix.
    async fn records<R: Record>(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, R)>, Error> {
        let mut records = Vec::new();
        let mut scan = Scan::prefix(prefix, PAGE);
        loop {
            let page = self.kv().scan(scan.clone()).await?;
            for found in page.found {
                if let Found::Row(key, row) = found {
                    let record = R::decode(&key, &row.value)?;
                    records.push((key, record));
                }
            }
            match records.last() {
                // The next key there can be.
                Some((last, _)) if page.more => scan.start = [&last[..], &[0]].concat(),
                _ => return Ok(records),
            }
        }
    }
}
