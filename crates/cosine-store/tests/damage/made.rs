//! How the objects of the sound store are made: versions, parts, appends.

use bytes::Bytes;
use cosine_store::{
    Attributes, Bucket, BucketName, CompleteRequest, CopyRequest, Encryption, NewUpload, ObjectAcl,
    ObjectKey, PartCopyRequest, PutPartRequest, PutRequest, StorageClass, Store, Upload, UploadId,
    Version,
};

use crate::support::{encryption, key_for, owned};

use crate::base::{BUCKET, Object, Objects, VERSIONED, body};

/// An upload under way, of one part.
pub struct UnderWay {
    pub id: UploadId,
    pub etag: [u8; 16],
    /// What it will be.
    pub body: Vec<u8>,
}

/// Of the part of an object that comes before another: as small as it may be, and a bit.
pub const PART: usize = (1 << 20) + 500;

pub async fn bucket(store: &Store, name: &str) -> Bucket {
    store.bucket(&BucketName::parse(name).unwrap()).await.unwrap()
}

/// Names say how their objects are encrypted.
fn encryption_of(name: &str) -> Encryption {
    encryption(match name {
        name if name.contains("cos") => 1,
        name if name.contains("customer") => 2,
        _ => 0,
    })
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

fn attributes() -> Attributes {
    Attributes { system: vec![], user: vec![("mark".into(), b"m".to_vec())] }
}

async fn request(store: &Store, place: (&str, &str)) -> PutRequest {
    PutRequest {
        bucket: bucket(store, place.0).await,
        key: key(place.1),
        attributes: attributes(),
        tags: vec![],
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        md5: None,
        encryption: encryption_of(place.1),
        forbid_overwrite: false,
    }
}

pub async fn put(store: &Store, place: (&str, &str), body: &[u8]) -> Version {
    let request = request(store, place).await;
    store.put(request, &mut Bytes::copy_from_slice(body)).await.unwrap()
}

pub async fn append(store: &Store, name: &str, position: usize, body: &[u8]) {
    let request = request(store, (BUCKET, name)).await;
    let mut body = Bytes::copy_from_slice(body);
    store.append(request, position as u64, &mut body).await.unwrap();
}

pub async fn copy(store: &Store, from: &str, to: &str) {
    let (bucket, source_key) = (bucket(store, BUCKET).await, key(from));
    let source = store.object(&bucket, &source_key, None).await.unwrap();
    let request = CopyRequest {
        source_key: key_for(source.encryption()),
        encryption: encryption_of(to),
        source: owned(&bucket, &source_key, None, source),
        bucket,
        key: key(to),
        attributes: None,
        tags: None,
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        forbid_overwrite: false,
    };
    store.plan_copy(request).await.unwrap().run().await.unwrap();
}

pub async fn delete(store: &Store, place: (&str, &str)) {
    store.delete(&bucket(store, place.0).await, &key(place.1), None).await.unwrap();
}

pub async fn begin(store: &Store, name: &str) -> Upload {
    let new = NewUpload {
        bucket: bucket(store, BUCKET).await,
        key: key(name),
        attributes: attributes(),
        tags: vec![],
        acl: ObjectAcl::Default,
        class: StorageClass::Standard,
        initiator: 0,
        encryption: encryption_of(name),
        forbid_overwrite: false,
    };
    let bucket = new.bucket.clone();
    let (id, _) = store.create_upload(new).await.unwrap();
    store.upload(&bucket, &key(name), id).await.unwrap()
}

pub async fn put_part(store: &Store, upload: &Upload, number: u16, body: &[u8]) -> [u8; 16] {
    let mut body = Bytes::copy_from_slice(body);
    let customer_key = key_for(upload.shown());
    let request = PutPartRequest { upload: upload.clone(), number, md5: None, customer_key };
    store.put_part(request, &mut body).await.unwrap().etag
}

pub async fn copy_part(
    store: &Store,
    upload: &Upload,
    number: u16,
    (source, range): (&str, std::ops::Range<u64>),
) -> [u8; 16] {
    let (bucket, key) = (bucket(store, BUCKET).await, key(source));
    let version = store.object(&bucket, &key, None).await.unwrap();
    let (source_key, customer_key) = (key_for(version.encryption()), key_for(upload.shown()));
    let (source, upload) = (owned(&bucket, &key, None, version), upload.clone());
    let request = PartCopyRequest { upload, number, source, range, source_key, customer_key };
    store.plan_part_copy(request).await.unwrap().run().await.unwrap().etag
}

pub async fn complete(store: &Store, upload: Upload, parts: &[(u16, [u8; 16])]) {
    let parts = parts.iter().map(|(number, etag)| (*number, Some(*etag))).collect();
    let request = CompleteRequest { upload, parts, forbid_overwrite: false };
    store.complete_upload(request).await.unwrap();
}

/// Keys with older versions: `doc` has three, the first of them from before its bucket kept any;
/// `hidden` and `faded` are deleted, and of the latter nothing is left but its delete marker.
pub async fn make_versions(store: &Store, objects: &mut Objects) {
    let mut version = async |name, key, seed, size| {
        let id = Some(put(store, (VERSIONED, key), &body(seed, size)).await.id());
        let body = Some(body(seed, size));
        objects.insert(name, Object { bucket: VERSIONED, key, id, body });
    };
    version("doc null", "doc", 10, 19_000).await;
    let two = bucket(store, VERSIONED).await;
    store.set_versioning(&two, false).await.unwrap();
    put(store, (VERSIONED, "faded"), &body(11, 70)).await;
    delete(store, (VERSIONED, "faded")).await;
    store.set_versioning(&two, true).await.unwrap();
    version("doc 2", "doc", 12, 150).await;
    version("doc 3", "doc", 13, 160).await;
    version("hidden 1", "hidden", 14, 22_000).await;
    delete(store, (VERSIONED, "hidden")).await;
    for (name, body) in [("doc", Some(body(13, 160))), ("hidden", None), ("faded", None)] {
        objects.insert(name, Object { bucket: VERSIONED, key: name, id: None, body });
    }
}

/// An object of two parts, one of which is a range of another object.
pub async fn make_parts(store: &Store, objects: &mut Objects) {
    put(store, (BUCKET, "sliced"), &body(15, 26_000)).await;
    objects.insert("sliced", Object::current("sliced", body(15, 26_000)));
    let upload = begin(store, "parts").await;
    let one = put_part(store, &upload, 1, &body(16, PART)).await;
    let two = copy_part(store, &upload, 2, ("sliced", 3_000..20_000)).await;
    complete(store, upload, &[(1, one), (2, two)]).await;
    let bytes = [&body(16, PART)[..], &body(15, 26_000)[3_000..20_000]].concat();
    objects.insert("parts", Object::current("parts", bytes));
}

/// Uploads that are not over: one of a part that came, one of a range of an object.
pub async fn make_uploads(store: &Store) -> Vec<(&'static str, UnderWay)> {
    let (going, copying) = (begin(store, "going").await, begin(store, "copying").await);
    let etag = put_part(store, &going, 1, &body(17, 23_000)).await;
    let going = UnderWay { id: going.id, etag, body: body(17, 23_000) };
    let etag = copy_part(store, &copying, 1, ("sliced", 100..9_000)).await;
    let copying = UnderWay { id: copying.id, etag, body: body(15, 26_000)[100..9_000].to_vec() };
    vec![("going", going), ("copying", copying)]
}

/// An object of most of another that is made of slices itself, and one part that it does not have; its
/// parts have not been cleared away.
pub async fn make_lately(store: &Store, from: &[u8], objects: &mut Objects) {
    let upload = begin(store, "lately").await;
    let etag = copy_part(store, &upload, 3, ("appended", 1_000..24_050)).await;
    put_part(store, &upload, 9, &body(18, 120)).await;
    complete(store, upload, &[(3, etag)]).await;
    objects.insert("lately", Object::current("lately", from[1_000..24_050].to_vec()));
}
