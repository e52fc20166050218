//! List Multipart Uploads and List Parts.

use cosine_kv::{Found, Revision, Scan, Skip, successor};

use crate::id::UploadId;
use crate::key::{self, PLACE_PREFIX_BYTES, UPLOAD_SUFFIX_BYTES};
use crate::list::after;
use crate::record::{PartRecord, Record};
use crate::upload::{Part, Upload};
use crate::{Bucket, Error, ListOptions, ObjectKey, Store, Uid};

/// Parts are read in pages of this many.
const PAGE: usize = 1000;

/// One thing in a list of uploads, in the order of their keys and then of their ids.
#[derive(Clone, Debug)]
pub enum UploadEntry {
    /// An upload.
    Upload(Box<Upload>),
    /// At least one upload's key begins with this.
    CommonPrefix(String),
}

/// A page of uploads.
#[derive(Clone, Debug)]
pub struct UploadPage {
    /// In order.
    pub entries: Vec<UploadEntry>,
    /// Whether there are more.
    pub truncated: bool,
}

/// A page of parts.
#[derive(Clone, Debug)]
pub struct PartPage {
    /// By number.
    pub parts: Vec<Part>,
    /// Whether there are more.
    pub truncated: bool,
}

impl Store {
    /// Lists uploads. `options.marker` is a key or a common prefix; with `upload`, the page goes on
    /// after that upload of the key, else after all of them.
    ///
    /// # Errors
    /// Those of the engines.
    pub async fn list_uploads(
        &self,
        bucket: &Bucket,
        options: &ListOptions,
        upload: Option<UploadId>,
    ) -> Result<UploadPage, Error> {
        let prefix = key::uploads(bucket.uid(), &options.prefix);
        let marker = key::uploads(bucket.uid(), &options.marker);
        let behind = match (upload, ObjectKey::parse(options.marker.as_str())) {
            (Some(id), Ok(key)) => after(&key::upload(bucket.uid(), &key, &id)),
            _ => [&marker[..], &[0, 1]].concat(),
        };
        let Some(start) = options.start(&prefix, &marker, behind) else {
            return Ok(UploadPage { entries: vec![], truncated: false });
        };
        let skip = (!options.delimiter.is_empty()).then(|| Skip {
            suffix: UPLOAD_SUFFIX_BYTES,
            ..Skip::new(prefix.len(), key::escaped_delimiter(&options.delimiter))
        });
        let end = successor(&prefix);
        let page = self
            .kv()
            .scan(Scan { start, end, skip, ..Scan::prefix(&prefix, options.limit) })
            .await?;
        let entries = page.found.into_iter().map(|found| entry(bucket, found));
        Ok(UploadPage { entries: entries.collect::<Result<_, _>>()?, truncated: page.more })
    }

    /// Lists the parts of an upload, those whose number is greater than `marker`.
    ///
    /// # Errors
    /// Those of the engines.
    pub async fn list_parts(
        &self,
        upload: &Upload,
        marker: u16,
        limit: usize,
    ) -> Result<PartPage, Error> {
        let prefix = key::parts(upload.record.uid);
        let start = after(&key::part(upload.record.uid, marker));
        let (rows, truncated) = self.rows(Scan { start, ..Scan::prefix(&prefix, limit) }).await?;
        let mut parts = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let (_, number) = key::part_of(&key).ok_or_else(damaged)?;
            parts.push(self.shown_part(number, &PartRecord::decode(&key, &row.value)?)?);
        }
        Ok(PartPage { parts, truncated })
    }

    /// All parts of an upload, by number. There are 10,000 at most.
    pub(crate) async fn all_parts(
        &self,
        upload: Uid,
    ) -> Result<Vec<(u16, PartRecord, Revision)>, Error> {
        let mut parts = Vec::new();
        let mut scan = Scan::prefix(&key::parts(upload), PAGE);
        loop {
            let (rows, more) = self.rows(scan.clone()).await?;
            for (key, row) in rows {
                let (_, number) = key::part_of(&key).ok_or_else(damaged)?;
                parts.push((number, PartRecord::decode(&key, &row.value)?, row.revision));
                scan.start = after(&key);
            }
            if !more {
                return Ok(parts);
            }
        }
    }
}

fn damaged() -> Error {
    Error::Damaged("the key of an upload's row".to_owned())
}

fn entry(bucket: &Bucket, found: Found) -> Result<UploadEntry, Error> {
    Ok(match found {
        Found::CommonPrefix(prefix) => {
            let name = prefix.get(PLACE_PREFIX_BYTES..).unwrap_or_default();
            UploadEntry::CommonPrefix(key::unescaped(name).ok_or_else(damaged)?)
        }
        Found::Row(key, row) => {
            let (_, name, id) = key::upload_of(&key).ok_or_else(damaged)?;
            let upload = Upload::read(bucket, ObjectKey::stored(name), id, &row)?;
            UploadEntry::Upload(Box::new(upload))
        }
    })
}
