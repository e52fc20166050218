//! Uploads under way, their parts, and those that are over.

use cosine_kv::Write;

use crate::id::Uid;
use crate::record::{EndedUploadRecord, PartRecord, Record, UploadRecord};
use crate::slices::holders;
use crate::{Error, key};

use super::repair::Mend;
use super::rows::Checked;
use super::{Check, Flaw, hex};

impl Check<'_> {
    /// A part comes before its upload, so its upload is looked for at the end.
    pub(super) async fn part(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let Some((upload, number)) = key::part_of(key) else { return Ok(()) };
        let part = PartRecord::decode(key, value)?;
        self.report.counts.parts += 1;
        self.uploads_of_parts.insert(upload);
        let subject = format!("part {number} of upload {upload}");
        let is_there = self.is_there(&key::content(part.content)).await?;
        if !is_there && !self.is_there(&key::damage(part.content)).await? {
            let what = "its content is missing".to_owned();
            let mend = Mend::Mark(part.content, what.clone());
            self.find(Flaw::DamagedObject, subject.clone(), what, mend);
        }
        // A part that became a slice of an object is one with it until it is cleared away.
        let is_kept = match self.is_kept(upload, part.holder).await {
            // The object is told of by itself; what it needs stays.
            Err(Error::Damaged(_) | Error::NewerFormat { .. }) => true,
            is_kept => is_kept?,
        };
        if !is_kept {
            self.holds(part.content, part.holder, &subject).await?;
        }
        Ok(())
    }

    /// Whether a part of an upload became a slice of an object.
    async fn is_kept(&mut self, upload: Uid, holder: Uid) -> Result<bool, Error> {
        if self.kept.0 != Some(upload) {
            self.kept = (Some(upload), holders(self.kv, upload).await?);
        }
        Ok(self.kept.1.contains(&holder))
    }

    pub(super) fn upload(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let record = UploadRecord::decode(key, value).inspect_err(|_| self.upload_unread = true)?;
        self.report.counts.uploads += 1;
        let Some((bucket, name, _)) = key::upload_of(key) else { return Ok(()) };
        if !self.uploads.insert(record.uid) {
            return self.stray(key, "another upload has its uid");
        }
        self.place(key, bucket, &name).map(drop)
    }

    pub(super) fn ended(&mut self, key: &[u8], value: &[u8]) -> Checked {
        let is_new = |uid| self.uploads.insert(uid);
        if !key::content_uid(key).is_none_or(is_new) {
            let mend = Mend::Write(vec![Write::Delete(key.to_vec())]);
            self.find(Flaw::StaleRow, hex(key), "the end of an upload under way".into(), mend);
        }
        EndedUploadRecord::decode(key, value).map(drop)
    }

    /// Parts of no upload: the collector clears them away once it knows.
    pub(super) fn find_stray_parts(&mut self) -> Checked {
        if self.upload_unread {
            return Ok(()); // they may be its
        }
        let stray: Vec<Uid> = self.uploads_of_parts.difference(&self.uploads).copied().collect();
        for upload in stray {
            let mend = EndedUploadRecord {}.put(key::ended(upload))?;
            let what = "parts of an upload that does not exist".into();
            let subject = format!("upload {upload}");
            self.find(Flaw::StaleRow, subject, what, Mend::Write(vec![mend]));
        }
        Ok(())
    }
}
