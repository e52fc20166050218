//! What the store logs belongs to a request, also where the work goes on in a task of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test reports by panicking")]

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cosine_kv::{Commit, Error, Kv, Memory, Outcome, Page, Row, Scan};
use cosine_store::{BucketAcl, BucketName, Engines, NewBucket, Store, SystemClock, Zones};
use tracing::Instrument;

/// An engine that cannot scan once it is told so.
#[derive(Debug, Default)]
struct Blind {
    inner: Memory,
    told: AtomicBool,
}

#[async_trait::async_trait]
impl Kv for Blind {
    async fn get(&self, key: &[u8]) -> Result<Option<Row>, Error> {
        self.inner.get(key).await
    }

    async fn scan_together(&self, scans: Vec<Scan>) -> Result<Vec<Page>, Error> {
        match self.told.load(Ordering::Relaxed) {
            true => Err(Error::Engine("blind".to_owned())),
            false => self.inner.scan_together(scans).await,
        }
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        self.inner.commit(commit).await
    }

    fn exclusive(&self) -> bool {
        true
    }
}

/// Where the log goes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_task_logs_within_the_span_of_its_request() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let _log = tracing::subscriber::set_default(log.finish());

    let kv = Arc::new(Blind::default());
    let blobs = Arc::new(cosine_blob::Memory::default());
    let engines = Engines { kv: Arc::clone(&kv) as Arc<dyn Kv>, blobs };
    let master = Arc::new(cosine_store::MasterKeys::parse(&"5a".repeat(32)).unwrap());
    let store = Store::open(engines, Arc::new(SystemClock), master).await.unwrap();
    let name = BucketName::parse("b-1250000000").unwrap();
    let bucket = NewBucket {
        name: name.clone(),
        region: "ap-x".to_owned(),
        acl: BucketAcl::Private,
        zones: Zones::One,
    };
    store.create_bucket(bucket).await.unwrap();

    kv.told.store(true, Ordering::Relaxed);
    let request = tracing::error_span!("request", request_id = "r1");
    store.delete_bucket(&name).instrument(request).await.unwrap_err();
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("could not be removed")).unwrap();
    assert!(line.contains("request{request_id=\"r1\"}"), "{line}");
}
