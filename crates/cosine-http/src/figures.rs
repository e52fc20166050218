//! Figures that are read when somebody asks for them, and not counted on the way.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::Api;
use cosine_store::{Ledger, ScrubStatus, Space};

/// One figure: what it is called, what it says, in which unit, and how much it is now.
#[derive(Debug)]
pub struct Figure {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    unit: Option<Unit>,
    value: f64,
}

/// Whether a figure can sink.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// It can.
    Gauge,
    /// It only grows while the process lives; `_total` is added to its name.
    Counter,
}

impl Figure {
    /// Adds the figure to what is shown. The unit is added to its name.
    fn register(self, registry: &mut Registry) {
        let Self { name, help, kind, unit, value } = self;
        let gauge = Gauge::<f64, AtomicU64>::default();
        let counter = Counter::<f64, AtomicU64>::default();
        gauge.set(value);
        counter.inc_by(value);
        match (kind, unit) {
            (Kind::Gauge, None) => registry.register(name, help, gauge),
            (Kind::Gauge, Some(unit)) => registry.register_with_unit(name, help, unit, gauge),
            (Kind::Counter, None) => registry.register(name, help, counter),
            (Kind::Counter, Some(unit)) => registry.register_with_unit(name, help, unit, counter),
        }
    }
}

/// The figures of now.
pub async fn registry(api: &Api) -> Registry {
    let began = api.began;
    let process = tokio::task::spawn_blocking(move || process_figures(began)).await;
    let mut registry = Registry::default();
    let figures = store_figures(api).await.into_iter().chain(process.unwrap_or_default());
    figures.for_each(|figure| figure.register(&mut registry));
    registry
}

/// What the store says of itself: a row a figure.
async fn store_figures(api: &Api) -> Vec<Figure> {
    let ready = api.refuses_writes().await.is_none();
    let mut figures = vec![Figure {
        name: "cosine_ready",
        help: "1 while writes are taken, as /-/ready says",
        kind: Kind::Gauge,
        unit: None,
        value: f64::from(u8::from(ready)),
    }];
    if let Ok(ledger) = api.store.ledger().await {
        figures.extend(ledger_figures(&ledger));
    }
    if let Ok(status) = api.store.scrub_status().await {
        figures.extend(scrub_figures(&status));
    }
    figures.extend(disk_figures(&api.store.space().unwrap_or_default()));
    figures
}

/// A row: its name without `cosine_`, what it says, its unit, and how much it is.
type StoreRow = (&'static str, &'static str, Kind, Option<Unit>, u64);

fn figure((name, help, kind, unit, value): StoreRow) -> Figure {
    Figure { name, help, kind, unit, value: value as f64 }
}

#[rustfmt::skip]
fn ledger_figures(ledger: &Ledger) -> impl Iterator<Item = Figure> + use<> {
    let (done, census, bytes) = (&ledger.collected, &ledger.census, || Some(Unit::Bytes));
    [
        ("cosine_gc_released_contents", "Contents that lost a reference and wait for the collector", Kind::Gauge, None, ledger.released),
        ("cosine_gc_condemned", "Data in contents that are condemned", Kind::Gauge, bytes(), ledger.condemned_bytes),
        ("cosine_gc_doomed", "Data in blobs that wait for their grace to pass", Kind::Gauge, bytes(), done.doomed_bytes),
        ("cosine_gc_doomed_blobs", "Blobs that wait for their grace to pass", Kind::Gauge, None, done.doomed_blobs),
        ("cosine_gc_reclaimed", "Data that collectors have removed since the store began", Kind::Counter, bytes(), done.reclaimed_bytes),
        ("cosine_gc_quarantined_blobs", "Blobs that nothing explains, put aside since the store began", Kind::Counter, None, done.quarantined_blobs),
        ("cosine_store_live", "Data in contents in use, each counted once, at the end of the last pass of the scrub", Kind::Gauge, bytes(), census.live_bytes),
        ("cosine_store_shared", "Data that copies would take if they did not share, then", Kind::Gauge, bytes(), census.shared_bytes),
    ]
    .into_iter()
    .map(figure)
}

#[rustfmt::skip]
fn scrub_figures(status: &ScrubStatus) -> impl Iterator<Item = Figure> + use<> {
    let ended = status.last_ended.unwrap_or(0) / 1_000_000;
    [
        ("cosine_scrub_running", "1 while a pass of the scrub is under way", Kind::Gauge, None, u64::from(status.running)),
        ("cosine_scrub_passes", "Passes of the scrub that were begun since the store began", Kind::Counter, None, status.pass),
        ("cosine_scrub_seen", "Data in contents in use that the pass has verified so far", Kind::Gauge, Some(Unit::Bytes), status.seen.live_bytes),
        ("cosine_scrub_last_end_time", "When the last pass ended, seconds since 1970 UTC; 0 before the first", Kind::Gauge, Some(Unit::Seconds), ended),
        ("cosine_damaged_contents", "Contents that are known to be damaged", Kind::Gauge, None, status.damaged.len() as u64),
    ]
    .into_iter()
    .map(figure)
}

/// The disk with the least room beyond its reserve is the one that matters.
fn disk_figures(disks: &[Space]) -> Vec<Figure> {
    let tightest = disks.iter().min_by_key(|disk| disk.free.saturating_sub(disk.reserve));
    let Some(Space { free, reserve, .. }) = tightest.copied() else { return vec![] };
    let bytes = || Some(Unit::Bytes);
    vec![
        figure(("cosine_disk_free", "Room on the disk", Kind::Gauge, bytes(), free)),
        figure((
            "cosine_disk_reserve",
            "Room on the disk that stays free",
            Kind::Gauge,
            bytes(),
            reserve,
        )),
    ]
}

/// What the operating system says of the process, under the names that every Prometheus client
/// gives it. Where there is no `/proc`, most of it is missing.
fn process_figures(began: u64) -> Vec<Figure> {
    let bytes = Some(Unit::Bytes);
    let seconds = || Some(Unit::Seconds);
    let rows = [
        (
            Kind::Gauge,
            "process_resident_memory",
            "Memory of the process, as the system counts it",
            bytes,
            proc_value("status", "VmRSS:").map(|kib| kib * 1024.0),
        ),
        (
            Kind::Counter,
            "process_cpu",
            "Processor time that the process used",
            seconds(),
            processor_seconds(),
        ),
        (
            Kind::Gauge,
            "process_open_fds",
            "Open files and connections",
            None,
            std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64),
        ),
        (
            Kind::Gauge,
            "process_max_fds",
            "Files and connections that may be open at once",
            None,
            proc_value("limits", "Max open files"),
        ),
        (
            Kind::Gauge,
            "process_start_time",
            "When the process began, seconds since 1970 UTC",
            seconds(),
            Some(began as f64),
        ),
    ];
    let figure = |(kind, name, help, unit, value): (_, _, _, _, Option<f64>)| {
        Some(Figure { name, help, kind, unit, value: value? })
    };
    rows.into_iter().filter_map(figure).collect()
}

/// Time in user and in system mode: the 14th and 15th field of `stat`, of which the second is a
/// name in brackets that may hold anything.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
}

/// The first number of the line that begins with these words, in a file of `/proc/self`.
fn proc_value(file: &str, words: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(words))?;
    rest.split_whitespace().next()?.parse().ok()
}
