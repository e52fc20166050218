//! The closed loop: every connection has one request under way at any time.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::request::Request;

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this time; requests under way are finished and counted, and every connection sends
    /// at least one.
    Elapsed(Duration),
    /// After this many requests over all connections, divided evenly.
    Count(u64),
}

/// A run: who is asked, how hard, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// Connections, each with a thread of its own.
    pub connections: u32,
    /// Requests that start in this time at the beginning are sent but not counted.
    pub warm_up: Duration,
    /// When it ends.
    pub until: Until,
}

impl Load {
    /// Runs the requests. Every connection goes round the whole list, starting at its own place
    /// in it, so that connections do not ask for the same thing at the same time.
    ///
    /// # Errors
    /// The first error of any connection, including any answer but the expected one; it ends the
    /// run.
    pub fn run(&self, requests: &[Request]) -> io::Result<Report> {
        let connections = (0..self.connections).map(|_| Connection::open(self.address));
        let connections = connections.collect::<io::Result<Vec<_>>>()?;
        let failed = AtomicBool::new(false);
        let begin = Instant::now() + self.warm_up;
        let outcomes = thread::scope(|scope| {
            let mut workers = Vec::new();
            for (index, mut connection) in connections.into_iter().enumerate() {
                let failed = &failed;
                workers.push(scope.spawn(move || {
                    let outcome = self.work(&mut connection, index, requests, begin, failed);
                    failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    outcome
                }));
            }
            let join = |worker: thread::ScopedJoinHandle<'_, io::Result<Report>>| {
                worker.join().unwrap_or_else(|_| Err(io::Error::other("a connection panicked")))
            };
            workers.into_iter().map(join).collect::<Vec<_>>()
        });
        let elapsed = begin.elapsed();
        let reports = outcomes.into_iter().collect::<io::Result<Vec<_>>>()?;
        let mut report = Report { elapsed, ..Report::default() };
        for part in reports {
            report.payload += part.payload;
            report.latencies.extend(part.latencies);
        }
        report.latencies.sort_unstable();
        Ok(report)
    }

    fn work(
        &self,
        connection: &mut Connection,
        index: usize,
        requests: &[Request],
        begin: Instant,
        failed: &AtomicBool,
    ) -> io::Result<Report> {
        let place = requests.len() * index / self.connections.max(1) as usize;
        let mut ring = requests.iter().cycle().skip(place);
        let (end, count) = match self.until {
            Until::Elapsed(duration) => (Some(begin + duration), u64::MAX),
            Until::Count(total) => (None, share(total, self.connections, index)),
        };
        let mut report = Report::default();
        let mut now = Instant::now();
        while (report.latencies.len() as u64) < count && !failed.load(Ordering::Relaxed) {
            let Some(request) = ring.next() else { break };
            let sent = now;
            request.perform(connection)?;
            now = Instant::now();
            if sent >= begin {
                report.payload += request.payload;
                report.latencies.push(nanoseconds(now - sent));
            }
            if end.is_some_and(|end| now >= end) && !report.latencies.is_empty() {
                break;
            }
        }
        Ok(report)
    }
}

/// The part of `total` that falls to one of `parts`.
fn share(total: u64, parts: u32, index: usize) -> u64 {
    let parts = u64::from(parts.max(1));
    total / parts + u64::from((index as u64) < total % parts)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// From the end of the warm-up to the last answer.
    pub elapsed: Duration,
    /// Object bytes transferred.
    pub payload: u64,
    /// The time from the start of sending to the end of the answer, of each counted request, in
    /// nanoseconds, ascending. Kept one by one: quantiles are exact.
    pub latencies: Vec<u64>,
}

impl Report {
    /// Requests a second.
    pub fn operations_per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Object data in MB/s, of 10^6 bytes.
    pub fn megabytes_per_second(&self) -> f64 {
        self.payload as f64 / 1e6 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// The rounds of one workload.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is, for the table.
    pub name: String,
    /// The runs, in the order in which they were made.
    pub rounds: Vec<Report>,
}

impl Series {
    /// A series without rounds as yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rounds: Vec::new() }
    }

    /// Counted requests of all rounds.
    pub fn operations(&self) -> usize {
        self.rounds.iter().map(|round| round.latencies.len()).sum()
    }

    /// Median over the rounds, in requests a second.
    pub fn operations_per_second(&self) -> f64 {
        median(self.rounds.iter().map(Report::operations_per_second).collect())
    }

    /// Median over the rounds, in MB/s of 10^6 bytes.
    pub fn megabytes_per_second(&self) -> f64 {
        median(self.rounds.iter().map(Report::megabytes_per_second).collect())
    }

    /// The latencies, in milliseconds, that these shares (0 to 1) of all requests of all rounds
    /// stay within.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let latencies = self.rounds.iter().flat_map(|round| &round.latencies);
        let mut latencies: Vec<u64> = latencies.copied().collect();
        latencies.sort_unstable();
        shares.map(|share| {
            let rank = (latencies.len() as f64 * share).ceil() as usize;
            let value = latencies.get(rank.saturating_sub(1)).copied();
            value.map_or(f64::NAN, |nanoseconds| nanoseconds as f64 / 1e6)
        })
    }

    /// The median latency, in milliseconds.
    pub fn p50(&self) -> f64 {
        let [p50] = self.quantiles([0.5]);
        p50
    }
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(middle(values.len().saturating_sub(1) / 2), middle(values.len() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_over_all_rounds() {
        let round = |latencies: &[u64]| Report {
            elapsed: Duration::from_secs(1),
            payload: 0,
            latencies: latencies.iter().map(|ms| ms * 1_000_000).collect(),
        };
        let mut series = Series::new("x");
        series.rounds = vec![round(&[1, 2, 3, 4, 5]), round(&[6, 7, 8, 9, 10])];
        assert_eq!(series.quantiles([0.5, 0.99, 1.0]), [5.0, 10.0, 10.0]);
        assert_eq!(series.operations(), 10);
        assert!((series.operations_per_second() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn median_of_even_odd_and_none() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn shares_add_up() {
        assert_eq!((0..3).map(|index| share(10, 3, index)).collect::<Vec<_>>(), [4, 3, 3]);
    }
}
