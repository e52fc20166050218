//! The process whose calls are recorded: it works on a store and tells what it does.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_kv::embedded::{Durability, Options};
use cosine_store::{
    Attributes, Bucket, BucketAcl, BucketName, ByteSource, Collected, Collector, CollectorOptions,
    CompleteRequest, CopyRequest, Engines, Error, NewBucket, NewUpload, ObjectAcl, ObjectKey,
    PutPartRequest, PutRequest, SourceError, StorageClass, Store, SystemClock, Zones,
};

use crate::support::{encryption, key_for, owned};

use crate::machine::{MARKS, ROOT};
use crate::plan::{self, Group, Operation, Place};

/// So small that rows are flushed to tables, and tables compacted, many times in a recording.
const MEMTABLE_BYTES: u64 = 16 << 10;

/// The engines of a data directory, as `cosine serve` opens them.
pub fn engines(data: &Path) -> Result<Engines, Error> {
    let options = Options {
        durability: Durability::Sync,
        memtable_bytes: MEMTABLE_BYTES,
        ..Options::default()
    };
    let kv = cosine_kv::Embedded::open(&data.join("meta"), options)?;
    let blobs = cosine_blob::Files::open(&data.join("blobs"), Default::default())?;
    Ok(Engines { kv: Arc::new(kv), blobs: Arc::new(blobs) })
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Carries a plan out in a directory.
pub fn run(directory: &Path, plan: Vec<Group>) {
    let marks = OpenOptions::new().create(true).append(true).open(directory.join(MARKS)).unwrap();
    runtime().block_on(async {
        let data = directory.join(ROOT);
        let mut open: Option<Store> = None;
        for group in plan {
            if let [(number, Operation::Open)] = group[..] {
                say(&marks, "begin", number);
                drop(open.take());
                open = Some(
                    Store::open(
                        engines(&data).unwrap(),
                        Arc::new(SystemClock),
                        crate::support::master(),
                    )
                    .await
                    .unwrap(),
                );
                say(&marks, "done", number);
                continue;
            }
            let tasks: Vec<_> = group
                .into_iter()
                .map(|(number, operation)| {
                    let (store, marks) = (open.clone().unwrap(), marks.try_clone().unwrap());
                    tokio::spawn(async move {
                        say(&marks, "begin", number);
                        perform(&store, number, operation).await;
                        say(&marks, "done", number);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
}

fn say(mut marks: &File, what: &str, number: u64) {
    marks.write_all(format!("{what} {number}\n").as_bytes()).unwrap();
}

async fn perform(store: &Store, number: u64, operation: Operation) {
    match operation {
        Operation::Open => unreachable!("it runs alone"),
        Operation::Collect => drop(collect(store).await.unwrap()),
        Operation::CreateBucket(name) => {
            let new = NewBucket {
                name: parse(name),
                region: "r".into(),
                acl: BucketAcl::Private,
                zones: Zones::One,
            };
            store.create_bucket(new).await.unwrap();
        }
        Operation::DeleteBucket(name) => {
            let deleted = store.delete_bucket(&parse(name)).await;
            assert!(matches!(deleted, Ok(()) | Err(Error::BucketNotEmpty)), "{deleted:?}");
        }
        Operation::Put { at, size } => {
            put(store, at, number, &mut Bytes::from(plan::body(number, size))).await.unwrap();
        }
        Operation::PutInParts { at, size } => put_in_parts(store, at, number, size).await.unwrap(),
        Operation::CutPut { at, size } => {
            let mut source = Cut(Bytes::from(plan::body(number, size)));
            let put = put(store, at, number, &mut source).await;
            assert!(matches!(put, Err(Error::Source(SourceError::Cut))), "{put:?}");
        }
        Operation::Copy { from, to, replace } => {
            copy(store, from, to, replace.then_some(number)).await
        }
        Operation::Delete(at) => {
            store.delete(&bucket(store, at.0).await, &key(at.1), None).await.unwrap();
        }
    }
}

/// Removes what nobody refers to.
pub async fn collect(store: &Store) -> Result<Collected, Error> {
    let options = CollectorOptions { grace: Duration::ZERO, ..CollectorOptions::default() };
    Collector::new(store.clone(), options).run().await
}

/// A body whose sender goes away.
struct Cut(Bytes);

#[async_trait]
impl ByteSource for Cut {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        if self.0.is_empty() {
            return Err(SourceError::Cut);
        }
        let rest = self.0.split_off(self.0.len().min(100_000));
        Ok(Some(std::mem::replace(&mut self.0, rest)))
    }
}

pub async fn put(
    store: &Store,
    at: Place,
    number: u64,
    source: &mut dyn ByteSource,
) -> Result<(), Error> {
    let request = PutRequest {
        bucket: bucket(store, at.0).await,
        key: key(at.1),
        attributes: marked(number),
        tags: vec![],
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        md5: None,
        encryption: encryption(number),
        forbid_overwrite: false,
    };
    store.put(request, source).await.map(drop)
}

async fn put_in_parts(store: &Store, at: Place, number: u64, size: usize) -> Result<(), Error> {
    let (bucket, key) = (bucket(store, at.0).await, key(at.1));
    let new = NewUpload {
        bucket: bucket.clone(),
        key: key.clone(),
        attributes: marked(number),
        tags: vec![],
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        initiator: 0,
        encryption: encryption(number),
        forbid_overwrite: false,
    };
    let (id, _) = store.create_upload(new).await?;
    let upload = store.upload(&bucket, &key, id).await?;
    let body = Bytes::from(plan::body(number, size));
    let mut listed = vec![];
    for (part, mut bytes) in [(1, body.slice(..size / 2)), (2, body.clone()), (1, body)] {
        let request = PutPartRequest {
            upload: upload.clone(),
            number: part,
            md5: None,
            customer_key: key_for(upload.shown()),
        };
        let part = store.put_part(request, &mut bytes).await?;
        listed = vec![(1, Some(part.etag))];
    }
    let complete = CompleteRequest { upload, parts: listed, forbid_overwrite: false };
    store.complete_upload(complete).await.map(drop)
}

async fn copy(store: &Store, from: Place, to: Place, replace: Option<u64>) {
    let (source_bucket, source_key) = (bucket(store, from.0).await, key(from.1));
    let source = store.object(&source_bucket, &source_key, None).await.unwrap();
    let request = CopyRequest {
        source_key: key_for(source.encryption()),
        encryption: encryption(replace.unwrap_or(source.size)),
        source: owned(&source_bucket, &source_key, None, source),
        bucket: bucket(store, to.0).await,
        key: key(to.1),
        attributes: replace.map(marked),
        tags: None,
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        forbid_overwrite: false,
    };
    store.plan_copy(request).await.unwrap().run().await.unwrap();
}

fn marked(number: u64) -> Attributes {
    Attributes { system: vec![], user: vec![("mark".into(), plan::mark(number).into_bytes())] }
}

async fn bucket(store: &Store, name: &str) -> Bucket {
    store.bucket(&parse(name)).await.unwrap()
}

fn parse(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::parse(key).unwrap()
}
