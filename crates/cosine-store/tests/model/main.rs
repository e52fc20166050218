//! Random operations against a model that is a map, on both sets of engines, and the books after
//! every run. One client and no faults here; the rest is in `../simulation`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking"
)]

mod promises;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cosine_access::Account;
use cosine_kv::{Found, Kv, Outcome, Scan};
use cosine_store::fsck::{FsckOptions, fsck};

use crate::support::{encryption, key_for, open, owned};
use cosine_store::{
    AccessKey, Attributes, Bucket, BucketAcl, BucketName, ByteSource, Collector, CollectorOptions,
    CopyRequest, Engines, Error, Holder, ListOptions, ManualClock, NewBucket, ObjectAcl, ObjectKey,
    PutRequest, Rejection, SourceError, StorageClass, Store, Version, Zones,
};
use proptest::prelude::*;

const BUCKETS: [&str; 2] = ["one-1250000000", "two-1250000000"];
const KEYS: [&str; 4] = ["a", "b/c", "b/d", "→"];

#[derive(Clone, Debug)]
enum Operation {
    CreateBucket(usize),
    DeleteBucket(usize),
    Put { at: Place, size: usize, forbid_overwrite: bool },
    Copy { from: Place, to: Place, replace: Replace, forbid_overwrite: bool },
    Tag { at: Place, tags: u8 },
    Delete(Place),
    List { bucket: usize, delimiter: bool, marker: usize, limit: usize },
    Read(Place),
    ClockSteps(i64),
}

type Place = (usize, usize);

/// What a copy replaces: metadata, tags.
type Replace = (Option<u8>, Option<u8>);

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    use Operation::*;
    let place = || (0..BUCKETS.len(), 0..KEYS.len());
    // Around the inline bound, and around the chunk and block sizes.
    let size = prop_oneof![
        4 => 0..100usize,
        2 => (16usize << 10) - 1..(16 << 10) + 2,
        1 => (512usize << 10) - 1..(512 << 10) + 2,
        1 => Just((1 << 20) + 5),
    ];
    let replace = || (proptest::option::of(0..9u8), proptest::option::of(0..3u8));
    let operation = prop_oneof![
        2 => (0..BUCKETS.len()).prop_map(CreateBucket),
        1 => (0..BUCKETS.len()).prop_map(DeleteBucket),
        6 => (place(), size, prop::bool::weighted(0.1))
            .prop_map(|(at, size, forbid_overwrite)| Put { at, size, forbid_overwrite }),
        8 => (place(), place(), replace(), prop::bool::weighted(0.1))
            .prop_map(|(from, to, replace, forbid_overwrite)| Copy { from, to, replace, forbid_overwrite }),
        3 => place().prop_map(Delete),
        2 => (place(), 0..3u8).prop_map(|(at, tags)| Tag { at, tags }),
        2 => (0..BUCKETS.len(), any::<bool>(), 0..KEYS.len() + 1, 1..4usize)
            .prop_map(|(bucket, delimiter, marker, limit)| List { bucket, delimiter, marker, limit }),
        3 => place().prop_map(Read),
        1 => (-5_000_000..5_000_000i64).prop_map(ClockSteps),
    ];
    prop::collection::vec(operation, 1..60)
}

/// What the model keeps of an object.
#[derive(Clone, Debug, PartialEq)]
struct Object {
    body: Bytes,
    mark: Vec<u8>,
    tags: u8,
}

#[derive(Default)]
struct Model {
    buckets: BTreeMap<usize, BTreeMap<&'static str, Object>>,
}

struct World {
    store: Store,
    engines: Engines,
    clock: Arc<ManualClock>,
    now: i64,
    written: u64,
    model: Model,
}

impl World {
    async fn new(engines: Engines) -> Self {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000_000));
        let store = Store::open(engines.clone(), Arc::clone(&clock) as _, crate::support::master())
            .await
            .unwrap();
        Self {
            store,
            engines,
            clock,
            now: 1_700_000_000_000_000,
            written: 0,
            model: Model::default(),
        }
    }

    async fn bucket(&self, n: usize) -> Result<Bucket, Error> {
        self.store.bucket(&BucketName::parse(BUCKETS[n]).unwrap()).await
    }

    async fn step(&mut self, operation: Operation) {
        match operation {
            Operation::CreateBucket(n) => self.create_bucket(n).await,
            Operation::DeleteBucket(n) => self.delete_bucket(n).await,
            Operation::Put { at, size, forbid_overwrite } => {
                self.put(at, size, forbid_overwrite).await
            }
            Operation::Copy { from, to, replace, forbid_overwrite } => {
                self.copy(from, to, replace, forbid_overwrite).await;
            }
            Operation::Tag { at, tags } => self.tag(at, tags).await,
            Operation::Delete(at) => self.delete(at).await,
            Operation::List { bucket, delimiter, marker, limit } => {
                self.list(bucket, delimiter, marker, limit).await;
            }
            Operation::Read(at) => self.read(at).await,
            Operation::ClockSteps(micros) => {
                self.now += micros;
                self.clock.set(self.now as u64);
            }
        }
    }

    async fn create_bucket(&mut self, n: usize) {
        let name = BucketName::parse(BUCKETS[n]).unwrap();
        let new =
            NewBucket { name, region: "r".into(), acl: BucketAcl::Private, zones: Zones::One };
        let made = self.store.create_bucket(new).await;
        match self.model.buckets.entry(n) {
            Entry::Occupied(_) => {
                assert!(matches!(made, Err(Error::BucketExists)), "{made:?}");
            }
            Entry::Vacant(vacant) => {
                made.unwrap();
                vacant.insert(BTreeMap::new());
            }
        }
    }

    async fn delete_bucket(&mut self, n: usize) {
        let deleted = self.store.delete_bucket(&BucketName::parse(BUCKETS[n]).unwrap()).await;
        match self.model.buckets.get(&n) {
            None => assert!(matches!(deleted, Err(Error::NoSuchBucket)), "{deleted:?}"),
            Some(objects) if objects.is_empty() => {
                deleted.unwrap();
                self.model.buckets.remove(&n);
            }
            Some(_) => assert!(matches!(deleted, Err(Error::BucketNotEmpty)), "{deleted:?}"),
        }
    }

    async fn put(&mut self, at: Place, size: usize, forbid_overwrite: bool) {
        let Ok(bucket) = self.bucket(at.0).await else {
            return assert!(!self.model.buckets.contains_key(&at.0));
        };
        self.written += 1;
        let seed = self.written;
        let body: Bytes = (0..size as u64).map(|i| (i * 31 + seed * 7 + (i >> 9)) as u8).collect();
        let request = PutRequest {
            bucket,
            key: ObjectKey::parse(KEYS[at.1]).unwrap(),
            attributes: marked(b"put"),
            tags: tagged(1),
            acl: ObjectAcl::Default,
            class: StorageClass::Standard,
            md5: None,
            encryption: encryption(seed),
            forbid_overwrite,
        };
        let put = self.store.put(request, &mut body.clone()).await;
        let objects = self.model.buckets.get_mut(&at.0).unwrap();
        if forbid_overwrite && objects.contains_key(KEYS[at.1]) {
            assert!(matches!(put, Err(Error::AlreadyExists)), "{put:?}");
        } else {
            assert_eq!(put.unwrap().size, size as u64);
            objects.insert(KEYS[at.1], Object { body, mark: b"put".to_vec(), tags: 1 });
        }
    }

    async fn copy(&mut self, from: Place, to: Place, replace: Replace, forbid_overwrite: bool) {
        let (Ok(source_bucket), Ok(bucket)) = (self.bucket(from.0).await, self.bucket(to.0).await)
        else {
            return;
        };
        let source_key = ObjectKey::parse(KEYS[from.1]).unwrap();
        let source = self.store.object(&source_bucket, &source_key, None).await;
        let Some(object) = self.model.buckets[&from.0].get(KEYS[from.1]).cloned() else {
            return assert!(matches!(source, Err(Error::NoSuchKey)), "{source:?}");
        };
        let source = source.unwrap();
        self.written += 1;
        let request = CopyRequest {
            source_key: key_for(source.encryption()),
            encryption: encryption(self.written),
            source: owned(&source_bucket, &source_key, None, source),
            bucket,
            key: ObjectKey::parse(KEYS[to.1]).unwrap(),
            attributes: replace.0.map(|mark| marked(&[mark])),
            tags: replace.1.map(tagged),
            acl: ObjectAcl::Default,
            class: StorageClass::Standard,
            forbid_overwrite,
        };
        let copied = copy(&self.store, request).await;
        let objects = self.model.buckets.get_mut(&to.0).unwrap();
        if from == to && replace == (None, None) {
            assert!(matches!(copied, Err(Error::Rejected(Rejection::Unchanged))), "{copied:?}");
        } else if forbid_overwrite && objects.contains_key(KEYS[to.1]) {
            assert!(matches!(copied, Err(Error::AlreadyExists)), "{copied:?}");
        } else {
            copied.unwrap();
            let mark = replace.0.map_or(object.mark, |mark| vec![mark]);
            let tags = replace.1.unwrap_or(object.tags);
            objects.insert(KEYS[to.1], Object { body: object.body, mark, tags });
        }
    }

    async fn tag(&mut self, at: Place, tags: u8) {
        let Ok(bucket) = self.bucket(at.0).await else { return };
        let key = ObjectKey::parse(KEYS[at.1]).unwrap();
        let done = self.store.set_tags(&bucket, &key, None, &tagged(tags)).await;
        match self.model.buckets.get_mut(&at.0).unwrap().get_mut(KEYS[at.1]) {
            None => assert!(matches!(done, Err(Error::NoSuchKey)), "{done:?}"),
            Some(object) => {
                done.unwrap();
                object.tags = tags;
            }
        }
    }

    async fn delete(&mut self, at: Place) {
        let Ok(bucket) = self.bucket(at.0).await else { return };
        self.store.delete(&bucket, &ObjectKey::parse(KEYS[at.1]).unwrap(), None).await.unwrap();
        self.model.buckets.get_mut(&at.0).unwrap().remove(KEYS[at.1]);
    }

    async fn list(&self, n: usize, delimiter: bool, marker: usize, limit: usize) {
        let Ok(bucket) = self.bucket(n).await else { return };
        let marker = KEYS.get(marker).copied().unwrap_or("").to_owned();
        let delimiter = if delimiter { "/" } else { "" }.to_owned();
        let options = ListOptions { prefix: String::new(), delimiter, marker, limit };
        let page = self.store.list_objects(&bucket, &options).await.unwrap();
        let mut expected: Vec<String> = vec![];
        for key in self.model.buckets[&n].keys().filter(|key| ***key > *options.marker) {
            let name = match key.split_once('/') {
                Some((front, _)) if !options.delimiter.is_empty() => format!("{front}/"),
                _ => (*key).to_owned(),
            };
            if expected.last() != Some(&name) {
                expected.push(name);
            }
        }
        let listed: Vec<&str> = page.entries.iter().map(cosine_store::Entry::name).collect();
        assert_eq!(listed, expected[..expected.len().min(limit)]);
        assert_eq!(page.truncated, expected.len() > limit);
    }

    async fn read(&self, at: Place) {
        let Ok(bucket) = self.bucket(at.0).await else { return };
        let read = read_all(&self.store, &bucket, KEYS[at.1]).await;
        match self.model.buckets[&at.0].get(KEYS[at.1]) {
            None => assert!(matches!(read, Err(Error::NoSuchKey)), "{read:?}"),
            Some(object) => {
                let (version, body) = read.unwrap();
                assert!(body == object.body, "other bytes");
                assert_eq!(version.attributes, marked(&object.mark));
                assert_eq!(version.tags, tagged(object.tags));
            }
        }
    }

    async fn check_everything(&self) {
        for at in (0..BUCKETS.len()).flat_map(|b| (0..KEYS.len()).map(move |k| (b, k))) {
            self.read(at).await;
        }
        check_books(&self.engines).await;
    }
}

async fn copy(store: &Store, request: CopyRequest) -> Result<Version, Error> {
    store.plan_copy(request).await?.run().await
}

fn tagged(count: u8) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("key {n}"), count.to_string())).collect()
}

fn marked(mark: &[u8]) -> Attributes {
    Attributes { system: vec![], user: vec![("mark".into(), mark.to_vec())] }
}

async fn read_all(store: &Store, bucket: &Bucket, key: &str) -> Result<(Version, Vec<u8>), Error> {
    let key = ObjectKey::parse(key).unwrap();
    let version = store.object(bucket, &key, None).await?;
    let mut reader = open(store, (bucket, &key), &version).await?;
    let mut body = vec![];
    while let Some(piece) = reader.next().await? {
        body.extend_from_slice(&piece);
    }
    Ok((version, body))
}

async fn rows(kv: &dyn Kv, prefix: &[u8]) -> Vec<Vec<u8>> {
    let page = kv.scan(Scan::prefix(prefix, 100_000)).await.unwrap();
    let key = |found| match found {
        Found::Row(key, _) | Found::CommonPrefix(key) => key,
    };
    page.found.into_iter().map(key).collect()
}

/// Every record, reference and blob, counted from scratch; and nothing is there that no version,
/// and no collector, knows of.
async fn check_books(engines: &Engines) {
    let report = fsck(engines, FsckOptions { deep: true, repair: false }, &mut |_| {}).await;
    let report = report.unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    assert_eq!(report.counts.orphaned_blobs, 0, "a live run cleans up after itself");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn memory() -> Engines {
    Engines {
        kv: Arc::new(cosine_kv::Memory::default()),
        blobs: Arc::new(cosine_blob::Memory::default()),
    }
}

fn embedded(directory: &std::path::Path) -> Engines {
    Engines {
        kv: Arc::new(
            cosine_kv::Embedded::open(&directory.join("meta"), Default::default()).unwrap(),
        ),
        blobs: Arc::new(
            cosine_blob::Files::open(&directory.join("blobs"), Default::default()).unwrap(),
        ),
    }
}

fn steps(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(steps(300))]
    #[test]
    fn memory_agrees_with_the_model(operations in operations()) {
        runtime().block_on(async {
            let mut world = World::new(memory()).await;
            for operation in operations {
                world.step(operation).await;
            }
            world.check_everything().await;
        });
    }
}

proptest! {
    #![proptest_config(steps(30))]
    #[test]
    fn embedded_agrees_with_the_model_also_after_reopening(operations in operations()) {
        let directory = tempfile::tempdir().unwrap();
        let model = runtime().block_on(async {
            let mut world = World::new(embedded(directory.path())).await;
            for operation in operations {
                world.step(operation).await;
            }
            world.check_everything().await;
            world.model
        });
        runtime().block_on(async {
            let mut world = World::new(embedded(directory.path())).await;
            world.model = model;
            world.check_everything().await;
        });
    }
}
