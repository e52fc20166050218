//! Small durable puts: connections share commits, and so share sync calls.

use std::error::Error;
use std::time::Duration;

use super::{KIB, Settings, object, perform_all, puts};
use crate::load::{Load, Series, Until};
use crate::report::{self, Target};
use crate::request::Signer;
use crate::server::SyncCounter;

/// Keys that one round writes to before it starts over with them.
const FRESH_KEYS: usize = 65_536;
const OBJECT: u64 = 4 * KIB;
const CONNECTIONS: u32 = 32;

/// Puts over one connection and over many, in turn; then once more, counting sync calls.
///
/// # Errors
/// The server fails or refuses a request, or strace cannot attach to it.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    report::heading("put: 4 KiB, durable");
    let signer = Signer::new()?;
    let cosine = settings.cosine_with_bucket(&signer)?;
    let mut one = Series::new("put 4 KiB c=1");
    let mut many = Series::new(format!("put 4 KiB c={CONNECTIONS}"));
    for round in 0..settings.rounds {
        let requests = puts(&signer, &format!("one-{round}"), FRESH_KEYS, OBJECT);
        one.rounds.push(settings.timed(cosine.address, 1, &requests)?);
        let requests = puts(&signer, &format!("many-{round}"), FRESH_KEYS, OBJECT);
        many.rounds.push(settings.timed(cosine.address, CONNECTIONS, &requests)?);
    }
    let (key, content) = object("many-0", 0, OBJECT);
    perform_all(cosine.address, &[signer.get_checked(&key, content)])?;

    let requests = puts(&signer, "counted", FRESH_KEYS, OBJECT);
    let load = Load {
        address: cosine.address,
        connections: CONNECTIONS,
        warm_up: Duration::ZERO,
        until: Until::Count(settings.counted_puts),
    };
    let counter = SyncCounter::attach(cosine.pid())?;
    let counted = load.run(&requests)?;
    let calls = counter.finish()?;
    let acknowledged = counted.latencies.len() as f64;
    let mut traced = Series::new(format!("put 4 KiB c={CONNECTIONS}, slowed by strace"));
    traced.rounds.push(counted);

    report::table(&[&one, &many, &traced]);
    let gain = many.operations_per_second() / one.operations_per_second();
    let what = format!("put 4 KiB c={CONNECTIONS} : c=1, ops/s");
    report::ratio(&what, gain, Target::AtLeast(4.0));
    let what = format!("sync calls per 1,000 acknowledged puts, c={CONNECTIONS} ({calls} calls)");
    report::ratio(&what, calls as f64 * 1000.0 / acknowledged, Target::AtMost(100.0));
    Ok(())
}
