//! The master key: how it is replaced, and how far that has come.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cosine_store::{Error, MasterKeys, MasterRewrap, Store};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What could not be sealed anew is tried again after this.
const PAUSE: Duration = Duration::from_secs(10);

/// Keeps master keys, and has them again at the next start.
pub trait KeepMaster: fmt::Debug + Send + Sync {
    /// Keeps these in place of those that it has.
    ///
    /// # Errors
    /// If it cannot: then it has what it had.
    fn keep(&self, keys: &MasterKeys) -> io::Result<()>;
}

/// The master key of a store.
#[derive(Debug)]
pub struct Master {
    keys: Arc<MasterKeys>,
    /// `None` where the operator keeps it.
    keeper: Option<Box<dyn KeepMaster>>,
    /// Whether what is committed is on the disk: only then may a former key go.
    durable: bool,
    progress: Mutex<Progress>,
    /// Told when there is something to do.
    wake: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    rewrap: MasterRewrap,
    running: bool,
}

impl Master {
    /// These keys, and who keeps them. In a store whose commits are not `durable`, former keys stay: a
    /// power cut may bring back what was sealed under them.
    pub fn new(keys: Arc<MasterKeys>, keeper: Option<Box<dyn KeepMaster>>, durable: bool) -> Self {
        Self { keys, keeper, durable, progress: Mutex::default(), wake: Notify::new() }
    }

    /// The keys.
    pub fn keys(&self) -> &Arc<MasterKeys> {
        &self.keys
    }

    /// Puts a new key in front. What is sealed under the former one is sealed anew in the background.
    ///
    /// # Errors
    /// If the keys are kept elsewhere, or cannot be kept; [`io::ErrorKind::ResourceBusy`] while the last
    /// one is still being replaced.
    pub fn rotate(&self) -> io::Result<()> {
        let Some(keeper) = &self.keeper else {
            let why = "put a new one in front of it where it comes from, and start again";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        };
        let mut progress = self.progress();
        if progress.running {
            let why = "the last one is still being replaced";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
        }
        let keys = self.keys.with_new().map_err(io::Error::other)?;
        // First to the disk: what is sealed under a key that is nowhere would be lost.
        keeper.keep(&keys)?;
        self.keys.replace(keys);
        *progress = Progress { rewrap: MasterRewrap::default(), running: true };
        self.wake.notify_one();
        Ok(())
    }

    /// How far the last replacement has come.
    pub fn status(&self) -> Value {
        let Progress { rewrap: MasterRewrap { seen, rewrapped, lost }, running } = *self.progress();
        json!({
            "keys": self.keys.count(),
            "running": running,
            "seen": seen,
            "rewrapped": rewrapped,
            "lost": lost,
        })
    }

    /// Seals anew what is sealed under a former key, at the start and whenever there is a new one; for ever.
    pub async fn run(&self, store: Store) {
        loop {
            self.progress().running = self.keys.count() > 1;
            while self.keys.count() > 1 {
                match self.rewrap(&store).await {
                    Ok(true) => break,
                    Ok(false) => tokio::time::sleep(PAUSE).await,
                    Err(error) => {
                        tracing::warn!(%error, "keys could not be sealed under the master key, which goes on");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            self.wake.notified().await;
        }
    }

    /// Once over all; returns whether the former keys are of no more use.
    async fn rewrap(&self, store: &Store) -> Result<bool, Error> {
        *self.progress() = Progress { rewrap: MasterRewrap::default(), running: true };
        let done = store.rewrap_under_master(|rewrap| self.progress().rewrap = rewrap).await?;
        if done.lost > 0 {
            tracing::error!(
                lost = done.lost,
                "no master key opens some keys: the former ones stay"
            );
            return Ok(false);
        }
        match &self.keeper {
            _ if !self.durable => {
                tracing::info!("durability is os: the former master keys are still needed");
            }
            Some(keeper) => {
                let current = self.keys.current();
                keeper.keep(&current).map_err(|error| Error::System(error.to_string()))?;
                self.keys.replace(current);
            }
            None => tracing::info!(
                "everything is sealed under the first master key: take the others away"
            ),
        }
        self.progress().running = false;
        tracing::info!(keys = done.seen, sealed = done.rewrapped, "the master key is replaced");
        Ok(true)
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
