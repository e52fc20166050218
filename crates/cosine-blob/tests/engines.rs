//! Both engines against the conformance suite, and what only files can suffer.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking"
)]

use std::fs;
use std::path::PathBuf;

use cosine_blob::conformance::{self, pattern};
use cosine_blob::{BlobId, Blobs, CHUNK_BYTES, Error, Files, Memory, PoolId, RunId};

#[tokio::test]
async fn memory_conforms() {
    conformance::all(Memory::default).await;
}

#[tokio::test]
async fn files_conform() {
    let parent = tempfile::tempdir().unwrap();
    let mut n = 0;
    conformance::all(|| {
        n += 1;
        Files::open(&parent.path().join(n.to_string()), Default::default()).unwrap()
    })
    .await;
}

/// Every byte of a file, flipped, and every cut: an error, never other bytes.
#[tokio::test]
async fn damage_is_reported_and_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Files::open(directory.path(), Default::default()).unwrap();
    let id = BlobId::new(5, PoolId::default(), 0, RunId(1));
    let data = pattern(CHUNK_BYTES + 100);
    blobs.create(id).finish(data.clone()).await.unwrap();
    let path = find(directory.path().into(), &id.to_string()).unwrap();
    let whole = fs::read(&path).unwrap();
    let read = async || blobs.open(id).await?.read(0..data.len() as u64).await;
    assert!(read().await.unwrap() == data);

    let ends = [0, 1, CHUNK_BYTES as usize - 1, CHUNK_BYTES as usize, data.len() - 1];
    for at in ends.into_iter().chain(data.len()..whole.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        assert!(matches!(read().await, Err(Error::Damaged(..))), "flipped byte {at}");
    }
    for length in (0..200).chain(data.len() - 2..whole.len()) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(read().await, Err(Error::Damaged(..))), "cut to {length}");
    }
    let other = BlobId::new(5, PoolId::default(), 256, RunId(1));
    fs::write(path.with_file_name(other.to_string()), &whole).unwrap();
    let swapped = blobs.open(other).await;
    assert!(matches!(swapped, Err(Error::Damaged(..) | Error::NotFound(_))), "{swapped:?}");
}

/// A range read touches the chunks of its range only: damage elsewhere does not spoil it.
#[tokio::test]
async fn ranges_do_not_depend_on_other_chunks() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Files::open(directory.path(), Default::default()).unwrap();
    let id = BlobId::new(5, PoolId::default(), 0, RunId(1));
    let data = pattern(CHUNK_BYTES * 3);
    blobs.create(id).finish(data.clone()).await.unwrap();
    let path = find(directory.path().into(), &id.to_string()).unwrap();
    let mut damaged = fs::read(&path).unwrap();
    damaged[0] ^= 1;
    fs::write(&path, damaged).unwrap();
    let reader = blobs.open(id).await.unwrap();
    let (from, to) = (CHUNK_BYTES + 5, CHUNK_BYTES * 2 + 9);
    assert!(reader.read(from..to).await.unwrap() == data.slice(from as usize..to as usize));
    assert!(matches!(reader.read(0..1).await, Err(Error::Damaged(..))));
}

fn find(directory: PathBuf, name: &str) -> Option<PathBuf> {
    fs::read_dir(directory).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { find(path, name) } else { path.ends_with(name).then_some(path) }
    })
}
