//! Very many copies: one source takes as many of them as many sources do.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{KIB, Settings, object, perform_all, perform_once, puts};
use crate::client::Body;
use crate::effort::Effort;
use crate::load::{Load, Series, Until};
use crate::report::{self, Target};
use crate::request::{Request, Signer};
use crate::server::{Cosine, free_address};

const CONNECTIONS: u32 = 32;
/// Different sources, where there are many.
const SOURCES: usize = 10_000;
const OBJECT: u64 = KIB;

/// A series of runs, and what it cost.
struct Measured {
    series: Series,
    effort: Effort,
}

impl Measured {
    fn new(name: String) -> Self {
        Self { series: Series::new(name), effort: Effort::default() }
    }

    fn add(
        &mut self,
        cosine: &Cosine,
        monitor: SocketAddr,
        requests: &[Request],
    ) -> io::Result<()> {
        let load = Load {
            address: cosine.address,
            connections: CONNECTIONS,
            warm_up: Duration::ZERO,
            until: Until::Count(requests.len() as u64),
        };
        let before = Effort::now(cosine, monitor)?;
        self.series.rounds.push(load.run(requests)?);
        self.effort = self.effort.and(Effort::now(cosine, monitor)?.since(before));
        Ok(())
    }

    /// What a copy cost, and how busy everything was.
    fn costs(&self) -> [(&'static str, f64); 8] {
        let effort = &self.effort;
        let copies = self.series.operations() as f64;
        let micros = 1e6 / copies;
        let busy = effort.server_seconds + effort.client_seconds;
        [
            ("syncs per 1,000 copies", effort.syncs * 1000.0 / copies),
            ("refused commits per 1,000 copies", effort.conflicts * 1000.0 / copies),
            ("µs of processor a copy, server", effort.server_seconds * micros),
            ("of these, the thread that commits", effort.committer_seconds * micros),
            ("µs of processor a copy, client", effort.client_seconds * micros),
            ("processors busy with both", busy / effort.seconds),
            (
                "share of the time in which the thread that commits is busy",
                effort.committer_seconds / effort.seconds,
            ),
            (
                "share of the time in which a batch is written and synced",
                effort.sync_seconds / effort.seconds,
            ),
        ]
    }
}

/// Copies one object to many keys, and many objects to as many, in turn.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    // A multiple of the connections: each key is written once.
    let count = settings.copies.next_multiple_of(CONNECTIONS as usize);
    report::heading(&format!("copies: {count} of one object, and of {SOURCES}, c={CONNECTIONS}"));
    let signer = Signer::new()?;
    let monitor = free_address()?;
    let cosine = settings.cosine_with(&[("COSINE_MONITOR", &monitor.to_string())])?;
    let hot = Body::numbered(SOURCES, OBJECT);
    perform_all(cosine.address, &[signer.create_bucket(), signer.put("hot", hot)])?;
    perform_once(cosine.address, &puts(&signer, "source", SOURCES, OBJECT))?;

    let mut one = Measured::new("copies of one object".to_owned());
    let mut many = Measured::new(format!("copies of {SOURCES} objects"));
    for round in 0..settings.rounds {
        let copies = |set: &str, source: &dyn Fn(usize) -> String| -> Vec<Request> {
            let key = |number| object(&format!("{set}-{round}"), number, 0).0;
            (0..count).map(|number| signer.copy(&source(number), &key(number))).collect()
        };
        one.add(&cosine, monitor, &copies("one", &|_| "hot".to_owned()))?;
        let source = |number| object("source", number % SOURCES, 0).0;
        many.add(&cosine, monitor, &copies("many", &source))?;
    }
    let last = count - 1;
    let (from, content) = object("source", last % SOURCES, OBJECT);
    perform_all(
        cosine.address,
        &[
            signer.get_checked(&object("one-0", last, 0).0, hot),
            signer.get_checked(&object("many-0", last, 0).0, content),
            signer.get_checked(&from, content),
        ],
    )?;

    report::table(&[&one.series, &many.series]);
    explain(&one, &many);
    let gain = one.series.operations_per_second() / many.series.operations_per_second();
    let what = format!("copies of one object : of {SOURCES}, ops/s");
    report::ratio(&what, gain, Target::AtLeast(0.8));
    Ok(())
}

/// Prints what bounds the runs: the processors, the thread that commits, or its syncs.
fn explain(one: &Measured, many: &Measured) {
    println!("| what it cost | {} | {} |", one.series.name, many.series.name);
    println!("| --- | ---: | ---: |");
    for ((what, one), (_, many)) in one.costs().into_iter().zip(many.costs()) {
        println!("| {what} | {one:.2} | {many:.2} |");
    }
    println!();
}
