//! What a server does by itself: it says that it is alive, collects, and scrubs.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cosine_http::Master;
use cosine_store::{
    Collector, CollectorOptions, Error, HEARTBEAT_SECONDS, Scrub, ScrubOptions, Store,
};
use tokio::runtime::Runtime;

/// A collector that found nothing to do looks again after this.
const COLLECTOR_IDLE: Duration = Duration::from_secs(2);
/// Between two pieces of work, requests have the machine to themselves for one part in so many of the
/// time that the last piece took.
const COLLECTOR_REST_PARTS: u32 = 4;
/// A scrub that has nothing to do, or failed, looks again after this: it may have been asked to begin.
const SCRUB_IDLE: Duration = Duration::from_secs(2);

/// Keys are looked through this often.
const KEYS_IDLE: Duration = Duration::from_secs(60);

/// How much more readily the processors go to requests: by how much the threads of the background are
/// "nice".
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A thread of its own, and those it has wait for the disk: a request never stands behind a page of
/// work, and comes first when there are too few processors.
pub fn runtime() -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    #[cfg(target_os = "linux")]
    builder.on_thread_start(|| {
        // On Linux, it is the thread that is nice. A refusal costs some latency only.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "the priority of background work");
        }
    });
    builder.worker_threads(1).thread_name("background").enable_time().build()
}

/// Beats until others take this run for dead; then it must write no more.
pub async fn stay_alive(store: Store) -> Error {
    loop {
        tokio::time::sleep(Duration::from_secs(HEARTBEAT_SECONDS)).await;
        match store.heartbeat().await {
            Err(error @ Error::Fenced) => return error,
            Err(error) => tracing::warn!(%error, "the heartbeat failed"),
            Ok(()) => {}
        }
    }
}

/// Collects for ever.
pub async fn collect(store: Store, options: CollectorOptions) {
    let mut collector = Collector::new(store, options);
    loop {
        let began = Instant::now();
        let pause = match collector.tick().await {
            Ok(done) if done.more => began.elapsed() / COLLECTOR_REST_PARTS,
            Ok(_) | Err(Error::Unavailable) => COLLECTOR_IDLE,
            Err(error) => {
                tracing::warn!(%error, "the collector could not do its work, and goes on");
                COLLECTOR_IDLE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Seals keys under a new master key, and takes away those that are to be deleted; for ever.
pub async fn keys(store: Store, master: Arc<Master>) {
    let delete = async {
        loop {
            match store.delete_kms_keys().await {
                Ok(0) | Err(Error::Unavailable) => {}
                Ok(deleted) => tracing::info!(deleted, "keys whose time had come are deleted"),
                Err(error) => tracing::warn!(%error, "keys could not be deleted"),
            }
            tokio::time::sleep(KEYS_IDLE).await;
        }
    };
    tokio::join!(master.run(store.clone()), delete);
}

/// Scrubs for ever, at the rate of the options.
pub async fn scrub(store: Store, options: ScrubOptions) {
    let scrub = Scrub::new(store, options);
    loop {
        match scrub.tick().await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) | Err(Error::Unavailable) => tokio::time::sleep(SCRUB_IDLE).await,
            Err(error) => {
                tracing::warn!(%error, "the scrub could not do its work, and goes on");
                tokio::time::sleep(SCRUB_IDLE).await;
            }
        }
    }
}
