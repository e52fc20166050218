//! Reads beside clients that do nothing, or next to nothing, and the memory that those hold.

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::{KIB, MIB, Settings, object, perform_all, puts};
use crate::client::{Body, Connection};
use crate::load::Series;
use crate::report::{self, Target};
use crate::request::{Request, Signer};
use crate::server::{Cosine, Mode, status_bytes};

/// Connections that are open and do nothing.
const IDLE: usize = 10_000;
/// Uploads of a byte a second.
const TRICKLING: usize = 1000;
/// Files that this process has open beside those connections.
const OTHER_FILES: u64 = 100;
/// Connections of the client that is measured.
const CONNECTIONS: u32 = 8;
/// Objects that it reads.
const OBJECTS: usize = 1024;
/// Idle connections stay for the whole of the workload.
const PATIENT: [(&str, &str); 1] = [("COSINE_HEADER_TIME", "3600")];

/// Runs of the same load, in turn: alone, beside idle connections, beside trickling uploads.
///
/// # Errors
/// Too few files may be open, or the server fails or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    report::heading(&format!("idle: beside {IDLE} idle and {TRICKLING} trickling connections"));
    allow_connections()?;
    let signer = Signer::new()?;
    let Settings { cosine, data_parent, .. } = settings;
    let cosine = Cosine::start_with(cosine, Mode::Serve, data_parent, &PATIENT)?;
    perform_all(cosine.address, &[signer.create_bucket()])?;
    perform_all(cosine.address, &puts(&signer, "idle", OBJECTS, KIB))?;
    let read = |number| {
        let (key, content) = object("idle", number, KIB);
        signer.get(&key, content)
    };
    let gets: Vec<Request> = (0..OBJECTS).map(read).collect();
    let timed = || settings.timed(cosine.address, CONNECTIONS, &gets);
    let resident = || status_bytes(cosine.pid(), "VmRSS");

    let [mut alone, mut beside_idle, mut beside_trickling] =
        ["alone", "beside idle", "beside trickling"]
            .map(|how| Series::new(format!("get 1 KiB {how}")));
    let (mut idle_bytes, mut trickling_bytes) = (0, 0);
    for _ in 0..settings.rounds {
        alone.rounds.push(timed()?);
        let before = resident()?;
        let idle = gets.iter().cycle().take(IDLE).map(|get| idle_after(get, cosine.address));
        let idle = idle.collect::<io::Result<Vec<_>>>()?;
        idle_bytes = idle_bytes.max(resident()?.saturating_sub(before));
        beside_idle.rounds.push(timed()?);
        drop(idle);
        let before = resident()?;
        beside_trickling.rounds.push(beside_tricklers(&signer, cosine.address, timed)?);
        trickling_bytes = trickling_bytes.max(resident()?.saturating_sub(before));
    }

    report::table(&[&alone, &beside_idle, &beside_trickling]);
    let mebibytes = |bytes: u64| bytes as f64 / MIB as f64;
    println!("| memory of the server, MiB more than before | |\n| --- | ---: |");
    println!("| {IDLE} idle connections | {:.1} |", mebibytes(idle_bytes));
    println!("| {TRICKLING} trickling uploads | {:.1} |\n", mebibytes(trickling_bytes));
    report::ratio("MiB more with idle connections", mebibytes(idle_bytes), Target::Below(200.0));
    for (how, series) in [("idle", &beside_idle), ("trickling", &beside_trickling)] {
        let [[p99], [p99_alone]] = [series.quantiles([0.99]), alone.quantiles([0.99])];
        let rate = series.operations_per_second() / alone.operations_per_second();
        report::ratio(&format!("ops/s beside {how} : alone"), rate, Target::AtLeast(0.8));
        report::ratio(&format!("p99 beside {how} : alone"), p99 / p99_alone, Target::AtMost(2.0));
    }
    Ok(())
}

/// Raises the limit on open files as far as it goes.
fn allow_connections() -> io::Result<()> {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;
    let needed = IDLE as u64 + OTHER_FILES;
    match files.maximum {
        Some(most) if most < needed => {
            Err(io::Error::other(format!("{most} files may be open, and {needed} are needed")))
        }
        _ => Ok(()),
    }
}

/// A connection that was used once and is kept.
fn idle_after(request: &Request, address: SocketAddr) -> io::Result<TcpStream> {
    let mut connection = Connection::open(address)?;
    request.perform(&mut connection)?;
    Ok(connection.into_stream())
}

/// Runs while many uploads send a byte a second.
fn beside_tricklers<T>(
    signer: &Signer,
    address: SocketAddr,
    run: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let upload = signer.put("idle/slow", Body::numbered(0, MIB));
    let begin = |_| {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(upload.head())?;
        Ok(stream)
    };
    let mut streams = (0..TRICKLING).map(begin).collect::<io::Result<Vec<_>>>()?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let trickling = scope.spawn(|| trickle(&mut streams, &done));
        let outcome = run();
        done.store(true, Ordering::Relaxed);
        trickling.join().unwrap_or_else(|_| Err(io::Error::other("the tricklers panicked")))?;
        outcome
    })
}

/// A byte a second on each connection; that of each falls at its own moment of the second.
fn trickle(streams: &mut [TcpStream], done: &AtomicBool) -> io::Result<()> {
    let gap = Duration::from_secs(1) / u32::try_from(streams.len()).unwrap_or(u32::MAX);
    let mut next = Instant::now();
    while !done.load(Ordering::Relaxed) {
        for stream in &mut *streams {
            stream.write_all(b"x")?;
            next += gap;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
    Ok(())
}
