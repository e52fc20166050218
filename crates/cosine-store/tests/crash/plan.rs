//! What the workload does, and what must be there after a crash: both from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};

use crate::Failure;
use crate::random::Random;

/// Where an object is.
pub type Place = (&'static str, &'static str);

pub const BUCKETS: [&str; 3] = ["one-1250000000", "two-1250000000", "three-1250000000"];
const KEYS: [&str; 8] = ["a", "b/c", "b/d", "e", "f", "g", "h", "→"];

#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Closes the store, if it is open, and opens it.
    Open,
    CreateBucket(&'static str),
    /// Of an empty bucket: it goes. Of another: it is frozen, looked at, and thawed.
    DeleteBucket(&'static str),
    Put {
        at: Place,
        size: usize,
    },
    /// A put in one part, beside a part that is left out, and one that is replaced.
    PutInParts {
        at: Place,
        size: usize,
    },
    /// Breaks off before the last byte.
    CutPut {
        at: Place,
        size: usize,
    },
    Copy {
        from: Place,
        to: Place,
        replace: bool,
    },
    Delete(Place),
    /// The collector removes what nobody refers to, without grace; nobody can see it.
    Collect,
}

/// Operations by number. Those of a group run at the same time; each is about another key, and
/// none copies from a key that another one writes.
pub type Group = Vec<(u64, Operation)>;

/// An object as it can be told from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub size: u64,
    pub digest: u64,
    pub mark: String,
}

impl Object {
    pub fn of(body: &[u8], mark: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(body);
        Self { size: body.len() as u64, digest: hasher.finish(), mark: mark.to_owned() }
    }
}

/// Buckets and what is in them.
pub type State = BTreeMap<String, BTreeMap<String, Object>>;

/// The body that operation `number` puts.
pub fn body(number: u64, size: usize) -> Vec<u8> {
    let mut random = Random(number);
    let mut body = Vec::with_capacity(size + 8);
    while body.len() < size {
        body.extend(random.next().to_le_bytes());
    }
    body.truncate(size);
    body
}

/// The metadata that operation `number` gives an object.
pub fn mark(number: u64) -> String {
    format!("operation {number}")
}

/// What an operation changes.
#[derive(Clone, Debug)]
enum Effect {
    None,
    Bucket(&'static str, bool),
    Key(Place, Option<Object>),
}

fn effect(state: &State, number: u64, operation: &Operation) -> Effect {
    match operation {
        Operation::Open | Operation::Collect | Operation::CutPut { .. } => Effect::None,
        Operation::CreateBucket(bucket) => Effect::Bucket(bucket, true),
        Operation::DeleteBucket(bucket) if state.get(*bucket).is_some_and(BTreeMap::is_empty) => {
            Effect::Bucket(bucket, false)
        }
        Operation::DeleteBucket(_) => Effect::None,
        Operation::Put { at, size } | Operation::PutInParts { at, size } => {
            Effect::Key(*at, Some(Object::of(&body(number, *size), &mark(number))))
        }
        Operation::Copy { from, to, replace } => {
            let mut object = object(state, *from);
            if let (Some(object), true) = (&mut object, *replace) {
                object.mark = mark(number);
            }
            Effect::Key(*to, object)
        }
        Operation::Delete(at) => Effect::Key(*at, None),
    }
}

fn object(state: &State, (bucket, key): Place) -> Option<Object> {
    state.get(bucket)?.get(key).cloned()
}

fn apply(state: &mut State, effect: &Effect) {
    match effect {
        Effect::None => {}
        Effect::Bucket(bucket, true) => drop(state.insert((*bucket).to_owned(), BTreeMap::new())),
        Effect::Bucket(bucket, false) => drop(state.remove(*bucket)),
        Effect::Key((bucket, key), object) => {
            let objects = state.entry((*bucket).to_owned()).or_default();
            match object {
                Some(object) => drop(objects.insert((*key).to_owned(), object.clone())),
                None => drop(objects.remove(*key)),
            }
        }
    }
}

/// What must be there: everything acknowledged, and of what is under way all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    settled: State,
    under_way: BTreeMap<u64, Effect>,
    pub acknowledged: u64,
}

impl Expected {
    pub fn begin(&mut self, number: u64, operation: &Operation) {
        self.under_way.insert(number, effect(&self.settled, number, operation));
    }

    pub fn acknowledge(&mut self, number: u64) -> Result<(), Failure> {
        let effect = self.under_way.remove(&number).ok_or("acknowledged before it began")?;
        apply(&mut self.settled, &effect);
        self.acknowledged += 1;
        Ok(())
    }

    /// Whether a store that was opened after a crash is one that may be.
    pub fn check(&self, found: &State) -> Result<(), Failure> {
        let mut allowed = vec![self.settled.clone()];
        for effect in self.under_way.values() {
            let mut after = self.settled.clone();
            apply(&mut after, effect);
            allowed.push(after);
        }
        // Operations under way are about different places, so each place is judged by itself.
        for bucket in BUCKETS {
            let there = |state: &State| state.contains_key(bucket);
            if !allowed.iter().any(|state| there(state) == there(found)) {
                return Err(format!("bucket {bucket}: there is {}", there(found)));
            }
        }
        let places = allowed.iter().chain([found]).flat_map(|state| {
            state.iter().flat_map(|(bucket, objects)| objects.keys().map(move |key| (bucket, key)))
        });
        for (bucket, key) in places.collect::<BTreeSet<_>>() {
            let at =
                |state: &State| state.get(bucket).and_then(|objects| objects.get(key)).cloned();
            if !allowed.iter().any(|state| at(state) == at(found)) {
                let mut may_be: Vec<_> = allowed.iter().map(at).collect();
                may_be.dedup();
                return Err(format!("{bucket}/{key}: found {:?}, may be {may_be:?}", at(found)));
            }
        }
        Ok(())
    }
}

/// Makes the operations, so that each can be done.
pub fn plan(seed: u64, groups: usize) -> Vec<Group> {
    let mut planner = Planner { random: Random(seed), state: State::new(), count: 0 };
    let [one, two, three] = BUCKETS;
    // What chance might leave out, first.
    let scripted = [
        Operation::Open,
        Operation::CreateBucket(one),
        Operation::CreateBucket(two),
        Operation::CreateBucket(three),
        Operation::DeleteBucket(three),
        Operation::Put { at: (one, "a"), size: 100 },
        Operation::Put { at: (one, "e"), size: 700_000 },
        Operation::DeleteBucket(one),
        Operation::Copy { from: (one, "a"), to: (one, "a"), replace: true },
        Operation::Copy { from: (one, "e"), to: (two, "e"), replace: false },
        Operation::Delete((one, "e")),
        Operation::Delete((two, "e")),
        Operation::CutPut { at: (one, "e"), size: 1_300_000 },
        Operation::PutInParts { at: (one, "f"), size: 20_000 },
        Operation::Copy { from: (one, "f"), to: (two, "f"), replace: false },
        Operation::Collect,
        Operation::Open,
    ];
    let mut plan: Vec<Group> =
        scripted.into_iter().map(|operation| planner.admit(vec![operation])).collect();
    plan.extend((0..groups).map(|_| planner.group()));
    plan
}

struct Planner {
    random: Random,
    state: State,
    count: u64,
}

impl Planner {
    /// Numbers the operations of a group, and knows what is there after it.
    fn admit(&mut self, operations: Vec<Operation>) -> Group {
        let group: Group = (self.count..).zip(operations).collect();
        self.count += group.len() as u64;
        let before = self.state.clone();
        for (number, operation) in &group {
            apply(&mut self.state, &effect(&before, *number, operation));
        }
        group
    }

    fn group(&mut self) -> Group {
        let operations = match self.random.below(40) {
            0 => vec![Operation::Open],
            1..=3 => vec![self.bucket_operation()],
            4..=6 => vec![Operation::Collect],
            7..=9 => self.objects(4).into_iter().chain([Operation::Collect]).collect(),
            10..=14 => self.objects(6),
            _ => self.objects(1),
        };
        self.admit(operations)
    }

    fn bucket_operation(&mut self) -> Operation {
        let bucket = self.random.one(&BUCKETS);
        match self.state.contains_key(bucket) {
            true => Operation::DeleteBucket(bucket),
            false => Operation::CreateBucket(bucket),
        }
    }

    fn objects(&mut self, count: usize) -> Vec<Operation> {
        let buckets: Vec<_> = BUCKETS.into_iter().filter(|b| self.state.contains_key(*b)).collect();
        let (mut taken, mut operations) = (BTreeSet::new(), vec![]);
        while operations.len() < count {
            let at = (self.random.one(&buckets), self.random.one(&KEYS));
            let (operation, places) = self.object_operation(at, &buckets);
            if places.iter().all(|place| !taken.contains(place)) {
                taken.extend(places);
                operations.push(operation);
            }
        }
        operations
    }

    fn object_operation(&mut self, at: Place, buckets: &[&'static str]) -> (Operation, Vec<Place>) {
        // Around the inline bound, of several chunks.
        let sizes = [0, 90, 3000, 8000, 16 << 10, (16 << 10) + 1, 20_000, 140_000];
        let size = self.random.one(&sizes);
        match self.random.below(12) {
            10..=11 => (Operation::PutInParts { at, size }, vec![at]),
            0 => (Operation::Delete(at), vec![at]),
            1 => (Operation::CutPut { at, size: size + 600_000 }, vec![at]),
            2..=5 => {
                let from = (self.random.one(buckets), self.random.one(&KEYS));
                let replace = from == at || self.random.chance(1, 3);
                match object(&self.state, from) {
                    Some(_) => (Operation::Copy { from, to: at, replace }, vec![from, at]),
                    None => (Operation::Put { at, size }, vec![at]),
                }
            }
            _ => (Operation::Put { at, size }, vec![at]),
        }
    }
}
