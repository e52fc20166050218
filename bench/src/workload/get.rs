//! Reads, beside nginx serving static files of the same content to the same client.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};

use super::{KIB, MIB, Settings, object, perform_all, puts, size_text};
use crate::load::Series;
use crate::report::{self, Target};
use crate::request::{Request, Signer, plain_get, plain_get_checked};
use crate::server::{Cosine, Nginx};

/// One comparison.
#[derive(Clone, Copy, Debug)]
struct Case {
    bytes: u64,
    connections: u32,
    /// Different objects that are read.
    objects: usize,
    ratio_min: f64,
}

const CASES: [Case; 2] = [
    Case { bytes: KIB, connections: 32, objects: 1024, ratio_min: 0.4 },
    Case { bytes: 4 * MIB, connections: 4, objects: 16, ratio_min: 0.5 },
];

/// Reads from Cosine and from nginx in turn, both running.
///
/// # Errors
/// A server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    report::heading("get: beside nginx");
    let signer = Signer::new()?;
    let cosine = settings.cosine_with_bucket(&signer)?;
    let nginx = Nginx::start(&settings.nginx, &settings.data_parent)?;
    let mut series = Vec::new();
    let mut ratios = Vec::new();
    for case in CASES {
        let (ours, theirs) = compare(settings, &signer, &cosine, &nginx, case)?;
        let what = format!("get {} c={}, Cosine : nginx", size_text(case.bytes), case.connections);
        let ratio = ours.operations_per_second() / theirs.operations_per_second();
        ratios.push((what, ratio, Target::AtLeast(case.ratio_min)));
        series.extend([ours, theirs]);
    }
    report::table(&series.iter().collect::<Vec<_>>());
    for (what, ratio, target) in ratios {
        report::ratio(&what, ratio, target);
    }
    Ok(())
}

fn compare(
    settings: &Settings,
    signer: &Signer,
    cosine: &Cosine,
    nginx: &Nginx,
    case: Case,
) -> io::Result<(Series, Series)> {
    let Case { bytes, connections, objects, .. } = case;
    let set = format!("get-{bytes}");
    perform_all(cosine.address, &puts(signer, &set, objects, bytes))?;
    let objects: Vec<_> = (0..objects).map(|number| object(&set, number, bytes)).collect();
    let file_name = |key: &str| key.replace('/', "-");
    for (key, content) in &objects {
        let mut file = File::create(nginx.file(&file_name(key)))?;
        let mut rest = *content;
        while rest.bytes() > 0 {
            file.write_all(rest.front())?;
            rest = rest.after(rest.front().len());
        }
    }
    let map = |make: &dyn Fn(&str, crate::client::Body) -> Request| -> Vec<Request> {
        objects.iter().map(|(key, content)| make(key, *content)).collect()
    };
    // Every object is read whole and compared once; this warms both caches, too.
    perform_all(cosine.address, &map(&|key, content| signer.get_checked(key, content)))?;
    perform_all(nginx.address, &map(&|key, content| plain_get_checked(&file_name(key), content)))?;
    let our_requests = map(&|key, content| signer.get(key, content));
    let their_requests = map(&|key, content| plain_get(&file_name(key), content));

    let name = |who: &str| format!("get {} c={connections}, {who}", size_text(bytes));
    let (mut ours, mut theirs) = (Series::new(name("Cosine")), Series::new(name("nginx")));
    for _ in 0..settings.rounds {
        ours.rounds.push(settings.timed(cosine.address, connections, &our_requests)?);
        theirs.rounds.push(settings.timed(nginx.address, connections, &their_requests)?);
    }
    Ok((ours, theirs))
}
