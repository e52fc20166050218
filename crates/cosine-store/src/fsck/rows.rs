//! Every row: that it can be read, and that what it speaks of is so.

use cosine_kv::{Row, Write};

use crate::record::{DamageRecord, DoomedRecord, FenceRecord, HeartbeatRecord, OverRecord, Record};
use crate::{Error, key};

use super::recode::recode_row;
use super::repair::Mend;
use super::{Check, Flaw, Progress, Walk, Watch, hex, names_of};

/// What is wrong is found, and not returned: an error is one of the engines, or of the row that is looked at.
pub(super) type Checked = Result<(), Error>;

impl Check<'_> {
    /// In the order of their prefixes: buckets come before what is in them.
    pub(super) async fn check_rows(&mut self, watch: Watch<'_>) -> Checked {
        let mut walk = Walk::new(self.kv, b"");
        loop {
            let rows = walk.next().await?;
            if rows.is_empty() {
                break;
            }
            for (key, row) in rows {
                self.report.counts.rows += 1;
                match self.check_row(&key, &row).await {
                    Err(error @ (Error::Damaged(_) | Error::NewerFormat { .. })) => {
                        self.record_flaw(&key, &error)?;
                    }
                    checked => checked?,
                }
            }
            watch(Progress { phase: "metadata", done: self.report.counts.rows, total: None });
        }
        self.find_stray_parts()?;
        if self.counted != self.held && !self.page_missing {
            self.find_stray_references().await?;
        }
        Ok(())
    }

    async fn check_row(&mut self, key: &[u8], row: &Row) -> Checked {
        let value = &row.value[..];
        if !key::is_known(key) {
            return self.stray(key, "nobody knows what it is");
        }
        match key.first() {
            Some(b'b') => self.bucket(key, value).await,
            Some(b'c') => self.content(key, value).await,
            Some(b'd') => self.doomed(key, value),
            Some(b'e') => self.page(key, value).await,
            Some(b'f') => self.fence(key, value).await,
            Some(b'h') => self.head(key, value).await,
            Some(b'i') => self.inline(key).await,
            Some(b'k') => self.version(key, value).await,
            Some(b'm') => recode_row(key, value).map(drop),
            Some(b'o') => self.over(key, value),
            Some(b'p') => self.part(key, value).await,
            Some(b'q') => self.released(key, value).await,
            Some(b'r') => self.reference(key, value).await,
            Some(b's') => self.setting(key, value).await,
            Some(b'a' | b'g' | b'j' | b'l' | b'n' | b'y' | b'z') => self.identity(key, value).await,
            Some(b't') => self.heartbeat(key, value).await,
            Some(b'u') => self.upload(key, value),
            Some(b'v') => self.old(key, value).await,
            Some(b'w') => self.ended(key, value),
            _ => self.damage(key, value).await,
        }
    }

    pub(super) fn stray(&mut self, key: &[u8], what: &str) -> Checked {
        self.find(Flaw::StrayRow, hex(key), what.into(), Mend::No);
        Ok(())
    }

    pub(super) async fn is_there(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.kv.get(key).await?.is_some())
    }

    fn doomed(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.doomed.extend(key::doom_of(key).map(|(_, blob)| blob));
        DoomedRecord::decode(key, value).map(drop)
    }

    async fn fence(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.runs.extend(key::run_of(key));
        let heartbeat = with_prefix(b't', key);
        if !self.is_there(&heartbeat).await? {
            let mend = Mend::Write(vec![HeartbeatRecord { at: 0 }.put(heartbeat)?]);
            self.find(Flaw::StaleRow, hex(key), "a fence without a heartbeat".into(), mend);
        }
        FenceRecord::decode(key, value).map(drop)
    }

    async fn heartbeat(&mut self, key: &[u8], value: &[u8]) -> Checked {
        if !self.is_there(&with_prefix(b'f', key)).await? {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), "a heartbeat without a fence".into(), mend);
        }
        HeartbeatRecord::decode(key, value).map(drop)
    }

    fn over(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.runs.extend(key::run_of(key));
        OverRecord::decode(key, value).map(drop)
    }

    async fn damage(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let record = DamageRecord::decode(key, value)?;
        let Some(uid) = key::content_uid(key) else { return Ok(()) };
        let references = Walk::new(self.kv, &key::content_references(uid)).next().await?;
        if !references.is_empty() {
            let subject = names_of(uid, &record.objects);
            let what = format!("known to be damaged: {}", record.what);
            self.find(Flaw::DamagedObject, subject, what, Mend::No);
        } else if !self.is_there(&key::content(uid)).await? {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            let what = "the damage of a content that is gone".into();
            self.find(Flaw::StaleRow, format!("content {uid}"), what, mend);
        }
        Ok(())
    }
}

/// The key of the row of another kind for the same thing.
pub(super) fn with_prefix(prefix: u8, key: &[u8]) -> Vec<u8> {
    [&[prefix], key.get(1..).unwrap_or_default()].concat()
}
