//! Buckets, heads, versions and delete markers.

use cosine_access::BucketAcl;
use cosine_kv::Write;

use crate::id::Uid;
use crate::record::{
    BucketAclRecord, BucketPolicyRecord, BucketRecord, ContentRecord, HeadRecord, OldVersion,
    PolicyTextRecord, Record, Version, VersionId,
};
use crate::{Error, ObjectKey, key};

use super::recode::recode_row;
use super::repair::Mend;
use super::rows::Checked;
use super::{Check, Flaw, Walk, hex};

impl Check<'_> {
    pub(super) async fn bucket(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.report.counts.buckets += 1;
        let record = BucketRecord::decode(key, value).inspect_err(|_| self.bucket_unread = true)?;
        let name = String::from_utf8_lossy(key::bucket_name(key)).into_owned();
        let acl = key::bucket_acl(record.uid);
        if !self.is_there(&acl).await? {
            let mend = BucketAclRecord { acl: BucketAcl::Private }.put(acl)?;
            let what = "its ACL is missing: private will do".into();
            self.find(Flaw::StaleRow, name.clone(), what, Mend::Write(vec![mend]));
        }
        if let Some(other) = self.buckets.insert(record.uid, name) {
            return self.stray(key, &format!("its uid is that of {other}"));
        }
        Ok(())
    }

    /// The ACL, the policy or the CORS rules of a bucket.
    pub(super) async fn setting(&mut self, key: &[u8], value: &[u8]) -> Checked {
        recode_row(key, value)?;
        let bucket = key.get(1..17).and_then(|uid| uid.try_into().ok()).map(Uid);
        let is_known = |bucket| self.buckets.contains_key(&bucket) || self.bucket_unread;
        if !bucket.is_some_and(is_known) {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), "a setting of no bucket".into(), mend);
        } else if key::setting_of(key) == b"policy"
            && let Some(bucket) = bucket
        {
            self.policy(key, value, bucket).await?;
        }
        Ok(())
    }

    /// A policy without its text lets nobody in, and nobody but its owner can set another.
    async fn policy(&mut self, key: &[u8], value: &[u8], bucket: Uid) -> Checked {
        let version = BucketPolicyRecord::decode(key, value)?.version;
        let text = self.kv.get(&key::policy_text(bucket)).await?;
        let text = text
            .and_then(|row| PolicyTextRecord::decode(&key::policy_text(bucket), &row.value).ok());
        match text {
            Some(text) if text.version == version => Ok(()),
            _ => self.stray(key, "the text of the policy is another one, or missing"),
        }
    }

    /// Where a row is that belongs to a key of a bucket, in words; finds a flaw if the bucket does not
    /// exist.
    pub(super) fn place(
        &mut self,
        key: &[u8],
        uid: Uid,
        name: &str,
    ) -> Result<Option<String>, Error> {
        match self.buckets.get(&uid) {
            Some(bucket) => Ok(Some(format!("{bucket}/{name}"))),
            None if self.bucket_unread => Ok(Some(format!("{uid}/{name}"))),
            None => self.stray(key, "it is in no bucket").map(|()| None),
        }
    }

    pub(super) async fn head(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let head = HeadRecord::decode(key, value)?;
        let Some((bucket, name)) = key::place_of(key) else { return Ok(()) };
        let Some(place) = self.place(key, bucket, &name)? else { return Ok(()) };
        let name = ObjectKey::stored(name);
        if !self.has_null(bucket, &name, &head).await? {
            let null = self.head_of(bucket, &name).await?.null;
            let mend = HeadRecord { null, ..head }.put(key.to_vec())?;
            let what = "it knows a null version that is not there".into();
            self.find(Flaw::StaleRow, place.clone(), what, Mend::Write(vec![mend]));
        }
        if self.is_there(&key::current(bucket, &name)).await? {
            return Ok(());
        }
        // Without a current version, the newest is a delete marker.
        let mut olds = Walk::new(self.kv, &key::olds_of(bucket, &name));
        let (what, writes) = match olds.next().await?.into_iter().next() {
            None => ("a head without a version", vec![Write::Delete(key.to_vec())]),
            Some((row, found)) => match OldVersion::decode(&row, &found.value) {
                Ok(OldVersion::Version(version)) => (
                    "its newest version is not the current one",
                    vec![version.put(key::current(bucket, &name))?, Write::Delete(row)],
                ),
                _ => return Ok(()),
            },
        };
        self.find(Flaw::StaleRow, place, what.into(), Mend::Write(writes));
        Ok(())
    }

    /// Whether there is a version where the head has the null version.
    async fn has_null(
        &self,
        bucket: Uid,
        name: &ObjectKey,
        head: &HeadRecord,
    ) -> Result<bool, Error> {
        let Some(null) = head.null else { return Ok(true) };
        let current = key::current(bucket, name);
        if let Some(found) = self.kv.get(&current).await?
            // One that cannot be read may be it.
            && Version::decode(&current, &found.value).map_or(true, |found| found.order == null)
        {
            return Ok(true);
        }
        self.is_there(&key::old(bucket, name, null)).await
    }

    pub(super) async fn version(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let version = Version::decode(key, value)?;
        self.report.counts.versions += 1;
        let Some((bucket, name)) = key::place_of(key) else { return Ok(()) };
        let Some(place) = self.place(key, bucket, &name)? else { return Ok(()) };
        let name = ObjectKey::stored(name);
        self.under_head(bucket, &name, (version.order, version.null), &place).await?;
        self.bytes_of(&version, place).await
    }

    pub(super) async fn old(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let old = OldVersion::decode(key, value)?;
        let Some((bucket, name, _)) = key::old_of(key) else { return Ok(()) };
        let Some(place) = self.place(key, bucket, &name)? else { return Ok(()) };
        let name = ObjectKey::stored(name);
        let current = self.current(bucket, &name).await?;
        if current.is_some_and(|current| current.order <= old.order()) {
            self.stray(key, "it is not older than the current version")?;
        }
        match old {
            OldVersion::Marker(marker) => {
                self.report.counts.delete_markers += 1;
                self.under_head(bucket, &name, (marker.order, marker.null), &place).await
            }
            OldVersion::Version(version) => {
                self.report.counts.versions += 1;
                self.under_head(bucket, &name, (version.order, version.null), &place).await?;
                self.bytes_of(&version, place).await
            }
        }
    }

    /// That the head of a key knows of a version of it.
    async fn under_head(
        &mut self,
        bucket: Uid,
        name: &ObjectKey,
        (order, null): (u64, bool),
        place: &str,
    ) -> Checked {
        let row = key::head(bucket, name);
        let head = match self.kv.get(&row).await? {
            Some(found) => HeadRecord::decode(&row, &found.value).ok(),
            None => None,
        };
        let knows =
            head.is_some_and(|head| head.newest >= order && (head.null == Some(order)) == null);
        if !knows {
            let mend = Mend::Write(vec![self.head_of(bucket, name).await?.put(row)?]);
            let what = "its head is missing, or does not know of it".into();
            self.find(Flaw::StaleRow, place.to_owned(), what, mend);
        }
        Ok(())
    }

    /// The head that a key should have.
    async fn head_of(&self, bucket: Uid, name: &ObjectKey) -> Result<HeadRecord, Error> {
        let mut head = HeadRecord { newest: 0, null: None };
        let mut know = |order: u64, null: bool| {
            head.newest = head.newest.max(order);
            if null {
                head.null = Some(order);
            }
        };
        if let Some(version) = self.current(bucket, name).await? {
            know(version.order, version.null);
        }
        let mut olds = Walk::new(self.kv, &key::olds_of(bucket, name));
        loop {
            let rows = olds.next().await?;
            if rows.is_empty() {
                return Ok(head);
            }
            for (row, found) in rows {
                if let Ok(old) = OldVersion::decode(&row, &found.value) {
                    know(old.order(), old.id() == VersionId::Null);
                }
            }
        }
    }

    /// The current version of a key, if there is one that can be read.
    async fn current(&self, bucket: Uid, name: &ObjectKey) -> Result<Option<Version>, Error> {
        let row = key::current(bucket, name);
        let found = self.kv.get(&row).await?;
        Ok(found.and_then(|found| Version::decode(&row, &found.value).ok()))
    }

    /// That a version has its reference and its content.
    async fn bytes_of(&mut self, version: &Version, place: String) -> Checked {
        self.holds(version.content, version.uid, &place).await?;
        let content = key::content(version.content);
        let what = match self.kv.get(&content).await? {
            None => "its content is missing",
            Some(row) => match ContentRecord::decode(&content, &row.value) {
                Ok(content) => match not_of(version, &content) {
                    None => return Ok(()),
                    Some(what) => what,
                },
                Err(_) => return Ok(()), // told of with the content
            },
        };
        if self.is_there(&key::damage(version.content)).await? {
            return Ok(()); // told of there
        }
        let mend = Mend::Mark(version.content, what.into());
        self.find(Flaw::DamagedObject, place, what.into(), mend);
        Ok(())
    }
}

/// Why a version cannot be of a content, if it cannot. Checksums of sealed bytes are sealed, and are not
/// looked at.
fn not_of(version: &Version, content: &ContentRecord) -> Option<&'static str> {
    let crc64 = version.sums.clear().map(|sums| sums.crc64);
    let other = crc64.zip(content.sums.clear()).is_some_and(|(crc64, sums)| crc64 != sums.crc64);
    if other || content.size != version.size {
        return Some("its content has another length or checksum");
    }
    let key = version.content_key.as_ref().map(|key| key.uid);
    match content.content_key {
        Some(wanted) if key != Some(wanted) => Some("it lacks the key of its content"),
        _ => None,
    }
}
