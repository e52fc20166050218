//! The administration of a server: `/-/admin/...`, on hosts that name no bucket, in JSON, signed
//! like any request with the root credential. `cosine admin` speaks it.
//!
//! What a request asks for is in its method, its path and its `x-cosine-*` headers, and the signature
//! must cover all of them.

use std::time::{Duration, Instant};

use cosine_access::Caller;
use cosine_store::{Census, Collected, Collector, Error, Ledger, ScrubStatus};
use cosine_wire::host::HostRules;
use cosine_wire::{ApiError, Code};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::Api;
use crate::error::store_error;
use crate::reply::Reply;
use crate::request::Head;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// What becomes of the bytes in the store.
    GcStatus,
    /// Collect now, for a bounded time.
    GcRun,
    /// How far the scrub has come, and what is damaged.
    ScrubStatus,
    /// Begin a pass of the scrub now.
    ScrubRun,
}

const TABLE: [(Method, &str, Command); 4] = [
    (Method::GET, "/-/admin/gc", Command::GcStatus),
    (Method::POST, "/-/admin/gc", Command::GcRun),
    (Method::GET, "/-/admin/scrub", Command::ScrubStatus),
    (Method::POST, "/-/admin/scrub", Command::ScrubRun),
];

/// Seconds that a doomed blob stays, in place of the server's own setting.
const GRACE: &str = "x-cosine-grace";
/// Headers of administration begin with this.
const PREFIX: &str = "x-cosine-";
/// One request collects for this long at most; the answer says whether there is more.
const RUN_TIME_MAX: Duration = Duration::from_secs(10);

/// Finds the command that a request asks for, if it asks for one.
pub fn find(head: &Head, hosts: &HostRules) -> Option<Command> {
    let found = TABLE.iter().find(|row| row.0 == head.method && row.1 == head.path)?;
    (!head.names_bucket(hosts)).then_some(found.2)
}

/// Headers whose signature is required.
pub fn is_admin_header(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Does what is asked.
pub async fn run(
    api: &Api,
    command: Command,
    caller: Caller,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    if caller == Caller::Anonymous {
        return Err(Code::AccessDenied.into());
    }
    let answer = match command {
        Command::GcStatus => ledger(api).await,
        Command::GcRun => collect(api, grace(headers)?).await.map(collected_json),
        Command::ScrubStatus => api.store.scrub_status().await.map(|status| scrub_json(&status)),
        Command::ScrubRun => match api.store.begin_scrub().await {
            Err(Error::Busy) => return Err(Code::SlowDown.into()),
            begun => begun.map(|()| json!({})),
        },
    };
    let text = format!("{}\n", answer.map_err(store_error)?);
    let json = http::HeaderValue::from_static("application/json");
    Ok(Reply::text(StatusCode::OK, text).with(header::CONTENT_TYPE, json))
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
