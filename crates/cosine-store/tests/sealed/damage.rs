//! What is on the disk is flipped, swapped, cut, or of another time: an error, never wrong bytes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cosine_blob::{BlobReader, Blobs, Files, Finished, Opener, files};
use cosine_crypt::segment::{SEGMENT_BYTES, TAG_BYTES};
use cosine_store::fsck::{Flaw, FsckOptions, fsck};
use cosine_store::{Engines, Error, StorageClass};

use crate::world::{Kind, World, body, run};

const STORED: usize = (SEGMENT_BYTES + TAG_BYTES) as usize;
const SIZE: usize = 5 * SEGMENT_BYTES as usize + 777;

struct Disk {
    data: tempfile::TempDir,
    world: World,
    body: Bytes,
}

impl Disk {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let options = files::Options { durable: false, ..Default::default() };
        let blobs: Arc<dyn Blobs> = Arc::new(Files::open(data.path(), options).unwrap());
        let engines = Engines { kv: Arc::new(cosine_kv::Memory::default()), blobs };
        let world = World::on(engines, |options| options.pools.clear()).await;
        let body = body(1, SIZE);
        world.put("o", Kind::Cos, &body).await;
        Self { data, world, body }
    }

    /// The one file.
    fn file(&self) -> PathBuf {
        let mut found = vec![];
        find(self.data.path(), &mut found);
        let [file] = &found[..] else { panic!("{found:?}") };
        file.clone()
    }

    /// Changes the stored bytes, and has the checksums of the file fit again, as somebody would who knows
    /// the format and not the key.
    async fn forge(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let id = self.world.engines.blobs.list(None, 9).await.unwrap()[0];
        let reader = self.world.engines.blobs.open(id).await.unwrap();
        let mut bytes = reader.read(0..reader.finished().length).await.unwrap().to_vec();
        change(&mut bytes);
        std::fs::remove_file(self.file()).unwrap();
        self.world.engines.blobs.create(id).finish(bytes.into()).await.unwrap();
    }

    /// Reads each segment by itself: right bytes or an error; returns which are errors.
    async fn broken(&self) -> Vec<usize> {
        let mut broken = vec![];
        for (n, segment) in self.body.chunks(SEGMENT_BYTES as usize).enumerate() {
            let begin = n as u64 * SEGMENT_BYTES;
            match self.world.read("o", begin..begin + segment.len() as u64, None).await {
                Ok(read) => assert!(read == segment, "wrong bytes of segment {n}"),
                Err(Error::Damaged(_) | Error::Blob(_)) => broken.push(n),
                Err(error) => panic!("{error}"),
            }
        }
        broken
    }
}

fn find(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.file_name().unwrap().len() == 32 {
            found.push(path);
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_where_it_is() {
    run(async {
        for at in [0, 1, 65_535, 65_536, STORED - 1, STORED, 3 * STORED + 9, 5 * STORED + 776] {
            let disk = Disk::new().await;
            let mut bytes = std::fs::read(disk.file()).unwrap();
            bytes[at] ^= 1;
            std::fs::write(disk.file(), bytes).unwrap();
            assert_eq!(disk.broken().await, [at / STORED], "byte {at}");
            let options = FsckOptions { deep: true, repair: false };
            let report = fsck(&disk.world.engines, options, &mut |_| {}).await.unwrap();
            let flaws: Vec<_> = report.findings.iter().map(|finding| finding.flaw).collect();
            assert_eq!(flaws, [Flaw::DamagedObject], "byte {at}, without any key");
        }
    });
}

type Forgery = (&'static str, fn(&mut Vec<u8>));

/// What the checksums beside the bytes let pass, since they were made to fit.
const FORGERIES: [Forgery; 6] = [
    ("two swapped", |bytes| swap(bytes, 1, 3)),
    ("one twice", |bytes| copy(bytes, 0, 4)),
    ("the last one's place taken", |bytes| copy(bytes, 0, 2)),
    ("a byte of the table", |bytes| *bytes.last_mut().unwrap() ^= 1),
    ("cut", |bytes| bytes.truncate(5 * STORED)),
    ("longer", |bytes| bytes.push(0)),
];

fn swap(bytes: &mut [u8], a: usize, b: usize) {
    let one = bytes[a * STORED..(a + 1) * STORED].to_vec();
    copy(bytes, b, a);
    bytes[b * STORED..(b + 1) * STORED].copy_from_slice(&one);
}

fn copy(bytes: &mut [u8], from: usize, to: usize) {
    bytes.copy_within(from * STORED..(from + 1) * STORED, to * STORED);
}

#[test]
fn forged_files_never_show_wrong_bytes() {
    run(async {
        for (what, change) in FORGERIES {
            let disk = Disk::new().await;
            disk.forge(change).await;
            // The metadata knows the checksum of what was stored: nothing of another blob is read.
            assert_eq!(disk.broken().await, [0, 1, 2, 3, 4, 5], "{what}");
        }
    });
}

/// Bytes of another time under the same id: another data key.
#[test]
fn what_another_content_had_does_not_stand_in() {
    run(async {
        let disk = Disk::new().await;
        let old = std::fs::read(disk.file()).unwrap();
        std::fs::remove_file(disk.file()).unwrap();
        disk.world.put("o", Kind::Cos, &body(2, SIZE)).await;
        let mut bytes = std::fs::read(disk.file()).unwrap();
        let data = 5 * STORED + 777 + TAG_BYTES as usize;
        bytes[..data].copy_from_slice(&old[..data]);
        std::fs::write(disk.file(), bytes).unwrap();
        for n in 0..6 {
            let begin = n * SEGMENT_BYTES;
            let read = disk.world.read("o", begin..begin + 9, None).await;
            assert!(matches!(read, Err(Error::Blob(_))), "{read:?}");
        }
    });
}

/// A blob whose bytes are changed after they were verified, as memory that fails changes them.
#[derive(Debug)]
struct Changed(Arc<dyn BlobReader>);

#[async_trait]
impl BlobReader for Changed {
    fn finished(&self) -> Finished {
        self.0.finished()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, cosine_blob::Error> {
        let mut bytes = self.0.read(range).await?.to_vec();
        bytes[0] ^= 1;
        Ok(bytes.into())
    }

    async fn read_opened(
        &self,
        range: Range<u64>,
        open: Opener,
    ) -> Result<Bytes, cosine_blob::Error> {
        self.0.read_opened(range, open).await
    }

    async fn crc64(&self, range: Range<u64>) -> Result<u64, cosine_blob::Error> {
        self.0.crc64(range).await
    }
}

/// What is sealed on its way is held against what it was, and not only against itself.
#[test]
fn what_changes_while_it_is_sealed_is_noticed() {
    run(async {
        let changed: cosine_store::Lens = |inner| Arc::new(Changed(inner));
        let world = World::new(|options| options.copy_lens = Some(changed)).await;
        world.put("plain", Kind::None, &body(1, SIZE)).await;
        for wanted in [Kind::Cos, Kind::Customer(1)] {
            let copied =
                world.copy(("plain", Kind::None), ("copy", wanted), StorageClass::Standard);
            assert!(matches!(copied.await, Err(Error::Damaged(_))));
        }
    });
}
