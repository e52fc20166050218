//! Uploads and appends: content keys of many contents in one object.

use std::ops::Range;

use bytes::Bytes;
use cosine_store::{
    CompleteRequest, CustomerKey, Encryption, Error, KeyError, PartCopyRequest, PutPartRequest,
    PutRequest, StorageClass, Upload,
};

use crate::support::owned;
use crate::world::{Kind, World, body, customer, key, run};

const MIB: usize = 1 << 20;

impl World {
    async fn part(
        &self,
        upload: &Upload,
        number: u16,
        customer_key: Option<CustomerKey>,
        body: &Bytes,
    ) -> Result<[u8; 16], Error> {
        let part = PutPartRequest { upload: upload.clone(), number, md5: None, customer_key };
        Ok(self.store.put_part(part, &mut body.clone()).await?.etag)
    }

    async fn part_copy(
        &self,
        (upload, number, kind): (&Upload, u16, Kind),
        (name, source): (&str, Kind),
        range: Range<u64>,
    ) -> Result<cosine_store::Part, Error> {
        let version = self.object(name).await;
        let request = PartCopyRequest {
            upload: upload.clone(),
            number,
            source: owned(&self.bucket, &key(name), None, version),
            range,
            source_key: source.key(),
            customer_key: kind.key(),
        };
        self.store.plan_part_copy(request).await?.run().await
    }

    async fn complete(&self, upload: Upload, parts: Vec<(u16, [u8; 16])>) {
        let parts = parts.into_iter().map(|(number, etag)| (number, Some(etag))).collect();
        let request = CompleteRequest { upload, parts, forbid_overwrite: false };
        self.store.complete_upload(request).await.unwrap();
    }
}

/// An upload of every kind, of parts that came and ranges of objects of every kind; then copied into every
/// kind, and parts of that into another upload.
#[test]
fn uploads_of_every_kind_of_parts_of_every_kind() {
    for at_rest in [false, true] {
        run(async {
            let world = World::new(|options| options.encrypt_at_rest = at_rest).await;
            let source = body(7, 3 * MIB);
            for (n, kind) in Kind::ALL.into_iter().enumerate() {
                world.put(&format!("source {n}"), kind, &source).await;
            }
            for (n, kind) in Kind::ALL.into_iter().enumerate() {
                let name = format!("parts {n}");
                let upload = world.begin(&name, kind).await;
                assert!(kind.is_shown(upload.shown()), "{kind:?}: {:?}", upload.shown());
                let own = body(n as u64, MIB + 17);
                let mut parts = vec![(1, world.part(&upload, 1, kind.key(), &own).await.unwrap())];
                let mut bytes = own.to_vec();
                for (m, other) in Kind::ALL.into_iter().enumerate() {
                    // Ragged at both ends, and across borders of segments and chunks.
                    let range = 65_530 + m as u64..65_530 + m as u64 + (MIB as u64) + 131_072;
                    let expected = &source[range.start as usize..range.end as usize];
                    let (to, from) =
                        ((&upload, m as u16 + 2, kind), (format!("source {m}"), other));
                    let part = world.part_copy(to, (&from.0, from.1), range).await.unwrap();
                    assert_eq!(
                        part.crc64,
                        cosine_blob::table::crc64(expected),
                        "{kind:?} {other:?}"
                    );
                    parts.push((m as u16 + 2, part.etag));
                    bytes.extend_from_slice(expected);
                }
                world.complete(upload, parts).await;
                let bytes = Bytes::from(bytes);
                world.require(&name, kind, &bytes).await;
                for wanted in Kind::ALL {
                    let from = (name.as_str(), kind);
                    world.copy(from, ("copy", wanted), StorageClass::Standard).await.unwrap();
                    world.require("copy", wanted, &bytes).await;
                    again(&world, wanted, &bytes).await;
                }
                world.require(&name, kind, &bytes).await;
            }
        });
    }
}

/// Parts of an object of parts: over several slices, within one, and most of it.
async fn again(world: &World, kind: Kind, bytes: &Bytes) {
    for (to, range) in [
        (Kind::Cos, MIB as u64 - 5..MIB as u64 + 900_000),
        (Kind::None, 2 * MIB as u64..2 * MIB as u64 + 100),
        (Kind::Customer(5), 10..bytes.len() as u64 - 10),
    ] {
        let upload = world.begin("again", to).await;
        let part = world.part_copy((&upload, 1, to), ("copy", kind), range.clone()).await.unwrap();
        world.complete(upload, vec![(1, part.etag)]).await;
        let expected = bytes.slice(range.start as usize..range.end as usize);
        assert_eq!(part.crc64, cosine_blob::table::crc64(&expected), "{to:?}");
        world.require("again", to, &expected).await;
    }
}

/// No byte of a sealed source moves into an upload of any kind; a plain one's moves where it must.
#[test]
fn parts_of_sealed_sources_are_references() {
    run(async {
        let world = World::new(|_| {}).await;
        let source = body(3, 2 * MIB);
        for (n, from) in Kind::ALL.into_iter().enumerate() {
            let name = format!("source {n}");
            world.put(&name, from, &source).await;
            for to in Kind::ALL {
                let upload = world.begin("o", to).await;
                let before = world.blobs().await;
                world.part_copy((&upload, 1, to), (&name, from), 5..2_000_000).await.unwrap();
                let moves = from == Kind::None && to != Kind::None;
                assert_eq!(world.blobs().await - before, usize::from(moves), "{from:?} {to:?}");
            }
        }
    });
}

#[test]
fn parts_with_another_key_than_their_upload_are_refused() {
    run(async {
        let world = World::new(|_| {}).await;
        let (one, two, bytes) = (Some(customer(1)), Some(customer(2)), body(1, 30_000));
        world.put("source", Kind::Cos, &bytes).await;
        let table = [
            (Kind::Customer(1), None, KeyError::CustomerKeyMissing),
            (Kind::Customer(1), two, KeyError::CustomerKeyWrong),
            (Kind::Cos, one.clone(), KeyError::CustomerKeyUnwanted),
            (Kind::None, one, KeyError::CustomerKeyUnwanted),
        ];
        for (kind, presented, expected) in table {
            let upload = world.begin("o", kind).await;
            let part = world.part(&upload, 1, presented.clone(), &bytes).await;
            assert!(matches!(part, Err(Error::UploadKey(error)) if error == expected));
            let request = PartCopyRequest {
                upload: upload.clone(),
                number: 1,
                source: owned(&world.bucket, &key("source"), None, world.object("source").await),
                range: 0..10,
                source_key: None,
                customer_key: presented,
            };
            let planned = world.store.plan_part_copy(request).await;
            assert!(matches!(planned, Err(Error::UploadKey(error)) if error == expected));
            assert_eq!(world.store.list_parts(&upload, 0, 10).await.unwrap().parts, vec![]);
        }
    });
}

/// The tags of parts are those of plain bytes but where a customer's key blinds them; an object's says how
/// many there were.
#[test]
fn entity_tags_of_uploads() {
    use md5::{Digest, Md5};
    run(async {
        let world = World::new(|_| {}).await;
        let bytes = body(1, 30_000);
        let md5 = <[u8; 16]>::from(Md5::digest(&bytes));
        let mut random = vec![];
        for kind in [Kind::None, Kind::Cos, Kind::Kms, Kind::Kms, Kind::Customer(1)] {
            let upload = world.begin("o", kind).await;
            let etag = world.part(&upload, 1, kind.key(), &bytes).await.unwrap();
            let expected = kind.key().map_or(md5, |key| key.blind(md5));
            assert_eq!(etag, expected, "{kind:?}");
            world.complete(upload, vec![(1, etag)]).await;
            let shown = world.sums(&world.object("o").await).etag;
            assert_eq!(shown.parts, 1);
            let plain = <[u8; 16]>::from(Md5::digest(md5));
            let of_parts = kind.key().map_or(plain, |key| key.blind(plain));
            assert_eq!(shown.digest == of_parts, kind != Kind::Kms, "{kind:?}");
            random.extend((kind == Kind::Kms).then_some(shown.digest));
            // Back to plain, it is what a plain upload would have.
            world.copy(("o", kind), ("plain", Kind::None), StorageClass::Standard).await.unwrap();
            let plain = world.sums(&world.object("plain").await).etag;
            assert_eq!((plain.digest, plain.parts), (Md5::digest(md5).into(), 1), "{kind:?}");
        }
        assert_ne!(random[0], random[1], "new at each write");
    });
}

/// What is appended is encrypted as the object is, whatever is asked for; a customer brings the key.
#[test]
fn appends_are_encrypted_as_the_object_is() {
    for at_rest in [false, true] {
        run(async {
            let world = World::new(|options| options.encrypt_at_rest = at_rest).await;
            for kind in Kind::ALL {
                let name = format!("{kind:?}");
                let mut bytes = vec![];
                for (n, size) in [90_000, 40_000, 100, 0, 70_000, 5].into_iter().enumerate() {
                    let more = body(n as u64, size);
                    // Only a customer's key counts.
                    let asked = if n == 0 || kind.key().is_some() { kind } else { Kind::None };
                    let request = world.request(&name, asked);
                    let appended =
                        world.store.append(request, bytes.len() as u64, &mut more.clone()).await;
                    appended.unwrap();
                    bytes.extend_from_slice(&more);
                    world.require(&name, kind, &Bytes::from(bytes.clone())).await;
                }
                let bytes = Bytes::from(bytes);
                let wrong = match kind {
                    Kind::Customer(_) => vec![Kind::None, Kind::Customer(9)],
                    _ => vec![Kind::Customer(9)],
                };
                for presented in wrong {
                    let request = world.request(&name, presented);
                    let refused =
                        world.store.append(request, bytes.len() as u64, &mut body(1, 9)).await;
                    assert!(matches!(refused, Err(Error::Key(_))), "{kind:?}: {refused:?}");
                }
                // What the object is not encrypted as cannot be asked for, nor with another context.
                let context = b"{\"a\":\"c\"}".to_vec();
                let other = Encryption::Kms { key_id: None, context };
                let request = PutRequest { encryption: other, ..world.request(&name, kind) };
                let came = world.store.append(request, bytes.len() as u64, &mut Bytes::new()).await;
                assert!(matches!(came, Err(Error::OtherEncryption)), "{kind:?}");
                for asked in [Kind::Cos, Kind::Kms] {
                    let request = world.request(&name, asked);
                    let mut nothing = Bytes::new();
                    let came = world.store.append(request, bytes.len() as u64, &mut nothing).await;
                    let refused = matches!(came, Err(Error::OtherEncryption));
                    assert_eq!(refused, asked != kind, "{kind:?} {asked:?}");
                }
                for wanted in Kind::ALL {
                    let (from, to) = ((name.as_str(), kind), ("copy", wanted));
                    world.copy(from, to, StorageClass::Standard).await.unwrap();
                    world.require("copy", wanted, &bytes).await;
                }
            }
        });
    }
}

/// Objects that began plain, before everything was sealed, grow sealed; and the other way round.
#[test]
fn objects_that_are_sealed_in_part() {
    run(async {
        let engines = crate::world::memory();
        let mut bytes = vec![];
        for (n, at_rest) in [false, true, false].into_iter().enumerate() {
            let world =
                World::on(engines.clone(), |options| options.encrypt_at_rest = at_rest).await;
            let more = body(n as u64, 200_000 >> (2 * n));
            let request = world.request("grown", Kind::None);
            world.store.append(request, bytes.len() as u64, &mut more.clone()).await.unwrap();
            bytes.extend_from_slice(&more);
            let bytes = Bytes::from(bytes.clone());
            world.require("grown", Kind::None, &bytes).await;
            for wanted in Kind::ALL {
                let (from, to) = (("grown", Kind::None), ("copy", wanted));
                world.copy(from, to, StorageClass::Standard).await.unwrap();
                world.require("copy", wanted, &bytes).await;
                world
                    .copy(("copy", wanted), ("moved", wanted), StorageClass::StandardIa)
                    .await
                    .unwrap();
                world.require("moved", wanted, &bytes).await;
            }
        }
    });
}

/// What was uploaded in parts with a customer's key keeps its tag in a copy with the same key, and has it
/// again after a copy with another one and back.
#[test]
fn a_customers_key_gives_an_upload_the_same_tag_again() {
    run(async {
        let world = World::new(|_| {}).await;
        let (one, two) = (Kind::Customer(1), Kind::Customer(2));
        let upload = world.begin("o", one).await;
        let mut parts = vec![];
        for number in 1..=3 {
            let bytes = body(u64::from(number), MIB);
            parts.push((number, world.part(&upload, number, one.key(), &bytes).await.unwrap()));
        }
        world.complete(upload, parts).await;
        let tag = world.sums(&world.object("o").await).etag;
        let standard = StorageClass::Standard;
        let same = world.copy(("o", one), ("same", one), standard).await.unwrap();
        assert_eq!(world.sums(&same).etag, tag);
        let other = world.copy(("o", one), ("other", two), standard).await.unwrap();
        assert_ne!(world.sums(&other).etag.digest, tag.digest);
        assert_eq!(world.sums(&other).etag.parts, 3);
        let back = world.copy(("other", two), ("back", one), standard).await.unwrap();
        assert_eq!(world.sums(&back).etag, tag);
    });
}

/// As many parts as there may be, each of a sealed source with a key of its own, fit into one commit.
#[test]
fn ten_thousand_parts_of_sealed_sources() {
    run(async {
        let world = World::new(|_| {}).await;
        let bytes = body(1, 2 * MIB);
        world.put("cos", Kind::Cos, &bytes).await;
        world.put("customer", Kind::Customer(2), &bytes).await;
        let kind = Kind::Customer(1);
        let upload = world.begin("o", kind).await;
        let start = |number: u16| u64::from(number) * 97;
        let mut parts = vec![];
        for number in 1..=10_000 {
            let sources = [("cos", Kind::Cos), ("customer", Kind::Customer(2))];
            let source = sources[usize::from(number % 2)];
            let range = start(number)..start(number) + MIB as u64;
            let part = world.part_copy((&upload, number, kind), source, range).await.unwrap();
            parts.push((number, part.etag));
        }
        world.complete(upload, parts).await;
        for number in [1, 2, 5_000, 9_999, 10_000] {
            let at = u64::from(number - 1) * MIB as u64;
            let read = world.read("o", at..at + 200_000, kind.key()).await.unwrap();
            let from = start(number) as usize;
            assert!(read == bytes[from..from + 200_000], "part {number}: other bytes");
        }
    });
}
