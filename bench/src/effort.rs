//! What a load costs a server: commits, syncs, processor time.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Instant;

use crate::client::{Body, Connection};
use crate::server::Cosine;

/// Asks a server's monitor.
const ASK: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// The one thread that commits.
const COMMITTER: &str = "kv-committer";
/// In `/proc`, times are in hundredths of a second on any Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Times are taken from here on.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What was spent from the start up to a moment, or between two of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// Seconds that passed.
    pub seconds: f64,
    /// Commits that happened.
    pub commits: f64,
    /// Commits that were refused, and retried.
    pub conflicts: f64,
    /// Batches of commits; each is synced once.
    pub syncs: f64,
    /// Seconds in which a batch was being written and synced.
    pub sync_seconds: f64,
    /// Seconds of processor time of the server.
    pub server_seconds: f64,
    /// Seconds of it that were the committer's.
    pub committer_seconds: f64,
    /// Seconds of processor time of this process, the client.
    pub client_seconds: f64,
}

impl Effort {
    /// Everything up to now. `monitor` is where the server was told to be watched.
    ///
    /// # Errors
    /// The monitor does not answer, or the process is gone.
    pub fn now(server: &Cosine, monitor: SocketAddr) -> io::Result<Self> {
        let mut connection = Connection::open(monitor)?;
        let head = connection.exchange(ASK, Body::default())?;
        let mut text = Vec::new();
        connection.receive_body(head, &mut |piece| text.extend_from_slice(piece))?;
        let text = String::from_utf8_lossy(&text);
        let figure = |name: &str| {
            let found = figure(&text, name);
            found.ok_or_else(|| io::Error::other(format!("the monitor does not show {name}")))
        };
        let pid = server.pid();
        Ok(Self {
            seconds: BEGIN.elapsed().as_secs_f64(),
            commits: figure("cosine_kv_commits_total")?,
            conflicts: figure("cosine_kv_conflicts_total")?,
            syncs: figure("cosine_kv_sync_seconds_count")?,
            sync_seconds: figure("cosine_kv_sync_seconds_sum")?,
            server_seconds: processor_seconds(&format!("/proc/{pid}/stat"))?,
            committer_seconds: thread_seconds(pid, COMMITTER)?,
            client_seconds: processor_seconds("/proc/self/stat")?,
        })
    }

    /// What was spent since then.
    pub fn since(self, earlier: Self) -> Self {
        self.with(earlier, |now, then| now - then)
    }

    /// What was spent in both times together.
    pub fn and(self, other: Self) -> Self {
        self.with(other, |one, two| one + two)
    }

    fn with(self, other: Self, join: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            seconds: join(self.seconds, other.seconds),
            commits: join(self.commits, other.commits),
            conflicts: join(self.conflicts, other.conflicts),
            syncs: join(self.syncs, other.syncs),
            sync_seconds: join(self.sync_seconds, other.sync_seconds),
            server_seconds: join(self.server_seconds, other.server_seconds),
            committer_seconds: join(self.committer_seconds, other.committer_seconds),
            client_seconds: join(self.client_seconds, other.client_seconds),
        }
    }
}

/// A figure without labels in the text that a monitor answers.
fn figure(text: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

/// Processor time of the threads of this name.
fn thread_seconds(pid: u32, name: &str) -> io::Result<f64> {
    let mut seconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let comm = fs::read_to_string(task.join("comm")).unwrap_or_default();
        if comm.trim() == name {
            seconds += processor_seconds(&task.join("stat").to_string_lossy())?;
        }
    }
    Ok(seconds)
}

/// Processor time in a `stat` of `/proc`, of threads that have ended, too.
fn processor_seconds(path: &str) -> io::Result<f64> {
    let text = fs::read_to_string(path)?;
    let ticks = processor_ticks(&text);
    let ticks = ticks.ok_or_else(|| io::Error::other(format!("{path} reads {text}")))?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// The times in user and in system mode: the 12th and 13th field behind the name, which stands in
/// parentheses and may hold anything.
fn processor_ticks(text: &str) -> Option<u64> {
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_whole_name() {
        let text = "# TYPE a counter\na_total 3\na_total_more 4\nb_sum 0.5\nb{le=\"1\"} 2\n";
        assert_eq!(figure(text, "a_total"), Some(3.0));
        assert_eq!(figure(text, "b_sum"), Some(0.5));
        assert_eq!(figure(text, "b"), None);
    }

    #[test]
    fn the_times_stand_behind_the_name() {
        let text = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 41 1 0 0";
        assert_eq!(processor_ticks(text), Some(42));
        assert!(processor_seconds("/proc/self/stat").is_ok());
    }
}
