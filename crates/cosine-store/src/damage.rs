//! Damaged contents: remembered, with the objects that show them, until they are gone or whole.

use std::collections::{BTreeMap, BTreeSet};

use cosine_kv::{Found, Kv, Scan};

use crate::id::Uid;
use crate::record::{BucketRecord, DamageRecord, Record, Version};
use crate::{Error, key};

/// A damage record names this many objects at most.
const OBJECTS_MAX: usize = 100;
/// Rows are read in pages of this many.
const PAGE: usize = 1000;

/// An object that shows a damaged content: bucket, key, and the version's order.
pub type Place = (String, String, u64);

/// The objects that show any of these contents. Walks all versions: contents do not know who refers
/// to them by name, and damage is rare.
pub async fn objects_of(
    kv: &dyn Kv,
    contents: &BTreeSet<Uid>,
) -> Result<BTreeMap<Uid, Vec<Place>>, Error> {
    let mut places: BTreeMap<Uid, Vec<Place>> = BTreeMap::new();
    if contents.is_empty() {
        return Ok(places);
    }
    let buckets = bucket_names(kv).await?;
    let mut scan = Scan::prefix(b"k", PAGE);
    loop {
        let page = kv.scan(scan.clone()).await?;
        for found in page.found {
            let Found::Row(key, row) = found else { continue };
            scan.start = [&key[..], &[0]].concat();
            let Ok(version) = Version::decode(&key, &row.value) else { continue };
            let Some((bucket, name)) = key::place_of(&key) else { continue };
            if contents.contains(&version.content) {
                let bucket = buckets.get(&bucket).cloned().unwrap_or_else(|| bucket.to_string());
                let objects = places.entry(version.content).or_default();
                if objects.len() < OBJECTS_MAX {
                    objects.push((bucket, name, version.order));
                }
            }
        }
        if !page.more {
            return Ok(places);
        }
    }
}

async fn bucket_names(kv: &dyn Kv) -> Result<BTreeMap<Uid, String>, Error> {
    let page = kv.scan(Scan::prefix(b"b", usize::MAX)).await?;
    let mut names = BTreeMap::new();
    for found in page.found {
        let Found::Row(key, row) = found else { continue };
        if let Ok(record) = BucketRecord::decode(&key, &row.value) {
            names.insert(record.uid, String::from_utf8_lossy(key::bucket_name(&key)).into_owned());
        }
    }
    Ok(names)
}

/// A content that is known to be damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The content.
    pub content: Uid,
    /// What is known of it.
    pub record: DamageRecord,
}

/// Every content that is known to be damaged.
pub async fn known(kv: &dyn Kv) -> Result<Vec<Damage>, Error> {
    let page = kv.scan(Scan::prefix(&key::damages(), usize::MAX)).await?;
    let mut known = Vec::new();
    for found in page.found {
        let Found::Row(key, row) = found else { continue };
        let Some(content) = key::content_uid(&key) else { continue };
        known.push(Damage { content, record: DamageRecord::decode(&key, &row.value)? });
    }
    Ok(known)
}
