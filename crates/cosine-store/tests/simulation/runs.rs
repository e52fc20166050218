//! What chance seldom reaches: a process that is taken for dead while it puts an object.

use crate::support::encryption;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_store::{
    Attributes, BucketAcl, BucketName, ByteSource, Collector, CollectorOptions, Engines, Error,
    ManualClock, NewBucket, ObjectAcl, ObjectKey, PutRequest, SourceError, StorageClass, Store,
    Zones,
};
use tokio::sync::oneshot;

use crate::dice::Dice;
use crate::faults::{Fate, FaultyBlobs, FaultyKv};
use crate::world::{GRACE, SILENCE};

/// Two processes without faults on one store.
struct Pair {
    clock: Arc<ManualClock>,
    one: Store,
    other: Store,
    blobs: cosine_blob::Memory,
}

async fn pair() -> Pair {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000_000));
    let fate = Arc::new(Fate::new(Arc::new(Dice::new(1)), Arc::default()));
    let kv = FaultyKv { inner: Arc::default(), fate: Arc::clone(&fate) };
    let blobs = cosine_blob::Memory::default();
    let data = FaultyBlobs { inner: blobs.clone(), fate };
    let engines = Engines { kv: Arc::new(kv), blobs: Arc::new(data) };
    let one = Store::open(engines.clone(), Arc::clone(&clock) as _, crate::support::master())
        .await
        .unwrap();
    let other =
        Store::open(engines, Arc::clone(&clock) as _, crate::support::master()).await.unwrap();
    Pair { clock, one, other, blobs }
}

fn collector(store: &Store) -> Collector {
    Collector::new(store.clone(), CollectorOptions { grace: GRACE, silence: SILENCE })
}

/// A body whose last piece comes when it is let go.
struct Held {
    first: Option<Bytes>,
    go: Option<oneshot::Receiver<()>>,
}

#[async_trait]
impl ByteSource for Held {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        if let Some(go) = self.go.take() {
            go.await.unwrap();
        }
        Ok(self.first.take())
    }
}

async fn put(store: &Store, go: oneshot::Receiver<()>) -> Result<(), Error> {
    let request = PutRequest {
        bucket: store.bucket(&BucketName::parse("b-1250000000").unwrap()).await?,
        key: ObjectKey::parse("key").unwrap(),
        attributes: Attributes::default(),
        tags: vec![],
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        md5: None,
        encryption: encryption(1),
        forbid_overwrite: false,
    };
    let mut body = Held { first: Some(Bytes::from(vec![7; 100_000])), go: Some(go) };
    store.put(request, &mut body).await.map(drop)
}

async fn make_bucket(store: &Store) {
    let name = BucketName::parse("b-1250000000").unwrap();
    let new = NewBucket { name, region: "r".into(), acl: BucketAcl::Private, zones: Zones::One };
    store.create_bucket(new).await.unwrap();
}

/// Its blobs may be gone: so its commits that would refer to one are refused, and it leaves nothing.
#[tokio::test(start_paused = true)]
async fn a_process_that_was_taken_for_dead_cannot_refer_to_what_it_wrote() {
    let Pair { clock, one, other, blobs } = pair().await;
    make_bucket(&one).await;
    let (go, wait) = oneshot::channel();
    let store = one.clone();
    let putting = tokio::spawn(async move { put(&store, wait).await });
    let mut collector = collector(&other);
    assert_eq!(collector.tick().await.unwrap().runs, 0, "it has only just been seen");
    clock.advance(SILENCE);
    assert_eq!(collector.run().await.unwrap().runs, 1, "it was silent for long enough");
    go.send(()).unwrap();
    let put = putting.await.unwrap();
    assert!(matches!(put, Err(Error::Fenced)), "{put:?}");
    assert!(matches!(one.heartbeat().await, Err(Error::Fenced)));
    tokio::time::sleep(Duration::from_secs(1)).await; // for the clean-up, on the paused clock
    assert_eq!(cosine_blob::Blobs::list(&blobs, None, 10).await.unwrap(), vec![]);
    let bucket = other.bucket(&BucketName::parse("b-1250000000").unwrap()).await.unwrap();
    let found = other.object(&bucket, &ObjectKey::parse("key").unwrap(), None).await;
    assert!(matches!(found, Err(Error::NoSuchKey)), "{found:?}");
}

/// Silence is from one heartbeat to the next, whatever the calendars of the processes say.
#[tokio::test(start_paused = true)]
async fn a_process_whose_heart_beats_is_not_taken_for_dead() {
    let Pair { clock, one, other, .. } = pair().await;
    let mut collector = collector(&other);
    for round in 0..10u64 {
        clock.advance(SILENCE * 2 / 3);
        clock.set(1_600_000_000_000_000 + round);
        one.heartbeat().await.unwrap();
        assert_eq!(collector.run().await.unwrap().runs, 0, "round {round}, after a beat");
        clock.advance(SILENCE / 2);
        assert_eq!(collector.run().await.unwrap().runs, 0, "round {round}, after none");
    }
}
