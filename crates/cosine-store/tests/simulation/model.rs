//! What may be in the store: for each key, every value that it may have, as far as its clients can
//! tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// An object: which body, and which mark in its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    pub body: u64,
    pub size: usize,
    pub mark: u64,
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

#[derive(Debug)]
pub struct Slot {
    pub possible: Possible,
    /// Whether a write is under way.
    pub busy: bool,
    /// Rises with every change.
    pub changes: u64,
    watchers: Vec<Seen>,
}

impl Default for Slot {
    fn default() -> Self {
        let possible = Possible::from([None]);
        Self { possible, busy: false, changes: 0, watchers: vec![] }
    }
}

impl Slot {
    pub fn set(&mut self, possible: Possible) {
        self.changes += 1;
        self.watchers.retain(|seen| Arc::strong_count(seen) > 1);
        for seen in &self.watchers {
            seen.lock().unwrap().extend(&possible);
        }
        self.possible = possible;
    }

    pub fn add(&mut self, more: impl IntoIterator<Item = Option<Value>>) {
        let mut possible = self.possible.clone();
        possible.extend(more);
        self.set(possible);
    }

    pub fn watch(&mut self) -> Seen {
        let seen = Arc::new(Mutex::new(self.possible.clone()));
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
