//! What random sequences do not reach: concurrency, and states made by hand.

use super::*;
use crate::support::{encryption, key_for, open};

/// Any interleaving of copies, puts and deletes on three keys leaves every visible object readable,
/// and the books in order.
#[test]
fn concurrent_self_copies_lose_nothing() {
    runtime().block_on(async {
        let mut world = World::new(memory()).await;
        world.create_bucket(0).await;
        let tasks: Vec<_> = (0..16u64)
            .map(|task| {
                let store = world.store.clone();
                tokio::spawn(async move { hammer(&store, task).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let bucket = world.bucket(0).await.unwrap();
        for key in &KEYS[..3] {
            match read_all(&world.store, &bucket, key).await {
                Ok((version, body)) => assert_eq!(version.size, body.len() as u64),
                Err(error) => assert!(matches!(error, Error::NoSuchKey), "{error:?}"),
            }
        }
        check_books(&world.engines).await;
    });
}

async fn hammer(store: &Store, task: u64) {
    let name = BucketName::parse(BUCKETS[0]).unwrap();
    let mut random = task * 2_654_435_761 + 1;
    for _ in 0..60 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (kind, from, to) =
            (random >> 33 & 7, (random >> 40) as usize % 3, (random >> 50) as usize % 3);
        let bucket = store.bucket(&name).await.unwrap();
        let key = ObjectKey::parse(KEYS[to]).unwrap();
        let done = match kind {
            0 => store.delete(&bucket, &key, None).await.map(drop),
            1..=2 => {
                let request = PutRequest {
                    bucket,
                    key,
                    attributes: marked(b"put"),
                    tags: vec![],
                    acl: ObjectAcl::Default,
                    class: StorageClass::Standard,
                    md5: None,
                    encryption: encryption(random >> 20),
                    forbid_overwrite: false,
                };
                store.put(request, &mut Bytes::from(vec![task as u8; 20_000])).await.map(drop)
            }
            _ => copy_between(store, bucket, from, key).await,
        };
        assert!(matches!(done, Ok(()) | Err(Error::NoSuchKey)), "{done:?}");
    }
}

async fn copy_between(
    store: &Store,
    bucket: Bucket,
    from: usize,
    key: ObjectKey,
) -> Result<(), Error> {
    let source_key = ObjectKey::parse(KEYS[from]).unwrap();
    let source = store.object(&bucket, &source_key, None).await?;
    let request = CopyRequest {
        source_key: key_for(source.encryption()),
        encryption: encryption(key.as_str().len() as u64),
        source: crate::support::owned(&bucket, &source_key, None, source),
        bucket,
        key,
        attributes: Some(marked(b"copy")),
        tags: None,
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        forbid_overwrite: false,
    };
    crate::copy(store, request).await.map(drop)
}

/// A flipped bit in an inline body is an error, never bytes.
#[test]
fn a_damaged_inline_body_is_reported_and_never_served() {
    runtime().block_on(async {
        let mut world = World::new(memory()).await;
        world.create_bucket(0).await;
        world.put((0, 0), 100, false).await;
        let key = rows(&*world.engines.kv, b"i").await.remove(0);
        let mut bytes = world.engines.kv.get(&key).await.unwrap().unwrap().value.to_vec();
        bytes[50] ^= 1;
        overwrite(&*world.engines.kv, key, bytes).await;
        let read = read_all(&world.store, &world.bucket(0).await.unwrap(), KEYS[0]).await;
        assert!(matches!(read, Err(Error::Damaged(_))), "{read:?}");
    });
}

async fn overwrite(kv: &dyn Kv, key: Vec<u8>, value: Vec<u8>) {
    let writes = vec![cosine_kv::Write::Put(key, value.into())];
    let outcome = kv.commit(cosine_kv::Commit { conditions: vec![], writes }).await;
    assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
}

/// Metadata beside another store's blobs refuses to open, and nothing is changed.
#[test]
fn metadata_and_blobs_of_different_stores_do_not_open() {
    runtime().block_on(async {
        let (one, two) = (memory(), memory());
        let mut world = World::new(one.clone()).await;
        world.create_bucket(0).await;
        world.put((0, 0), 100_000, false).await;
        World::new(two.clone()).await;
        let empty = memory();
        for (kv, blobs) in [(&one, &two), (&two, &one), (&one, &empty), (&empty, &one)] {
            let mixed = Engines { kv: Arc::clone(&kv.kv), blobs: Arc::clone(&blobs.blobs) };
            let opened =
                Store::open(mixed, Arc::new(ManualClock::at(1)), crate::support::master()).await;
            assert!(matches!(opened, Err(Error::WrongStore)), "{opened:?}");
        }
        world.check_everything().await;
    });
}

/// A caller that goes away at any moment of an append leaves all of it or nothing, and what was
/// acknowledged before stays whole.
#[test]
fn whoever_goes_away_in_an_append_breaks_nothing() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(embedded(directory.path())).await;
        world.create_bucket(0).await;
        let (first, second) = (vec![1u8; 20_000], vec![2u8; 30_000]);
        let metrics = tokio::runtime::Handle::current().metrics();
        let idle = metrics.num_alive_tasks();
        let mut grown = 0;
        for polls in (0..60).map(|n| n * n * n) {
            let key = format!("append {polls}");
            let request = append_to(&world, &key).await;
            let store = &world.store;
            store.append(request, 0, &mut Bytes::from(first.clone())).await.unwrap();
            let request = append_to(&world, &key).await;
            let mut source = Bytes::from(second.clone());
            let mut append = Box::pin(store.append(request, 20_000, &mut source));
            for _ in 0..polls {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                if append.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(append);
            while metrics.num_alive_tasks() > idle {
                tokio::task::yield_now().await;
            }
            let bucket = world.bucket(0).await.unwrap();
            let (_, body) = read_all(store, &bucket, &key).await.unwrap();
            let both = [&first[..], &second].concat();
            assert!(body == first || body == both, "{polls} polls left {} bytes", body.len());
            grown += usize::from(body == both);
        }
        assert!((1..60).contains(&grown), "{grown} of 60 were done");
        check_books(&world.engines).await;
    });
}

/// A key that is switched off by somebody who does not wait for the answer is noticed all the same.
#[test]
fn whoever_goes_away_in_a_change_of_identities_is_noticed() {
    runtime().block_on(async {
        let metrics = tokio::runtime::Handle::current().metrics();
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(embedded(directory.path())).await;
        world.create_bucket(0).await;
        let store = &world.store;
        let holder = Holder { appid: 1, user: None };
        let secret_id = "id".to_owned();
        let key = AccessKey { secret_id, secret: vec![], holder, created: 1, enabled: true };
        store.add_account(Account { appid: 1, uin: 1 }, &key).await.unwrap();
        let mut unseen = 0;
        for polls in 0..20 {
            store.set_access_key("id", 1, Some(true)).await.unwrap();
            let before = store.identities_revision().await.unwrap();
            let mut change = Box::pin(store.set_access_key("id", 1, Some(false)));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let done = (0..polls).any(|_| change.as_mut().poll(&mut context).is_ready());
            drop(change);
            // What was on its way when this one came is done when this one is.
            let bucket = world.bucket(0).await.unwrap();
            store.set_bucket_acl(&bucket, BucketAcl::Private).await.unwrap();
            while metrics.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
            let is_off = !store.access_key("id").await.unwrap().unwrap().enabled;
            let after = store.identities_revision().await.unwrap();
            assert!(!is_off || before != after, "{polls} polls");
            unseen += usize::from(is_off && !done);
        }
        assert!(unseen > 0, "every change was waited for");
    });
}

/// A read finds its slices on the way: they stay for the grace after their object went, and go then.
#[test]
fn a_read_of_slices_outlives_their_object() {
    runtime().block_on(async {
        let mut world = World::new(memory()).await;
        world.create_bucket(0).await;
        let (store, bucket) = (&world.store, world.bucket(0).await.unwrap());
        // Lengths that are not merged.
        let mut whole = vec![];
        for (fill, size) in [(1u8, 90_000), (2, 40_000), (3, 100)] {
            let request = append_to(&world, "slices").await;
            let mut source = Bytes::from(vec![fill; size]);
            store.append(request, whole.len() as u64, &mut source).await.unwrap();
            whole.resize(whole.len() + size, fill);
        }
        let key = ObjectKey::parse("slices").unwrap();
        let version = store.object(&bucket, &key, None).await.unwrap();
        let mut reader = open(store, (&bucket, &key), &version).await.unwrap();
        let mut read = reader.next().await.unwrap().unwrap().to_vec();
        store.delete(&bucket, &key, None).await.unwrap();
        let patient = Duration::from_secs(3600);
        let options = CollectorOptions { grace: patient, silence: patient };
        Collector::new(store.clone(), options).run().await.unwrap();
        while let Some(piece) = reader.next().await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, whole);
        let options = CollectorOptions { grace: Duration::ZERO, silence: patient };
        Collector::new(store.clone(), options).run().await.unwrap();
        assert!(rows(&*world.engines.kv, b"c").await.is_empty());
        check_books(&world.engines).await;
    });
}

/// Tags that came while an append was under way stay.
#[test]
fn an_append_keeps_what_was_edited_meanwhile() {
    struct Editing<'w>(&'w Store, Bucket, Option<Bytes>);
    #[async_trait::async_trait]
    impl ByteSource for Editing<'_> {
        async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
            let key = ObjectKey::parse("append").unwrap();
            let tags = vec![("edited".to_owned(), "meanwhile".to_owned())];
            if self.2.is_some() {
                self.0.set_tags(&self.1, &key, None, &tags).await.unwrap();
            }
            Ok(self.2.take())
        }
    }
    runtime().block_on(async {
        let mut world = World::new(memory()).await;
        world.create_bucket(0).await;
        let request = append_to(&world, "append").await;
        world.store.append(request, 0, &mut Bytes::from_static(b"first")).await.unwrap();
        let request = append_to(&world, "append").await;
        let bucket = world.bucket(0).await.unwrap();
        let mut source = Editing(&world.store, bucket.clone(), Some(Bytes::from_static(b"more")));
        world.store.append(request, 5, &mut source).await.unwrap();
        let (version, body) = read_all(&world.store, &bucket, "append").await.unwrap();
        assert_eq!((version.tags.len(), &body[..]), (1, &b"firstmore"[..]));
    });
}

async fn append_to(world: &World, key: &str) -> PutRequest {
    PutRequest {
        bucket: world.bucket(0).await.unwrap(),
        key: ObjectKey::parse(key).unwrap(),
        attributes: marked(b"append"),
        tags: vec![],
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        md5: None,
        encryption: encryption(key.len() as u64),
        forbid_overwrite: false,
    }
}
