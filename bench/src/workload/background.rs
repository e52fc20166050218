//! Reads while the collector and the scrub are at work, beside reads while they are not.

use std::error::Error;
use std::time::Duration;

use super::{KIB, MIB, Settings, object, perform_all, perform_once, puts, size_text};
use crate::admin::Admin;
use crate::load::Series;
use crate::report::{self, Target};
use crate::request::{Request, Signer};

const CONNECTIONS: [u32; 2] = [4, 32];
const OBJECT: u64 = KIB;
const OBJECTS: usize = 1024;
/// What the scrub reads: as much as keeps it busy for a round.
const SCRUBBED: (usize, u64) = (160, MIB);
/// Deleted before each round, in files: what the collector works off.
const BACKLOG: (usize, u64) = (20_000, 20 * KIB);
const GRACE_SECONDS: &str = "1";
const SETTLE: Duration = Duration::from_secs(300);

/// Reads over few and over many connections, with nothing else going on and with a backlog of
/// deletions and a pass of the scrub, in turn.
///
/// # Errors
/// The server fails, or refuses a request; or its background work was done before the reads were.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    report::heading(&format!("background: get {}", size_text(OBJECT)));
    let signer = Signer::new()?;
    let cosine = settings.cosine_with(&[("COSINE_GC_GRACE", GRACE_SECONDS)])?;
    let (address, admin) = (cosine.address, Admin::new(cosine.address)?);
    perform_all(address, &[signer.create_bucket()])?;
    perform_once(address, &puts(&signer, "scrubbed", SCRUBBED.0, SCRUBBED.1))?;
    perform_once(address, &puts(&signer, "get", OBJECTS, OBJECT))?;
    let gets: Vec<Request> = (0..OBJECTS)
        .map(|number| object("get", number, OBJECT))
        .map(|(key, content)| signer.get(&key, content))
        .collect();
    let series = |what: &str| {
        CONNECTIONS.map(|c| Series::new(format!("get {} c={c}, {what}", size_text(OBJECT))))
    };
    let (mut quiet, mut busy) = (series("nothing else"), series("background work"));
    let mut backlogs = Vec::new();
    for round in 0..settings.rounds {
        admin.settle(SETTLE)?;
        for (series, connections) in quiet.iter_mut().zip(CONNECTIONS) {
            series.rounds.push(settings.timed(address, connections, &gets)?);
        }
        let set = format!("waste-{round}");
        perform_once(address, &puts(&signer, &set, BACKLOG.0, BACKLOG.1))?;
        let deletes = (0..BACKLOG.0).map(|number| signer.delete(&object(&set, number, 0).0));
        perform_once(address, &deletes.collect::<Vec<_>>())?;
        admin.scrub()?;
        backlogs.push(admin.backlog()?);
        for (series, connections) in busy.iter_mut().zip(CONNECTIONS) {
            series.rounds.push(settings.timed(address, connections, &gets)?);
        }
        backlogs.push(admin.backlog()?);
        if !admin.is_scrubbing()? {
            return Err("the scrub was done before the reads were".into());
        }
    }
    report::table(&quiet.iter().zip(&busy).flat_map(|(q, b)| [q, b]).collect::<Vec<_>>());
    println!("Backlog of the collector before and after each busy run: {backlogs:?}\n");
    for ((quiet, busy), connections) in quiet.iter().zip(&busy).zip(CONNECTIONS) {
        let ([quiet], [busy]) = (quiet.quantiles([0.99]), busy.quantiles([0.99]));
        let what = format!(
            "p99 of get {} c={connections}, with background work : without",
            size_text(OBJECT)
        );
        report::ratio(&what, busy / quiet, Target::AtMost(2.0));
    }
    Ok(())
}
