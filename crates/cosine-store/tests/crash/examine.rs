//! Opens what a crash left, and says what is in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cosine_store::fsck::{FsckOptions, fsck};
use cosine_store::{
    Bucket, BucketAcl, BucketName, Engines, Entry, ListOptions, NewBucket, ObjectKey, Store,
    SystemClock, Zones,
};

use crate::Failure;
use crate::disk::Image;
use crate::plan::{self, BUCKETS, Object, State};
use crate::workload;

/// Puts an image into an empty directory.
pub fn store_image(image: &Image, directory: &Path) -> std::io::Result<()> {
    for (path, content) in image {
        let path = directory.join(path);
        match content {
            None => std::fs::create_dir(path)?,
            Some(content) => content.store(&path)?,
        }
    }
    Ok(())
}

/// What the store in `data` holds, after everything in it was read, it was checked and collected, and it
/// took and kept one more object.
pub fn examine(data: &Path) -> Result<State, Failure> {
    let extra = (BUCKETS[0], "extra");
    let body = plan::body(u64::MAX, 20_000);
    let state = workload::runtime().block_on(async {
        let (store, engines) = open(data).await?;
        let state = read_everything(&store).await?;
        workload::collect(&store).await.map_err(failed("collect after the crash"))?;
        check(&engines).await?;
        if !state.contains_key(extra.0) {
            let name = name(extra.0)?;
            let new =
                NewBucket { name, region: "r".into(), acl: BucketAcl::Private, zones: Zones::One };
            store.create_bucket(new).await.map_err(failed("create a bucket after the crash"))?;
        }
        let mut source = Bytes::from(body.clone());
        let put = workload::put(&store, extra, u64::MAX, &mut source).await;
        put.map_err(failed("put after the crash"))?;
        Ok::<State, Failure>(state)
    })?;
    workload::runtime().block_on(async {
        let (store, _) = open(data).await?;
        let mut again = read_everything(&store).await?;
        let found = again.get_mut(extra.0).and_then(|objects| objects.remove(extra.1));
        if found != Some(Object::of(&body, &plan::mark(u64::MAX))) {
            return Err(format!("what was put after the crash is {found:?}"));
        }
        if !state.contains_key(extra.0) {
            again.remove(extra.0);
        }
        if again == state { Ok(()) } else { Err("opened once more, it is another".to_owned()) }
    })?;
    Ok(state)
}

fn failed<E: std::fmt::Debug>(what: &str) -> impl Fn(E) -> Failure {
    move |error| format!("cannot {what}: {error:?}")
}

fn name(name: &str) -> Result<BucketName, Failure> {
    BucketName::parse(name).map_err(failed("parse a name"))
}

async fn open(data: &Path) -> Result<(Store, Engines), Failure> {
    let engines: Engines = workload::engines(data).map_err(failed("open the engines"))?;
    check(&engines).await?;
    let store = Store::open(engines.clone(), Arc::new(SystemClock), crate::support::master()).await;
    Ok((store.map_err(failed("open the store"))?, engines))
}

async fn read_everything(store: &Store) -> Result<State, Failure> {
    let mut state = State::new();
    for bucket in BUCKETS {
        match store.bucket(&name(bucket)?).await {
            Err(cosine_store::Error::NoSuchBucket) => {}
            found => {
                let found = found.map_err(failed("find a bucket"))?;
                state.insert(bucket.to_owned(), read_bucket(store, &found).await?);
            }
        }
    }
    Ok(state)
}

async fn read_bucket(store: &Store, bucket: &Bucket) -> Result<BTreeMap<String, Object>, Failure> {
    let options = ListOptions { limit: 1000, ..ListOptions::default() };
    let page = store.list_objects(bucket, &options).await.map_err(failed("list"))?;
    let mut objects = BTreeMap::new();
    for key in page.entries.iter().map(Entry::name) {
        let parsed = ObjectKey::parse(key).map_err(failed("parse a key"))?;
        let what = format!("read {}/{key}", bucket.name());
        let version = store.object(bucket, &parsed, None).await.map_err(failed(&what))?;
        let reader = crate::support::open(store, (bucket, &parsed), &version).await;
        let mut reader = reader.map_err(failed(&what))?;
        let mut body = vec![];
        while let Some(piece) = reader.next().await.map_err(failed(&what))? {
            body.extend_from_slice(&piece);
        }
        let mark = version.attributes.user.iter().map(|(_, mark)| String::from_utf8_lossy(mark));
        objects.insert(key.to_owned(), Object::of(&body, &mark.collect::<String>()));
    }
    Ok(objects)
}

/// Every record, reference and byte, counted from scratch.
async fn check(engines: &Engines) -> Result<(), Failure> {
    let options = FsckOptions { deep: true, repair: false };
    let report = fsck(engines, options, &mut |_| {}).await.map_err(failed("check"))?;
    if report.is_sound() { Ok(()) } else { Err(format!("not sound: {:?}", report.findings)) }
}
