//! What may be in the store: for each key, every value that it may have, as far as its clients can
//! tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// An object: which body, which mark in its metadata, and which tag (0 for none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    pub body: u64,
    pub size: usize,
    pub mark: u64,
    pub tag: u64,
}

impl Value {
    pub fn bytes(self) -> bytes::Bytes {
        let seed = self.body.wrapping_mul(0x9e37_79b9);
        (0..self.size as u64).map(|i| (i.wrapping_mul(31) ^ seed ^ (i >> 9)) as u8).collect()
    }
}

/// What a key may hold: `None` for nothing.
pub type Possible = BTreeSet<Option<Value>>;

/// Everything that a key may have held since somebody began to look.
pub type Seen = Arc<Mutex<Possible>>;

/// What one write may have left, and when it was known to be over.
#[derive(Clone, Debug)]
struct Outcome {
    values: Possible,
    ended: u64,
}

/// A key. Writes may overlap; one that began after another had ended is the later one.
#[derive(Debug)]
pub struct Slot {
    /// The writes of which no later one is known.
    last: Vec<Outcome>,
    /// Writes under way.
    pub writers: usize,
    /// Rises with every change.
    pub changes: u64,
    watchers: Vec<Seen>,
}

impl Default for Slot {
    fn default() -> Self {
        let last = vec![Outcome { values: Possible::from([None]), ended: 0 }];
        Self { last, writers: 0, changes: 0, watchers: vec![] }
    }
}

impl Slot {
    /// What the key may hold, as far as writes are over.
    pub fn possible(&self) -> Possible {
        self.last.iter().flat_map(|outcome| outcome.values.iter().copied()).collect()
    }

    /// A write happened, between these two times.
    pub fn written(&mut self, values: Possible, begun: u64, ended: u64) {
        self.last.retain(|outcome| outcome.ended >= begun);
        self.maybe_written(values, ended);
    }

    /// A write may have happened.
    pub fn maybe_written(&mut self, values: Possible, ended: u64) {
        self.changes += 1;
        self.watchers.retain(|seen| Arc::strong_count(seen) > 1);
        for seen in &self.watchers {
            seen.lock().unwrap().extend(&values);
        }
        self.last.push(Outcome { values, ended });
    }

    pub fn watch(&mut self) -> Seen {
        let seen = Arc::new(Mutex::new(self.possible()));
        self.watchers.push(Arc::clone(&seen));
        seen
    }
}

#[derive(Debug, Default)]
pub struct Bucket {
    /// Whether it may exist, and whether it may not.
    pub exists: BTreeSet<bool>,
    pub slots: BTreeMap<usize, Slot>,
    /// Operations under way in it.
    pub users: usize,
    /// Whether it is being made or removed.
    pub busy: bool,
}

#[derive(Debug, Default)]
pub struct Model {
    pub buckets: BTreeMap<usize, Bucket>,
}

impl Model {
    pub fn bucket(&mut self, n: usize) -> &mut Bucket {
        self.buckets
            .entry(n)
            .or_insert_with(|| Bucket { exists: BTreeSet::from([false]), ..Bucket::default() })
    }

    pub fn slot(&mut self, (bucket, key): (usize, usize)) -> &mut Slot {
        self.bucket(bucket).slots.entry(key).or_default()
    }
}
