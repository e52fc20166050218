//! Clients that upload in parts, and that keep versions.

use std::sync::Arc;

use bytes::Bytes;
use cosine_store::{
    Bucket, BucketName, CompleteRequest, Error, ListOptions, NewUpload, ObjectAcl, ObjectKey,
    PartCopyRequest, PutPartRequest, StorageClass, Store, Upload, Version, VersionEntry,
};

use crate::support::{encryption, key_for, owned};

use crate::clients::{
    BUCKETS, Effect, Flight, KEYS, LOOKS_MAX, Place, marked, refuse_copy, refuse_write,
};
use crate::model::{Possible, Value};
use crate::world::{Shared, World, tolerate};

impl World {
    /// A put in one part, which is sent twice.
    pub fn put_in_parts(&mut self, n: usize, at: Place, size: usize, abort: bool) {
        let process = self.process(n);
        let value = Value { body: self.shared().written, size, mark: 1, tag: 0 };
        let effect = if abort { Effect::Read(at) } else { Effect::Put(at, value) };
        let id = self.begin(&process, effect);
        let operation = async move {
            let store = &process.store;
            let upload = begin(store, at, value.mark, vec![]).await?;
            let mut other = Bytes::from(vec![7; size / 2]);
            let part = |number| part_of(&upload, number);
            store.put_part(part(3), &mut other).await?;
            let listed = store.put_part(part(3), &mut value.bytes()).await?;
            let unlisted = store.put_part(part(9), &mut value.bytes()).await?;
            assert_eq!(unlisted.etag, listed.etag);
            finish(store, upload, listed.etag, abort).await
        };
        let land = move |shared: &mut Shared, flight: &Flight, done: Option<Version>| {
            assert_eq!(done.is_none(), abort);
            if !abort {
                assert!(shared.may_exist(flight, at.0, true), "an upload into no bucket");
                shared.written(at, flight, Possible::from([Some(value)]));
            }
        };
        self.fly(id, operation, land, move |shared, flight, error| {
            refuse_write(shared, flight, at, None, error)
        });
    }

    /// A copy in two parts, the second of which may be empty.
    pub fn copy_in_parts(&mut self, n: usize, (from, to): (Place, Place)) {
        let process = self.process(n);
        let seen = self.shared().model.slot(from).watch();
        let mark = self.shared().written;
        let effect = Effect::Copy { from, to, seen: Arc::clone(&seen), mark: Some(mark) };
        let id = self.begin(&process, effect);
        let operation = async move { copy(&process.store, (from, to), mark).await };
        let land = move |shared: &mut Shared, flight: &Flight, _: Version| {
            let values = flight.effect.outcomes(&shared.under_way());
            assert!(!values.is_empty(), "a copy of nothing");
            shared.written(to, flight, values);
        };
        self.fly(id, operation, land, move |shared, flight, error| {
            refuse_copy(shared, flight, (from, &seen), (to, None), error)
        });
    }

    pub fn set_versioning(&mut self, n: usize, bucket: usize, enabled: bool) {
        let store = self.process(n).store;
        self.tasks.spawn(async move {
            let done = async {
                let bucket = find(&store, bucket).await?;
                store.set_versioning(&bucket, enabled).await
            };
            settle(done.await);
        });
    }

    /// Removes a version that is not the newest, which changes nothing for those who name none.
    pub fn remove_old_version(&mut self, n: usize, at: Place) {
        let store = self.process(n).store;
        self.tasks.spawn(async move { settle(remove_old(&store, at).await) });
    }
}

/// A bucket may go at any time.
fn settle(done: Result<(), Error>) {
    match done {
        Ok(()) | Err(Error::NoSuchBucket) => {}
        Err(error) => tolerate(&error),
    }
}

async fn find(store: &Store, bucket: usize) -> Result<Bucket, Error> {
    store.bucket(&BucketName::parse(BUCKETS[bucket]).unwrap()).await
}

fn part_of(upload: &Upload, number: u16) -> PutPartRequest {
    let customer_key = key_for(upload.shown());
    PutPartRequest { upload: upload.clone(), number, md5: None, customer_key }
}

async fn begin(
    store: &Store,
    at: Place,
    mark: u64,
    tags: Vec<(String, String)>,
) -> Result<Upload, Error> {
    let (bucket, key) = (find(store, at.0).await?, ObjectKey::parse(KEYS[at.1]).unwrap());
    let new = NewUpload {
        bucket: bucket.clone(),
        key: key.clone(),
        attributes: marked(mark),
        tags,
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        initiator: 0,
        encryption: encryption(mark + u64::from(at.1 as u8)),
        forbid_overwrite: false,
    };
    let (id, _) = store.create_upload(new).await?;
    store.upload(&bucket, &key, id).await
}

async fn finish(
    store: &Store,
    upload: Upload,
    etag: [u8; 16],
    abort: bool,
) -> Result<Option<Version>, Error> {
    if abort {
        store.abort_upload(&upload).await?;
        return Ok(None);
    }
    let parts = vec![(3, Some(etag))];
    let complete = CompleteRequest { upload, parts, forbid_overwrite: false };
    store.complete_upload(complete).await.map(Some)
}

async fn copy(store: &Store, (from, to): (Place, Place), mark: u64) -> Result<Version, Error> {
    for _ in 0..LOOKS_MAX {
        let (bucket, key) = (find(store, from.0).await?, ObjectKey::parse(KEYS[from.1]).unwrap());
        let source = store.object(&bucket, &key, None).await?;
        let upload = begin(store, to, mark, source.tags.clone()).await?;
        let range = 0..source.size;
        let source_key = key_for(source.encryption());
        let copy = PartCopyRequest {
            upload: upload.clone(),
            number: 3,
            source: owned(&bucket, &key, None, source),
            range,
            source_key,
            customer_key: key_for(upload.shown()),
        };
        let copied = match store.plan_part_copy(copy).await {
            Ok(planned) => planned.run().await,
            Err(error) => Err(error),
        };
        let part = match copied {
            Err(Error::Gone) => {
                store.abort_upload(&upload).await?;
                continue;
            }
            part => part?,
        };
        let version = finish(store, upload, part.etag, false).await?;
        return Ok(version.unwrap());
    }
    Err(Error::Gone)
}

async fn remove_old(store: &Store, at: Place) -> Result<(), Error> {
    let bucket = find(store, at.0).await?;
    let prefix = KEYS[at.1].to_owned();
    let options = ListOptions { prefix, limit: 100, ..ListOptions::default() };
    let page = store.list_versions(&bucket, &options, None).await?;
    let old = page.entries.into_iter().find_map(|entry| match entry {
        VersionEntry::Version { key, version, latest: false } => Some((key, version.id())),
        VersionEntry::Marker { key, marker, latest: false } => Some((key, marker.id())),
        _ => None,
    });
    match old {
        // `null` may be the newest by the time it is removed.
        Some((key, id)) if id != cosine_store::VersionId::Null => {
            store.delete(&bucket, &key, Some(id)).await.map(drop)
        }
        _ => Ok(()),
    }
}
