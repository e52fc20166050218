//! Where each record lies on the metadata waist. Normative: `docs/format.md`.
//!
//! Every kind of row has a prefix of its own, so that a list page is one scan of live current keys.

use cosine_blob::{BlobId, RunId};

use crate::id::Uid;
use crate::name::{BucketName, ObjectKey};

fn join(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(prefix);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// The store's own record.
pub fn store() -> Vec<u8> {
    join(b'm', &[b"store"])
}

/// What collectors did.
pub fn ledger() -> Vec<u8> {
    join(b'm', &[b"ledger"])
}

/// How far the scrub has come.
pub fn scrub() -> Vec<u8> {
    join(b'm', &[b"scrub"])
}

/// A run's fence: while it stands, the run may refer to blobs that it wrote.
pub fn fence(run: RunId) -> Vec<u8> {
    join(b'f', &[&run.0.to_be_bytes()])
}

/// Every fence begins with this.
pub fn fences() -> Vec<u8> {
    join(b'f', &[])
}

/// When a run was last heard of; a row of its own, so that a beat does not disturb the fence.
pub fn heartbeat(run: RunId) -> Vec<u8> {
    join(b't', &[&run.0.to_be_bytes()])
}

/// Every heartbeat begins with this.
pub fn heartbeats() -> Vec<u8> {
    join(b't', &[])
}

/// A run that is over.
pub fn over(run: RunId) -> Vec<u8> {
    join(b'o', &[&run.0.to_be_bytes()])
}

/// The run in the key of a row that is keyed by one.
pub fn run_of(key: &[u8]) -> Option<RunId> {
    key.get(1..)?.try_into().ok().map(u64::from_be_bytes).map(RunId)
}

/// Every run that is over begins with this.
pub fn overs() -> Vec<u8> {
    join(b'o', &[])
}

/// A bucket: the gate of everything in it.
pub fn bucket(name: &BucketName) -> Vec<u8> {
    join(b'b', &[&name.appid().to_be_bytes(), name.as_str().as_bytes()])
}

/// Every bucket of an account begins with this.
pub fn buckets(appid: u64) -> Vec<u8> {
    join(b'b', &[&appid.to_be_bytes()])
}

/// The name in a bucket's key.
pub fn bucket_name(key: &[u8]) -> &[u8] {
    key.get(9..).unwrap_or_default()
}

/// A bucket's ACL; apart from the gate, since it changes for other reasons.
pub fn bucket_acl(bucket: Uid) -> Vec<u8> {
    join(b's', &[&bucket.0, b"acl"])
}

/// A key's head: rewritten by every commit that touches any version of the key, and gone with the
/// last of them.
pub fn head(bucket: Uid, key: &ObjectKey) -> Vec<u8> {
    join(b'h', &[&bucket.0, key.as_str().as_bytes()])
}

/// Every head in a bucket begins with this.
pub fn heads(bucket: Uid) -> Vec<u8> {
    join(b'h', &[&bucket.0])
}

/// A key's current version, if it is not deleted.
pub fn current(bucket: Uid, key: &ObjectKey) -> Vec<u8> {
    join(b'k', &[&bucket.0, key.as_str().as_bytes()])
}

/// The bucket and the object key in the key of a head or of a current version.
pub fn place_of(key: &[u8]) -> Option<(Uid, String)> {
    let (bucket, name) = key.get(1..)?.split_first_chunk::<16>()?;
    Some((Uid(*bucket), String::from_utf8(name.to_vec()).ok()?))
}

/// Every current version in a bucket whose key begins with `prefix` begins with this.
pub fn currents(bucket: Uid, prefix: &str) -> Vec<u8> {
    join(b'k', &[&bucket.0, prefix.as_bytes()])
}

/// The bytes in front of the object key in the key of a current version.
pub const CURRENT_PREFIX_BYTES: usize = 17;

/// A content.
pub fn content(uid: Uid) -> Vec<u8> {
    join(b'c', &[&uid.0])
}

/// Every content begins with this.
pub fn contents() -> Vec<u8> {
    join(b'c', &[])
}

/// The uid in the key of a content, or of a row that is keyed like one.
pub fn content_uid(key: &[u8]) -> Option<Uid> {
    key.get(1..)?.try_into().ok().map(Uid)
}

/// The bytes of a content that is small enough to lie here.
pub fn inline(content: Uid) -> Vec<u8> {
    join(b'i', &[&content.0])
}

/// A version's reference to its content.
pub fn content_reference(content: Uid, owner: Uid) -> Vec<u8> {
    join(b'r', &[b"c", &content.0, &owner.0])
}

/// Every reference to a content begins with this.
pub fn content_references(content: Uid) -> Vec<u8> {
    join(b'r', &[b"c", &content.0])
}

/// Every reference to any content begins with this.
pub fn all_content_references() -> Vec<u8> {
    join(b'r', &[b"c"])
}

/// Every reference to a blob begins with this.
pub fn blob_references(blob: BlobId) -> Vec<u8> {
    join(b'r', &[b"b", &blob.0])
}

/// A content's reference to a blob.
pub fn blob_reference(blob: BlobId, owner: Uid) -> Vec<u8> {
    join(b'r', &[b"b", &blob.0, &owner.0])
}

/// What a reference is to (`c` a content, `b` a blob), its target, and who holds it.
pub fn reference_of(key: &[u8]) -> Option<(u8, [u8; 16], Uid)> {
    let (kind, rest) = key.get(1..)?.split_first()?;
    let (target, owner) = rest.split_first_chunk::<16>()?;
    matches!(kind, b'b' | b'c').then_some((*kind, *target, Uid(owner.try_into().ok()?)))
}

/// A content that lost a reference: where the collector looks.
pub fn released(content: Uid) -> Vec<u8> {
    join(b'q', &[&content.0])
}

/// Every content that lost a reference begins with this.
pub fn all_released() -> Vec<u8> {
    join(b'q', &[])
}

/// A blob that goes once the grace has passed. Sorted by the time of its doom, so that what is due
/// comes first. Each content that let go of the blob dooms it on its own; an orphan has no content.
pub fn doomed(at: u64, blob: BlobId, content: Option<Uid>) -> Vec<u8> {
    join(b'd', &[&at.to_be_bytes(), &blob.0, content.as_ref().map_or(&[], |uid| &uid.0)])
}

/// Every doomed blob begins with this.
pub fn all_doomed() -> Vec<u8> {
    join(b'd', &[])
}

/// When a blob was doomed, and which it is.
pub fn doom_of(key: &[u8]) -> Option<(u64, BlobId)> {
    let (at, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let (blob, content) = rest.split_first_chunk::<16>()?;
    matches!(content.len(), 0 | 16).then_some((u64::from_be_bytes(*at), BlobId(*blob)))
}

/// Whether any kind of row has such a key.
pub fn is_known(key: &[u8]) -> bool {
    match key.first() {
        Some(b'b') => {
            let name = std::str::from_utf8(bucket_name(key)).ok();
            let name = name.and_then(|name| BucketName::parse(name).ok());
            name.is_some_and(|name| bucket(&name) == key)
        }
        Some(b'c' | b'i' | b'q' | b'x') => content_uid(key).is_some(),
        Some(b'd') => doom_of(key).is_some(),
        Some(b'f' | b'o' | b't') => run_of(key).is_some(),
        Some(b'h' | b'k') => place_of(key).is_some(),
        Some(b'm') => [store(), ledger(), scrub()].iter().any(|known| known == key),
        Some(b'r') => reference_of(key).is_some(),
        Some(b's') => key.get(17..) == Some(b"acl"),
        _ => false,
    }
}

/// A content that is damaged.
pub fn damage(content: Uid) -> Vec<u8> {
    join(b'x', &[&content.0])
}

/// Every content that is damaged begins with this.
pub fn damages() -> Vec<u8> {
    join(b'x', &[])
}
