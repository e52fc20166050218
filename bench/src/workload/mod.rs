//! The workloads, one module each, and what they share.

pub mod access;
pub mod background;
pub mod churn;
pub mod copies;
pub mod copy;
pub mod encryption;
pub mod get;
pub mod idle;
pub mod listing;
pub mod memory;
pub mod put;
pub mod reference;
pub mod single;
pub mod start;
pub mod transcode;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::{Body, Connection};
use crate::load::{Load, Report, Until};
use crate::request::{Request, Signer};
use crate::server::{Cosine, Mode};

/// 1 KiB, in bytes.
pub const KIB: u64 = 1024;
/// 1 MiB, in bytes.
pub const MIB: u64 = 1024 * KIB;
/// 1 GiB, in bytes.
pub const GIB: u64 = 1024 * MIB;

/// Runs take so long before they are counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Cosine program.
    pub cosine: PathBuf,
    /// The nginx program.
    pub nginx: PathBuf,
    /// Where the data directories are made.
    pub data_parent: PathBuf,
    /// Times that each run is repeated, alternating with those that it is compared with.
    pub rounds: u32,
    /// Length of one run.
    pub run: Duration,
    /// Size of what counts as a large object, in bytes.
    pub large_bytes: u64,
    /// Clients of the memory workload.
    pub clients: u32,
    /// Puts to count sync calls over.
    pub counted_puts: u64,
    /// Copies in a run of the copies workload.
    pub copies: usize,
    /// Objects in the large bucket of the listing workload.
    pub objects: usize,
    /// Versions of each key in the bucket of the listing workload that keeps them.
    pub versions: usize,
}

impl Settings {
    /// Starts `cosine serve` on an empty directory and creates the bucket.
    fn cosine_with_bucket(&self, signer: &Signer) -> io::Result<Cosine> {
        let cosine = self.cosine_with(&[])?;
        perform_all(cosine.address, &[signer.create_bucket()])?;
        Ok(cosine)
    }

    /// Starts `cosine serve` on an empty directory, with settings as environment variables.
    fn cosine_with(&self, settings: &[(&str, &str)]) -> io::Result<Cosine> {
        Cosine::start_with(&self.cosine, Mode::Serve, &self.data_parent, settings)
    }

    /// One run of the configured length.
    fn timed(
        &self,
        address: SocketAddr,
        connections: u32,
        requests: &[Request],
    ) -> io::Result<Report> {
        let until = Until::Elapsed(self.run);
        Load { address, connections, warm_up: WARM_UP, until }.run(requests)
    }
}

/// Connections of [`perform_once`].
const FEEDERS: u32 = 8;

/// Performs each request once, in any order, over several connections. Their number divides that of
/// the requests.
fn perform_once(address: SocketAddr, requests: &[Request]) -> io::Result<()> {
    let until = Until::Count(requests.len() as u64);
    let load = Load { address, connections: FEEDERS, warm_up: Duration::ZERO, until };
    load.run(requests).map(drop)
}

/// Performs each request once, over one connection.
fn perform_all(address: SocketAddr, requests: &[Request]) -> io::Result<()> {
    let mut connection = Connection::open(address)?;
    requests.iter().try_for_each(|request| request.perform(&mut connection))
}

/// The key and the content of the object with this number in a set.
fn object(set: &str, number: usize, bytes: u64) -> (String, Body) {
    (format!("{set}/{number:06}"), Body::numbered(number, bytes))
}

/// Puts to `count` different keys of a set.
fn puts(signer: &Signer, set: &str, count: usize, bytes: u64) -> Vec<Request> {
    let one = |number| {
        let (key, content) = object(set, number, bytes);
        signer.put(&key, content)
    };
    (0..count).map(one).collect()
}

/// `1 KiB`, `1 GiB`, `1500 B`.
pub fn size_text(bytes: u64) -> String {
    let units = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    let unit = units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} B"), |(unit, name)| format!("{} {name}", bytes / unit))
}
