//! Which store it is: metadata and blobs that do not belong together, or do not say.

use std::sync::Arc;

use cosine_store::fsck::{Flaw, FsckOptions, fsck};
use cosine_store::{Engines, Error, Store, SystemClock};

use crate::base::{BASE, Fixture, files, tree};
use crate::block_on;
use crate::check::{check, flaws, set};

/// fsck finds this and no more, repairs nothing, and the store does not open.
async fn refused(engines: &Engines) {
    let report = check(engines, FsckOptions { deep: true, repair: true }).await;
    assert_eq!(flaws(&report), set(&[Flaw::WrongStore]));
    assert!(report.mended.is_empty());
    let opened =
        Store::open(engines.clone(), Arc::new(SystemClock), crate::support::master()).await;
    assert!(matches!(opened, Err(Error::WrongStore)), "{opened:?}");
}

fn store_file(fixture: &Fixture) -> std::path::PathBuf {
    fixture.data().join("blobs/STORE")
}

/// Whichever digit is another one, it is another store; what is no digit is no store id.
#[test]
fn a_flipped_byte_in_the_store_file_is_refused() {
    block_on(async {
        let fixture = Fixture::in_files().await;
        let sound = std::fs::read(store_file(&fixture)).unwrap();
        for at in 0..sound.len() {
            for bit in 0..8 {
                let mut bytes = sound.clone();
                bytes[at] ^= 1 << bit;
                // A letter in the other case is the same digit.
                if bytes.eq_ignore_ascii_case(&sound) {
                    continue;
                }
                std::fs::write(store_file(&fixture), &bytes).unwrap();
                let before = fixture.all().await;
                match bytes[..32].iter().all(u8::is_ascii_hexdigit) && bytes[32] == b'\n' {
                    true => refused(&fixture.engines()).await,
                    false => undecodable(&fixture.engines()).await,
                }
                assert!(fixture.all().await == before, "byte {at}, bit {bit}: changed");
            }
        }
    });
}

async fn undecodable(engines: &Engines) {
    let options = FsckOptions { deep: false, repair: true };
    let report = fsck(engines, options, &mut |_| {}).await;
    let opened =
        Store::open(engines.clone(), Arc::new(SystemClock), crate::support::master()).await;
    for error in [report.map(drop).unwrap_err(), opened.map(drop).unwrap_err()] {
        assert!(error.to_string().ends_with("STORE holds no store id"), "{error}");
    }
}

#[test]
fn a_store_file_that_is_empty_cut_or_too_long_is_no_store_id() {
    block_on(async {
        let fixture = Fixture::in_files().await;
        let sound = std::fs::read(store_file(&fixture)).unwrap();
        for bytes in [b"".to_vec(), sound[..20].to_vec(), [b"0", &sound[..]].concat(), vec![0xff]] {
            std::fs::write(store_file(&fixture), bytes).unwrap();
            undecodable(&fixture.engines()).await;
        }
        std::fs::remove_file(store_file(&fixture)).unwrap();
        refused(&fixture.engines()).await;
    });
}

/// Also where nothing has been written yet but what says which store it is.
#[test]
fn metadata_beside_the_blobs_of_another_store_is_refused() {
    block_on(async {
        let (ours, other) = (Fixture::in_files().await, tempfile::tempdir().unwrap());
        let blobs = Arc::new(files(other.path()));
        let empty = Engines { kv: Arc::new(cosine_kv::Memory::default()), blobs: blobs.clone() };
        Store::open(empty.clone(), Arc::new(SystemClock), crate::support::master()).await.unwrap();
        let before = (ours.all().await, tree(other.path()));
        refused(&Engines { kv: ours.engines().kv, blobs: blobs.clone() }).await;
        refused(&Engines { kv: empty.kv, blobs: ours.engines().blobs }).await;
        // Metadata that lost the row of the store is no new store's, nor are blobs without metadata.
        let mut rows = BASE.rows.clone();
        rows.remove(&b"mstore"[..]);
        let headless = Fixture::new(&rows).await;
        refused(&Engines { kv: headless.engines().kv, blobs }).await;
        refused(&Engines { kv: headless.engines().kv, blobs: ours.engines().blobs }).await;
        let none = Engines { kv: Arc::new(cosine_kv::Memory::default()), ..ours.engines() };
        refused(&none).await;
        assert!((ours.all().await, tree(other.path())) == before);
    });
}
