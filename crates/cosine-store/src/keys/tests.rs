use std::collections::BTreeMap;

use bytes::Bytes;
use cosine_blob::Blobs;
use cosine_kv::{Found, Kv, Scan};
use md5::{Digest, Md5};

use super::*;
use crate::record::{Attributes, Body};
use crate::{
    BucketAcl, BucketName, Engines, NewBucket, ObjectAcl, PutRequest, StorageClass, SystemClock,
    Zones,
};

struct World {
    store: Store,
    kv: Arc<dyn Kv>,
    blobs: Arc<dyn Blobs>,
    bucket: Bucket,
}

const MASTER: [u8; 32] = [0x5a; 32];

async fn world() -> World {
    let kv: Arc<dyn Kv> = Arc::new(cosine_kv::Memory::default());
    let blobs: Arc<dyn Blobs> = Arc::new(cosine_blob::Memory::default());
    let engines = Engines { kv: Arc::clone(&kv), blobs: Arc::clone(&blobs) };
    let master = Arc::new(cosine_crypt::MasterKeys::parse(&"5a".repeat(32)).unwrap());
    let store = Store::open(engines, Arc::new(SystemClock), master).await.unwrap();
    let name = BucketName::parse("b-1250000000").unwrap();
    let (acl, zones) = (BucketAcl::Private, Zones::One);
    let new = NewBucket { name: name.clone(), region: "r".into(), acl, zones };
    store.create_bucket(new).await.unwrap();
    let bucket = store.bucket(&name).await.unwrap();
    World { store, kv, blobs, bucket }
}

impl World {
    async fn put(&self, name: &str, encryption: Encryption, body: &Bytes) -> Version {
        let request = PutRequest {
            bucket: self.bucket.clone(),
            key: ObjectKey::parse(name).unwrap(),
            attributes: Attributes::default(),
            tags: vec![],
            acl: ObjectAcl::Default,
            class: StorageClass::Standard,
            md5: None,
            encryption,
            forbid_overwrite: false,
        };
        self.store.put(request, &mut body.clone()).await.unwrap()
    }

    /// The keys that a version's bytes are sealed under.
    async fn keys(
        &self,
        name: &str,
        version: &Version,
        customer: Option<&CustomerKey>,
    ) -> [[u8; 32]; 2] {
        let place = ObjectKey::parse(name).unwrap();
        let unlocked = self.store.unlock((&self.bucket, &place), version, customer).await.unwrap();
        let content_key = unlocked.unwrap();
        let record = self.store.content(version.content).await.unwrap();
        let (Body::Inline(DataKey::Sealed { key, .. })
        | Body::Blob { key: DataKey::Sealed { key, .. }, .. }) = record.body
        else {
            panic!("{name} is not sealed")
        };
        [*content_key.key.bytes(), *content_key.open_data_key(&key).unwrap().bytes()]
    }

    /// Every row and every blob.
    async fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for found in self.kv.scan(Scan::prefix(b"", 10_000)).await.unwrap().found {
            if let Found::Row(key, row) = found {
                let value = [&key[..], &row.value].concat();
                all.insert(String::from_utf8_lossy(&key).into_owned(), value);
            }
        }
        for id in self.blobs.list(None, 1_000).await.unwrap() {
            let reader = self.blobs.open(id).await.unwrap();
            let bytes = reader.read(0..reader.finished().length).await.unwrap();
            all.insert(format!("{id:?}"), bytes.to_vec());
        }
        all
    }
}

/// Each object has a content key and a data key of its own; and neither they, nor what they are sealed
/// under, lie anywhere as they are.
#[tokio::test]
async fn no_key_lies_anywhere_as_it_is() {
    let world = world().await;
    let raw = [7; 32];
    let customer = CustomerKey::new(&raw, Md5::digest(raw).into()).unwrap();
    let mut keys = vec![MASTER, raw, *world.store.key().bytes()];
    for size in [1_000, 100_000] {
        let body = Bytes::from(vec![b'x'; size]);
        let kms = Encryption::Kms { key_id: None, context: vec![] };
        for encryption in [Encryption::Cos, kms, Encryption::Customer(customer.clone())] {
            let name = format!("{encryption:?} {size}");
            let key = matches!(encryption, Encryption::Customer(_)).then_some(&customer);
            let version = world.put(&name, encryption.clone(), &body).await;
            keys.extend(world.keys(&name, &version, key).await);
        }
    }
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!((distinct.len(), keys.len()), (15, 15));
    let stored = world.everything().await;
    assert!(stored.len() > 20);
    for key in &keys {
        for (place, bytes) in &stored {
            assert!(!bytes.windows(key.len()).any(|window| window == key), "a key is in {place}");
        }
    }
}
