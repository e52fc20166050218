//! From exec to the first answered request.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::Settings;
use crate::client::{Body, Connection};
use crate::load::{Report, Series};
use crate::report::{self, Target};
use crate::server::{Cosine, Mode};

/// Starts of each kind.
const ROUNDS: u32 = 10;
/// Asks without a signature; a refusal is an answer, too.
const PROBE: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// Starts both kinds of server in turn, each on nothing.
///
/// # Errors
/// A server does not start, or answers with a server error.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    report::heading("start: from exec to the first answer");
    let mut dev = Series::new("cosine dev");
    let mut serve = Series::new("cosine serve, empty directory");
    for _ in 0..ROUNDS {
        dev.rounds.push(start(settings, Mode::Dev)?);
        serve.rounds.push(start(settings, Mode::Serve)?);
    }
    println!("| start | rounds | median ms | max ms |\n| --- | ---: | ---: | ---: |");
    for series in [&dev, &serve] {
        let [max] = series.quantiles([1.0]);
        println!("| {} | {ROUNDS} | {:.1} | {max:.1} |", series.name, series.p50());
    }
    println!();
    report::ratio("ms to the first answer, cosine dev", dev.p50(), Target::Below(100.0));
    report::ratio("ms to the first answer, cosine serve", serve.p50(), Target::Below(300.0));
    Ok(())
}

fn start(settings: &Settings, mode: Mode) -> io::Result<Report> {
    let cosine = Cosine::start(&settings.cosine, mode, &settings.data_parent)?;
    let mut connection = Connection::open(cosine.address)?;
    let head = connection.exchange(PROBE, Body::default())?;
    connection.receive_body(head, &mut |_| ())?;
    let elapsed = cosine.spawned.elapsed();
    if head.status >= 500 && head.status != 501 {
        return Err(io::Error::other(format!("the first answer was a {}", head.status)));
    }
    Ok(one_sample(elapsed))
}

fn one_sample(elapsed: Duration) -> Report {
    let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    Report { elapsed, payload: 0, latencies: vec![nanoseconds] }
}
