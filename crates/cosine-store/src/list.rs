//! GET Bucket and GET Service: one scan a page.

use cosine_kv::{Direction, Found, Scan, Skip, successor};

use crate::key::{self, PLACE_PREFIX_BYTES};
use crate::record::{BucketRecord, Record, Version};
use crate::{Bucket, BucketName, Error, ObjectKey, Store};

/// Which objects to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Folds keys that share a prefix up to this; empty for none.
    pub delimiter: String,
    /// Only what comes after this key, or after everything below this common prefix.
    pub marker: String,
    /// Objects and common prefixes together.
    pub limit: usize,
}

/// One thing in a list, in UTF-8 byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(ObjectKey, Box<Version>),
    /// At least one object's key begins with this.
    CommonPrefix(String),
}

impl Entry {
    /// What a marker for the page after this entry is.
    pub fn name(&self) -> &str {
        match self {
            Entry::Object(key, _) => key.as_str(),
            Entry::CommonPrefix(prefix) => prefix,
        }
    }
}

/// A page of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// In UTF-8 byte order.
    pub entries: Vec<Entry>,
    /// Whether there are more.
    pub truncated: bool,
}

/// A page of buckets.
#[derive(Clone, Debug)]
pub struct BucketPage {
    /// By name.
    pub buckets: Vec<Bucket>,
    /// Whether there are more.
    pub truncated: bool,
}

impl Store {
    /// Lists objects.
    ///
    /// # Errors
    /// Those of the engines.
    pub async fn list_objects(
        &self,
        bucket: &Bucket,
        options: &ListOptions,
    ) -> Result<ObjectPage, Error> {
        let prefix = key::currents(bucket.uid(), &options.prefix);
        let marker = key::currents(bucket.uid(), &options.marker);
        let Some(start) = options.start(&prefix, &marker, after(&marker)) else {
            return Ok(ObjectPage { entries: vec![], truncated: false });
        };
        let skip = (!options.delimiter.is_empty())
            .then(|| Skip::new(prefix.len(), options.delimiter.clone()));
        let (end, direction, limit) = (successor(&prefix), Direction::Forward, options.limit);
        let page = self.kv().scan(Scan { start, end, direction, limit, skip }).await?;
        let entries = page.found.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(ObjectPage { entries, truncated: page.more })
    }

    /// Lists an account's buckets, those whose full name comes after `marker`.
    ///
    /// # Errors
    /// Those of the engines.
    pub async fn list_buckets(
        &self,
        appid: u64,
        marker: Option<&BucketName>,
        limit: usize,
    ) -> Result<BucketPage, Error> {
        let mut scan = Scan::prefix(&key::buckets(appid), limit);
        if let Some(marker) = marker {
            scan.start = scan.start.max(after(&key::bucket(marker)));
        }
        let page = self.kv().scan(scan).await?;
        let mut buckets = Vec::with_capacity(page.found.len());
        for found in page.found {
            if let Found::Row(key, row) = found {
                let name = String::from_utf8_lossy(key::bucket_name(&key)).into_owned();
                let name = BucketName::stored(name, appid);
                buckets.push(Bucket::new(
                    name,
                    BucketRecord::decode(&key, &row.value)?,
                    row.revision,
                ));
            }
        }
        Ok(BucketPage { buckets, truncated: page.more })
    }
}

impl ListOptions {
    /// The first key of the metadata waist that a page may show; `None` if there is none. `marker` is
    /// what everything begins with that comes right at the marker or below it, `behind` what comes first
    /// behind it alone. A marker that is itself a common prefix skips everything below it.
    pub(crate) fn start(&self, prefix: &[u8], marker: &[u8], behind: Vec<u8>) -> Option<Vec<u8>> {
        if self.marker.is_empty() {
            return Some(prefix.to_vec());
        }
        let start = if self.marks_common_prefix() { successor(marker)? } else { behind };
        Some(start.max(prefix.to_vec()))
    }

    /// Whether the marker is a common prefix.
    pub(crate) fn marks_common_prefix(&self) -> bool {
        let below = self.marker.strip_prefix(self.prefix.as_str()).unwrap_or_default();
        !self.delimiter.is_empty()
            && below
                .find(&self.delimiter)
                .is_some_and(|at| at + self.delimiter.len() == below.len())
    }
}

/// The smallest key that is greater than this one.
pub fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn entry(found: Found) -> Result<Entry, Error> {
    let name = |key: &[u8]| {
        let name = key.get(PLACE_PREFIX_BYTES..).unwrap_or_default().to_vec();
        String::from_utf8(name).map_err(|_| Error::Damaged("a stored key is not UTF-8".to_owned()))
    };
    Ok(match found {
        Found::Row(key, row) => Entry::Object(
            ObjectKey::stored(name(&key)?),
            Box::new(Version::decode(&key, &row.value)?),
        ),
        Found::CommonPrefix(prefix) => Entry::CommonPrefix(name(&prefix)?),
    })
}
