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

/// The bytes of a content that is small enough to lie here.
pub fn inline(content: Uid) -> Vec<u8> {
    join(b'i', &[&content.0])
}

/// A version's reference to its content.
pub fn content_reference(content: Uid, owner: Uid) -> Vec<u8> {
    join(b'r', &[b"c", &content.0, &owner.0])
}

/// A content's reference to a blob.
pub fn blob_reference(blob: BlobId, owner: Uid) -> Vec<u8> {
    join(b'r', &[b"b", &blob.0, &owner.0])
}

/// A content that lost a reference: where the collector looks.
pub fn released(content: Uid) -> Vec<u8> {
    join(b'q', &[&content.0])
}
