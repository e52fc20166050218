//! What several tests need: proof that the owner of a bucket may read what is in it.

use cosine_access::{
    Account, AclNeed, Action, Ask, Caller, Identity, NoFacts, ReadProof, Resource, Rules,
    allow_read,
};
use cosine_store::{Bucket, CopySource, ObjectKey, Version, VersionId};

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
