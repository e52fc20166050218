//! Range reads: what is asked, what is found, and how a delimiter skips.

use bytes::Bytes;

use crate::{Revision, Row};

/// The order in which a scan walks its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

impl Direction {
    /// Walks an engine's iterator in this order.
    pub(crate) fn walk<'i, T>(
        self,
        rows: impl DoubleEndedIterator<Item = T> + 'i,
    ) -> Box<dyn Iterator<Item = T> + 'i> {
        match self {
            Direction::Forward => Box::new(rows),
            Direction::Backward => Box::new(rows.rev()),
        }
    }
}

/// A range read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The first key that may be found.
    pub start: Vec<u8>,
    /// The first key that may not be found; `None` for no bound.
    pub end: Option<Vec<u8>>,
    /// The order.
    pub direction: Direction,
    /// Rows and common prefixes together.
    pub limit: usize,
    /// Folds keys that share a prefix up to a delimiter into one, inside the engine.
    pub skip: Option<Skip>,
}

/// How keys are folded: the common prefix of a key ends after the first `delimiter` that comes at
/// or after byte `from`.
#[derive(Clone, Debug)]
pub struct Skip {
    /// Where in the key to start looking.
    pub from: usize,
    /// Not empty.
    pub delimiter: Vec<u8>,
    /// Bytes at the end of every key in which a delimiter is none.
    pub suffix: usize,
}

impl Skip {
    /// Folds at the first `delimiter` from byte `from` on, to the end of the key.
    pub fn new(from: usize, delimiter: impl Into<Vec<u8>>) -> Self {
        Self { from, delimiter: delimiter.into(), suffix: 0 }
    }

    /// The common prefix that the key folds into, if any.
    pub fn fold<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let rest = key.get(self.from..key.len().checked_sub(self.suffix)?)?;
        let at = rest.windows(self.delimiter.len().max(1)).position(|w| w == self.delimiter)?;
        key.get(..self.from + at + self.delimiter.len())
    }
}

/// One thing that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A row.
    Row(Vec<u8>, Row),
    /// At least one row has this prefix, which ends with the delimiter.
    CommonPrefix(Vec<u8>),
}

/// What a scan found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the order of the scan.
    pub found: Vec<Found>,
    /// Whether the range holds more.
    pub more: bool,
}

/// The smallest key that is greater than every key with this prefix; `None` if there is none.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            return Some(key);
        }
    }
    None
}

impl Scan {
    /// All rows whose key begins with `prefix`, ascending.
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        Self {
            start: prefix.to_vec(),
            end: successor(prefix),
            direction: Direction::Forward,
            limit,
            skip: None,
        }
    }

    /// Runs the scan over an engine's iterators. `range` opens one over `[start, end)` in the
    /// direction of the scan; it is called once, and once more for each common prefix found, so
    /// that the keys below a prefix are never walked.
    pub(crate) fn run<I, E>(mut self, mut range: impl FnMut(&Scan) -> I) -> Result<Page, E>
    where
        I: Iterator<Item = Result<(Vec<u8>, Bytes, Revision), E>>,
    {
        let mut page = Page::default();
        'jump: while self.is_open() {
            for item in range(&self) {
                let (key, value, revision) = item?;
                if page.found.len() == self.limit {
                    page.more = true;
                    break 'jump;
                }
                if let Some(prefix) = self.skip.as_ref().and_then(|skip| skip.fold(&key)) {
                    let prefix = prefix.to_vec();
                    self.jump_over(&prefix);
                    page.found.push(Found::CommonPrefix(prefix));
                    continue 'jump;
                }
                page.found.push(Found::Row(key, Row { value, revision }));
            }
            break;
        }
        Ok(page)
    }

    fn is_open(&self) -> bool {
        self.end.as_ref().is_none_or(|end| self.start < *end)
    }

    /// Narrows the range to what comes after (or, backward, before) every key with `prefix`.
    fn jump_over(&mut self, prefix: &[u8]) {
        match self.direction {
            Direction::Backward => self.end = Some(prefix.to_vec()),
            Direction::Forward => match successor(prefix) {
                Some(start) => self.start = start,
                None => self.end = Some(self.start.clone()),
            },
        }
    }
}
