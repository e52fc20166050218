//! Where each record lies on the metadata waist. Normative: `docs/format.md`.
//!
//! Every kind of row has a prefix of its own, so that a list page is one scan of live current keys.

use cosine_blob::{BlobId, RunId};

use crate::id::{Uid, UploadId};
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

/// Which policy a bucket has.
pub fn bucket_policy(bucket: Uid) -> Vec<u8> {
    join(b's', &[&bucket.0, b"policy"])
}

/// The text of a bucket's policy.
pub fn policy_text(bucket: Uid) -> Vec<u8> {
    join(b's', &[&bucket.0, b"policy-text"])
}

/// A bucket's CORS rules.
pub fn bucket_cors(bucket: Uid) -> Vec<u8> {
    join(b's', &[&bucket.0, b"cors"])
}

/// A bucket's default encryption.
pub fn bucket_encryption(bucket: Uid) -> Vec<u8> {
    join(b's', &[&bucket.0, b"encryption"])
}

/// All that a bucket may have beside its gate.
pub fn bucket_settings(bucket: Uid) -> [Vec<u8>; 5] {
    [
        bucket_acl(bucket),
        bucket_policy(bucket),
        policy_text(bucket),
        bucket_cors(bucket),
        bucket_encryption(bucket),
    ]
}

/// Which of them a row is.
pub fn setting_of(key: &[u8]) -> &[u8] {
    key.get(17..).unwrap_or_default()
}

/// How often identities have changed.
pub fn identities() -> Vec<u8> {
    join(b'm', &[b"identities"])
}

/// The key of the store, sealed.
pub fn store_key() -> Vec<u8> {
    join(b'm', &[b"store-key"])
}

/// An account.
pub fn account(appid: u64) -> Vec<u8> {
    join(b'a', &[&appid.to_be_bytes()])
}

/// Every account begins with this.
pub fn accounts() -> Vec<u8> {
    join(b'a', &[])
}

/// The APPID in the key of an account.
pub fn appid_of(key: &[u8]) -> Option<u64> {
    key.get(1..)?.try_into().ok().map(u64::from_be_bytes)
}

/// Whose a number is.
pub fn uin(uin: u64) -> Vec<u8> {
    join(b'n', &[&uin.to_be_bytes()])
}

/// A user.
pub fn user(appid: u64, name: &str) -> Vec<u8> {
    join(b'g', &[&appid.to_be_bytes(), name.as_bytes()])
}

/// Every user of an account begins with this.
pub fn users(appid: u64) -> Vec<u8> {
    join(b'g', &[&appid.to_be_bytes()])
}

/// A role.
pub fn role(appid: u64, name: &str) -> Vec<u8> {
    join(b'l', &[&appid.to_be_bytes(), name.as_bytes()])
}

/// Every role of an account begins with this.
pub fn roles(appid: u64) -> Vec<u8> {
    join(b'l', &[&appid.to_be_bytes()])
}

/// The name in the key of a user or a role.
pub fn name_of(key: &[u8]) -> Option<String> {
    String::from_utf8(key.get(9..)?.to_vec()).ok()
}

/// A pair of keys.
pub fn access_key(secret_id: &str) -> Vec<u8> {
    join(b'y', &[secret_id.as_bytes()])
}

/// Every pair of keys begins with this.
pub fn access_keys() -> Vec<u8> {
    join(b'y', &[])
}

/// The public half in the key of a pair of keys.
pub fn secret_id_of(key: &[u8]) -> Option<String> {
    String::from_utf8(key.get(1..)?.to_vec()).ok()
}

/// A key of the built-in key management.
pub fn kms_key(key_id: &str) -> Vec<u8> {
    join(b'z', &[key_id.as_bytes()])
}

/// Every key of the built-in key management begins with this.
pub fn kms_keys() -> Vec<u8> {
    join(b'z', &[])
}

/// The id in the key of one.
pub fn kms_key_id_of(key: &[u8]) -> Option<String> {
    String::from_utf8(key.get(1..)?.to_vec()).ok()
}

/// The key that an account's objects are encrypted under where none is named.
pub fn kms_default(appid: u64) -> Vec<u8> {
    join(b'j', &[&appid.to_be_bytes()])
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

/// The bytes in front of the object key in the key of a current version, and in front of the escaped
/// one in the keys below.
pub const PLACE_PREFIX_BYTES: usize = 17;

/// An object key in which nothing sorts before its end: what follows it orders rows of one key, and
/// rows of different keys are in the order of those.
fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + ESCAPE_END.len());
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(ESCAPE);
        }
    }
    out
}

/// Follows a zero byte of the key itself. UTF-8 has no such byte.
const ESCAPE: u8 = 0xff;
/// Ends an escaped key.
const ESCAPE_END: [u8; 2] = [0, 0];

/// What an escaped key, or the front of one, was; `None` if it is none.
pub fn unescaped(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        out.push(byte);
        if byte == 0 && rest.next() != Some(&ESCAPE) {
            return None;
        }
    }
    String::from_utf8(out).ok()
}

/// A delimiter as it stands in escaped keys.
pub fn escaped_delimiter(delimiter: &str) -> Vec<u8> {
    escaped(delimiter)
}

/// What `prefix` and a bucket begin, where the object key is escaped; only keys that begin with
/// `front`.
fn places(prefix: u8, bucket: Uid, front: &str) -> Vec<u8> {
    join(prefix, &[&bucket.0, &escaped(front)])
}

/// What a whole escaped object key begins, followed by `suffix`.
fn at_place(prefix: u8, bucket: Uid, key: &ObjectKey, suffix: &[u8]) -> Vec<u8> {
    join(prefix, &[&bucket.0, &escaped(key.as_str()), &ESCAPE_END, suffix])
}

/// The bucket, the object key, and the `suffix` bytes behind it.
fn place_before(key: &[u8], suffix: usize) -> Option<(Uid, String, &[u8])> {
    let (bucket, rest) = key.get(1..)?.split_first_chunk::<16>()?;
    let (name, rest) = rest.split_at_checked(rest.len().checked_sub(suffix)?)?;
    let name = unescaped(name.strip_suffix(&ESCAPE_END)?)?;
    Some((Uid(*bucket), name, rest))
}

/// Every version beside the current one, and every delete marker, of a key.
pub fn olds_of(bucket: Uid, key: &ObjectKey) -> Vec<u8> {
    at_place(b'v', bucket, key, &[])
}

/// A version beside the current one, or a delete marker: the newest of a key comes first.
pub fn old(bucket: Uid, key: &ObjectKey, order: u64) -> Vec<u8> {
    at_place(b'v', bucket, key, &(!order).to_be_bytes())
}

/// Every version beside a current one whose key begins with `front` begins with this.
pub fn olds(bucket: Uid, front: &str) -> Vec<u8> {
    places(b'v', bucket, front)
}

/// The bytes behind the escaped object key in the key of an older version.
pub const OLD_SUFFIX_BYTES: usize = ESCAPE_END.len() + 8;

/// The bucket, the object key and the order in the key of an older version.
pub fn old_of(key: &[u8]) -> Option<(Uid, String, u64)> {
    let (bucket, name, order) = place_before(key, 8)?;
    Some((bucket, name, !u64::from_be_bytes(order.try_into().ok()?)))
}

/// An upload of a key. Those of one key are in the order of their ids, which begin with a time.
pub fn upload(bucket: Uid, key: &ObjectKey, upload: &UploadId) -> Vec<u8> {
    at_place(b'u', bucket, key, &upload.to_bytes())
}

/// Every upload of a key that begins with `front` begins with this.
pub fn uploads(bucket: Uid, front: &str) -> Vec<u8> {
    places(b'u', bucket, front)
}

/// The bytes behind the escaped object key in the key of an upload.
pub const UPLOAD_SUFFIX_BYTES: usize = ESCAPE_END.len() + UploadId::BYTES;

/// The bucket, the object key and the upload id in the key of an upload.
pub fn upload_of(key: &[u8]) -> Option<(Uid, String, UploadId)> {
    let (bucket, name, id) = place_before(key, UploadId::BYTES)?;
    Some((bucket, name, UploadId::from_bytes(id.try_into().ok()?)))
}

/// A part of an upload.
pub fn part(upload: Uid, number: u16) -> Vec<u8> {
    join(b'p', &[&upload.0, &number.to_be_bytes()])
}

/// Every part of an upload begins with this.
pub fn parts(upload: Uid) -> Vec<u8> {
    join(b'p', &[&upload.0])
}

/// The upload and the number in the key of a part.
pub fn part_of(key: &[u8]) -> Option<(Uid, u16)> {
    let (upload, number) = key.get(1..)?.split_first_chunk::<16>()?;
    Some((Uid(*upload), u16::from_be_bytes(number.try_into().ok()?)))
}

/// An upload that is over and has parts to clear away.
pub fn ended(upload: Uid) -> Vec<u8> {
    join(b'w', &[&upload.0])
}

/// Every upload that is over and has parts to clear away begins with this.
pub fn all_ended() -> Vec<u8> {
    join(b'w', &[])
}

/// A page of the slices of a content.
pub fn page(content: Uid, number: u32) -> Vec<u8> {
    join(b'e', &[&content.0, &number.to_be_bytes()])
}

/// Every page of a content begins with this.
pub fn pages(content: Uid) -> Vec<u8> {
    join(b'e', &[&content.0])
}

/// Every page of every content begins with this.
pub fn all_pages() -> Vec<u8> {
    join(b'e', &[])
}

/// The content and the number in the key of a page.
pub fn page_of(key: &[u8]) -> Option<(Uid, u32)> {
    let (content, number) = key.get(1..)?.split_first_chunk::<16>()?;
    Some((Uid(*content), u32::from_be_bytes(number.try_into().ok()?)))
}

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
        Some(b'c' | b'i' | b'q' | b'w' | b'x') => content_uid(key).is_some(),
        Some(b'd') => doom_of(key).is_some(),
        Some(b'e') => page_of(key).is_some(),
        Some(b'f' | b'o' | b't') => run_of(key).is_some(),
        Some(b'h' | b'k') => place_of(key).is_some(),
        Some(b'a' | b'n') => appid_of(key).is_some(),
        Some(b'g' | b'l') => name_of(key).is_some(),
        Some(b'y') => secret_id_of(key).is_some(),
        Some(b'j') => appid_of(key).is_some(),
        Some(b'z') => kms_key_id_of(key).is_some(),
        Some(b'm') => {
            let known = [store(), ledger(), scrub(), identities(), store_key()];
            known.iter().any(|known| known == key)
        }
        Some(b'p') => part_of(key).is_some(),
        Some(b'r') => reference_of(key).is_some(),
        Some(b'u') => upload_of(key).is_some(),
        Some(b'v') => old_of(key).is_some(),
        Some(b's') => {
            let known: [&[u8]; 5] = [b"acl", b"policy", b"policy-text", b"cors", b"encryption"];
            known.contains(&setting_of(key))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Rows of older versions are in the order of their keys, and of one key newest first.
        #[test]
        fn older_versions_are_in_order(
            a in "[a\0b\u{1}]{1,5}", b in "[a\0b\u{1}]{1,5}", m in any::<u64>(), n in any::<u64>(),
        ) {
            let bucket = Uid([7; 16]);
            let [x, y] = [&a, &b].map(|key| ObjectKey::parse(key.as_str()).unwrap());
            let (one, two) = (old(bucket, &x, m), old(bucket, &y, n));
            prop_assert_eq!(one.cmp(&two), a.cmp(&b).then(n.cmp(&m)));
            prop_assert_eq!(old_of(&one), Some((bucket, a.clone(), m)));
            prop_assert!(one.starts_with(&olds_of(bucket, &x)));
            prop_assert_eq!(two.starts_with(&olds_of(bucket, &x)), a == b);
            prop_assert_eq!(two.starts_with(&olds(bucket, &a)), b.starts_with(&a));
        }
    }
}
