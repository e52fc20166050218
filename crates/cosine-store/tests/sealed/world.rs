//! A store to try things on, and objects of every kind in it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cosine_blob::{Blobs, PoolId, Pools};
use cosine_store::{
    Attributes, Bucket, BucketAcl, BucketName, CopyRequest, CustomerKey, Encryption, Engines,
    Error, Etag, NewBucket, NewUpload, ObjectAcl, ObjectKey, ObjectSums, PutRequest, Shown,
    StorageClass, Store, StoreOptions, SystemClock, Upload, Version, Zones,
};
use md5::{Digest, Md5};

use crate::support::{master, owned};

/// What a class other than STANDARD lies in.
pub const POOL: u8 = 3;

pub struct World {
    pub store: Store,
    pub bucket: Bucket,
    pub engines: Engines,
}

/// Kinds of encryption, as a test asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    None,
    Cos,
    Kms,
    /// With the customer's key of this many.
    Customer(u8),
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::None, Self::Cos, Self::Kms, Self::Customer(1)];

    pub fn encryption(self) -> Encryption {
        match self {
            Self::None => Encryption::None,
            Self::Cos => Encryption::Cos,
            Self::Kms => Encryption::Kms { key_id: None, context: b"{\"a\":\"b\"}".to_vec() },
            Self::Customer(n) => Encryption::Customer(customer(n)),
        }
    }

    pub fn key(self) -> Option<CustomerKey> {
        match self {
            Self::Customer(n) => Some(customer(n)),
            _ => None,
        }
    }

    pub fn is_shown(self, shown: Shown<'_>) -> bool {
        match self {
            Self::None => shown == Shown::Nothing,
            Self::Cos => shown == Shown::Cos,
            Self::Kms => matches!(shown, Shown::Kms(id) if id.len() == 36),
            Self::Customer(_) => shown == Shown::Customer,
        }
    }
}

pub fn customer(n: u8) -> CustomerKey {
    CustomerKey::new(&[n; 32], Md5::digest([n; 32]).into()).unwrap()
}

pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

pub fn body(seed: u64, size: usize) -> Bytes {
    (0..size as u64).map(|i| (i.wrapping_mul(31 + seed) ^ (i >> 8) ^ seed) as u8).collect()
}

/// Two pools in memory.
pub fn memory() -> Engines {
    let memory = || Arc::new(cosine_blob::Memory::default()) as Arc<dyn Blobs>;
    let pools = Pools::new(memory(), [(PoolId::new(POOL).unwrap(), memory())].into());
    Engines { kv: Arc::new(cosine_kv::Memory::default()), blobs: Arc::new(pools) }
}

impl World {
    pub async fn new(change: impl FnOnce(&mut StoreOptions)) -> Self {
        Self::on(memory(), change).await
    }

    pub async fn on(engines: Engines, change: impl FnOnce(&mut StoreOptions)) -> Self {
        let mut options = StoreOptions::new(Arc::new(SystemClock), master());
        options.pools = [(StorageClass::StandardIa, PoolId::new(POOL).unwrap())].into();
        change(&mut options);
        let store = Store::open_with(engines.clone(), options).await.unwrap();
        let name = BucketName::parse("b-1250000000").unwrap();
        let bucket = match store.bucket(&name).await {
            Ok(bucket) => bucket,
            Err(_) => make_bucket(&store, name).await,
        };
        Self { store, bucket, engines }
    }

    /// How many blobs there are.
    pub async fn blobs(&self) -> usize {
        self.engines.blobs.list(None, 100_000).await.unwrap().len()
    }

    pub fn request(&self, name: &str, kind: Kind) -> PutRequest {
        PutRequest {
            bucket: self.bucket.clone(),
            key: key(name),
            attributes: Attributes::default(),
            tags: vec![],
            acl: ObjectAcl::Default,
            class: StorageClass::Standard,
            md5: None,
            encryption: kind.encryption(),
            forbid_overwrite: false,
        }
    }

    pub async fn put(&self, name: &str, kind: Kind, body: &Bytes) -> Version {
        self.store.put(self.request(name, kind), &mut body.clone()).await.unwrap()
    }

    pub async fn object(&self, name: &str) -> Version {
        self.store.object(&self.bucket, &key(name), None).await.unwrap()
    }

    pub async fn copy(
        &self,
        (from, kind): (&str, Kind),
        (to, wanted): (&str, Kind),
        class: StorageClass,
    ) -> Result<Version, Error> {
        let source = owned(&self.bucket, &key(from), None, self.object(from).await);
        let request = CopyRequest {
            source,
            bucket: self.bucket.clone(),
            key: key(to),
            attributes: Some(Attributes::default()),
            tags: None,
            acl: ObjectAcl::Default,
            class,
            encryption: wanted.encryption(),
            source_key: kind.key(),
            forbid_overwrite: false,
        };
        self.store.plan_copy(request).await?.run().await
    }

    pub async fn begin(&self, name: &str, kind: Kind) -> Upload {
        let new = NewUpload {
            bucket: self.bucket.clone(),
            key: key(name),
            attributes: Attributes::default(),
            tags: vec![],
            acl: ObjectAcl::Default,
            class: StorageClass::Standard,
            initiator: 0,
            encryption: kind.encryption(),
            forbid_overwrite: false,
        };
        let (id, _) = self.store.create_upload(new).await.unwrap();
        self.store.upload(&self.bucket, &key(name), id).await.unwrap()
    }

    pub async fn read(
        &self,
        name: &str,
        range: Range<u64>,
        customer: Option<CustomerKey>,
    ) -> Result<Vec<u8>, Error> {
        let version = self.object(name).await;
        let place = (&self.bucket, &key(name));
        let unlocked = self.store.unlock(place, &version, customer.as_ref()).await?;
        let mut reader = self.store.read(&version, range, unlocked.as_ref()).await?;
        let mut read = vec![];
        while let Some(piece) = reader.next().await? {
            read.extend_from_slice(&piece);
        }
        Ok(read)
    }

    /// Everything that can be said of an object of this kind and these bytes: its encryption, checksums,
    /// bytes, ranges across the borders of segments, and that no other key opens it.
    pub async fn require(&self, name: &str, kind: Kind, body: &Bytes) {
        let version = self.object(name).await;
        let what = format!("{name}, {kind:?}, {} bytes", body.len());
        assert!(kind.is_shown(version.encryption()), "{what}: {:?}", version.encryption());
        assert_eq!(version.size, body.len() as u64, "{what}");
        let crc64 = cosine_blob::table::crc64(body);
        assert_eq!(self.store.sums(&version).unwrap().crc64, crc64, "{what}");
        let size = body.len() as u64;
        let read = self.read(name, 0..size, kind.key()).await.unwrap();
        assert!(read == body[..], "{what}: other bytes");
        for at in [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 524_287, 524_288, size / 2] {
            for length in [1, 2, 65_536, 65_537, 200_000] {
                let range = at.min(size)..(at + length).min(size);
                let expected = &body[range.start as usize..range.end as usize];
                let read = self.read(name, range.clone(), kind.key()).await.unwrap();
                assert!(read == expected, "{what}: {range:?}");
            }
        }
        for wrong in [None, Some(customer(99))] {
            let read = self.read(name, 0..size, wrong.clone()).await;
            let opens = wrong.is_none() && kind.key().is_none();
            assert_eq!(read.is_ok(), opens, "{what} with {wrong:?}");
        }
    }

    pub fn sums(&self, version: &Version) -> ObjectSums {
        self.store.sums(version).unwrap()
    }
}

async fn make_bucket(store: &Store, name: BucketName) -> Bucket {
    let (acl, zones) = (BucketAcl::Private, Zones::One);
    let new = NewBucket { name: name.clone(), region: "r".into(), acl, zones };
    store.create_bucket(new).await.unwrap();
    store.bucket(&name).await.unwrap()
}

/// The entity tag of plain bytes in one piece.
pub fn md5_of(body: &[u8]) -> Etag {
    Etag { digest: Md5::digest(body).into(), parts: 0 }
}
