//! GET Bucket Object versions: two scans a page, of one snapshot, merged.

use std::cmp::Ordering;
use std::iter::Peekable;

use cosine_kv::{Found, Page, Scan, Skip, successor};

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

/// What one of the two scans found.
enum Item {
    Prefix(String),
    Version { key: String, version: OldVersion, current: bool },
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
        let Some((scans, resumed)) = self.version_scans(bucket, options, version).await? else {
            return Ok(VersionPage { entries: vec![], truncated: false });
        };
        let mut pages = self.kv().scan_together(scans).await?.into_iter();
        let (currents, olds) = (pages.next().unwrap_or_default(), pages.next().unwrap_or_default());
        let more = currents.more || olds.more;
        let mut merged = Merged {
            currents: items(currents, current)?.into_iter().peekable(),
            olds: items(olds, old)?.into_iter().peekable(),
        };
        let mut entries: Vec<VersionEntry> = Vec::new();
        while entries.len() < options.limit {
            let Some(item) = merged.next() else { break };
            let before = entries.last().map_or(resumed, VersionEntry::name);
            entries.push(entry(item, before));
        }
        let truncated = more || merged.next().is_some();
        Ok(VersionPage { entries, truncated })
    }

    /// The two scans, and the key within whose versions the page begins, if it does.
    async fn version_scans<'o>(
        &self,
        bucket: &Bucket,
        options: &'o ListOptions,
        version: Option<VersionId>,
    ) -> Result<Option<(Vec<Scan>, &'o str)>, Error> {
        let uid = bucket.uid();
        let (currents, olds) =
            (key::currents(uid, &options.prefix), key::olds(uid, &options.prefix));
        let marker = key::currents(uid, &options.marker);
        let escaped = key::olds(uid, &options.marker);
        let within = match (version, ObjectKey::parse(options.marker.as_str())) {
            (Some(id), Ok(key)) if !options.marks_common_prefix() => Some((id, key)),
            _ => None,
        };
        let (behind_current, behind_olds) = match &within {
            None => (after(&marker), [&escaped[..], &[0, 1]].concat()),
            Some((id, key)) => {
                let order = match id {
                    VersionId::Order(order) => *order,
                    VersionId::Null => {
                        self.null_order(bucket, key).await?.ok_or(Error::NoSuchVersion)?
                    }
                };
                (after(&marker), after(&key::old(uid, key, order)))
            }
        };
        let starts = (
            options.start(&currents, &marker, behind_current),
            options.start(&olds, &escaped, behind_olds),
        );
        let (Some(start), Some(old_start)) = starts else { return Ok(None) };
        let delimiter = (!options.delimiter.is_empty()).then_some(options.delimiter.as_str());
        let skip = delimiter.map(|delimiter| Skip::new(currents.len(), delimiter));
        let old_skip = delimiter.map(|delimiter| Skip {
            suffix: OLD_SUFFIX_BYTES,
            ..Skip::new(olds.len(), key::escaped_delimiter(delimiter))
        });
        let scans = vec![
            Scan {
                start,
                end: successor(&currents),
                skip,
                ..Scan::prefix(&currents, options.limit)
            },
            Scan {
                start: old_start,
                end: successor(&olds),
                skip: old_skip,
                ..Scan::prefix(&olds, options.limit)
            },
        ];
        Ok(Some((scans, if within.is_some() { &options.marker } else { "" })))
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
    let place = |item: &Item| match item {
        Item::Prefix(prefix) => (prefix.clone(), 0),
        Item::Version { key, version, .. } => (key.clone(), !version.order()),
    };
    place(a).cmp(&place(b))
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

/// `before` is the name of the entry before, or the key within whose versions the page began.
fn entry(item: Item, before: &str) -> VersionEntry {
    match item {
        Item::Prefix(prefix) => VersionEntry::CommonPrefix(prefix),
        Item::Version { key, version, current } => {
            let first = before != key;
            let key = ObjectKey::stored(key);
            match version {
                OldVersion::Version(version) => {
                    VersionEntry::Version { key, version, latest: current }
                }
                OldVersion::Marker(marker) => VersionEntry::Marker { key, marker, latest: first },
            }
        }
    }
}
