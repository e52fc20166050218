//! Damaged contents: remembered, with the objects that show them, until they are gone or whole.

use std::collections::{BTreeMap, BTreeSet};

use cosine_kv::{Found, Kv, Scan};

use crate::id::Uid;
use crate::record::{BucketRecord, DamageRecord, OldVersion, PageRecord, Record, Version};
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
    let (buckets, shown) = (bucket_names(kv).await?, made_of(kv, contents).await?);
    for prefix in [b"k", b"v"] {
        let mut scan = Scan::prefix(prefix, PAGE);
        loop {
            let page = kv.scan(scan.clone()).await?;
            for found in page.found {
                let Found::Row(key, row) = found else { continue };
                scan.start = [&key[..], &[0]].concat();
                let Some((bucket, name, version)) = version_in(&key, &row.value) else { continue };
                for damaged in shown.get(&version.content).into_iter().flatten() {
                    let bucket =
                        buckets.get(&bucket).cloned().unwrap_or_else(|| bucket.to_string());
                    let objects = places.entry(*damaged).or_default();
                    if objects.len() < OBJECTS_MAX {
                        objects.push((bucket, name.clone(), version.order));
                    }
                }
            }
            if !page.more {
                break;
            }
        }
    }
    Ok(places)
}

/// The version in a row of a current or an older one, and where it is.
fn version_in(key: &[u8], value: &[u8]) -> Option<(Uid, String, Version)> {
    if key.first() == Some(&b'k') {
        let (bucket, name) = key::place_of(key)?;
        return Some((bucket, name, Version::decode(key, value).ok()?));
    }
    let (bucket, name, _) = key::old_of(key)?;
    match OldVersion::decode(key, value).ok()? {
        OldVersion::Version(version) => Some((bucket, name, *version)),
        OldVersion::Marker(_) => None,
    }
}

/// These contents, and those that are made of them: which of these each shows.
async fn made_of(
    kv: &dyn Kv,
    contents: &BTreeSet<Uid>,
) -> Result<BTreeMap<Uid, BTreeSet<Uid>>, Error> {
    let mut shown: BTreeMap<Uid, BTreeSet<Uid>> =
        contents.iter().map(|uid| (*uid, BTreeSet::from([*uid]))).collect();
    loop {
        let before: usize = shown.values().map(BTreeSet::len).sum();
        let mut scan = Scan::prefix(&key::all_pages(), PAGE);
        loop {
            let page = kv.scan(scan.clone()).await?;
            for found in page.found {
                let Found::Row(key, row) = found else { continue };
                scan.start = [&key[..], &[0]].concat();
                let Ok(record) = PageRecord::decode(&key, &row.value) else { continue };
                let Some((content, _)) = key::page_of(&key) else { continue };
                for slice in record.slices {
                    let through = shown.get(&slice.content).cloned().unwrap_or_default();
                    if !through.is_empty() {
                        shown.entry(content).or_default().extend(through);
                    }
                }
            }
            if !page.more {
                break;
            }
        }
        if shown.values().map(BTreeSet::len).sum::<usize>() == before {
            return Ok(shown);
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
