//! Contents, their pages and inline bytes, and the references to them.

use std::collections::BTreeSet;

use cosine_blob::BlobId;
use cosine_kv::Write;

use crate::id::Uid;
use crate::record::{
    Body, ContentRecord, DoomedRecord, OldVersion, PageRecord, PartRecord, Record, ReferenceRecord,
    ReleasedRecord, Version,
};
use crate::{Error, key};

use super::repair::Mend;
use super::rows::{Checked, with_prefix};
use super::{Check, Flaw, Walk, hex};

impl Check<'_> {
    pub(super) async fn content(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let Some(uid) = key::content_uid(key) else { return Ok(()) };
        let content = ContentRecord::decode(key, value)?;
        self.report.counts.contents += 1;
        self.report.counts.content_bytes += if content.is_leaf() { content.size } else { 0 };
        let references = Walk::new(self.kv, &key::content_references(uid)).next().await?;
        let released = key::released(uid);
        if references.is_empty() && !self.is_there(&released).await? {
            let mend = Mend::Write(vec![ReleasedRecord { at: self.now }.put(released)?]);
            let what = "nobody refers to it, and the collector does not know".into();
            self.find(Flaw::StaleRow, format!("content {uid}"), what, mend);
        }
        if let (Body::Slices(ends), false) = (&content.body, references.is_empty()) {
            for (number, _) in (0..).zip(ends) {
                self.page_missing |= !self.is_there(&key::page(uid, number)).await?;
            }
        }
        let Some(blob) = content.body.blob() else { return Ok(()) };
        let reference = key::blob_reference(blob, uid);
        if !self.is_there(&reference).await? {
            let mend = Mend::Write(vec![ReferenceRecord {}.put(reference)?]);
            let what = format!("its reference to blob {blob} is missing");
            self.find(Flaw::MissingReference, format!("content {uid}"), what, mend);
        }
        Ok(())
    }

    /// A page of slices: of a content that is made of such, each with its reference.
    pub(super) async fn page(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let Some((uid, number)) = key::page_of(key) else { return Ok(()) };
        let page = PageRecord::decode(key, value)?;
        let content = key::content(uid);
        let belongs = match self.kv.get(&content).await? {
            None => false,
            Some(row) => match ContentRecord::decode(&content, &row.value) {
                Ok(ContentRecord { body: Body::Slices(ends), .. }) => {
                    usize::try_from(number).is_ok_and(|number| number < ends.len())
                }
                Ok(_) => false,
                Err(_) => true, // told of with the content
            },
        };
        if !belongs {
            self.stray(key, "a page of no content that has it")?;
        }
        for slice in page.slices {
            self.holds(slice.content, slice.holder, &format!("content {uid}")).await?;
        }
        Ok(())
    }

    /// That a holder has its reference to a content.
    pub(super) async fn holds(&mut self, content: Uid, holder: Uid, subject: &str) -> Checked {
        let reference = key::content_reference(content, holder);
        if self.is_there(&reference).await? {
            self.held += 1;
        } else {
            let mend = Mend::Write(vec![ReferenceRecord {}.put(reference)?]);
            let what = "its reference to its content is missing".into();
            self.find(Flaw::MissingReference, subject.to_owned(), what, mend);
        }
        Ok(())
    }

    pub(super) async fn inline(&mut self, key: &[u8]) -> Checked {
        let content = with_prefix(b'c', key);
        match self.kv.get(&content).await? {
            Some(row) => match ContentRecord::decode(&content, &row.value) {
                Ok(ContentRecord { body: Body::Blob { .. } | Body::Slices(_), .. }) => {
                    self.stray(key, "inline bytes of a content that has none")
                }
                _ => Ok(()),
            },
            None => self.stray(key, "inline bytes of no content"),
        }
    }

    pub(super) async fn reference(&mut self, key: &[u8], value: &[u8]) -> Checked {
        self.report.counts.references += 1;
        let Some((kind, target, owner)) = key::reference_of(key) else { return Ok(()) };
        if kind == b'c' {
            self.counted += 1;
        } else {
            let blob = BlobId(target);
            let content = key::content(owner);
            let refers = match self.kv.get(&content).await? {
                // A lost content is told of with its versions; what it needs stays.
                None => {
                    !Walk::new(self.kv, &key::content_references(owner)).next().await?.is_empty()
                }
                Some(row) => match ContentRecord::decode(&content, &row.value) {
                    Ok(content) => content.body.blob() == Some(blob),
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
    pub(super) async fn find_stray_references(&mut self) -> Checked {
        let mut owners = BTreeSet::new();
        for prefix in [b"e", b"k", b"p", b"v"] {
            let mut walk = Walk::new(self.kv, prefix);
            loop {
                let rows = walk.next().await?;
                if rows.is_empty() {
                    break;
                }
                for (key, row) in rows {
                    // What cannot be read may be the owner of any.
                    let Ok(held) = held_by(&key, &row.value) else { return Ok(()) };
                    for owner in held {
                        // A part that is a slice of an object holds what the slice does.
                        if !owners.insert(owner) && key.first() != Some(&b'p') {
                            self.stray(&key, "another version has its uid")?;
                        }
                    }
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
                    let what = format!("a reference from {owner}, which does not exist");
                    self.find(Flaw::StrayReference, format!("content {content}"), what, mend);
                }
            }
        }
    }

    pub(super) async fn released(&mut self, key: &[u8], value: &[u8]) -> Checked {
        if !self.is_there(&with_prefix(b'c', key)).await? {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), "no content that lost a reference".into(), mend);
        }
        ReleasedRecord::decode(key, value).map(drop)
    }
}

/// What the thing in a row refers to: contents, and the holders of the references.
fn held_by(key: &[u8], value: &[u8]) -> Result<Vec<(Uid, Uid)>, Error> {
    Ok(match key.first() {
        Some(b'e') => {
            let slices = PageRecord::decode(key, value)?.slices;
            slices.iter().map(|slice| (slice.content, slice.holder)).collect()
        }
        Some(b'p') => {
            let part = PartRecord::decode(key, value)?;
            vec![(part.content, part.holder)]
        }
        Some(b'v') => match OldVersion::decode(key, value)? {
            OldVersion::Version(version) => vec![(version.content, version.uid)],
            OldVersion::Marker(_) => vec![],
        },
        _ => {
            let version = Version::decode(key, value)?;
            vec![(version.content, version.uid)]
        }
    })
}
