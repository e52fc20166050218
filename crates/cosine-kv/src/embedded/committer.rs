//! The one thread that commits: it gathers what waits, checks it in order, writes it as one batch,
//! syncs once, publishes, and only then answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fjall::{Database, PersistMode, Readable};
use tokio::sync::oneshot;

use super::metrics::Metrics;
use super::{Durability, REVISION_KEY, View, engine_error, join, split};
use crate::{Commit, Error, Outcome, Revision, Write};

/// A batch waits this long at most for commits that are on their way, ...
const GATHER_TIME_MAX: Duration = Duration::from_millis(4);
/// ... and not when none has come for this long.
const GATHER_GAP_MAX: Duration = Duration::from_millis(1);
/// A batch holds this many commits at most.
const BATCH_COMMITS_MAX: usize = 1024;

/// Where the outcome of a commit goes.
type Reply = oneshot::Sender<Result<Outcome, Error>>;

/// A commit on its way to the thread.
pub(super) struct Submission {
    pub(super) commit: Commit,
    pub(super) reply: Reply,
}

/// The handle on the thread; dropping it lets the thread finish what waits and ends it.
pub(super) struct Committer {
    queue: Option<Sender<Submission>>,
    metrics: Metrics,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(
        database: Database,
        view: Arc<View>,
        durability: Durability,
        last: Revision,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let (queue, submissions) = channel();
        let worker = Worker {
            database,
            view,
            durability,
            last,
            submissions,
            expected: 1,
            metrics: metrics.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("kv-committer".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self { queue: Some(queue), metrics, thread: Some(thread) })
    }

    pub(super) fn submit(&self, submission: Submission) -> Result<(), Error> {
        self.metrics.queue.inc();
        let queue = self.queue.as_ref().ok_or(Error::Poisoned)?;
        queue.send(submission).map_err(|_| Error::Poisoned)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    database: Database,
    view: Arc<View>,
    durability: Durability,
    last: Revision,
    submissions: Receiver<Submission>,
    /// How many commits the next batch can expect: those of the last batch, whose callers are
    /// likely to come back, and those that came while it was synced.
    expected: usize,
    metrics: Metrics,
}

impl Worker {
    fn run(mut self) {
        while let Ok(first) = self.submissions.recv() {
            let batch = self.gather(first);
            let size = batch.len();
            self.process(batch);
            let waiting = usize::try_from(self.metrics.queue.get());
            self.expected = size + waiting.unwrap_or_default();
        }
    }

    /// Takes everything that waits, and waits itself, briefly, for what is expected: one sync for
    /// thirty callers costs each of them less than thirty syncs cost the last. A lone caller
    /// expects nobody and never waits.
    fn gather(&mut self, first: Submission) -> Vec<Submission> {
        let deadline = Instant::now() + GATHER_TIME_MAX;
        let mut batch = vec![first];
        while batch.len() < BATCH_COMMITS_MAX {
            let next = if batch.len() < self.expected {
                let left = deadline.saturating_duration_since(Instant::now());
                self.submissions.recv_timeout(left.min(GATHER_GAP_MAX))
            } else {
                self.submissions.try_recv().map_err(|_| RecvTimeoutError::Timeout)
            };
            match next {
                Ok(submission) => batch.push(submission),
                Err(_) => break,
            }
        }
        self.metrics.queue.dec_by(batch.len() as i64);
        batch
    }

    fn process(&mut self, submissions: Vec<Submission>) {
        if self.view.poisoned.load(Ordering::Relaxed) {
            return answer_all(submissions, || Err(Error::Poisoned));
        }
        let mut batch = Batch::default();
        let mut admitted = Vec::with_capacity(submissions.len());
        let mut refused = Vec::new();
        for Submission { commit, reply } in submissions {
            match self.admit(commit, &mut batch) {
                Ok(Outcome::Committed(revision)) => admitted.push((reply, revision)),
                outcome => refused.push((reply, outcome)),
            }
        }
        if !admitted.is_empty() {
            self.settle(batch, admitted);
        }
        // Last: whoever reads again shall see what it lost against, and not lose against it once more.
        for (reply, outcome) in refused {
            if let Ok(Outcome::Conflict) = outcome {
                self.metrics.conflicts.inc();
            }
            let _ = reply.send(outcome);
        }
    }

    /// Writes a batch, publishes it, and answers those whose commits are in it.
    fn settle(&self, batch: Batch, admitted: Vec<(Reply, Revision)>) {
        let began = Instant::now();
        let written = self.write(batch);
        self.metrics.sync_seconds.observe(began.elapsed().as_secs_f64());
        self.metrics.batch_commits.observe(admitted.len() as f64);
        match &written {
            Err(error) => self.poison(error),
            Ok(()) => {
                self.view.publish(self.database.snapshot());
                self.metrics.commits.inc_by(admitted.len() as u64);
            }
        }
        for (reply, revision) in admitted {
            let outcome =
                if written.is_ok() { Outcome::Committed(revision) } else { Outcome::Unknown };
            let _ = reply.send(Ok(outcome));
        }
    }

    /// Nobody knows what is on the disk now: nothing more is written.
    fn poison(&self, error: &Error) {
        self.view.poisoned.store(true, Ordering::Relaxed);
        self.metrics.poisoned.set(1);
        tracing::error!(%error, "a metadata sync failed: the store refuses writes until it is restarted");
    }

    /// Checks one commit against the published state and the commits before it in this batch.
    fn admit(&mut self, commit: Commit, batch: &mut Batch) -> Result<Outcome, Error> {
        for condition in &commit.conditions {
            let current = match batch.rows.get(condition.key()) {
                Some(row) => row.as_ref().map(|(revision, _)| *revision),
                None => self.published_revision(condition.key())?,
            };
            if !condition.holds(current) {
                return Ok(Outcome::Conflict);
            }
        }
        self.last = Revision(self.last.0 + 1);
        for write in commit.writes {
            match write {
                Write::Put(key, value) => batch.rows.insert(key, Some((self.last, value))),
                Write::Delete(key) => batch.rows.insert(key, None),
            };
        }
        Ok(Outcome::Committed(self.last))
    }

    fn published_revision(&self, key: &[u8]) -> Result<Option<Revision>, Error> {
        let stored = self.view.snapshot().get(&self.view.keyspace, key).map_err(engine_error)?;
        stored.map(|stored| split(&stored).map(|(revision, _)| revision)).transpose()
    }

    fn write(&self, batch: Batch) -> Result<(), Error> {
        let mode = match self.durability {
            Durability::Sync => PersistMode::SyncData,
            Durability::Os => PersistMode::Buffer,
        };
        let mut writes = self.database.batch().durability(Some(mode));
        for (key, row) in batch.rows {
            match row {
                Some((revision, value)) => {
                    writes.insert(&self.view.keyspace, key, join(revision, &value));
                }
                None => writes.remove(&self.view.keyspace, key),
            }
        }
        writes.insert(&self.view.own, REVISION_KEY, join(self.last, &[]));
        writes.commit().map_err(engine_error)
    }
}

/// The rows that a batch will leave behind; the last write of a key wins.
#[derive(Default)]
struct Batch {
    rows: HashMap<Vec<u8>, Option<(Revision, bytes::Bytes)>>,
}

fn answer_all(submissions: Vec<Submission>, answer: impl Fn() -> Result<Outcome, Error>) {
    for submission in submissions {
        let _ = submission.reply.send(answer());
    }
}
