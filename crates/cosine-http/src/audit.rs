//! The audit: a record of each decision that lets somebody change something, and of each refusal.
//!
//! A record is one line of JSON. Lines are written by a thread of their own, in their order. A request waits
//! before it begins until there is room for more; it does not wait for its own lines to be on the disk.
//! Where the lines go nowhere any more, requests are told to come back, and health still answers. A copy is a read of its source and a write of its
//! destination: two records with one request id.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cosine_access::Decision;
use cosine_wire::date::iso_date;
use cosine_wire::{ApiError, Code};
use http::Method;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::facts::About;
use crate::request::Request;

/// While lines of more bytes wait to be written, no request begins.
const QUEUE_BYTES_MAX: usize = 4 << 20;
/// A request waits for room this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Nowhere.
    Off,
    /// To the standard output.
    Stdout,
    /// To a file; once it holds this many bytes, it is put aside as `<file>.1`, and so on up to this many.
    File {
        /// The file.
        path: PathBuf,
        /// Bytes.
        size_max: u64,
        /// Files that are kept beside it.
        kept: u32,
    },
}

/// What an allowed action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It reads: nobody keeps a record of that.
    Reads,
    /// It reads what a copy is made of.
    Copied,
    /// It changes something.
    Writes,
}

impl Effect {
    /// What a request does with what it is asked about.
    pub fn of(request: &Request, about: About<'_>) -> Self {
        match request.row.method {
            _ if matches!(about, About::CopySource(_)) => Self::Copied,
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Reads,
            _ => Self::Writes,
        }
    }
}

/// Somebody who was refused before anyone knew who it is, or whom administration or STS is about.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// How the request is called.
    pub request_id: &'a str,
    /// When, seconds since 1970 UTC.
    pub at: u64,
    /// The address that it came from.
    pub ip: std::net::IpAddr,
    /// Who, as far as that is known.
    pub who: &'a dyn Display,
    /// What was asked for.
    pub action: &'a str,
    /// Of what.
    pub resource: &'a str,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Why, or why not.
    pub reason: &'a dyn Display,
}

/// Keeps the records.
#[derive(Debug)]
pub struct Audit {
    writer: Option<(Sender<String>, JoinHandle<()>)>,
    queue: Arc<Queue>,
}

/// How much waits to be written.
#[derive(Debug, Default)]
struct Queue {
    bytes: AtomicUsize,
    shrunk: Notify,
}

impl Audit {
    /// Opens the target.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(target: AuditTarget) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let output: Box<dyn Write + Send> = match target {
            AuditTarget::Off => return Ok(Self { writer: None, queue }),
            AuditTarget::Stdout => Box::new(io::stdout()),
            AuditTarget::File { path, size_max, kept } => {
                Box::new(Rotating::open(path, size_max, kept)?)
            }
        };
        let (lines, waiting) = channel();
        let written = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || write_lines(&waiting, output, &written))?;
        Ok(Self { writer: Some((lines, thread)), queue })
    }

    /// Waits until there is room for the records of a request.
    ///
    /// # Errors
    /// 503 `SlowDown` if there is none.
    pub async fn room(&self) -> Result<(), ApiError> {
        let is_full = || self.queue.bytes.load(Ordering::Relaxed) > QUEUE_BYTES_MAX;
        if !is_full() {
            return Ok(());
        }
        let shrinks = async {
            loop {
                // Listening begins before the look: nothing that shrinks it in between is missed.
                let shrunk = self.queue.shrunk.notified();
                if !is_full() {
                    return;
                }
                shrunk.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, shrinks).await;
        waited.map_err(|_| Code::SlowDown.into())
    }

    /// Records a decision about a request, if it is one that is recorded.
    pub fn decided(
        &self,
        request: &Request,
        (action, resource): (&str, &str),
        decision: &Decision,
        effect: Effect,
    ) {
        if !decision.allowed {
            tracing::debug!(caller = %request.caller, action, resource, reason = %decision.reason, "denied");
        }
        if self.writer.is_none() || (decision.allowed && effect == Effect::Reads) {
            return;
        }
        let (allowed, reason) = (decision.allowed, &decision.reason);
        self.of_request(request, (action, resource), allowed, reason);
    }

    /// Records that a request was refused before anything was decided.
    pub fn refused(&self, request: &Request, about: (&str, &str), reason: &dyn Display) {
        self.of_request(request, about, false, reason);
    }

    fn of_request(
        &self,
        request: &Request,
        (action, resource): (&str, &str),
        allowed: bool,
        reason: &dyn Display,
    ) {
        self.record(Event {
            request_id: &request.id,
            at: request.at,
            ip: request.client.ip,
            who: &request.caller,
            action,
            resource,
            allowed,
            reason,
        });
    }

    /// Records something.
    pub fn record(&self, event: Event<'_>) {
        let Some((lines, _)) = &self.writer else { return };
        let mut record = Map::new();
        let fields = [
            ("time", json!(iso_date(event.at.cast_signed()))),
            ("request_id", json!(event.request_id)),
            ("ip", json!(event.ip.to_string())),
            ("who", json!(event.who.to_string())),
            ("action", json!(event.action)),
            ("resource", json!(event.resource)),
            ("allowed", json!(event.allowed)),
            ("reason", json!(event.reason.to_string())),
        ];
        record.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        let line = format!("{}\n", Value::Object(record));
        self.queue.bytes.fetch_add(line.len(), Ordering::Relaxed);
        // A thread that is gone has said so in the log.
        let _ = lines.send(line);
    }

    /// Waits until all records are written.
    pub fn close(&mut self) {
        if let Some((lines, thread)) = self.writer.take() {
            drop(lines);
            let _ = thread.join();
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.close();
    }
}

fn write_lines(waiting: &Receiver<String>, mut output: Box<dyn Write + Send>, queue: &Queue) {
    while let Ok(line) = waiting.recv() {
        let written = output.write_all(line.as_bytes()).and_then(|()| output.flush());
        if let Err(error) = written {
            tracing::error!(%error, "a record of the audit could not be written");
        }
        queue.bytes.fetch_sub(line.len(), Ordering::Relaxed);
        queue.shrunk.notify_waiters();
    }
}

/// A file that is put aside when it is full.
struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    size_max: u64,
    kept: u32,
}

impl Rotating {
    fn open(path: PathBuf, size_max: u64, kept: u32) -> io::Result<Self> {
        let file = append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, size_max, kept })
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            match std::fs::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let gone = match self.kept {
            0 => std::fs::remove_file(&self.path),
            _ => std::fs::rename(&self.path, self.aside(1)),
        };
        match gone {
            // Somebody else has put it aside.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = append(&self.path)?;
        Ok(())
    }
}

impl Write for Rotating {
    /// A line is never torn between two files.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + line.len() as u64 > self.size_max {
            if let Err(error) = self.rotate() {
                // A file that is too large is better than a record that is lost.
                tracing::error!(%error, "the file of the audit could not be put aside");
            }
            // Where it failed, it is tried again after as much more: each try puts the older ones further.
            self.size = 0;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Records tell who did what: only the owner of the server reads them.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
