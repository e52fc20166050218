//! What several tests need: proof that the owner of a bucket may read what is in it, keys, and objects
//! that are encrypted in one way and another.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::sync::Arc;

use cosine_access::{
    Account, AclNeed, Action, Ask, Caller, Identity, NoFacts, ReadProof, Resource, Rules,
    allow_read,
};
use cosine_store::{
    Bucket, CopySource, CustomerKey, Encryption, Error, MasterKeys, ObjectKey, ObjectReader, Shown,
    Store, Version, VersionId,
};
use md5::{Digest, Md5};

/// The master key of every store here.
pub fn master() -> Arc<MasterKeys> {
    Arc::new(MasterKeys::parse(&"5a".repeat(32)).unwrap())
}

/// The one customer's key.
pub fn customer() -> CustomerKey {
    let bytes = [7; 32];
    CustomerKey::new(&bytes, Md5::digest(bytes).into()).unwrap()
}

/// Kinds of encryption, one after the other.
pub fn encryption(n: u64) -> Encryption {
    match n % 3 {
        0 => Encryption::None,
        1 => Encryption::Cos,
        _ => Encryption::Customer(customer()),
    }
}

/// The customer's key, for what is encrypted with it.
pub fn key_for(shown: Shown<'_>) -> Option<CustomerKey> {
    (shown == Shown::Customer).then(customer)
}

/// Opens all bytes of a version, however they are encrypted.
pub async fn open(
    store: &Store,
    place: (&Bucket, &ObjectKey),
    version: &Version,
) -> Result<ObjectReader, Error> {
    let customer = key_for(version.encryption());
    let key = store.unlock(place, version, customer.as_ref()).await?;
    store.read(version, 0..version.size, key.as_ref()).await
}

/// A version, as its owner may copy it.
pub fn owned(
    bucket: &Bucket,
    key: &ObjectKey,
    id: Option<VersionId>,
    version: Version,
) -> ReadProof<CopySource> {
    let owner = Account { appid: bucket.name().appid(), uin: 1 };
    let name = format!("{}/{}", bucket.name().as_str(), key.as_str());
    let ask = Ask {
        caller: &Caller::Known(Identity::root(owner).into()),
        action: Action::cos(&["GetObject"], AclNeed::ObjectRead),
        resource: Resource {
            service: "cos",
            region: bucket.region(),
            owner,
            name: &name,
            list_of: None,
        },
        facts: &NoFacts,
        rules: Rules::default(),
    };
    let (bucket, key) = (bucket.clone(), key.clone());
    allow_read(&ask, CopySource { bucket, key, id, version }).unwrap()
}
