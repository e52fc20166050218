//! The keys that a store keeps: its own, and those of the built-in key management. All are sealed under the
//! master key.

use std::sync::Arc;

use async_trait::async_trait;
use cosine_crypt::kms::{BuiltIn, KeyTable, StoredKey, new_material};
use cosine_crypt::{Key, KeyError, Keyring, KmsError, MasterKeys};
use cosine_kv::{Commit, Condition, Found, Kv, Outcome, Revision, Scan, Write};

use crate::clock::Clock;
use crate::commit::ATTEMPTS_MAX;
use crate::id::{self, Random};
use crate::list::after;
use crate::record::{KmsDefaultRecord, KmsKeyRecord, KmsKeyState, Record, StoreKeyRecord};
use crate::{Error, Store, StoreOptions, key};

/// What the key of a store is sealed for under the master key.
const STORE_KEY: &[u8] = b"store key";
/// A page of a walk over keys.
const PAGE: usize = 256;
/// An account has this many keys at most.
pub const KMS_KEYS_MAX: usize = 1000;
/// A key has this many versions at most.
const VERSIONS_MAX: usize = 100;

/// A key of the built-in key management, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// Its id.
    pub key_id: String,
    /// The account that it belongs to.
    pub appid: u64,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// What its owner says of it.
    pub description: String,
    /// Whether it is used.
    pub state: KmsKeyState,
    /// How many versions it has.
    pub versions: usize,
    /// Whether it is what the account's objects are encrypted under where no key is named.
    pub is_default: bool,
}

/// How far the sealing under a new master key has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MasterRewrap {
    /// Rows that were looked at.
    pub seen: u64,
    /// Rows that were sealed anew.
    pub rewrapped: u64,
    /// Rows that no master key opens.
    pub lost: u64,
}

/// What is said of a store without the row of its key.
const NO_STORE_KEY: &str = "the key of the store is missing";

/// The write by which a new store gets its key.
pub fn new_store_key(master: &MasterKeys) -> Result<Write, Error> {
    let key = Key::random().map_err(KeyError::from)?;
    let sealed = master.seal_key(STORE_KEY, &key).map_err(KeyError::from)?;
    StoreKeyRecord { sealed }.put(key::store_key())
}

/// The keys of a store.
///
/// # Errors
/// [`Error::WrongMasterKey`]; [`Error::Damaged`] if the store's key is missing: a new one would open
/// nothing.
pub async fn keyring(kv: &Arc<dyn Kv>, options: &StoreOptions) -> Result<Keyring, Error> {
    let store = store_key(&**kv, &options.master).await?;
    let table = Table {
        kv: Arc::clone(kv),
        clock: Arc::clone(&options.clock),
        random: Arc::clone(&options.random),
        master: Arc::clone(&options.master),
    };
    let built_in = Arc::new(BuiltIn::new(Arc::new(table), Arc::clone(&options.master)));
    Ok(match &options.kms {
        None => Keyring::new(Arc::new(store), built_in, vec![]),
        Some(kms) => Keyring::new(Arc::new(store), Arc::clone(kms), vec![built_in]),
    })
}

async fn store_key(kv: &dyn Kv, master: &MasterKeys) -> Result<Key, Error> {
    let row = key::store_key();
    let found = kv.get(&row).await?.ok_or_else(|| Error::Damaged(NO_STORE_KEY.to_owned()))?;
    let record = StoreKeyRecord::decode(&row, &found.value)?;
    master.open_key(STORE_KEY, &record.sealed).map_err(|_| Error::WrongMasterKey)
}

/// The rows of the keys.
#[derive(Debug)]
struct Table {
    kv: Arc<dyn Kv>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    master: Arc<MasterKeys>,
}

/// What the rows say where they cannot be read.
fn unreadable(error: impl std::fmt::Display) -> KmsError {
    KmsError::Unavailable(error.to_string())
}

/// A new id, of the form that COS's have.
fn new_key_id(random: &dyn Random) -> Result<String, Error> {
    let id = format!("{:032x}", u128::from_be_bytes(id::random(random)?));
    let mut parts = [8, 4, 4, 4, 12].into_iter();
    let mut rest = id.as_str();
    let split = std::iter::from_fn(|| {
        let (part, behind) = rest.split_at_checked(parts.next()?)?;
        rest = behind;
        Some(part)
    });
    Ok(split.collect::<Vec<_>>().join("-"))
}

impl KmsKeyRecord {
    /// Whether it is gone, at this time.
    fn is_gone(&self, now: u64) -> bool {
        matches!(self.state, KmsKeyState::PendingDeletion(at) if at <= now)
    }
}

impl Table {
    async fn read(&self, key_id: &str) -> Result<Option<KmsKeyRecord>, Error> {
        let row = key::kms_key(key_id);
        let found = self.kv.get(&row).await?;
        let record = found.map(|found| KmsKeyRecord::decode(&row, &found.value)).transpose()?;
        Ok(record.filter(|record| !record.is_gone(self.clock.now_micros())))
    }

    /// The default key of an account, or what a new one takes the place of: none, or one that is gone.
    async fn find_default(&self, appid: u64) -> Result<Result<String, Condition>, Error> {
        let row = key::kms_default(appid);
        let Some(found) = self.kv.get(&row).await? else { return Ok(Err(Condition::Absent(row))) };
        let key_id = KmsDefaultRecord::decode(&row, &found.value)?.key_id;
        Ok(match self.read(&key_id).await? {
            Some(_) => Ok(key_id),
            None => Err(Condition::Unchanged(row, found.revision)),
        })
    }

    async fn make_default(&self, appid: u64, in_place: Condition) -> Result<(), Error> {
        let master = master_unchanged(&*self.kv).await?;
        let key_id = new_key_id(&*self.random)?;
        let description = "default key of the account".to_owned();
        let created = (self.clock.now_micros() / 1_000_000).cast_signed();
        let record = new_record(&self.master, &key_id, (appid, created, description))?;
        let (row, default) = (key::kms_key(&key_id), key::kms_default(appid));
        let commit = Commit {
            conditions: vec![master, Condition::Absent(row.clone()), in_place],
            writes: vec![record.put(row)?, KmsDefaultRecord { key_id }.put(default)?],
        };
        // Another process may be faster: what is there counts.
        let _ = self.kv.commit(commit).await?;
        Ok(())
    }
}

/// The condition that the master key is not replaced meanwhile, to be read before anything is sealed under
/// it: a replacement begins with the row of the store's key, and then looks for all others.
async fn master_unchanged(kv: &dyn Kv) -> Result<Condition, Error> {
    let row = key::store_key();
    let found = kv.get(&row).await?.ok_or_else(|| Error::Damaged(NO_STORE_KEY.to_owned()))?;
    Ok(Condition::Unchanged(row, found.revision))
}

fn new_record(
    master: &MasterKeys,
    key_id: &str,
    (appid, created, description): (u64, i64, String),
) -> Result<KmsKeyRecord, Error> {
    let versions = vec![new_material(master, key_id).map_err(KeyError::from)?];
    Ok(KmsKeyRecord { appid, created, description, state: KmsKeyState::Enabled, versions })
}

#[async_trait]
impl KeyTable for Table {
    async fn find(&self, key_id: &str) -> Result<Option<StoredKey>, KmsError> {
        let record = self.read(key_id).await.map_err(unreadable)?;
        Ok(record.map(|record| StoredKey {
            appid: record.appid,
            enabled: record.state == KmsKeyState::Enabled,
            versions: record.versions,
        }))
    }

    async fn default_key(&self, appid: u64) -> Result<String, KmsError> {
        for _ in 0..ATTEMPTS_MAX {
            match self.find_default(appid).await.map_err(unreadable)? {
                Ok(key_id) => return Ok(key_id),
                Err(none) => self.make_default(appid, none).await.map_err(unreadable)?,
            }
        }
        Err(unreadable("the default key cannot be made"))
    }
}

impl Store {
    /// Makes a key of the built-in key management for an account.
    ///
    /// # Errors
    /// [`Error::TooManyKeys`], [`Error::Busy`].
    pub async fn add_kms_key(&self, appid: u64, description: String) -> Result<KmsKey, Error> {
        self.require_room()?;
        if self.kms_keys(Some(appid)).await?.len() >= KMS_KEYS_MAX {
            return Err(Error::TooManyKeys);
        }
        let key_id = new_key_id(self.random())?;
        let created = (self.now() / 1_000_000).cast_signed();
        let row = key::kms_key(&key_id);
        for _ in 0..ATTEMPTS_MAX {
            let unchanged = master_unchanged(self.kv()).await?;
            let master = &self.inner.options.master;
            let record = new_record(master, &key_id, (appid, created, description.clone()))?;
            let commit = Commit {
                conditions: vec![unchanged, Condition::Absent(row.clone())],
                writes: vec![record.put(row.clone())?],
            };
            match self.kv().commit(commit).await? {
                Outcome::Committed(_) => return Ok(KmsKey::of(key_id, record, false)),
                Outcome::Conflict => {}
                Outcome::Unknown => return Err(Error::Unknown),
            }
        }
        Err(Error::Busy)
    }

    /// Whether new objects find their keys in the built-in key management.
    pub fn keeps_kms_keys(&self) -> bool {
        self.inner.options.kms.is_none()
    }

    /// The keys of an account, or all of them.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn kms_keys(&self, appid: Option<u64>) -> Result<Vec<KmsKey>, Error> {
        let mut keys = Vec::new();
        for (row, record, _) in self.kms_rows().await? {
            let Some(key_id) = key::kms_key_id_of(&row) else { continue };
            if appid.is_none_or(|appid| appid == record.appid) && !record.is_gone(self.now()) {
                let default = self.kms_default(record.appid).await?;
                let is_default = default.as_ref() == Some(&key_id);
                keys.push(KmsKey::of(key_id, record, is_default));
            }
        }
        Ok(keys)
    }

    /// A key by its id.
    ///
    /// # Errors
    /// [`Error::NoSuchKmsKey`].
    pub async fn kms_key(&self, key_id: &str) -> Result<KmsKey, Error> {
        let (record, _) = self.kms_row(key_id).await?;
        let is_default = self.kms_default(record.appid).await?.as_deref() == Some(key_id);
        Ok(KmsKey::of(key_id.to_owned(), record, is_default))
    }

    /// Switches a key on or off; to switch it on saves what is to be deleted.
    ///
    /// # Errors
    /// [`Error::NoSuchKmsKey`], [`Error::Busy`], [`Error::Unknown`]; [`Error::KmsKeyState`] if it is to be
    /// switched off and waits to be deleted: it is of no use already.
    pub async fn set_kms_key_enabled(&self, key_id: &str, enabled: bool) -> Result<(), Error> {
        self.edit_kms_key(key_id, |record| {
            record.state = match (enabled, record.state) {
                (true, _) => KmsKeyState::Enabled,
                (false, KmsKeyState::PendingDeletion(_)) => return Err(Error::KmsKeyState),
                (false, _) => KmsKeyState::Disabled,
            };
            Ok(())
        })
        .await
    }

    /// Has a key go after so many microseconds, and with it all that is encrypted under it. Until then it is
    /// of no use, and can be switched on again.
    ///
    /// # Errors
    /// As for [`set_kms_key_enabled`](Self::set_kms_key_enabled).
    pub async fn schedule_kms_key_deletion(&self, key_id: &str, after: u64) -> Result<(), Error> {
        let at = self.now().saturating_add(after);
        self.edit_kms_key(key_id, |record| {
            record.state = KmsKeyState::PendingDeletion(at);
            Ok(())
        })
        .await
    }

    /// Gives a key a new version: new objects are encrypted under that one, and older ones stay readable.
    ///
    /// # Errors
    /// As for [`set_kms_key_enabled`](Self::set_kms_key_enabled); [`Error::KmsKeyState`] unless the key is
    /// enabled, [`Error::TooManyKeys`].
    pub async fn rotate_kms_key(&self, key_id: &str) -> Result<(), Error> {
        let master = Arc::clone(&self.inner.options.master);
        self.edit_kms_key(key_id, |record| {
            if record.state != KmsKeyState::Enabled {
                return Err(Error::KmsKeyState);
            }
            if record.versions.len() >= VERSIONS_MAX {
                return Err(Error::TooManyKeys);
            }
            record.versions.push(new_material(&master, key_id).map_err(KeyError::from)?);
            Ok(())
        })
        .await
    }

    /// Takes away the keys whose time has come; returns how many.
    ///
    /// # Errors
    /// If they cannot be read, or written.
    pub async fn delete_kms_keys(&self) -> Result<usize, Error> {
        let mut deleted = 0;
        for (row, record, revision) in self.kms_rows().await? {
            if !record.is_gone(self.now()) {
                continue;
            }
            let mut conditions = vec![Condition::Unchanged(row.clone(), revision)];
            let mut writes = vec![Write::Delete(row.clone())];
            // The next object that names no key has a new default one made.
            let default = key::kms_default(record.appid);
            if let Some(found) = self.kv().get(&default).await? {
                let named = KmsDefaultRecord::decode(&default, &found.value)?.key_id;
                if key::kms_key(&named) == row {
                    conditions.push(Condition::Unchanged(default.clone(), found.revision));
                    writes.push(Write::Delete(default));
                }
            }
            let commit = Commit { conditions, writes };
            if let Outcome::Committed(_) = self.kv().commit(commit).await? {
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Seals whatever is sealed under a former master key under the current one, row by row; `watch` is told
    /// after each. What was done stays done, so that it may be broken off and begun again.
    ///
    /// # Errors
    /// If rows cannot be read, or written.
    pub async fn rewrap_under_master(
        &self,
        mut watch: impl FnMut(MasterRewrap) + Send,
    ) -> Result<MasterRewrap, Error> {
        let mut progress = MasterRewrap::default();
        let row = key::store_key();
        let master = Arc::clone(&self.inner.options.master);
        if let Some(found) = self.kv().get(&row).await? {
            let record = StoreKeyRecord::decode(&row, &found.value)?;
            let sealed = master.rewrap(STORE_KEY, &record.sealed);
            let write = |sealed| StoreKeyRecord { sealed }.put(row.clone());
            self.rewrap_row(
                sealed.map(|new| new.map(write)),
                (&row, found.revision),
                &mut progress,
            )
            .await?;
            watch(progress);
        }
        for (row, record, revision) in self.kms_rows().await? {
            let Some(key_id) = key::kms_key_id_of(&row) else { continue };
            let mut versions = Vec::with_capacity(record.versions.len());
            let mut changed = false;
            let mut lost = None;
            for sealed in &record.versions {
                match BuiltIn::rewrap(&master, &key_id, sealed) {
                    Ok(None) => versions.push(sealed.clone()),
                    Ok(Some(anew)) => {
                        versions.push(anew);
                        changed = true;
                    }
                    Err(error) => lost = Some(error),
                }
            }
            let anew = KmsKeyRecord { versions, ..record };
            let new = match lost {
                Some(error) => Err(error),
                None => Ok(changed.then(|| anew.put(row.clone()))),
            };
            self.rewrap_row(new, (&row, revision), &mut progress).await?;
            watch(progress);
        }
        Ok(progress)
    }

    async fn rewrap_row(
        &self,
        new: Result<Option<Result<Write, Error>>, cosine_crypt::SealError>,
        (row, revision): (&[u8], Revision),
        progress: &mut MasterRewrap,
    ) -> Result<(), Error> {
        progress.seen += 1;
        match new {
            Err(_) => progress.lost += 1,
            Ok(None) => {}
            Ok(Some(write)) => {
                let commit = Commit {
                    conditions: vec![Condition::Unchanged(row.to_vec(), revision)],
                    writes: vec![write?],
                };
                match self.kv().commit(commit).await? {
                    Outcome::Committed(_) => progress.rewrapped += 1,
                    // Somebody changed it meanwhile, under the current key or not.
                    Outcome::Conflict => return Err(Error::Busy),
                    Outcome::Unknown => return Err(Error::Unknown),
                }
            }
        }
        Ok(())
    }

    async fn kms_default(&self, appid: u64) -> Result<Option<String>, Error> {
        let record: Option<KmsDefaultRecord> = self.read_record(key::kms_default(appid)).await?;
        Ok(record.map(|record| record.key_id))
    }

    async fn kms_row(&self, key_id: &str) -> Result<(KmsKeyRecord, Condition), Error> {
        let row = key::kms_key(key_id);
        let found = self.kv().get(&row).await?.ok_or(Error::NoSuchKmsKey)?;
        let record = KmsKeyRecord::decode(&row, &found.value)?;
        match record.is_gone(self.now()) {
            true => Err(Error::NoSuchKmsKey),
            false => Ok((record, Condition::Unchanged(row, found.revision))),
        }
    }

    async fn kms_rows(&self) -> Result<Vec<(Vec<u8>, KmsKeyRecord, Revision)>, Error> {
        let mut rows = Vec::new();
        let mut scan = Scan::prefix(&key::kms_keys(), PAGE);
        loop {
            let page = self.kv().scan(scan.clone()).await?;
            for found in page.found {
                let Found::Row(row, found) = found else { continue };
                let record = KmsKeyRecord::decode(&row, &found.value)?;
                scan.start = after(&row);
                rows.push((row, record, found.revision));
            }
            if !page.more {
                return Ok(rows);
            }
        }
    }

    async fn edit_kms_key(
        &self,
        key_id: &str,
        mut change: impl FnMut(&mut KmsKeyRecord) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.require_room()?;
        for _ in 0..ATTEMPTS_MAX {
            let (mut record, unchanged) = self.kms_row(key_id).await?;
            change(&mut record)?;
            let write = record.put(key::kms_key(key_id))?;
            let commit = Commit { conditions: vec![unchanged], writes: vec![write] };
            match self.kv().commit(commit).await? {
                Outcome::Committed(_) => return Ok(()),
                Outcome::Conflict => {}
                Outcome::Unknown => return Err(Error::Unknown),
            }
        }
        Err(Error::Busy)
    }
}

impl KmsKey {
    fn of(key_id: String, record: KmsKeyRecord, is_default: bool) -> Self {
        let KmsKeyRecord { appid, created, description, state, versions } = record;
        Self { key_id, appid, created, description, state, versions: versions.len(), is_default }
    }
}
