//! The COS API over HTTP.
//!
//! A request goes one way: [`listener`] takes the connection, [`service`] reads where the request
//! is addressed and finds its row in the [`operation`] table, checks the signature, and hands it to
//! the one file under `ops/` that is that operation: it parses, authorises, calls the store and
//! renders. Nothing here knows how anything is stored.

mod acl;
mod activity;
mod admin;
pub mod audit;
mod authorise;
mod body;
mod client;
mod connection;
mod cors;
mod deferred;
mod directory;
mod error;
mod facts;
mod figures;
mod form;
pub mod limits;
pub mod listener;
mod master;
mod meter;
mod metrics;
pub mod monitor;
pub mod operation;
mod ops;
mod params;
mod remote;
mod reply;
#[doc(hidden)] // public for the fuzz targets alone
pub mod request;
pub mod secret;
mod service;
mod source;
mod spelling;
mod sse;
mod sts;
mod system;
mod token;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cosine_access::{Account, Credential};
use cosine_store::{Clock, CollectorOptions, Store};
use cosine_wire::host::HostRules;

use audit::Audit;
use directory::Directory;
use metrics::Metrics;

use limits::Budget;
pub use limits::Limits;
pub use listener::{Tls, serve};
pub use master::{KeepMaster, Master};
pub use monitor::Monitor;
pub use remote::{Remote, Remotes};

/// What a deployment serves, and to whom.
#[derive(Debug)]
pub struct Settings {
    /// The account that the deployment belongs to.
    pub account: Account,
    /// Its keys: who has them may administrate.
    pub root: Credential,
    /// A host on which temporary credentials are made, beside those that begin with `sts.`.
    pub sts_host: Option<String>,
    /// How host names are read.
    pub hosts: HostRules,
    /// Where buckets may live.
    pub regions: Regions,
    /// The regions that other deployments serve.
    pub remotes: Remotes,
    /// How patient collectors are.
    pub collector: CollectorOptions,
    /// How much clients may hold.
    pub limits: Limits,
    /// Refuse keys of customers that come over plain HTTP.
    pub customer_keys_need_tls: bool,
    /// What the keys of the store are sealed under.
    pub master: Arc<Master>,
}

/// The regions of a deployment.
#[derive(Clone, Debug)]
pub struct Regions {
    /// Where a bucket goes whose host names no region.
    pub default: String,
    /// All of them, the default included.
    pub named: Vec<String>,
    /// Whether any other name will do too.
    pub any: bool,
}

impl Regions {
    /// Whether buckets may live there.
    pub fn serves(&self, region: &str) -> bool {
        self.any || self.named.iter().any(|named| named == region)
    }
}

/// The API on one store. Shared by all connections.
#[derive(Debug)]
pub struct Api {
    store: Store,
    clock: Arc<dyn Clock>,
    settings: Settings,
    directory: Directory,
    audit: Audit,
    served: AtomicU64,
    metrics: Arc<Metrics>,
    /// Seconds since 1970 UTC.
    began: u64,
    stopping: AtomicBool,
    /// Requests under way.
    requests: Budget,
    /// Bytes of bodies in memory.
    memory: Arc<Budget>,
}

impl Api {
    /// The API on this store.
    pub fn new(store: Store, clock: Arc<dyn Clock>, settings: Settings, audit: Audit) -> Self {
        let (key, root) = (Arc::clone(store.key()), settings.root.clone());
        let directory = Directory::new(store.clone(), key, settings.account, root);
        let requests = Budget::new(u64::from(settings.limits.requests), 1);
        let memory = Arc::new(Budget::new(settings.limits.memory, 1 << 10));
        Self {
            began: clock.now_seconds(),
            store,
            clock,
            settings,
            directory,
            audit,
            served: AtomicU64::new(0),
            metrics: Arc::default(),
            stopping: AtomicBool::new(false),
            requests,
            memory,
        }
    }

    /// Why a write would be refused now, in one line; `None` if it would not be.
    async fn refuses_writes(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("stopping: requests under way finish".to_owned());
        }
        self.store.ready().await.err().map(|error| error.to_string())
    }
}
