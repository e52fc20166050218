//! The collector and the scrub.

use std::time::{Duration, Instant};

use cosine_store::{Census, Collected, Collector, Error, Ledger, ScrubStatus};
use cosine_wire::{ApiError, Code};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::Api;
use crate::error::store_error;

/// Seconds that a doomed blob stays, in place of the server's own setting.
const GRACE: &str = "x-cosine-grace";
/// One request collects for this long at most; the answer says whether there is more.
const RUN_TIME_MAX: Duration = Duration::from_secs(10);

/// What becomes of the bytes in the store.
pub async fn gc_status(api: &Api) -> Result<Value, ApiError> {
    ledger(api).await.map_err(store_error)
}

/// Collects now, for a bounded time.
pub async fn gc_run(api: &Api, headers: &HeaderMap) -> Result<Value, ApiError> {
    let collected = collect(api, grace(headers)?).await;
    collected.map(collected_json).map_err(store_error)
}

/// How far the scrub has come, and what is damaged.
pub async fn scrub_status(api: &Api) -> Result<Value, ApiError> {
    api.store.scrub_status().await.map(|status| scrub_json(&status)).map_err(store_error)
}

/// Begins a pass of the scrub now.
pub async fn scrub_run(api: &Api) -> Result<Value, ApiError> {
    match api.store.begin_scrub().await {
        Err(Error::Busy) => Err(Code::SlowDown.into()),
        begun => begun.map(|()| json!({})).map_err(store_error),
    }
}

fn grace(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(GRACE) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok());
    let malformed = || ApiError::new(Code::InvalidArgument, format!("{GRACE} is not in seconds."));
    seconds.map(Duration::from_secs).map(Some).ok_or_else(malformed)
}

async fn collect(api: &Api, grace: Option<Duration>) -> Result<Collected, Error> {
    let mut options = api.settings.collector;
    options.grace = grace.unwrap_or(options.grace);
    let mut collector = Collector::new(api.store.clone(), options);
    let begun = Instant::now();
    let mut total = Collected::default();
    loop {
        let done = collector.tick().await?;
        total = Collected { more: false, ..total };
        total += done;
        if !done.more || begun.elapsed() > RUN_TIME_MAX {
            return Ok(total);
        }
    }
}

fn collected_json(done: Collected) -> Value {
    json!({
        "contents": done.contents,
        "blobs": done.blobs,
        "bytes": done.bytes,
        "orphans": done.orphans,
        "quarantined": done.quarantined,
        "more": done.more,
    })
}

fn census_json(census: &Census) -> Value {
    json!({
        "live": { "contents": census.live, "bytes": census.live_bytes },
        "shared": { "contents": census.shared, "bytes": census.shared_bytes },
        "damaged": census.damaged,
    })
}

async fn ledger(api: &Api) -> Result<Value, Error> {
    let (ledger, census) = (api.store.ledger().await?, api.store.census().await?);
    Ok(ledger_json(&ledger, &census))
}

fn ledger_json(ledger: &Ledger, census: &Census) -> Value {
    let collected = &ledger.collected;
    json!({
        "released": { "contents": ledger.released },
        "condemned": { "contents": ledger.condemned, "bytes": ledger.condemned_bytes },
        "doomed": { "blobs": collected.doomed_blobs, "bytes": collected.doomed_bytes },
        "reclaimed": {
            "blobs": collected.reclaimed_blobs,
            "inline": collected.reclaimed_inline,
            "bytes": collected.reclaimed_bytes,
        },
        "quarantined": { "blobs": collected.quarantined_blobs },
        "live": { "contents": census.live, "bytes": census.live_bytes },
        "shared": { "contents": census.shared, "bytes": census.shared_bytes },
    })
}

/// Times are microseconds since 1970 UTC.
fn scrub_json(status: &ScrubStatus) -> Value {
    let objects = status.damaged.iter().flat_map(|damage| {
        damage.record.objects.iter().map(move |(bucket, key, version)| {
            json!({
                "bucket": bucket,
                "key": key,
                "version": version,
                "content": damage.content.to_string(),
                "what": damage.record.what,
                "found_at": damage.record.at,
            })
        })
    });
    json!({
        "running": status.running,
        "pass": status.pass,
        "began": status.began,
        "seen": census_json(&status.seen),
        "last": census_json(&status.last),
        "last_ended": status.last_ended,
        "damaged_contents": status.damaged.len(),
        "damaged": objects.collect::<Vec<_>>(),
    })
}
