//! What random sequences do not reach: concurrency, and states made by hand.

use super::*;

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
        source_id: None,
        source_bucket: bucket.clone(),
        source_key,
        source,
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
            let opened = Store::open(mixed, Arc::new(ManualClock::at(1))).await;
            assert!(matches!(opened, Err(Error::WrongStore)), "{opened:?}");
        }
        world.check_everything().await;
    });
}
