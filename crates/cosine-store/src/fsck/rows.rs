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
use super::{Check, Flaw, Progress, Walk, Watch, hex};

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
                        self.record_flaw(&key, &error);
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
        match key.first() {
            Some(b'b') => self.bucket(key, value).await,
            Some(b'c') => self.content(key, value).await,
            Some(b'd') => self.doomed(key, value),
            Some(b'f') => self.fence(key, value),
            Some(b'h') => self.head(key, value).await,
            Some(b'i') => self.inline(key).await,
            Some(b'k') => self.version(key, value).await,
            Some(b'm') => self.of_the_store(key, value),
            Some(b'o') => self.over(key, value),
            Some(b'q') => ReleasedRecord::decode(key, value).map(drop),
            Some(b'r') => self.reference(key, value).await,
            Some(b's') => self.acl(key, value),
            Some(b't') => HeartbeatRecord::decode(key, value).map(drop),
            Some(b'x') => self.damage(key, value).await,
            _ => self.stray(key, "nobody knows what it is"),
        }
    }

    fn stray(&mut self, key: &[u8], what: &str) -> Checked {
        self.find(Flaw::StrayRow, hex(key), what.into(), Mend::No);
        Ok(())
    }

    async fn is_there(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.kv.get(key).await?.is_some())
    }

    fn of_the_store(&mut self, key: &[u8], value: &[u8]) -> Checked {
        match key {
            _ if key == key::store() => StoreRecord::decode(key, value).map(drop),
            _ if key == key::ledger() => LedgerRecord::decode(key, value).map(drop),
            _ if key == key::scrub() => ScrubRecord::decode(key, value).map(drop),
            _ => self.stray(key, "nobody knows what it is"),
        }
    }

    async fn bucket(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let record = BucketRecord::decode(key, value)?;
        let name = String::from_utf8_lossy(key::bucket_name(key)).into_owned();
        self.report.counts.buckets += 1;
        let acl = key::bucket_acl(record.uid);
        if !self.is_there(&acl).await? {
            let mend = BucketAclRecord { acl: BucketAcl::Private }.put(acl)?;
            let what = "its ACL is missing: private will do".into();
            self.find(Flaw::StaleRow, name.clone(), what, Mend::Write(vec![mend]));
        }
        self.buckets.insert(record.uid, name);
        Ok(())
    }

    fn acl(&mut self, key: &[u8], value: &[u8]) -> Checked {
        BucketAclRecord::decode(key, value)?;
        let bucket = key.get(1..17).and_then(|uid| uid.try_into().ok()).map(Uid);
        if bucket.is_none_or(|bucket| !self.buckets.contains_key(&bucket)) {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), "the ACL of no bucket".into(), mend);
        }
        Ok(())
    }

    /// Where a head or a version is, in words; finds a flaw if its bucket does not exist.
    fn place(&mut self, key: &[u8]) -> Result<Option<String>, Error> {
        let Some((bucket, name)) = key::place_of(key) else {
            return self.stray(key, "its object key is none").map(|()| None);
        };
        let Some(bucket) = self.buckets.get(&bucket) else {
            return self.stray(key, "it is in no bucket").map(|()| None);
        };
        Ok(Some(format!("{bucket}/{name}")))
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
        let mend = Mend::Mark(version.content, what.into());
        self.find(Flaw::DamagedObject, place, what.into(), mend);
        Ok(())
    }

    async fn content(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let uid = key::content_uid(key).ok_or_else(|| Error::Damaged("no uid".into()))?;
        let content = ContentRecord::decode(key, value)?;
        self.report.counts.contents += 1;
        self.report.counts.content_bytes += content.size;
        let references = Walk::new(self.kv, &key::content_references(uid)).next().await?;
        let released = key::released(uid);
        if references.is_empty() && !self.is_there(&released).await? {
            let mend = Mend::Write(vec![ReleasedRecord { at: 0 }.put(released)?]);
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
        let (kind, target, owner) =
            key::reference_of(key).ok_or_else(|| Error::Damaged("it refers to nothing".into()))?;
        if kind == b'c' {
            self.counted += 1;
        } else {
            let blob = cosine_blob::BlobId(target);
            let content = key::content(owner);
            let refers = match self.kv.get(&content).await? {
                None => false,
                Some(row) => match ContentRecord::decode(&content, &row.value) {
                    Ok(ContentRecord { body: Body::Extents(extents), .. }) => {
                        extents.iter().any(|extent| extent.blob() == blob)
                    }
                    Ok(_) => false,
                    Err(_) => true, // told of with the content; what it needs stays
                },
            };
            if !refers {
                let doom = DoomedRecord { bytes: 0 }.put(key::doomed(0, blob, Some(owner)))?;
                let mend = Mend::Write(vec![Write::Delete(key.to_vec()), doom]);
                let what = format!("a reference from content {owner}, which does not refer to it");
                self.find(Flaw::StrayReference, format!("blob {blob}"), what, mend);
            }
        }
        match ReferenceRecord::decode(key, value) {
            Err(error @ Error::Damaged(_)) => {
                let mend = Mend::Write(vec![ReferenceRecord {}.put(key.to_vec())?]);
                self.find(Flaw::DamagedRecord, hex(key), error.to_string(), mend);
                Ok(())
            }
            decoded => decoded.map(drop),
        }
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
                match Version::decode(&key, &row.value) {
                    Ok(version) => owners.insert((version.content, version.uid)),
                    Err(_) => return Ok(()), // it may be the owner of any
                };
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
                    let released = ReleasedRecord { at: 0 }.put(key::released(content))?;
                    let mend = Mend::Write(vec![Write::Delete(key), released]);
                    let what = format!("a reference from version {owner}, which does not exist");
                    self.find(Flaw::StrayReference, format!("content {content}"), what, mend);
                }
            }
        }
    }

    fn doomed(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let (_, blob) = key::doom_of(key).ok_or_else(|| Error::Damaged("no blob".into()))?;
        self.doomed.insert(blob);
        DoomedRecord::decode(key, value).map(drop)
    }

    fn fence(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.runs.extend(key::run_of(key));
        FenceRecord::decode(key, value).map(drop)
    }

    fn over(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.runs.extend(key::run_of(key));
        OverRecord::decode(key, value).map(drop)
    }

    async fn damage(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let record = DamageRecord::decode(key, value)?;
        let uid = key::content_uid(key).ok_or_else(|| Error::Damaged("no uid".into()))?;
        let referenced =
            !Walk::new(self.kv, &key::content_references(uid)).next().await?.is_empty();
        if referenced {
            for (bucket, name, _) in record.objects {
                let what = format!("known to be damaged: {}", record.what);
                self.find(Flaw::DamagedObject, format!("{bucket}/{name}"), what, Mend::No);
            }
        } else {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            let what = "the damage of a content that nobody refers to".into();
            self.find(Flaw::StaleRow, format!("content {uid}"), what, mend);
        }
        Ok(())
    }
}

/// The key of the row of another kind for the same thing.
fn with_prefix(prefix: u8, key: &[u8]) -> Vec<u8> {
    [&[prefix], key.get(1..).unwrap_or_default()].concat()
}
