//! What every engine must do. Each function takes an empty engine, and panics with what is wrong.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test suite reports by panicking")]

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::table::crc64;
use crate::{BlobId, Blobs, CHUNK_BYTES, Error, Finished, PoolId, RunId, StoreId};

/// Runs every check; `open` gives an empty engine each time.
pub async fn all<B: Blobs>(mut open: impl FnMut() -> B) {
    what_is_written_is_read(&open()).await;
    unfinished_blobs_leave_nothing(&open()).await;
    calls_that_are_dropped_half_way_leave_nothing(&open()).await;
    ids_are_used_once(&open()).await;
    deleting_is_final_and_forgiving(&open()).await;
    what_is_put_aside_is_not_found_and_not_lost(&open()).await;
    listing_pages_through_everything(&open()).await;
    a_store_is_adopted(&open()).await;
}

fn id(n: u64) -> BlobId {
    BlobId::new(1_700_000_000_000 + n / 4, PoolId::default(), (n % 4) as u16, RunId(7))
}

/// `length` bytes that differ from place to place.
pub fn pattern(length: u64) -> Bytes {
    (0..length).map(|i| (i ^ i >> 8 ^ i >> 16).wrapping_mul(167) as u8).collect()
}

async fn write<B: Blobs>(blobs: &B, id: BlobId, data: &Bytes, piece: usize) -> Finished {
    let mut writer = blobs.create(id);
    let mut rest = data.clone();
    while rest.len() > piece {
        writer.write(rest.split_to(piece)).await.unwrap();
    }
    writer.finish(rest).await.unwrap()
}

async fn what_is_written_is_read<B: Blobs>(blobs: &B) {
    let c = CHUNK_BYTES;
    for (n, length) in [0, 1, 4096, c - 1, c, c + 1, 3 * c, 5 * c + 17].into_iter().enumerate() {
        let (id, data) = (id(n as u64), pattern(length));
        let finished = write(blobs, id, &data, 50_000).await;
        assert_eq!(finished, Finished { length, crc64: crc64(&data) });
        let reader = blobs.open(id).await.unwrap();
        assert_eq!(reader.finished(), finished);
        for range in [0..length, 0..length.min(1), length / 2..length, length / 3..length / 3 * 2] {
            let read = reader.read(range.clone()).await.unwrap();
            let crc = reader.crc64(range.clone()).await.unwrap();
            assert_eq!(crc, crc64(&read), "{range:?} of {length}");
            assert!(read == data.slice(range.start as usize..range.end as usize), "{range:?}");
        }
        let beyond = reader.crc64(0..length + 1).await;
        assert!(matches!(beyond, Err(Error::OutOfRange(_))), "{beyond:?}");
        let beyond = reader.read(0..length + 1).await;
        assert!(matches!(beyond, Err(Error::OutOfRange(_))), "{beyond:?}");
    }
}

async fn unfinished_blobs_leave_nothing<B: Blobs>(blobs: &B) {
    let mut writer = blobs.create(id(1));
    writer.write(pattern(CHUNK_BYTES * 2)).await.unwrap();
    let early = blobs.open(id(1)).await;
    assert!(early.is_err(), "a blob in the making cannot be read");
    drop(writer);
    let late = blobs.open(id(1)).await;
    assert!(matches!(late, Err(Error::NotFound(_))), "{late:?}");
    assert_eq!(blobs.list(None, 10).await.unwrap(), vec![]);
}

/// A caller may go away while a write or the end of one is under way on another thread.
async fn calls_that_are_dropped_half_way_leave_nothing<B: Blobs>(blobs: &B) {
    let data = pattern(CHUNK_BYTES * 4);
    for n in 0..50 {
        let mut writer = blobs.create(id(n));
        if n % 2 == 0 {
            let write = writer.write(data.clone());
            let _ = tokio::time::timeout(Duration::from_micros(n * 10), write).await;
        } else {
            let finish = writer.finish(data.clone());
            if let Ok(finished) = tokio::time::timeout(Duration::from_micros(n * 10), finish).await
            {
                finished.unwrap();
                blobs.delete(&[id(n)]).await.unwrap();
            }
        }
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while !blobs.list(None, 1).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "a blob that nobody wants stays behind");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn ids_are_used_once<B: Blobs>(blobs: &B) {
    let data = pattern(1000);
    write(blobs, id(1), &data, 1000).await;
    let again = blobs.create(id(1)).finish(Bytes::from_static(b"other")).await;
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");
    let read = blobs.open(id(1)).await.unwrap().read(0..1000).await.unwrap();
    assert!(read == data, "the first blob stands");
}

async fn deleting_is_final_and_forgiving<B: Blobs>(blobs: &B) {
    for n in 1..4 {
        write(blobs, id(n), &pattern(10_000), 10_000).await;
    }
    blobs.delete(&[id(1), id(2), id(9)]).await.unwrap();
    assert!(matches!(blobs.open(id(1)).await, Err(Error::NotFound(_))));
    blobs.delete(&[id(1), id(2)]).await.unwrap();
    assert_eq!(blobs.list(None, 10).await.unwrap(), vec![id(3)]);
}

async fn what_is_put_aside_is_not_found_and_not_lost<B: Blobs>(blobs: &B) {
    assert_eq!(blobs.quarantined().await.unwrap(), vec![]);
    write(blobs, id(1), &pattern(10), 10).await;
    blobs.quarantine(id(1)).await.unwrap();
    blobs.quarantine(id(2)).await.unwrap();
    assert!(matches!(blobs.open(id(1)).await, Err(Error::NotFound(_))));
    assert_eq!(blobs.list(None, 10).await.unwrap(), vec![]);
    assert_eq!(blobs.quarantined().await.unwrap(), vec![id(1)]);
}

async fn listing_pages_through_everything<B: Blobs>(blobs: &B) {
    let mut expected: Vec<BlobId> = (0..300).map(id).collect();
    for id in &expected {
        write(blobs, *id, &pattern(1), 1).await;
    }
    for limit in [1000, 7] {
        let (mut listed, mut after) = (vec![], None);
        loop {
            let page = blobs.list(after, limit).await.unwrap();
            after = page.last().copied();
            if after.is_none() {
                break;
            }
            listed.extend(page);
        }
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }
}

async fn a_store_is_adopted<B: Blobs>(blobs: &B) {
    assert_eq!(blobs.store_id().await.unwrap(), None);
    blobs.adopt(StoreId(42 << 80)).await.unwrap();
    assert_eq!(blobs.store_id().await.unwrap(), Some(StoreId(42 << 80)));
}
