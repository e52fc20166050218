//! One load of the user's choice against Cosine, without a target.

use std::error::Error;

use super::{MIB, Settings, WARM_UP, copy, object, perform_all, puts, size_text};
use crate::client::Body;
use crate::load::{Load, Series, Until};
use crate::report;
use crate::request::{Request, Signer};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PUT Object.
    Put,
    /// GET Object.
    Get,
    /// PUT Object - Copy.
    Copy,
    /// HEAD Object.
    Head,
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Single {
    /// What is sent.
    pub kind: Kind,
    /// Size of the objects, in bytes.
    pub bytes: u64,
    /// Connections.
    pub connections: u32,
    /// Requests to send; without it, the configured time decides.
    pub count: Option<u64>,
}

/// At most so many different objects are read or written in a round.
const OBJECTS_MAX: u64 = 65_536;
/// At most so much is stored for reading, in bytes, as long as one object is not larger.
const STORED_BYTES_MAX: u64 = 256 * MIB;

/// Runs the load for the configured number of rounds.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings, single: Single) -> Result<(), Box<dyn Error>> {
    let Single { kind, bytes, connections, count } = single;
    let kind_text = format!("{kind:?}").to_lowercase();
    let name = format!("{kind_text} {} c={connections}", size_text(bytes));
    report::heading(&name);
    let signer = Signer::new()?;
    let cosine = settings.cosine_with_bucket(&signer)?;
    let stored = match kind {
        Kind::Put => 0,
        Kind::Copy => 1,
        Kind::Get | Kind::Head => (STORED_BYTES_MAX / bytes.max(1)).clamp(1, 1024),
    };
    let stored = usize::try_from(stored)?;
    perform_all(cosine.address, &puts(&signer, "stored", stored, bytes))?;
    let until = count.map_or(Until::Elapsed(settings.run), Until::Count);
    let warm_up = if count.is_some() { std::time::Duration::ZERO } else { WARM_UP };
    let mut series = Series::new(name);
    for round in 0..settings.rounds {
        let requests = requests(&signer, single, stored, &format!("round-{round}"))?;
        let load = Load { address: cosine.address, connections, warm_up, until };
        series.rounds.push(load.run(&requests)?);
    }
    report::table(&[&series]);
    Ok(())
}

fn requests(
    signer: &Signer,
    single: Single,
    stored: usize,
    set: &str,
) -> Result<Vec<Request>, Box<dyn Error>> {
    let bytes = single.bytes;
    let over_stored = |make: &dyn Fn(&str, Body) -> Request| -> Vec<Request> {
        let objects = (0..stored).map(|number| object("stored", number, bytes));
        objects.map(|(key, content)| make(&key, content)).collect()
    };
    Ok(match single.kind {
        Kind::Put => {
            let fitting = (8 * STORED_BYTES_MAX / bytes.max(1)).max(u64::from(single.connections));
            puts(signer, set, usize::try_from(fitting.min(OBJECTS_MAX))?, bytes)
        }
        Kind::Copy => copy::copies(signer, &object("stored", 0, bytes).0, set),
        Kind::Get => over_stored(&|key, content| signer.get(key, content)),
        Kind::Head => over_stored(&|key, _| signer.head(key)),
    })
}
