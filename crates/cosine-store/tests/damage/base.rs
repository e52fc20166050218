//! The store that all damage is done to: small, real, and sound.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use cosine_blob::{BlobId, Blobs, Files, PoolId, StoreId, files};
use cosine_kv::{Commit, Embedded, Found, Kv, Memory, Outcome, Scan, Write};
use cosine_store::{
    BucketAcl, BucketName, Collector, CollectorOptions, Engines, NewBucket, Scrub, ScrubOptions,
    Store, SystemClock, VersionId, Zones,
};
use tempfile::TempDir;

use crate::block_on;
use crate::made::{self, PART, UnderWay, append, copy, delete, put};

pub const BUCKET: &str = "one-1250000000";
/// It keeps older versions.
pub const VERSIONED: &str = "two-1250000000";

pub type Rows = BTreeMap<Vec<u8>, Bytes>;
/// Below the directory of blobs; `None` for a directory.
pub type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Everything in the sound store.
pub struct Base {
    pub rows: Rows,
    pub files: Tree,
    pub store: StoreId,
    pub blobs: BTreeMap<BlobId, Bytes>,
    pub objects: Objects,
    /// Those that are not over, by key.
    pub uploads: BTreeMap<&'static str, UnderWay>,
    /// The blob of an object, or of a part of one, by name.
    pub blob_of: BTreeMap<String, BlobId>,
}

/// By name: the key, and what tells older versions apart.
pub type Objects = BTreeMap<&'static str, Object>;

/// What there is to read.
pub struct Object {
    pub bucket: &'static str,
    pub key: &'static str,
    /// Of a version that is named.
    pub id: Option<VersionId>,
    /// `None` if it is deleted.
    pub body: Option<Vec<u8>>,
}

impl Object {
    /// The current version of a key.
    pub fn current(key: &'static str, body: Vec<u8>) -> Self {
        Self { bucket: BUCKET, key, id: None, body: Some(body) }
    }
}

/// Made once, on a thread of its own: who asks for it may be in a runtime already.
pub static BASE: LazyLock<Base> =
    LazyLock::new(|| std::thread::spawn(|| block_on(make())).join().unwrap());

/// Bytes that are all their own.
pub fn body(seed: usize, size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + seed * 7 + (i >> 9) * 13) as u8).collect()
}

pub async fn create_bucket(store: &Store, name: &str) {
    let name = BucketName::parse(name).unwrap();
    let new = NewBucket { name, region: "r".into(), acl: BucketAcl::PublicRead, zones: Zones::One };
    store.create_bucket(new).await.unwrap();
}

/// A collector that deletes at once what is doomed, or never.
pub fn collector(store: &Store, grace: Duration) -> Collector {
    // Every other run is over, as soon as it is seen twice.
    Collector::new(store.clone(), CollectorOptions { grace, silence: Duration::ZERO })
}

pub async fn scrub(store: &Store) {
    let options =
        ScrubOptions { bytes_per_second: u64::MAX, interval: Duration::from_secs(1 << 30) };
    store.begin_scrub().await.unwrap();
    let scrub = Scrub::new(store.clone(), options);
    while scrub.tick().await.unwrap() {}
}

pub fn embedded(data: &Path) -> Engines {
    Engines {
        kv: Arc::new(Embedded::open(&data.join("meta"), Default::default()).unwrap()),
        blobs: Arc::new(files(&data.join("blobs"))),
    }
}

/// The engine of files; what it loses with the power is no matter here.
pub fn files(directory: &Path) -> Files {
    let options = files::Options { durable: false, ..Default::default() };
    Files::open(directory, options).unwrap()
}

async fn make() -> Base {
    let data = tempfile::tempdir().unwrap();
    let mut objects = Objects::new();
    let store = Store::open(embedded(data.path()), Arc::new(SystemClock), crate::support::master())
        .await
        .unwrap();
    create_bucket(&store, BUCKET).await;
    create_bucket(&store, VERSIONED).await;
    make_simple(&store, &mut objects).await;
    made::make_versions(&store, &mut objects).await;
    made::make_parts(&store, &mut objects).await;
    let uploads = made::make_uploads(&store).await.into_iter().collect();
    append(&store, "appended", 0, &body(19, 24_000)).await;
    let aborted = made::begin(&store, "aborted").await;
    made::put_part(&store, &aborted, 1, &body(20, 27_000)).await;
    let blob_of = blobs_by_size(data.path());
    // A blob that waits for its grace, and an upload that is cleared away, ...
    delete(&store, (BUCKET, "doomed")).await;
    collector(&store, Duration::from_secs(1 << 30)).run().await.unwrap();
    // ... damage that is known, and gone with its object as far as anyone can see, ...
    std::fs::remove_file(path_of(data.path(), blob_of["marked"])).unwrap();
    scrub(&store).await;
    delete(&store, (BUCKET, "marked")).await;
    // ... contents that the collector has not looked at, one of them in use still, one made of
    // slices, ...
    delete(&store, (BUCKET, "released")).await;
    delete(&store, (BUCKET, "shared")).await;
    append(&store, "appended", 24_000, &body(21, 90)).await;
    let appended = [body(19, 24_000), body(21, 90)].concat();
    // ... uploads that are over and not cleared away, of which one became an object, ...
    made::make_lately(&store, &appended, &mut objects).await;
    store.abort_upload(&aborted).await.unwrap();
    objects.insert("appended", Object::current("appended", appended));
    drop(store);
    // ... a run that is over, and what it left in the making.
    let engines = embedded(data.path());
    drop(
        Store::open(engines.clone(), Arc::new(SystemClock), crate::support::master())
            .await
            .unwrap(),
    );
    let orphan = BlobId::new(7, PoolId::default(), 7, blob_of["blob"].run());
    engines.blobs.create(orphan).finish(Bytes::from(body(9, 21_000))).await.unwrap();
    let rows = rows_of(&*engines.kv).await;
    let (store, blobs) = (engines.blobs.store_id().await.unwrap(), bytes_of(&*engines.blobs).await);
    let files = tree(&data.path().join("blobs"));
    Base { rows, files, store: store.unwrap(), blobs, objects, uploads, blob_of }
}

/// Objects of one version, and those that will be deleted.
async fn make_simple(store: &Store, objects: &mut Objects) {
    // Inline, one chunk, three chunks.
    let sizes = [("inline", 100), ("empty", 0), ("blob", 20_000), ("large", 300_000)];
    for (seed, (key, size)) in sizes.into_iter().enumerate() {
        put(store, (BUCKET, key), &body(seed, size)).await;
        objects.insert(key, Object::current(key, body(seed, size)));
    }
    for (from, to, seed, size) in
        [("inline", "inline copy", 0, 100), ("blob", "blob copy", 2, 20_000)]
    {
        copy(store, from, to).await;
        objects.insert(to, Object::current(to, body(seed, size)));
    }
    put(store, (BUCKET, "doomed"), &body(5, 30_000)).await;
    put(store, (BUCKET, "released"), &body(6, 17_000)).await;
    put(store, (BUCKET, "marked"), &body(7, 18_000)).await;
    put(store, (BUCKET, "shared"), &body(8, 25_000)).await;
    copy(store, "shared", "shared copy").await;
    objects.insert("shared copy", Object::current("shared copy", body(8, 25_000)));
}

/// Every blob here has a size of its own, and so has its file.
fn blobs_by_size(data: &Path) -> BTreeMap<String, BlobId> {
    let sizes = [
        ("blob", 20_000),
        ("large", 300_000),
        ("doomed", 30_000),
        ("released", 17_000),
        ("marked", 18_000),
        ("shared copy", 25_000),
        ("doc null", 19_000),
        ("hidden 1", 22_000),
        ("sliced", 26_000),
        ("parts", PART),
        ("going", 23_000),
        ("appended", 24_000),
        ("aborted", 27_000),
    ];
    let mut blobs = BTreeMap::new();
    for (path, content) in tree(&data.join("blobs")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (Some(content), Ok(id)) = (content, name.parse()) else { continue };
        let footer = |size: usize| size + size.div_ceil(128 << 10) * 8 + 48;
        let (key, _) = sizes.iter().find(|(_, size)| footer(*size) == content.len()).unwrap();
        blobs.insert((*key).to_owned(), id);
    }
    assert_eq!(blobs.len(), sizes.len());
    blobs
}

/// The file of a blob in a data directory.
pub fn path_of(data: &Path, blob: BlobId) -> PathBuf {
    let directory = blob.0[5] ^ blob.0[7];
    data.join("blobs").join(format!("{directory:02x}")).join(blob.to_string())
}

/// All files and directories below a directory.
pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                tree.insert(name, None);
                open.push(path);
            } else {
                tree.insert(name, Some(std::fs::read(path).unwrap()));
            }
        }
    }
    tree
}

pub async fn rows_of(kv: &dyn Kv) -> Rows {
    let page = kv.scan(Scan::prefix(b"", usize::MAX)).await.unwrap();
    let row = |found| match found {
        Found::Row(key, row) => (key, row.value),
        Found::CommonPrefix(_) => panic!("nothing was to be folded"),
    };
    page.found.into_iter().map(row).collect()
}

/// A copy of the store, to be damaged: its rows in memory, and its blobs there or in files.
pub struct Fixture {
    pub kv: Arc<Memory>,
    blobs: Place,
}

enum Place {
    Memory(cosine_blob::Memory),
    Files(TempDir),
}

impl Fixture {
    /// With these rows.
    pub async fn new(rows: &Rows) -> Self {
        let kv = Arc::new(Memory::default());
        let put = |(key, value): (&Vec<u8>, &Bytes)| Write::Put(key.clone(), value.clone());
        let commit = Commit { conditions: vec![], writes: rows.iter().map(put).collect() };
        assert!(matches!(kv.commit(commit).await, Ok(Outcome::Committed(_))));
        let blobs = cosine_blob::Memory::default();
        blobs.adopt(BASE.store).await.unwrap();
        for (id, bytes) in &BASE.blobs {
            blobs.create(*id).finish(bytes.clone()).await.unwrap();
        }
        Self { kv, blobs: Place::Memory(blobs) }
    }

    /// With blobs in files.
    pub async fn in_files() -> Self {
        let data = tempfile::tempdir().unwrap();
        let root = data.path().join("blobs");
        std::fs::create_dir(&root).unwrap();
        for (name, content) in &BASE.files {
            match content {
                None => std::fs::create_dir(root.join(name)).unwrap(),
                Some(content) => std::fs::write(root.join(name), content).unwrap(),
            }
        }
        Self { blobs: Place::Files(data), ..Self::new(&BASE.rows).await }
    }

    /// The data directory of one with files.
    pub fn data(&self) -> &Path {
        match &self.blobs {
            Place::Memory(_) => panic!("its blobs are not in files"),
            Place::Files(data) => data.path(),
        }
    }

    pub fn path_of(&self, blob: BlobId) -> PathBuf {
        path_of(self.data(), blob)
    }

    pub fn engines(&self) -> Engines {
        let blobs: Arc<dyn Blobs> = match &self.blobs {
            Place::Memory(blobs) => Arc::new(blobs.clone()),
            Place::Files(data) => Arc::new(files(&data.path().join("blobs"))),
        };
        Engines { kv: Arc::clone(&self.kv) as Arc<dyn Kv>, blobs }
    }

    /// Everything that is there.
    pub async fn all(&self) -> (Rows, Tree) {
        let blobs = match &self.blobs {
            Place::Memory(blobs) => {
                let files = bytes_of(blobs).await.into_iter();
                files
                    .map(|(id, bytes)| (path_of(Path::new(""), id), Some(bytes.to_vec())))
                    .collect()
            }
            Place::Files(data) => {
                let files = tree(&data.path().join("blobs")).into_iter();
                files.map(|(name, content)| (Path::new("blobs").join(name), content)).collect()
            }
        };
        (rows_of(&*self.kv).await, blobs)
    }
}

async fn bytes_of(blobs: &dyn Blobs) -> BTreeMap<BlobId, Bytes> {
    let mut all = BTreeMap::new();
    for id in blobs.list(None, usize::MAX).await.unwrap() {
        let blob = blobs.open(id).await.unwrap();
        all.insert(id, blob.read(0..blob.finished().length).await.unwrap());
    }
    all
}
