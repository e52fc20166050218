//! What a server does by itself: it says that it is alive, collects, and scrubs.

use std::time::Duration;

use cosine_store::{
    Collector, CollectorOptions, Error, HEARTBEAT_SECONDS, Scrub, ScrubOptions, Store,
};

/// A collector that found nothing to do looks again after this.
const COLLECTOR_IDLE: Duration = Duration::from_secs(2);
/// Between two pieces of work, requests have the machine to themselves for this long.
const COLLECTOR_PAUSE: Duration = Duration::from_millis(10);
/// A scrub that has nothing to do, or failed, looks again after this: it may have been asked to begin.
const SCRUB_IDLE: Duration = Duration::from_secs(2);

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
        let pause = match collector.tick().await {
            Ok(done) if done.more => COLLECTOR_PAUSE,
            Ok(_) | Err(Error::Unavailable) => COLLECTOR_IDLE,
            Err(error) => {
                tracing::warn!(%error, "the collector could not do its work, and goes on");
                COLLECTOR_IDLE
            }
        };
        tokio::time::sleep(pause).await;
    }
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
