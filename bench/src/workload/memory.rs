//! The server's memory: idle, and at its peak under large transfers.

use std::error::Error;
use std::thread;
use std::time::Duration;

use super::{MIB, Settings, object, puts, size_text};
use crate::load::{Load, Series, Until};
use crate::report::{self, Target};
use crate::request::{Request, Signer};
use crate::server::{Cosine, Mode, status_bytes};

/// A fresh server is left alone for so long before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Reads the memory of an idle server, then that of one that takes and gives large objects.
///
/// # Errors
/// The server fails, refuses a request or returns other content than it was given.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let Settings { clients, large_bytes: bytes, .. } = *settings;
    let what = format!("{clients} clients put and get {} each", size_text(bytes));
    report::heading(&format!("memory: idle, and while {what}"));
    let idle = Cosine::start(&settings.cosine, Mode::Serve, &settings.data_parent)?;
    thread::sleep(IDLE);
    let idle_bytes = status_bytes(idle.pid(), "VmRSS")?;
    drop(idle);

    let signer = Signer::new()?;
    let cosine = settings.cosine_with_bucket(&signer)?;
    let load = Load {
        address: cosine.address,
        connections: clients,
        warm_up: Duration::ZERO,
        until: Until::Count(u64::from(clients)),
    };
    let mut put_series = Series::new(format!("put {} c={clients}", size_text(bytes)));
    put_series.rounds.push(load.run(&puts(&signer, "memory", clients as usize, bytes))?);
    let after_puts = status_bytes(cosine.pid(), "VmHWM")?;

    let get = |number| -> Request {
        let (key, content) = object("memory", number, bytes);
        signer.get_checked(&key, content)
    };
    let gets: Vec<Request> = (0..clients as usize).map(get).collect();
    let mut get_series = Series::new(format!("get {} c={clients}", size_text(bytes)));
    get_series.rounds.push(load.run(&gets)?);
    let after_gets = status_bytes(cosine.pid(), "VmHWM")?;

    report::table(&[&put_series, &get_series]);
    let mebibytes = |bytes: u64| bytes as f64 / MIB as f64;
    println!("| memory of the server | MiB |\n| --- | ---: |");
    println!("| resident, idle | {:.1} |", mebibytes(idle_bytes));
    println!("| peak, after the puts | {:.1} |", mebibytes(after_puts));
    println!("| peak, after the gets | {:.1} |\n", mebibytes(after_gets));
    report::ratio(&format!("peak MiB while {what}"), mebibytes(after_gets), Target::Below(256.0));
    report::ratio("idle MiB", mebibytes(idle_bytes), Target::Below(30.0));
    Ok(())
}
