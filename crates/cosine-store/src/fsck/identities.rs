//! Accounts, users, roles and keys, and default keys of the key management: that what they belong to is
//! there.

use cosine_kv::Write;

use crate::record::{
    AccessKeyRecord, AccountRecord, KmsDefaultRecord, Record, UinRecord, UserRecord,
};
use crate::{Error, key};

use super::recode::recode_row;
use super::repair::Mend;
use super::rows::Checked;
use super::{Check, Flaw, hex};

impl Check<'_> {
    pub(super) async fn identity(&mut self, key: &[u8], value: &[u8]) -> Checked {
        recode_row(key, value)?;
        match key.first() {
            Some(b'a') => self.account(key, value).await,
            Some(b'g') => self.user(key, value).await,
            Some(b'j') => self.default_key(key, value).await,
            Some(b'n') => self.uin(key, value).await,
            Some(b'y') => self.access_key(key, value).await,
            _ => Ok(()),
        }
    }

    async fn account(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let uin = AccountRecord::decode(key, value)?.uin;
        let Some(appid) = key::appid_of(key) else { return Ok(()) };
        self.numbered(key, uin, UinRecord { appid, user: None }).await
    }

    async fn user(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let uin = UserRecord::decode(key, value)?.uin;
        let appid = key.get(..9).and_then(key::appid_of);
        let (Some(appid), user @ Some(_)) = (appid, key::name_of(key)) else { return Ok(()) };
        self.numbered(key, uin, UinRecord { appid, user }).await
    }

    /// That the number of an account or a user is known as its number.
    async fn numbered(&mut self, key: &[u8], uin: u64, record: UinRecord) -> Checked {
        let row = key::uin(uin);
        match self.kv.get(&row).await? {
            Some(found) if UinRecord::decode(&row, &found.value).is_ok_and(|is| is == record) => {
                Ok(())
            }
            Some(_) => self.stray(key, "its number is somebody else's"),
            None => {
                let mend = Mend::Write(vec![record.put(row)?]);
                self.find(Flaw::StaleRow, hex(key), "its number is not listed".into(), mend);
                Ok(())
            }
        }
    }

    async fn uin(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let UinRecord { appid, user } = UinRecord::decode(key, value)?;
        let holder = holder_row(appid, user.as_deref());
        self.needs(key, &holder, "the number of nobody").await
    }

    /// Keys of an account that the settings name have no row that they belong to; no account is made
    /// without its first keys, though, so those of a user alone are looked at.
    async fn access_key(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let record = AccessKeyRecord::decode(key, value)?;
        match record.user {
            Some(user) => {
                let holder = holder_row(record.appid, Some(&user));
                self.needs(key, &holder, "the keys of nobody").await
            }
            None => Ok(()),
        }
    }

    async fn default_key(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let record = KmsDefaultRecord::decode(key, value)?;
        self.needs(key, &key::kms_key(&record.key_id), "a default key that does not exist").await
    }

    async fn needs(&mut self, key: &[u8], holder: &[u8], what: &str) -> Result<(), Error> {
        if !self.is_there(holder).await? {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), what.into(), mend);
        }
        Ok(())
    }
}

fn holder_row(appid: u64, user: Option<&str>) -> Vec<u8> {
    match user {
        Some(name) => key::user(appid, name),
        None => key::account(appid),
    }
}
