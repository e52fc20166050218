//! What a server says of its background work.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Connection;
use crate::request::Signer;

/// Between two looks, at least.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The server is to spend at most one part in so many on being looked at: it counts the backlog.
const PAUSE_PARTS: u32 = 20;

/// Asks one server, with the root credential.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    signer: Signer,
}

impl Admin {
    /// Of the server that listens there.
    ///
    /// # Errors
    /// A clock that stands before 1970.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { address, signer: Signer::of_host(address.to_string())? })
    }

    /// Contents that wait for the collector, and blobs that wait for their grace.
    ///
    /// # Errors
    /// The server refuses, or says something else.
    pub fn backlog(&self) -> io::Result<u64> {
        let status = self.ask("GET", "gc")?;
        Ok(number(&status, "/released/contents")? + number(&status, "/doomed/blobs")?)
    }

    /// Whether a pass of the scrub is under way.
    ///
    /// # Errors
    /// As for [`backlog`](Self::backlog).
    pub fn is_scrubbing(&self) -> io::Result<bool> {
        let status = self.ask("GET", "scrub")?;
        status.get("running").and_then(Value::as_bool).ok_or_else(|| wrong(&status))
    }

    /// Begins a pass of the scrub.
    ///
    /// # Errors
    /// As for [`backlog`](Self::backlog).
    pub fn scrub(&self) -> io::Result<()> {
        self.ask("POST", "scrub").map(drop)
    }

    /// Waits until the server has nothing to do by itself; returns how long that took.
    ///
    /// # Errors
    /// It takes longer than `limit`.
    pub fn settle(&self, limit: Duration) -> io::Result<Duration> {
        let began = Instant::now();
        loop {
            let asked = Instant::now();
            if self.backlog()? == 0 && !self.is_scrubbing()? {
                return Ok(began.elapsed());
            }
            if began.elapsed() > limit {
                return Err(io::Error::other("the collector and the scrub find no end"));
            }
            thread::sleep(PAUSE_MIN.max(asked.elapsed() * PAUSE_PARTS));
        }
    }

    fn ask(&self, method: &str, name: &str) -> io::Result<Value> {
        let mut connection = Connection::open(self.address)?;
        let request = self.signer.admin(method, &format!("-/admin/{name}"));
        serde_json::from_slice(&request.fetch(&mut connection)?).map_err(io::Error::other)
    }
}

fn number(status: &Value, path: &str) -> io::Result<u64> {
    status.pointer(path).and_then(Value::as_u64).ok_or_else(|| wrong(status))
}

fn wrong(status: &Value) -> io::Error {
    io::Error::other(format!("the server says {status}"))
}
