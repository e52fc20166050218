//! What the API counts: plain atomics, one set for each operation, made into text when somebody
//! asks. A request takes no lock and makes no label.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cosine_wire::Code;
use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::operation::{Operation, TABLE};

/// What a request counts as.
#[derive(Clone, Copy, Debug)]
pub enum Label {
    /// An operation of the routing table.
    Operation(Operation),
    /// A page of the server's own.
    System,
    /// Refused before it was known what it asks for.
    Unrouted,
}

impl Label {
    /// The name that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operation(operation) => {
                TABLE.get(operation as usize).map_or("Unrouted", |row| row.name)
            }
            Self::System => "System",
            Self::Unrouted => "Unrouted",
        }
    }

    /// Every label, in the order in which they are shown.
    fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| Self::Operation(row.operation)).chain([Self::System, Self::Unrouted])
    }
}

/// The ends that have no error code: a status, and what stands in the code's place.
const PLAIN: [(u16, &str); 8] = [
    (499, "ClientClosedRequest"),
    (200, "OK"),
    (202, "OK"),
    (204, "OK"),
    (206, "OK"),
    (404, "NotFound"),
    (503, "NotReady"),
    (0, "Other"),
];

/// How a request ended: its place among [`PLAIN`] and, after those, the error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome(usize);

impl Outcome {
    /// The client went away before there was an answer.
    pub const ABANDONED: Self = Self(0);

    /// An answer without an error code.
    pub fn plain(status: StatusCode) -> Self {
        let found = PLAIN.iter().position(|(plain, _)| *plain == status.as_u16());
        Self(found.unwrap_or(PLAIN.len() - 1))
    }

    /// A refusal.
    pub fn code(code: Code) -> Self {
        Self(PLAIN.len() + code as usize)
    }

    /// Status and code, as they are shown.
    pub fn labels(self) -> (u16, &'static str) {
        let code = || Code::ALL.get(self.0.checked_sub(PLAIN.len())?);
        let plain = PLAIN.get(self.0).copied();
        plain.or(code().map(|code| (code.status(), code.as_str()))).unwrap_or((0, "Other"))
    }
}

/// Upper bounds of the histogram of times, microseconds.
const BOUNDS: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 60_000_000,
];

/// Times, counted by how long they were.
#[derive(Debug, Default)]
struct Times {
    /// One for each bound, and one for what is beyond them.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Times {
    fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }
}

/// What is counted for one operation.
#[derive(Debug)]
pub struct Counts {
    outcomes: Box<[AtomicU64]>,
    times: Times,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        let outcomes = (0..PLAIN.len() + Code::ALL.len()).map(|_| AtomicU64::new(0)).collect();
        let (received, sent) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { outcomes, times: Times::default(), received, sent }
    }
}

impl Counts {
    /// A request ended without an answer.
    pub fn abandoned(&self) {
        self.count(Outcome::ABANDONED);
    }

    /// A request is answered, this long after its head was there.
    pub fn answered(&self, outcome: Outcome, time: Duration) {
        self.count(outcome);
        self.times.add(time);
    }

    /// Bytes of a request's body came in.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of an answer's body go out.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    fn count(&self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get(outcome.0) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The outcomes that happened, and how often.
    fn happened(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let counted = self.outcomes.iter().enumerate();
        counted
            .map(|(at, count)| (Outcome(at), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }

    fn is_empty(&self) -> bool {
        self.happened().next().is_none()
    }
}

/// Everything that the API counts. Operations that were never asked for are not shown.
#[derive(Debug)]
pub struct Metrics {
    operations: Vec<Counts>,
    system: Counts,
    unrouted: Counts,
    /// Requests whose answer has not left whole.
    pub under_way: Gauge,
    /// Connections that are open.
    pub connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            operations: TABLE.iter().map(|_| Counts::default()).collect(),
            system: Counts::default(),
            unrouted: Counts::default(),
            under_way: Gauge::default(),
            connections: Gauge::default(),
        }
    }
}

impl Metrics {
    /// What is counted under a label.
    pub fn of(&self, label: Label) -> &Counts {
        match label {
            Label::Operation(operation) => {
                self.operations.get(operation as usize).unwrap_or(&self.unrouted)
            }
            Label::System => &self.system,
            Label::Unrouted => &self.unrouted,
        }
    }

    /// Adds all of it to what is shown; the names begin with `http_`.
    pub fn register(self: Arc<Self>, registry: &mut Registry) {
        registry.register(
            "http_requests_under_way",
            "Requests that have no answer yet, or whose answer is still being sent",
            self.under_way.clone(),
        );
        registry.register(
            "http_connections_open",
            "Connections on the main listener",
            self.connections.clone(),
        );
        registry.register_collector(Box::new(self));
    }

    /// What happened, by the label's name.
    fn shown(&self) -> impl Iterator<Item = (&'static str, &Counts)> {
        let all = Label::all().map(|label| (label.name(), self.of(label)));
        all.filter(|(_, counts)| !counts.is_empty())
    }

    fn encode_bytes(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        bytes: impl Fn(&Counts) -> &AtomicU64,
    ) -> fmt::Result {
        let (unit, kind) = (Some(&Unit::Bytes), MetricType::Counter);
        let mut family = encoder.encode_descriptor(name, help, unit, kind)?;
        for (operation, counts) in self.shown() {
            let bytes = bytes(counts).load(Ordering::Relaxed);
            ConstCounter::new(bytes).encode(family.encode_family(&[("operation", operation)])?)?;
        }
        Ok(())
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut requests = encoder.encode_descriptor(
            "http_requests",
            "Requests by operation, status and error code (OK where there is none).",
            None,
            MetricType::Counter,
        )?;
        for (operation, counts) in self.shown() {
            for (outcome, count) in counts.happened() {
                let (status, code) = outcome.labels();
                let status = status.to_string();
                let labels = [("operation", operation), ("status", &status), ("code", code)];
                ConstCounter::new(count).encode(requests.encode_family(&labels)?)?;
            }
        }
        let mut times = encoder.encode_descriptor(
            "http_request_duration",
            "Time from a request's head to the first byte of its answer, by operation; an upload's \
             body comes in between.",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (operation, counts) in self.shown() {
            counts.times.encode(times.encode_family(&[("operation", operation)])?)?;
        }
        let received =
            ("http_request_body", "Bytes of request bodies that were read, by operation.");
        self.encode_bytes(&mut encoder, received, |counts| &counts.received)?;
        let sent = ("http_response_body", "Bytes of answers' bodies that were sent, by operation.");
        self.encode_bytes(&mut encoder, sent, |counts| &counts.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place in an array is found by casting; the table must stand in the order of the enum.
    #[test]
    fn every_label_and_every_outcome_has_its_own_name() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.operation as usize, at);
            assert_eq!(Label::Operation(row.operation).name(), row.name);
        }
        for code in Code::ALL {
            assert_eq!(Outcome::code(*code).labels(), (code.status(), code.as_str()));
        }
        assert_eq!(Outcome::plain(StatusCode::PARTIAL_CONTENT).labels(), (206, "OK"));
        assert_eq!(Outcome::plain(StatusCode::IM_A_TEAPOT).labels(), (0, "Other"));
        assert_eq!(Outcome::ABANDONED.labels(), (499, "ClientClosedRequest"));
    }

    #[test]
    fn a_time_is_counted_up_to_and_with_its_bound() {
        let times = Times::default();
        for micros in [0, 100, 101, 60_000_000, 60_000_001] {
            times.add(Duration::from_micros(micros));
        }
        let counts = times.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!((counts[0], counts[1], counts[16], counts[17]), (2, 1, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 5);
    }
}
