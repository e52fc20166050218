//! GET Bucket Object versions: a scan of current versions and one of all others, of one snapshot, merged.

use std::cmp::Ordering;
use std::iter::Peekable;

use cosine_kv::{Found, Page, Scan, Skip};

use crate::key::{self, OLD_SUFFIX_BYTES, PLACE_PREFIX_BYTES};
use crate::list::after;
use crate::record::{DeleteMarker, OldVersion, Record, Version, VersionId};
use crate::{Bucket, Error, ListOptions, ObjectKey, Store};

/// One thing in a list of versions: keys in UTF-8 byte order, the newest version of a key first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionEntry {
    /// A version.
    Version {
        /// Its key.
        key: ObjectKey,
        /// Everything about it but its bytes.
        version: Box<Version>,
        /// Whether it is the newest.
        latest: bool,
    },
    /// A delete marker.
    Marker {
        /// Its key.
        key: ObjectKey,
        /// The marker.
        marker: DeleteMarker,
        /// Whether it is the newest.
        latest: bool,
    },
    /// At least one key begins with this.
    CommonPrefix(String),
}

impl VersionEntry {
    /// What a marker for the page after this entry is: a key, or a common prefix.
    pub fn name(&self) -> &str {
        match self {
            Self::Version { key, .. } | Self::Marker { key, .. } => key.as_str(),
            Self::CommonPrefix(prefix) => prefix,
        }
    }

    /// The place among the versions of its key after which the next page goes on; `None` where there
    /// is none. It is never `null`: the page after this goes on right, whatever becomes of that version.
    pub fn marker(&self) -> Option<VersionId> {
        match self {
            Self::Version { version, .. } => Some(VersionId::Order(version.order)),
            Self::Marker { marker, .. } => Some(VersionId::Order(marker.order)),
            Self::CommonPrefix(_) => None,
        }
    }
}

/// A page of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionPage {
    /// In the order of the list.
    pub entries: Vec<VersionEntry>,
    /// Whether there are more.
    pub truncated: bool,
}

/// What a scan found.
enum Item {
    Prefix(String),
    Version { key: String, version: OldVersion, current: bool },
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Self::Prefix(name) | Self::Version { key: name, .. } => name,
        }
    }

    fn order(&self) -> Option<u64> {
        match self {
            Self::Prefix(_) => None,
            Self::Version { version, .. } => Some(version.order()),
        }
    }
}

impl Store {
    /// Lists versions and delete markers. `options.marker` is a key or a common prefix; with
    /// `version`, the page goes on after that version of the key, else after all of them.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] if `version` is `null` and the key has no such version.
    pub async fn list_versions(
        &self,
        bucket: &Bucket,
        options: &ListOptions,
        version: Option<VersionId>,
    ) -> Result<VersionPage, Error> {
        let Some(Plan { scans, within }) = self.plan_versions(bucket, options, version).await?
        else {
            return Ok(VersionPage { entries: vec![], truncated: false });
        };
        let mut pages = self.kv().scan_together(scans).await?.into_iter();
        let mut next = || pages.next().unwrap_or_default();
        let (currents, olds, newest) = (next(), next(), next());
        let more = currents.more || olds.more;
        let mut currents = items(currents, current)?;
        let within = within.map(|within| within.look(&currents, newest)).transpose()?;
        if let Some(within) = &within {
            currents.retain(|item| !within.is_before(item));
        }
        let mut merged = Merged {
            currents: currents.into_iter().peekable(),
            olds: items(olds, old)?.into_iter().peekable(),
        };
        let mut entries: Vec<VersionEntry> = Vec::new();
        while entries.len() < options.limit {
            let Some(item) = merged.next() else { break };
            let is_first = match (entries.last(), &within) {
                (Some(before), _) => before.name() != item.name(),
                (None, Some(within)) => within.is_newest(&item),
                (None, None) => true,
            };
            entries.push(entry(item, is_first));
        }
        let truncated = more || merged.next().is_some();
        Ok(VersionPage { entries, truncated })
    }

    async fn plan_versions(
        &self,
        bucket: &Bucket,
        options: &ListOptions,
        version: Option<VersionId>,
    ) -> Result<Option<Plan>, Error> {
        let uid = bucket.uid();
        let (currents, olds) =
            (key::currents(uid, &options.prefix), key::olds(uid, &options.prefix));
        let (marker, escaped) =
            (key::currents(uid, &options.marker), key::olds(uid, &options.marker));
        let within = match (version, ObjectKey::parse(options.marker.as_str())) {
            (Some(id), Ok(key)) if !options.marks_common_prefix() => {
                let order = match id {
                    VersionId::Order(order) => order,
                    VersionId::Null => {
                        self.null_order(bucket, &key).await?.ok_or(Error::NoSuchVersion)?
                    }
                };
                Some(Within { key, order, newest: 0 })
            }
            _ => None,
        };
        let behind = match &within {
            None => (after(&marker), [&escaped[..], &[0, 1]].concat()),
            // The version that was current may be gone, and an older one be current in its place.
            Some(within) => (marker.clone(), after(&key::old(uid, &within.key, within.order))),
        };
        let (Some(start), Some(old_start)) =
            (options.start(&currents, &marker, behind.0), options.start(&olds, &escaped, behind.1))
        else {
            return Ok(None);
        };
        let delimiter = (!options.delimiter.is_empty()).then_some(options.delimiter.as_str());
        let skip = delimiter.map(|delimiter| Skip::new(currents.len(), delimiter));
        let old_skip = delimiter.map(|delimiter| Skip {
            suffix: OLD_SUFFIX_BYTES,
            ..Skip::new(olds.len(), key::escaped_delimiter(delimiter))
        });
        // One more, since the first may be before the marker.
        let mut scans = vec![
            Scan { start, skip, ..Scan::prefix(&currents, options.limit + 1) },
            Scan { start: old_start, skip: old_skip, ..Scan::prefix(&olds, options.limit) },
        ];
        scans.extend(within.as_ref().map(|w| Scan::prefix(&key::olds_of(uid, &w.key), 1)));
        Ok(Some(Plan { scans, within }))
    }
}

/// How a page is read: the scans, of which the third is of the newest version beside the current one of
/// the key within whose versions the page begins, if it does.
struct Plan {
    scans: Vec<Scan>,
    within: Option<Within>,
}

/// Where a page begins within the versions of a key.
struct Within {
    key: ObjectKey,
    /// Older ones are on the page.
    order: u64,
    /// The order of the newest one, whether it is on the page or not.
    newest: u64,
}

impl Within {
    /// Finds the newest version of the key.
    fn look(mut self, currents: &[Item], newest: Page) -> Result<Self, Error> {
        let olds = items(newest, old)?;
        let of_key = currents.iter().chain(&olds).filter(|item| item.name() == self.key.as_str());
        self.newest = of_key.filter_map(Item::order).max().unwrap_or_default();
        Ok(self)
    }

    /// Whether a version is before the page.
    fn is_before(&self, item: &Item) -> bool {
        item.name() == self.key.as_str() && item.order().is_some_and(|order| order >= self.order)
    }

    /// Whether the first thing on the page is the newest version of its key.
    fn is_newest(&self, item: &Item) -> bool {
        item.name() != self.key.as_str() || item.order() == Some(self.newest)
    }
}

/// Both scans, in the order of the list. A common prefix that both found is one.
struct Merged<I: Iterator<Item = Item>> {
    currents: Peekable<I>,
    olds: Peekable<I>,
}

impl<I: Iterator<Item = Item>> Merged<I> {
    fn next(&mut self) -> Option<Item> {
        let order = match (self.currents.peek(), self.olds.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => compare(a, b),
        };
        match order {
            Ordering::Less => self.currents.next(),
            Ordering::Greater => self.olds.next(),
            Ordering::Equal => {
                self.olds.next();
                self.currents.next()
            }
        }
    }
}

fn compare(a: &Item, b: &Item) -> Ordering {
    // The newest first; a common prefix is one, whoever found it.
    a.name().cmp(b.name()).then_with(|| b.order().cmp(&a.order()))
}

fn items(page: Page, decode: impl Fn(Found) -> Result<Item, Error>) -> Result<Vec<Item>, Error> {
    page.found.into_iter().map(decode).collect()
}

fn damaged() -> Error {
    Error::Damaged("the key of a version's row".to_owned())
}

fn current(found: Found) -> Result<Item, Error> {
    let name = |key: &[u8]| {
        let name = key.get(PLACE_PREFIX_BYTES..).unwrap_or_default().to_vec();
        String::from_utf8(name).map_err(|_| damaged())
    };
    Ok(match found {
        Found::CommonPrefix(prefix) => Item::Prefix(name(&prefix)?),
        Found::Row(key, row) => Item::Version {
            version: OldVersion::Version(Box::new(Version::decode(&key, &row.value)?)),
            key: name(&key)?,
            current: true,
        },
    })
}

fn old(found: Found) -> Result<Item, Error> {
    Ok(match found {
        Found::CommonPrefix(prefix) => {
            let name = prefix.get(PLACE_PREFIX_BYTES..).unwrap_or_default();
            Item::Prefix(key::unescaped(name).ok_or_else(damaged)?)
        }
        Found::Row(key, row) => Item::Version {
            version: OldVersion::decode(&key, &row.value)?,
            key: key::old_of(&key).ok_or_else(damaged)?.1,
            current: false,
        },
    })
}

/// A current version is always the newest; a delete marker is if it is the first of its key.
fn entry(item: Item, is_first: bool) -> VersionEntry {
    match item {
        Item::Prefix(prefix) => VersionEntry::CommonPrefix(prefix),
        Item::Version { key, version, current } => {
            let key = ObjectKey::stored(key);
            match version {
                OldVersion::Version(version) => {
                    VersionEntry::Version { key, version, latest: current }
                }
                OldVersion::Marker(marker) => {
                    VersionEntry::Marker { key, marker, latest: is_first }
                }
            }
        }
    }
}
