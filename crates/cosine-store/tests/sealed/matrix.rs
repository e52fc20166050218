//! Every kind into every other, and what each copy costs.

use bytes::Bytes;
use cosine_store::{CopyPlan, Error, Etag, KeyError, Rejection, StorageClass};

use crate::world::{Kind, World, body, customer, md5_of, run};

/// The last fits into a row, the others are blobs; and the borders of segments.
const SIZES: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 8 << 20];
/// Of more bytes than this, a blob.
const INLINE: usize = 16 << 10;

/// The entity tag of an object of a kind: what is said of it before and after a copy.
fn require_etag(kind: Kind, body: &Bytes, etag: Etag) {
    let plain = md5_of(body);
    match kind {
        Kind::None | Kind::Cos => assert_eq!(etag, plain),
        Kind::Kms => assert!(etag != plain && etag.parts == 0),
        Kind::Customer(n) => {
            let digest = customer(n).blind(plain.digest);
            assert_eq!(etag, Etag { digest, ..plain });
        }
    }
}

/// After each copy the source still opens with its own key and the copy only with its own, and bytes moved
/// only where plain ones had to be sealed.
fn every_kind_becomes_every_kind(at_rest: bool) {
    run(async {
        let world = World::new(|options| options.encrypt_at_rest = at_rest).await;
        for (n, size) in SIZES.into_iter().enumerate() {
            let body = body(n as u64, size);
            for source in Kind::ALL {
                world.put("source", source, &body).await;
                require_etag(source, &body, world.sums(&world.object("source").await).etag);
                for wanted in
                    [Kind::None, Kind::Cos, Kind::Kms, Kind::Customer(1), Kind::Customer(2)]
                {
                    let before = world.blobs().await;
                    let (from, to) = (("source", source), ("copy", wanted));
                    let copied = world.copy(from, to, StorageClass::Standard).await.unwrap();
                    let moves = source == Kind::None && wanted != Kind::None && !at_rest;
                    let new = usize::from(moves && size > INLINE);
                    assert_eq!(world.blobs().await - before, new, "{source:?} {wanted:?} {size}");
                    require_etag(wanted, &body, world.sums(&copied).etag);
                    world.require("copy", wanted, &body).await;
                    world.require("source", source, &body).await;
                }
            }
        }
    });
}

#[test]
fn every_kind_becomes_every_kind_where_only_what_asks_is_sealed() {
    every_kind_becomes_every_kind(false);
}

#[test]
fn every_kind_becomes_every_kind_where_everything_is_sealed() {
    every_kind_becomes_every_kind(true);
}

/// An object onto itself, with another key each time; the one before opens no more.
#[test]
fn an_object_changes_its_key_in_its_place() {
    run(async {
        let world = World::new(|_| {}).await;
        let body = body(1, 200_000);
        world.put("o", Kind::Customer(1), &body).await;
        let blobs = world.blobs().await;
        let kinds =
            [Kind::Customer(1), Kind::Customer(2), Kind::Kms, Kind::Cos, Kind::None, Kind::Cos];
        for pair in kinds.windows(2) {
            let [from, to] = pair else { unreachable!() };
            world.copy(("o", *from), ("o", *to), StorageClass::Standard).await.unwrap();
            world.require("o", *to, &body).await;
            let old = world.read("o", 0..1, Kind::Customer(1).key()).await;
            assert!(old.is_err(), "{to:?} opens with a key that it had");
        }
        assert_eq!(world.blobs().await, blobs, "no byte moved");
    });
}

#[test]
fn copies_without_the_key_of_the_source_are_refused_and_leave_nothing() {
    run(async {
        let world = World::new(|_| {}).await;
        let body = body(1, 100_000);
        world.put("secret", Kind::Customer(1), &body).await;
        world.put("plain", Kind::None, &body).await;
        world.put("cos", Kind::Cos, &body).await;
        let blobs = world.blobs().await;
        let table = [
            ("secret", Kind::None, KeyError::CustomerKeyMissing),
            ("secret", Kind::Customer(2), KeyError::CustomerKeyWrong),
            ("plain", Kind::Customer(1), KeyError::CustomerKeyUnwanted),
            ("cos", Kind::Customer(1), KeyError::CustomerKeyUnwanted),
        ];
        for (source, presented, expected) in table {
            for wanted in Kind::ALL {
                let copied =
                    world.copy((source, presented), ("copy", wanted), StorageClass::Standard).await;
                let Err(Error::Key(error)) = copied else { panic!("{source}: {copied:?}") };
                assert_eq!(error, expected, "{source} {presented:?} {wanted:?}");
            }
        }
        assert_eq!(world.blobs().await, blobs);
        let options = cosine_store::ListOptions { limit: 9, ..Default::default() };
        let listed = world.store.list_objects(&world.bucket, &options).await.unwrap();
        assert_eq!(listed.entries.len(), 3);
    });
}

/// A row where a re-wrap is not allowed: new bytes for a new key, and none for the same one.
#[test]
fn where_nothing_is_rewrapped_another_key_takes_other_bytes() {
    run(async {
        for store_wide in [true, false] {
            let world = World::new(|options| {
                options.rewrap.never = store_wide;
                options.rewrap.never_in = ["b-1250000000".to_owned()].into();
            })
            .await;
            let body = body(1, 100_000);
            let one = Kind::Customer(1);
            let table = [
                (one, one, false),
                (one, Kind::Customer(2), true),
                (one, Kind::None, true),
                (Kind::Cos, Kind::None, false),
                (Kind::Cos, Kind::Kms, true),
                (Kind::Kms, Kind::Kms, false),
                (Kind::Kms, Kind::Cos, true),
            ];
            for (source, wanted, moves) in table {
                world.put("source", source, &body).await;
                let before = world.blobs().await;
                let (from, to) = (("source", source), ("copy", wanted));
                world.copy(from, to, StorageClass::Standard).await.unwrap();
                assert_eq!(
                    world.blobs().await - before,
                    usize::from(moves),
                    "{source:?} {wanted:?}"
                );
                world.require("copy", wanted, &body).await;
            }
        }
    });
}

/// A new version of a KMS key is another key.
#[test]
fn where_nothing_is_rewrapped_a_new_version_of_a_key_takes_other_bytes() {
    run(async {
        let world = World::new(|options| options.rewrap.never = true).await;
        let body = body(1, 100_000);
        world.put("o", Kind::Kms, &body).await;
        let standard = StorageClass::Standard;
        for (rotates, moved) in [(false, 0), (true, 1), (false, 0)] {
            if rotates {
                let keys = world.store.kms_keys(None).await.unwrap();
                world.store.rotate_kms_key(&keys[0].key_id).await.unwrap();
            }
            let before = world.blobs().await;
            world.copy(("o", Kind::Kms), ("o", Kind::Kms), standard).await.unwrap();
            assert_eq!(world.blobs().await - before, moved);
            world.require("o", Kind::Kms, &body).await;
        }
    });
}

/// Into a class of another pool: the sealed bytes as they are, under an envelope of the copy's own.
#[test]
fn sealed_bytes_go_to_another_pool_as_they_are() {
    run(async {
        let world = World::new(|_| {}).await;
        let body = body(1, 300_000);
        for (n, source) in [Kind::Cos, Kind::Kms, Kind::Customer(1)].into_iter().enumerate() {
            for (m, wanted) in [Kind::None, Kind::Cos, Kind::Customer(2)].into_iter().enumerate() {
                let (from, to) = (format!("from {n} {m}"), format!("to {n} {m}"));
                world.put(&from, source, &body).await;
                let stored = stored_bytes(&world).await;
                let pair = ((from.as_str(), source), (to.as_str(), wanted));
                world.copy(pair.0, pair.1, StorageClass::StandardIa).await.unwrap();
                let now = stored_bytes(&world).await;
                let new: Vec<_> = now.iter().filter(|bytes| !stored.contains(bytes)).collect();
                assert!(new.is_empty(), "{source:?} {wanted:?}: other bytes than there were");
                assert_eq!(now.len(), stored.len() + 1);
                world.require(&to, wanted, &body).await;
                world.require(&from, source, &body).await;
                // And back, by reference to what is in the first pool no more, but moved.
                let back = format!("back {n} {m}");
                let pair = ((to.as_str(), wanted), (back.as_str(), Kind::Cos));
                world.copy(pair.0, pair.1, StorageClass::Standard).await.unwrap();
                world.require(&back, Kind::Cos, &body).await;
            }
        }
    });
}

/// The bytes of all blobs.
async fn stored_bytes(world: &World) -> Vec<Bytes> {
    let mut all = vec![];
    for id in world.engines.blobs.list(None, 1000).await.unwrap() {
        let reader = world.engines.blobs.open(id).await.unwrap();
        all.push(reader.read(0..reader.finished().length).await.unwrap());
    }
    all
}

/// What the store says of its plan is what it does.
#[test]
fn too_much_to_move_is_refused_and_a_rewrap_is_not() {
    use cosine_store::{CopyFacts, Coverage, MOVED_BYTES_MAX, Pools, plan};
    let facts = |coverage, encrypted| CopyFacts {
        size: MOVED_BYTES_MAX + 1,
        lies_in: Pools::default(),
        wanted_in: Default::default(),
        in_one_place: true,
        coverage,
        encrypted,
        may_rewrap: true,
        readable: true,
        changes_nothing: false,
    };
    assert_eq!(plan(facts(Coverage::Sealed, true)), CopyPlan::Rewrap);
    let refused = CopyPlan::Reject(Rejection::TooLarge);
    assert_eq!(plan(facts(Coverage::Plain, true)), refused);
}

/// Nothing of what was encrypted is anywhere, nor what would tell it: keys, bytes, checksums.
#[test]
fn nothing_that_tells_is_stored() {
    run(async {
        for at_rest in [false, true] {
            let world = World::new(|options| options.encrypt_at_rest = at_rest).await;
            let marker = b"MARKER OF PLAIN BYTES ";
            let mut needles: Vec<(String, Vec<u8>)> = vec![("marker".into(), marker.to_vec())];
            let kinds = [Kind::Cos, Kind::Kms, Kind::Customer(1), Kind::None];
            for (n, kind) in kinds.into_iter().enumerate().take(if at_rest { 4 } else { 3 }) {
                for size in [500, 100_000] {
                    let name = format!("{n} {size}");
                    let body: Bytes = marker.iter().copied().cycle().skip(n).take(size).collect();
                    let put = world.put(&name, kind, &body).await;
                    world.require(&name, kind, &body).await;
                    world
                        .copy(
                            (&name, kind),
                            (&format!("{name} copy"), Kind::Cos),
                            StorageClass::Standard,
                        )
                        .await
                        .unwrap();
                    let upload = world.begin(&format!("{name} parts"), kind).await;
                    let part = cosine_store::PutPartRequest {
                        upload: upload.clone(),
                        number: 1,
                        md5: None,
                        customer_key: kind.key(),
                    };
                    let etag = world.store.put_part(part, &mut body.clone()).await.unwrap().etag;
                    let complete = cosine_store::CompleteRequest {
                        upload,
                        parts: vec![(1, Some(etag))],
                        forbid_overwrite: false,
                    };
                    let made = world.store.complete_upload(complete).await.unwrap();
                    let crc64 = cosine_blob::table::crc64(&body);
                    let md5 = md5_of(&body).digest;
                    for (what, bytes) in [
                        ("md5", md5.to_vec()),
                        ("crc64, LE", crc64.to_le_bytes().to_vec()),
                        ("crc64, BE", crc64.to_be_bytes().to_vec()),
                        ("crc64, varint", varint(crc64)),
                        ("etag of parts", <md5::Md5 as md5::Digest>::digest(md5).to_vec()),
                    ] {
                        needles.push((format!("{what} of {name}"), bytes));
                    }
                    assert_eq!(world.sums(&put).crc64, world.sums(&made).crc64);
                }
            }
            needles.push(("a customer's key".into(), vec![1; 32]));
            needles.push(("its md5".into(), customer(1).md5().to_vec()));
            let stored = everything(&world).await;
            assert!(stored.len() > 50);
            for (what, needle) in &needles {
                for (place, bytes) in &stored {
                    let found = bytes.windows(needle.len()).any(|window| window == &needle[..]);
                    assert!(!found, "{what} is in {place}");
                }
            }
        }
    });
}

/// As records hold numbers.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Every row and every blob.
async fn everything(world: &World) -> Vec<(String, Vec<u8>)> {
    let page = world.engines.kv.scan(cosine_kv::Scan::prefix(b"", 100_000)).await.unwrap();
    let mut all = vec![];
    for found in page.found {
        if let cosine_kv::Found::Row(key, row) = found {
            all.push((String::from_utf8_lossy(&key).into_owned(), row.value.to_vec()));
        }
    }
    for bytes in stored_bytes(world).await {
        all.push(("a blob".to_owned(), bytes.to_vec()));
    }
    all
}
