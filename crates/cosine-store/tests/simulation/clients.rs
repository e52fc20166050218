//! Clients: each operation runs as a task, and its end is held against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cosine_store::{
    Attributes, BucketAcl, BucketName, CopyRequest, Error, NewBucket, ObjectAcl, ObjectKey,
    PutRequest, Rejection, StorageClass, Store, Version, Zones,
};

use crate::support::{encryption, key_for, open, owned};

use crate::model::{Possible, Seen, Value};
use crate::world::{GRACE, Process, Shared, World, show, tolerate};

pub const BUCKETS: [&str; 2] = ["one-1250000000", "two-1250000000"];
pub const KEYS: [&str; 2] = ["a", "b/→"];

pub type Place = (usize, usize);

/// An operation under way.
#[derive(Debug)]
pub struct Flight {
    pub generation: u64,
    /// When it began, in events.
    pub at: u64,
    pub begun: Duration,
    pub effect: Effect,
    /// Which buckets were there, or not, at some time since it began.
    pub buckets: BTreeSet<(usize, bool)>,
}

/// What an operation may do to the model.
#[derive(Clone, Debug)]
pub enum Effect {
    Put(Place, Value),
    Delete(Place),
    Copy { from: Place, to: Place, seen: Seen, mark: Option<u64> },
    Tag { at: Place, seen: Seen, tag: u64 },
    Read(Place),
    CreateBucket(usize),
    DeleteBucket(usize),
}

impl Effect {
    fn bucket(&self) -> usize {
        match self {
            Effect::Put((bucket, _), _)
            | Effect::Delete((bucket, _))
            | Effect::Read((bucket, _))
            | Effect::Copy { to: (bucket, _), .. }
            | Effect::Tag { at: (bucket, _), .. }
            | Effect::CreateBucket(bucket)
            | Effect::DeleteBucket(bucket) => *bucket,
        }
    }

    /// What it may leave, given what others may have left at its source.
    pub fn outcomes(&self, under_way: &BTreeMap<Place, Possible>) -> Possible {
        match self {
            Effect::Put(_, value) => Possible::from([Some(*value)]),
            Effect::Delete(_) => Possible::from([None]),
            Effect::Copy { from, seen, mark, .. } => {
                let marked = |value: Value| Value { mark: mark.unwrap_or(value.mark), ..value };
                sources(from, seen, under_way).map(marked).map(Some).collect()
            }
            Effect::Tag { at, seen, tag } => {
                let tagged = |value: Value| Value { tag: *tag, ..value };
                sources(at, seen, under_way).map(tagged).map(Some).collect()
            }
            _ => Possible::new(),
        }
    }

    fn writes(&self) -> Option<Place> {
        match self {
            Effect::Put(at, _)
            | Effect::Delete(at)
            | Effect::Copy { to: at, .. }
            | Effect::Tag { at, .. } => Some(*at),
            _ => None,
        }
    }
}

/// The objects that an operation may have found at a place.
fn sources(
    at: &Place,
    seen: &Seen,
    under_way: &BTreeMap<Place, Possible>,
) -> impl Iterator<Item = Value> {
    let mut sources = seen.lock().unwrap().clone();
    sources.extend(under_way.get(at).into_iter().flatten());
    sources.into_iter().flatten()
}

impl Shared {
    /// Everything that a place may have held since `seen` began: what was reported, and what is
    /// still under way.
    pub fn values(&self, at: Place, seen: &Possible) -> Possible {
        let under_way = self.under_way().remove(&at).unwrap_or_default();
        seen.union(&under_way).copied().collect()
    }

    /// What the operations under way may have left at each place. Copies of copies: until nothing
    /// new comes of it.
    pub fn under_way(&self) -> BTreeMap<Place, Possible> {
        let mut places: BTreeMap<Place, Possible> = BTreeMap::new();
        loop {
            let before: usize = places.values().map(Possible::len).sum();
            for flight in self.flights.values() {
                if let Effect::DeleteBucket(bucket) = flight.effect {
                    (0..KEYS.len()).for_each(|key| {
                        places.entry((bucket, key)).or_default().insert(None);
                    });
                }
                if let Some(at) = flight.effect.writes() {
                    let outcomes = flight.effect.outcomes(&places);
                    places.entry(at).or_default().extend(outcomes);
                }
            }
            if places.values().map(Possible::len).sum::<usize>() == before {
                return places;
            }
        }
    }

    /// Whether a bucket may have been there, or not, at some time since an operation began.
    pub fn may_exist(&self, flight: &Flight, bucket: usize, exists: bool) -> bool {
        self.model.buckets[&bucket].busy || flight.buckets.contains(&(bucket, exists))
    }

    /// A bucket is there, or not, or may be either.
    fn set_exists(&mut self, bucket: usize, exists: impl IntoIterator<Item = bool>) {
        let exists: BTreeSet<bool> = exists.into_iter().collect();
        for flight in self.flights.values_mut() {
            flight.buckets.extend(exists.iter().map(|exists| (bucket, *exists)));
        }
        self.model.bucket(bucket).exists = exists;
    }

    /// The next event.
    fn tick(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// A write happened.
    pub fn written(&mut self, at: Place, flight: &Flight, values: Possible) {
        let now = self.tick();
        self.model.slot(at).written(values, flight.at, now);
    }

    fn begin(&mut self, id: u64, flight: Flight) {
        let bucket = self.model.bucket(flight.effect.bucket());
        bucket.users += 1;
        match flight.effect {
            Effect::CreateBucket(_) | Effect::DeleteBucket(_) => bucket.busy = true,
            _ => {}
        }
        if let Some(at) = flight.effect.writes() {
            self.model.slot(at).writers += 1;
        }
        self.flights.insert(id, flight);
    }

    /// Takes an operation out of the air; `None` if its process was killed.
    fn land(&mut self, id: u64) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        let bucket = self.model.bucket(flight.effect.bucket());
        bucket.users -= 1;
        if matches!(flight.effect, Effect::CreateBucket(_) | Effect::DeleteBucket(_)) {
            bucket.busy = false;
        }
        if let Some(at) = flight.effect.writes() {
            self.model.slot(at).writers -= 1;
        }
        Some(flight)
    }

    /// It may have happened, and nobody knows.
    fn leave_open(&mut self, effect: &Effect) {
        if let Some(at) = effect.writes() {
            let outcomes = effect.outcomes(&self.under_way());
            let now = self.tick();
            self.model.slot(at).maybe_written(outcomes, now);
        }
        match effect {
            Effect::CreateBucket(bucket) => {
                let exists = self.model.bucket(*bucket).exists.clone();
                self.set_exists(*bucket, exists.into_iter().chain([true]));
            }
            Effect::DeleteBucket(bucket) => {
                let exists = self.model.bucket(*bucket).exists.clone();
                self.set_exists(*bucket, exists.into_iter().chain([false]));
                let now = self.tick();
                for key in 0..KEYS.len() {
                    self.model.slot((*bucket, key)).maybe_written(Possible::from([None]), now);
                }
            }
            _ => {}
        }
    }

    pub fn end_flights_of(&mut self, generation: u64) {
        let of_it =
            |(id, flight): (&u64, &Flight)| (flight.generation == generation).then_some(*id);
        let ids: Vec<u64> = self.flights.iter().filter_map(of_it).collect();
        for id in ids {
            let effect = self.flights[&id].effect.clone();
            self.leave_open(&effect);
            self.land(id);
        }
    }

    /// An error that is no answer: the operation may have happened.
    fn fail(&mut self, flight: &Flight, error: &Error) {
        match error {
            Error::Blob(cosine_blob::Error::NotFound(_)) => {
                let took = self.now.saturating_sub(flight.begun);
                // Doomed by one calendar and deleted by another, it stays for so much less.
                let lost = Duration::from_secs(self.wrong.1.abs_diff(self.wrong.0));
                assert!(took + lost >= GRACE, "a blob went while somebody read it");
            }
            error => tolerate(error),
        }
        if matches!(error, Error::Fenced) {
            self.fenced.insert(flight.generation);
        }
        self.leave_open(&flight.effect);
    }
}

impl World {
    pub fn begin(&self, process: &Process, effect: Effect) -> u64 {
        let mut shared = self.shared();
        shared.written += 1;
        let (id, begun) = (shared.written, shared.now);
        let mut buckets = BTreeSet::new();
        for bucket in 0..BUCKETS.len() {
            let state = shared.model.bucket(bucket);
            buckets.extend(state.exists.iter().map(|exists| (bucket, *exists)));
            if state.busy {
                buckets.extend([(bucket, true), (bucket, false)]);
            }
        }
        let at = shared.tick();
        shared.begin(id, Flight { generation: process.generation, at, begun, effect, buckets });
        id
    }

    /// Runs an operation, and holds its answer against the model once it comes.
    pub fn fly<T: Send + 'static>(
        &mut self,
        id: u64,
        operation: impl Future<Output = Result<T, Error>> + Send + 'static,
        land: impl FnOnce(&mut Shared, &Flight, T) + Send + 'static,
        refuse: impl FnOnce(&mut Shared, &Flight, &Error) -> bool + Send + 'static,
    ) {
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let result = operation.await;
            let mut shared = shared.lock().unwrap();
            let shared = &mut *shared;
            let Some(flight) = shared.flights.remove(&id) else { return };
            match result {
                Ok(done) => land(shared, &flight, done),
                Err(error) => {
                    if !refuse(shared, &flight, &error) {
                        shared.fail(&flight, &error);
                    }
                }
            }
            shared.flights.insert(id, flight);
            shared.land(id);
        });
    }

    pub fn create_bucket(&mut self, n: usize, bucket: usize) {
        if self.shared().model.bucket(bucket).busy {
            return;
        }
        let process = self.process(n);
        let id = self.begin(&process, Effect::CreateBucket(bucket));
        let name = BucketName::parse(BUCKETS[bucket]).unwrap();
        let new =
            NewBucket { name, region: "r".into(), acl: BucketAcl::Private, zones: Zones::One };
        let operation = async move { process.store.create_bucket(new).await };
        let land = move |shared: &mut Shared, _: &Flight, ()| {
            let state = shared.model.bucket(bucket);
            assert!(state.exists.contains(&false), "a bucket was made twice");
            shared.set_exists(bucket, [true]);
        };
        let refuse = move |shared: &mut Shared, _: &Flight, error: &Error| {
            let exists = matches!(error, Error::BucketExists);
            if exists {
                let state = shared.model.bucket(bucket);
                assert!(state.exists.contains(&true), "a bucket that nobody made exists");
                shared.set_exists(bucket, [true]);
            }
            exists
        };
        self.fly(id, operation, land, refuse);
    }

    pub fn delete_bucket(&mut self, n: usize, bucket: usize) {
        if self.shared().model.bucket(bucket).busy {
            return;
        }
        let process = self.process(n);
        let id = self.begin(&process, Effect::DeleteBucket(bucket));
        let name = BucketName::parse(BUCKETS[bucket]).unwrap();
        let operation = async move { process.store.delete_bucket(&name).await };
        let land = move |shared: &mut Shared, flight: &Flight, ()| {
            let state = shared.model.bucket(bucket);
            assert!(state.exists.contains(&true), "a bucket was removed twice");
            shared.set_exists(bucket, [false]);
            for key in 0..KEYS.len() {
                let possible = shared.model.slot((bucket, key)).possible();
                let values = shared.values((bucket, key), &possible);
                assert!(values.contains(&None), "a bucket was removed with {}", show(&values));
                shared.written((bucket, key), flight, Possible::from([None]));
            }
        };
        let refuse = move |shared: &mut Shared, _: &Flight, error: &Error| {
            let state = shared.model.bucket(bucket);
            match error {
                Error::NoSuchBucket => assert!(state.exists.contains(&false)),
                Error::BucketNotEmpty => assert!(state.exists.contains(&true)),
                _ => return false,
            }
            true
        };
        self.fly(id, operation, land, refuse);
    }

    pub fn put(&mut self, n: usize, at: Place, size: usize, forbid_overwrite: bool) {
        let process = self.process(n);
        let value = Value { body: self.shared().written, size, mark: 0, tag: 0 };
        let there = self.shared().model.slot(at).watch();
        let id = self.begin(&process, Effect::Put(at, value));
        let operation = async move {
            let request = PutRequest {
                bucket: process.store.bucket(&BucketName::parse(BUCKETS[at.0]).unwrap()).await?,
                key: ObjectKey::parse(KEYS[at.1]).unwrap(),
                attributes: marked(value.mark),
                tags: vec![],
                acl: ObjectAcl::Default,
                class: StorageClass::Standard,
                md5: None,
                encryption: encryption(value.body),
                forbid_overwrite,
            };
            process.store.put(request, &mut value.bytes()).await
        };
        let land = move |shared: &mut Shared, flight: &Flight, _: Version| {
            assert!(shared.may_exist(flight, at.0, true), "a put into no bucket");
            shared.written(at, flight, Possible::from([Some(value)]));
        };
        self.fly(id, operation, land, move |shared, flight, error| {
            refuse_write(shared, flight, at, forbid_overwrite.then_some(&there), error)
        });
    }

    pub fn copy(
        &mut self,
        n: usize,
        (from, to): (Place, Place),
        replace: bool,
        forbid_overwrite: bool,
    ) {
        let process = self.process(n);
        let seen = self.shared().model.slot(from).watch();
        let there = self.shared().model.slot(to).watch();
        let mark = replace.then(|| self.shared().written);
        let id = self.begin(&process, Effect::Copy { from, to, seen: Arc::clone(&seen), mark });
        let operation =
            async move { copy(&process.store, (from, to), mark, forbid_overwrite).await };
        let land = move |shared: &mut Shared, flight: &Flight, _: Version| {
            let values = flight.effect.outcomes(&shared.under_way());
            assert!(!values.is_empty(), "a copy of nothing");
            shared.written(to, flight, values);
        };
        let refuse = move |shared: &mut Shared, flight: &Flight, error: &Error| match error {
            Error::Rejected(Rejection::Unchanged) => {
                assert!(from == to && mark.is_none());
                true
            }
            error => {
                let there = forbid_overwrite.then_some(&there);
                refuse_copy(shared, flight, (from, &seen), (to, there), error)
            }
        };
        self.fly(id, operation, land, refuse);
    }

    pub fn tag(&mut self, n: usize, at: Place) {
        let process = self.process(n);
        let seen = self.shared().model.slot(at).watch();
        let tag = self.shared().written + 1;
        let id = self.begin(&process, Effect::Tag { at, seen: Arc::clone(&seen), tag });
        let operation = async move {
            let bucket = process.store.bucket(&BucketName::parse(BUCKETS[at.0]).unwrap()).await?;
            let key = ObjectKey::parse(KEYS[at.1]).unwrap();
            process.store.set_tags(&bucket, &key, None, &tagged(tag)).await
        };
        let land = move |shared: &mut Shared, flight: &Flight, ()| {
            let values = flight.effect.outcomes(&shared.under_way());
            assert!(!values.is_empty(), "tags of nothing");
            shared.written(at, flight, values);
        };
        let refuse = move |shared: &mut Shared, flight: &Flight, error: &Error| match error {
            Error::NoSuchKey | Error::DeleteMarker(_) => refuse_missing(shared, flight, at, &seen),
            error => refuse_write(shared, flight, at, None, error),
        };
        self.fly(id, operation, land, refuse);
    }

    pub fn delete(&mut self, n: usize, at: Place) {
        let process = self.process(n);
        let id = self.begin(&process, Effect::Delete(at));
        let operation = async move {
            let bucket = process.store.bucket(&BucketName::parse(BUCKETS[at.0]).unwrap()).await?;
            process
                .store
                .delete(&bucket, &ObjectKey::parse(KEYS[at.1]).unwrap(), None)
                .await
                .map(drop)
        };
        let land = move |shared: &mut Shared, flight: &Flight, ()| {
            shared.written(at, flight, Possible::from([None]));
        };
        self.fly(id, operation, land, move |shared, flight, error| {
            refuse_write(shared, flight, at, None, error)
        });
    }

    pub fn read(&mut self, n: usize, at: Place) {
        let process = self.process(n);
        let (seen, before) = {
            let mut shared = self.shared();
            let slot = shared.model.slot(at);
            (slot.watch(), (slot.writers == 0).then_some(slot.changes))
        };
        let id = self.begin(&process, Effect::Read(at));
        let operation = async move {
            match read(&process.store, at).await {
                Err(Error::NoSuchKey | Error::NoSuchBucket | Error::DeleteMarker(_)) => Ok(None),
                read => read.map(Some),
            }
        };
        let land = move |shared: &mut Shared, flight: &Flight, read: Option<(Version, Vec<u8>)>| {
            let seen = seen.lock().unwrap().clone();
            let values = shared.values(at, &seen);
            let fits = |value: &Option<Value>| match (value, &read) {
                (None, None) => true,
                (Some(value), Some((version, body))) => {
                    version.attributes == marked(value.mark)
                        && version.tags == tagged(value.tag)
                        && value.bytes() == body[..]
                }
                _ => false,
            };
            let found = values.iter().copied().find(fits);
            let absent = read.is_none() && shared.may_exist(flight, at.0, false);
            assert!(
                found.is_some() || absent,
                "{at:?} holds something else than {}",
                show(&values)
            );
            let slot = shared.model.slot(at);
            if let (Some(found), Some(before)) = (found, before)
                && slot.changes == before
                && slot.writers == 0
            {
                shared.written(at, flight, Possible::from([found]));
            }
        };
        self.fly(id, operation, land, |_, _, _| false);
    }
}

/// That there was nothing.
fn refuse_missing(shared: &mut Shared, flight: &Flight, at: Place, seen: &Seen) -> bool {
    let seen = seen.lock().unwrap().clone();
    let values = shared.values(at, &seen);
    let absent = values.contains(&None) || shared.may_exist(flight, at.0, false);
    assert!(absent, "{at:?} was there: {}", show(&values));
    true
}

pub fn refuse_copy(
    shared: &mut Shared,
    flight: &Flight,
    (from, seen): (Place, &Seen),
    (to, there): (Place, Option<&Seen>),
    error: &Error,
) -> bool {
    match error {
        Error::NoSuchKey | Error::DeleteMarker(_) => refuse_missing(shared, flight, from, seen),
        Error::NoSuchBucket => {
            let absent =
                shared.may_exist(flight, from.0, false) || shared.may_exist(flight, to.0, false);
            assert!(absent, "both buckets are there");
            true
        }
        error => refuse_write(shared, flight, to, there, error),
    }
}

pub fn refuse_write(
    shared: &mut Shared,
    flight: &Flight,
    at: Place,
    forbidden_over: Option<&Seen>,
    error: &Error,
) -> bool {
    match error {
        Error::NoSuchBucket => {
            assert!(shared.may_exist(flight, at.0, false), "the bucket is there")
        }
        Error::AlreadyExists => {
            let seen = forbidden_over.map(|seen| seen.lock().unwrap().clone());
            let values = shared.values(at, &seen.unwrap_or_default());
            assert!(forbidden_over.is_some() && values.iter().any(Option::is_some));
        }
        _ => return false,
    }
    true
}

pub fn tagged(tag: u64) -> Vec<(String, String)> {
    (tag > 0).then(|| ("tag".into(), tag.to_string())).into_iter().collect()
}

pub fn marked(mark: u64) -> Attributes {
    Attributes { system: vec![], user: vec![("mark".into(), mark.to_string().into_bytes())] }
}

/// What is gone so often is not there.
pub const LOOKS_MAX: usize = 100;

/// Looks again when the version went while it was looked at, as the API does.
async fn copy(
    store: &Store,
    (from, to): (Place, Place),
    mark: Option<u64>,
    forbid_overwrite: bool,
) -> Result<Version, Error> {
    for _ in 0..LOOKS_MAX {
        let source_bucket = store.bucket(&BucketName::parse(BUCKETS[from.0]).unwrap()).await?;
        let bucket = store.bucket(&BucketName::parse(BUCKETS[to.0]).unwrap()).await?;
        let source_key = ObjectKey::parse(KEYS[from.1]).unwrap();
        let source = store.object(&source_bucket, &source_key, None).await?;
        let request = CopyRequest {
            source_key: key_for(source.encryption()),
            encryption: encryption(mark.unwrap_or(source.size)),
            source: owned(&source_bucket, &source_key, None, source),
            bucket,
            key: ObjectKey::parse(KEYS[to.1]).unwrap(),
            attributes: mark.map(marked),
            tags: None,
            acl: ObjectAcl::Default,
            class: StorageClass::Standard,
            forbid_overwrite,
        };
        let copied = match store.plan_copy(request).await {
            Ok(planned) => planned.run().await,
            Err(error) => Err(error),
        };
        match copied {
            Err(Error::Gone) => {}
            copied => return copied,
        }
    }
    Err(Error::Gone)
}

async fn read(store: &Store, at: Place) -> Result<(Version, Vec<u8>), Error> {
    let bucket = store.bucket(&BucketName::parse(BUCKETS[at.0]).unwrap()).await?;
    for _ in 0..LOOKS_MAX {
        let key = ObjectKey::parse(KEYS[at.1]).unwrap();
        let version = store.object(&bucket, &key, None).await?;
        let mut reader = match open(store, (&bucket, &key), &version).await {
            Err(Error::Gone) => continue,
            reader => reader?,
        };
        let mut body = vec![];
        while let Some(piece) = reader.next().await? {
            body.extend_from_slice(&piece);
        }
        return Ok((version, body));
    }
    Err(Error::Gone)
}
