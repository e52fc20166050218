//! Every row: that it can be read, and that what it speaks of is so.

use std::collections::BTreeSet;

use cosine_kv::{Row, Write};

use crate::id::Uid;
use crate::record::{
    Body, BucketAcl, BucketAclRecord, BucketRecord, ContentRecord, DamageRecord, DoomedRecord,
    FenceRecord, HeadRecord, HeartbeatRecord, LedgerRecord, OverRecord, Record, ReferenceRecord,
    ReleasedRecord, ScrubRecord, StoreRecord, Version,
};
use crate::{Error, key};

use super::repair::Mend;
use super::{Check, Flaw, Progress, Walk, Watch, hex, names_of};

/// The rows of one key, in the order of their prefixes: buckets come before what is in them.
type Checked = Result<(), Error>;

impl Check<'_> {
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
        if self.counted != self.held {
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
            Some(b'f') => self.fence(key, value).await,
            Some(b'h') => self.head(key, value).await,
            Some(b'i') => self.inline(key).await,
            Some(b'k') => self.version(key, value).await,
            Some(b'm') => of_the_store(key, value),
            Some(b'o') => self.over(key, value),
            Some(b'q') => self.released(key, value).await,
            Some(b'r') => self.reference(key, value).await,
            Some(b's') => self.acl(key, value),
            Some(b't') => self.heartbeat(key, value).await,
            _ => self.damage(key, value).await,
        }
    }

    fn stray(&mut self, key: &[u8], what: &str) -> Checked {
        self.find(Flaw::StrayRow, hex(key), what.into(), Mend::No);
        Ok(())
    }

    async fn is_there(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.kv.get(key).await?.is_some())
    }

    async fn bucket(&mut self, key: &[u8], value: &[u8]) -> Checked {
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

    fn acl(&mut self, key: &[u8], value: &[u8]) -> Checked {
        BucketAclRecord::decode(key, value)?;
        let bucket = key.get(1..17).and_then(|uid| uid.try_into().ok()).map(Uid);
        let is_known = |bucket| self.buckets.contains_key(&bucket) || self.bucket_unread;
        if !bucket.is_some_and(is_known) {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), "the ACL of no bucket".into(), mend);
        }
        Ok(())
    }

    /// Where a head or a version is, in words; finds a flaw if its bucket does not exist.
    fn place(&mut self, key: &[u8]) -> Result<Option<String>, Error> {
        let Some((uid, name)) = key::place_of(key) else { return Ok(None) };
        match self.buckets.get(&uid) {
            Some(bucket) => Ok(Some(format!("{bucket}/{name}"))),
            None if self.bucket_unread => Ok(Some(format!("{uid}/{name}"))),
            None => self.stray(key, "it is in no bucket").map(|()| None),
        }
    }

    async fn head(&mut self, key: &[u8], value: &[u8]) -> Checked {
        HeadRecord::decode(key, value)?;
        let Some(place) = self.place(key)? else { return Ok(()) };
        if !self.is_there(&with_prefix(b'k', key)).await? {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, place, "a head without a version".into(), mend);
        }
        Ok(())
    }

    async fn version(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let version = Version::decode(key, value)?;
        self.report.counts.versions += 1;
        let Some(place) = self.place(key)? else { return Ok(()) };
        let head = with_prefix(b'h', key);
        let newest = match self.kv.get(&head).await? {
            Some(row) => HeadRecord::decode(&head, &row.value).map_or(0, |head| head.newest),
            None => 0,
        };
        if newest < version.order {
            let mend = Mend::Write(vec![HeadRecord { newest: version.order }.put(head)?]);
            let what = "its head is missing or older than it is".into();
            self.find(Flaw::StaleRow, place.clone(), what, mend);
        }
        let reference = key::content_reference(version.content, version.uid);
        if self.is_there(&reference).await? {
            self.held += 1;
        } else {
            let mend = Mend::Write(vec![ReferenceRecord {}.put(reference)?]);
            let what = "its reference to its content is missing".into();
            self.find(Flaw::MissingReference, place.clone(), what, mend);
        }
        let content = key::content(version.content);
        let what = match self.kv.get(&content).await? {
            None => "its content is missing",
            Some(row) => match ContentRecord::decode(&content, &row.value) {
                Ok(content) if (content.size, content.crc64) == (version.size, version.crc64) => {
                    return Ok(());
                }
                Ok(_) => "its content has another length or checksum",
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

    async fn content(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let Some(uid) = key::content_uid(key) else { return Ok(()) };
        let content = ContentRecord::decode(key, value)?;
        self.report.counts.contents += 1;
        self.report.counts.content_bytes += content.size;
        let references = Walk::new(self.kv, &key::content_references(uid)).next().await?;
        let released = key::released(uid);
        if references.is_empty() && !self.is_there(&released).await? {
            let mend = Mend::Write(vec![ReleasedRecord { at: self.now }.put(released)?]);
            let what = "nobody refers to it, and the collector does not know".into();
            self.find(Flaw::StaleRow, format!("content {uid}"), what, mend);
        }
        let Body::Extents(extents) = content.body else { return Ok(()) };
        for blob in extents.iter().map(|extent| extent.blob()).collect::<BTreeSet<_>>() {
            let reference = key::blob_reference(blob, uid);
            if !self.is_there(&reference).await? {
                let mend = Mend::Write(vec![ReferenceRecord {}.put(reference)?]);
                let what = format!("its reference to blob {blob} is missing");
                self.find(Flaw::MissingReference, format!("content {uid}"), what, mend);
            }
        }
        Ok(())
    }

    async fn inline(&mut self, key: &[u8]) -> Checked {
        let content = with_prefix(b'c', key);
        match self.kv.get(&content).await? {
            Some(row) => match ContentRecord::decode(&content, &row.value) {
                Ok(ContentRecord { body: Body::Extents(_), .. }) => {
                    self.stray(key, "inline bytes of a content that has none")
                }
                _ => Ok(()),
            },
            None => self.stray(key, "inline bytes of no content"),
        }
    }

    async fn reference(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.report.counts.references += 1;
        let Some((kind, target, owner)) = key::reference_of(key) else { return Ok(()) };
        if kind == b'c' {
            self.counted += 1;
        } else {
            let blob = cosine_blob::BlobId(target);
            let content = key::content(owner);
            let refers = match self.kv.get(&content).await? {
                // A lost content is told of with its versions; what it needs stays.
                None => {
                    !Walk::new(self.kv, &key::content_references(owner)).next().await?.is_empty()
                }
                Some(row) => match ContentRecord::decode(&content, &row.value) {
                    Ok(ContentRecord { body: Body::Extents(extents), .. }) => {
                        extents.iter().any(|extent| extent.blob() == blob)
                    }
                    Ok(_) => false,
                    Err(_) => true, // told of with the content; what it needs stays
                },
            };
            if !refers {
                let doomed = key::doomed(self.now, blob, Some(owner));
                let doom = DoomedRecord { bytes: 0 }.put(doomed)?;
                let mend = Mend::Write(vec![Write::Delete(key.to_vec()), doom]);
                let what = format!("a reference from content {owner}, which does not refer to it");
                self.find(Flaw::StrayReference, format!("blob {blob}"), what, mend);
            }
        }
        ReferenceRecord::decode(key, value).map(drop)
    }

    /// Some reference to a content has no owner. To find it, all owners are needed at once.
    async fn find_stray_references(&mut self) -> Checked {
        let mut owners = BTreeSet::new();
        let mut versions = Walk::new(self.kv, b"k");
        loop {
            let rows = versions.next().await?;
            if rows.is_empty() {
                break;
            }
            for (key, row) in rows {
                // One that cannot be read may be the owner of any.
                let Ok(version) = Version::decode(&key, &row.value) else { return Ok(()) };
                if !owners.insert((version.content, version.uid)) {
                    self.stray(&key, "another version has its uid")?;
                }
            }
        }
        let mut references = Walk::new(self.kv, b"rc");
        loop {
            let rows = references.next().await?;
            if rows.is_empty() {
                return Ok(());
            }
            for (key, _) in rows {
                let Some((_, content, owner)) = key::reference_of(&key) else { continue };
                let content = Uid(content);
                if !owners.contains(&(content, owner)) {
                    let mut writes = vec![Write::Delete(key)];
                    if self.is_there(&key::content(content)).await? {
                        let released = key::released(content);
                        writes.push(ReleasedRecord { at: self.now }.put(released)?);
                    }
                    let mend = Mend::Write(writes);
                    let what = format!("a reference from version {owner}, which does not exist");
                    self.find(Flaw::StrayReference, format!("content {content}"), what, mend);
                }
            }
        }
    }

    fn doomed(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.doomed.extend(key::doom_of(key).map(|(_, blob)| blob));
        DoomedRecord::decode(key, value).map(drop)
    }

    async fn released(&mut self, key: &[u8], value: &[u8]) -> Checked {
        if !self.is_there(&with_prefix(b'c', key)).await? {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), "no content that lost a reference".into(), mend);
        }
        ReleasedRecord::decode(key, value).map(drop)
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

/// A row that a store has one of.
fn of_the_store(key: &[u8], value: &[u8]) -> Checked {
    match key {
        _ if key == key::ledger() => LedgerRecord::decode(key, value).map(drop),
        _ if key == key::scrub() => ScrubRecord::decode(key, value).map(drop),
        _ => StoreRecord::decode(key, value).map(drop),
    }
}

/// The key of the row of another kind for the same thing.
fn with_prefix(prefix: u8, key: &[u8]) -> Vec<u8> {
    [&[prefix], key.get(1..).unwrap_or_default()].concat()
}
