//! Two processes on one store, their clients, their collectors, and what befalls them.

use crate::support::master;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cosine_kv::{Kv, Scan};
use cosine_store::fsck::{FsckOptions, fsck};
use cosine_store::{
    BucketName, Collector, CollectorOptions, Engines, Error, ListOptions, ManualClock, Scrub,
    ScrubOptions, Store, StoreOptions,
};
use tokio::task::JoinSet;

use crate::clients::{BUCKETS, Flight, KEYS, Place};
use crate::dice::Dice;
use crate::faults::{Fate, FaultyBlobs, FaultyKv, Mode};
use crate::model::{Model, Possible};

pub const GRACE: Duration = Duration::from_secs(600);
pub const SILENCE: Duration = Duration::from_secs(300);
const BEGIN: u64 = 1_700_000_000_000_000;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    CreateBucket { process: usize, bucket: usize },
    DeleteBucket { process: usize, bucket: usize },
    Put { process: usize, at: Place, size: usize, forbid_overwrite: bool },
    Copy { process: usize, from: Place, to: Place, replace: bool, forbid_overwrite: bool },
    PutInParts { process: usize, at: Place, size: usize, abort: bool },
    CopyInParts { process: usize, from: Place, to: Place },
    SetVersioning { process: usize, bucket: usize, enabled: bool },
    RemoveOldVersion { process: usize, at: Place },
    Tag { process: usize, at: Place },
    Delete { process: usize, at: Place },
    Read { process: usize, at: Place },
    List { process: usize, bucket: usize },
    Collect { process: usize },
    Scrub { process: usize },
    Beat { process: usize },
    Pause { process: usize },
    Resume { process: usize },
    Kill { process: usize },
    TimePasses { seconds: u64 },
    ClockSteps { process: usize, seconds: i64 },
    Wait,
}

/// What all tasks share.
#[derive(Debug)]
pub struct Shared {
    pub model: Model,
    pub flights: BTreeMap<u64, Flight>,
    pub written: u64,
    /// Events so far: they order what clients can tell apart.
    pub events: u64,
    /// Processes, by generation, that found themselves taken for dead.
    pub fenced: BTreeSet<u64>,
    /// Time that has passed for everyone.
    pub now: Duration,
    /// By how much calendars were ever wrong, seconds: at least, and at most.
    pub wrong: (i64, i64),
}

#[derive(Clone, Debug)]
pub struct Process {
    pub store: Store,
    pub fate: Arc<Fate>,
    pub generation: u64,
    clock: Arc<ManualClock>,
    collector: Arc<tokio::sync::Mutex<Collector>>,
}

pub struct World {
    pub dice: Arc<Dice>,
    pub shared: Arc<Mutex<Shared>>,
    pub tasks: JoinSet<()>,
    kv: Arc<cosine_kv::Memory>,
    blobs: cosine_blob::Memory,
    faulty: Arc<AtomicBool>,
    processes: Vec<Process>,
    generations: AtomicU64,
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let shared = Shared {
            model: Model::default(),
            flights: BTreeMap::new(),
            written: 0,
            events: 0,
            fenced: BTreeSet::new(),
            now: Duration::ZERO,
            wrong: (0, 0),
        };
        let mut world = Self {
            dice: Arc::new(Dice::new(seed)),
            shared: Arc::new(Mutex::new(shared)),
            tasks: JoinSet::new(),
            kv: Arc::default(),
            blobs: cosine_blob::Memory::default(),
            faulty: Arc::default(),
            processes: vec![],
            generations: AtomicU64::new(0),
        };
        for _ in 0..2 {
            let process = world.start(BEGIN).await;
            world.processes.push(process);
        }
        world.faulty.store(true, Ordering::Relaxed);
        world
    }

    pub fn kv(&self) -> Arc<cosine_kv::Memory> {
        Arc::clone(&self.kv)
    }

    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    pub fn process(&self, n: usize) -> Process {
        self.processes[n].clone()
    }

    async fn start(&self, micros: u64) -> Process {
        let fate = Arc::new(Fate::new(Arc::clone(&self.dice), Arc::clone(&self.faulty)));
        let kv = FaultyKv { inner: Arc::clone(&self.kv), fate: Arc::clone(&fate) };
        let blobs = FaultyBlobs { inner: self.blobs.clone(), fate: Arc::clone(&fate) };
        let engines = Engines { kv: Arc::new(kv), blobs: Arc::new(blobs) };
        let clock = Arc::new(ManualClock::at(micros));
        let store = loop {
            let (clock, dice) = (Arc::clone(&clock), Arc::clone(&self.dice));
            let options = StoreOptions { random: dice, ..StoreOptions::new(clock, master()) };
            match Store::open_with(engines.clone(), options).await {
                Ok(store) => break store,
                Err(error) => self.tolerate(&error),
            }
        };
        let options = CollectorOptions { grace: GRACE, silence: SILENCE };
        let collector = Collector::new(store.clone(), options);
        let collector = Arc::new(tokio::sync::Mutex::new(collector));
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        Process { store, fate, generation, clock, collector }
    }

    fn tolerate(&self, error: &Error) {
        assert!(self.faulty.load(Ordering::Relaxed), "without a fault: {error:?}");
        tolerate(error);
    }

    pub async fn step(&mut self, step: Step) {
        self.restart_the_fenced().await;
        match step {
            Step::CreateBucket { process, bucket } => self.create_bucket(process, bucket),
            Step::DeleteBucket { process, bucket } => self.delete_bucket(process, bucket),
            Step::Put { process, at, size, forbid_overwrite } => {
                self.put(process, at, size, forbid_overwrite);
            }
            Step::Copy { process, from, to, replace, forbid_overwrite } => {
                self.copy(process, (from, to), replace, forbid_overwrite);
            }
            Step::PutInParts { process, at, size, abort } => {
                self.put_in_parts(process, at, size, abort);
            }
            Step::CopyInParts { process, from, to } => self.copy_in_parts(process, (from, to)),
            Step::SetVersioning { process, bucket, enabled } => {
                self.set_versioning(process, bucket, enabled);
            }
            Step::RemoveOldVersion { process, at } => self.remove_old_version(process, at),
            Step::Tag { process, at } => self.tag(process, at),
            Step::Delete { process, at } => self.delete(process, at),
            Step::Read { process, at } => self.read(process, at),
            Step::List { process, bucket } => self.list(process, bucket).await,
            Step::Collect { process } => self.collect(process),
            Step::Scrub { process } => self.scrub(process),
            Step::Beat { process } => self.beat(process),
            Step::Pause { process } => self.processes[process].fate.set_mode(Mode::Paused),
            Step::Resume { process } => self.processes[process].fate.set_mode(Mode::Running),
            Step::Kill { process } => self.kill(process).await,
            Step::TimePasses { seconds } => self.time_passes(Duration::from_secs(seconds)),
            Step::ClockSteps { process, seconds } => self.clock_steps(process, seconds),
            Step::Wait => self.wait().await,
        }
        if self.dice.once_in(8) {
            self.processes.iter().for_each(|process| process.fate.change_pace());
        }
        for _ in 0..self.dice.below(12) {
            tokio::task::yield_now().await;
        }
        while let Some(done) = self.tasks.try_join_next() {
            done.unwrap();
        }
    }

    /// Everything that is under way in processes that run comes to its end; those that were killed
    /// have tasks that never will.
    async fn wait(&mut self) {
        for _ in 0..3000 {
            while let Some(done) = self.tasks.try_join_next() {
                done.unwrap();
            }
            if self.shared().flights.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn restart_the_fenced(&mut self) {
        for n in 0..self.processes.len() {
            if self.shared().fenced.contains(&self.processes[n].generation) {
                self.kill(n).await;
            }
        }
    }

    /// The process is gone in the middle of whatever it did, and another takes its place.
    async fn kill(&mut self, n: usize) {
        let process = self.process(n);
        process.fate.set_mode(Mode::Dead);
        self.shared().end_flights_of(process.generation);
        let calendar = cosine_store::Clock::now_micros(&*process.clock);
        self.processes[n] = self.start(calendar).await;
    }

    fn time_passes(&self, time: Duration) {
        self.shared().now += time;
        self.processes.iter().for_each(|process| process.clock.advance(time));
    }

    fn clock_steps(&self, n: usize, seconds: i64) {
        let clock = &self.processes[n].clock;
        let now = cosine_store::Clock::now_micros(&**clock);
        let now = now.saturating_add_signed(seconds * 1_000_000);
        clock.set(now);
        let mut shared = self.shared();
        let right = (BEGIN as i64).saturating_add(shared.now.as_micros() as i64);
        let wrong = (now as i64 - right) / 1_000_000;
        shared.wrong = (shared.wrong.0.min(wrong), shared.wrong.1.max(wrong));
    }

    fn collect(&mut self, n: usize) {
        let process = self.process(n);
        self.tasks.spawn(async move {
            let Ok(mut collector) = process.collector.try_lock() else { return };
            if let Err(error) = collector.tick().await {
                tolerate(&error);
            }
        });
    }

    fn scrub(&mut self, n: usize) {
        let store = self.process(n).store;
        self.tasks.spawn(async move {
            if let Err(error) = unhurried(store).tick().await {
                tolerate(&error);
            }
        });
    }

    fn beat(&mut self, n: usize) {
        let (process, shared) = (self.process(n), Arc::clone(&self.shared));
        self.tasks.spawn(async move {
            match process.store.heartbeat().await {
                Err(Error::Fenced) => {
                    shared.lock().unwrap().fenced.insert(process.generation);
                }
                Err(error) => tolerate(&error),
                Ok(()) => {}
            }
        });
    }

    /// A list of a bucket in which nothing is under way.
    async fn list(&mut self, n: usize, bucket: usize) {
        let process = self.process(n);
        {
            let mut shared = self.shared();
            let state = shared.model.bucket(bucket);
            if state.users > 0 || state.busy || process.fate.mode() != Mode::Running {
                return;
            }
        }
        let name = BucketName::parse(BUCKETS[bucket]).unwrap();
        let page = async {
            let bucket = process.store.bucket(&name).await?;
            let options = ListOptions { limit: 100, ..ListOptions::default() };
            process.store.list_objects(&bucket, &options).await
        };
        let listed: Vec<String> = match page.await {
            Ok(page) => page.entries.iter().map(|entry| entry.name().to_owned()).collect(),
            Err(Error::NoSuchBucket) => vec![],
            Err(error) => return self.tolerate(&error),
        };
        let mut shared = self.shared();
        for (key, name) in KEYS.iter().enumerate() {
            let possible = shared.model.slot((bucket, key)).possible();
            let there = listed.iter().any(|listed| listed == name);
            assert!(possible.iter().any(|value| value.is_some() == there), "{name} in {listed:?}");
        }
    }

    /// The end: the faults stop, all processes are gone but a new one, and in time nothing is left but what
    /// clients may see, and all of that.
    pub async fn end(mut self) {
        self.processes.iter().for_each(|process| process.fate.set_mode(Mode::Running));
        self.wait().await;
        self.faulty.store(false, Ordering::Relaxed);
        self.restart_the_fenced().await;
        self.wait().await;
        assert!(self.shared().flights.is_empty(), "stuck: {:?}", self.shared().flights);
        // What a commit in doubt left is for the collector once the run is over.
        self.kill(0).await;
        self.kill(1).await;
        self.processes[0].fate.set_mode(Mode::Dead);
        self.settle_all().await;
        self.check_all().await;
    }

    /// Until nothing is left for a collector to do.
    async fn settle_all(&mut self) {
        let store = self.process(1).store;
        let options = CollectorOptions { grace: GRACE, silence: SILENCE };
        let mut collector = Collector::new(store.clone(), options);
        // A process that was ended and lived on may have left something after it was swept.
        store.begin_scrub().await.unwrap();
        while unhurried(store.clone()).tick().await.unwrap() {}
        // Clocks may have been set ahead by so much.
        let patience = GRACE + Duration::from_secs(100_000);
        // Then the grace passes for each level of contents, and for the blobs below them.
        let levels = std::iter::repeat_n(patience, 10);
        for time in std::iter::once(SILENCE).chain(levels) {
            collector.run().await.unwrap();
            self.time_passes(time);
        }
        let done = collector.run().await.unwrap();
        assert_eq!(done.quarantined, 0, "nothing was ever unexplained");
        let ledger = store.ledger().await.unwrap();
        assert_eq!((ledger.released, ledger.collected.doomed_blobs), (0, 0), "{ledger:?}");
        assert_eq!(ledger.collected.doomed_bytes, 0, "{ledger:?}");
    }

    async fn check_all(&mut self) {
        let process = self.process(1);
        for bucket in 0..BUCKETS.len() {
            self.list(1, bucket).await;
            for key in 0..KEYS.len() {
                self.read(1, (bucket, key));
            }
        }
        self.wait().await;
        assert!(self.shared().flights.is_empty(), "stuck: {:?}", self.shared().flights);
        assert!(process.store.scrub_status().await.unwrap().damaged.is_empty());
        let engines =
            Engines { kv: Arc::clone(&self.kv) as _, blobs: Arc::new(self.blobs.clone()) };
        let options = FsckOptions { deep: true, repair: false };
        let report = fsck(&engines, options, &mut |_| {}).await.unwrap();
        assert!(report.is_sound(), "{:#?}", report.findings);
        // Contents that a bucket or a deletion left would show as released; blobs as these.
        let counts = report.counts;
        assert_eq!((counts.doomed_blobs, counts.orphaned_blobs), (0, 0), "{counts:?}");
        let referenced = self.kv.scan(Scan::prefix(b"rb", 100_000)).await.unwrap().found.len();
        assert_eq!(counts.blobs, referenced as u64, "every blob is somebody's");
    }
}

fn unhurried(store: Store) -> Scrub {
    Scrub::new(store, ScrubOptions { bytes_per_second: u64::MAX, ..ScrubOptions::default() })
}

/// Errors that a fault may cause. Anything else is an answer, and has to be right.
pub fn tolerate(error: &Error) {
    let caused = match error {
        Error::Kv(cosine_kv::Error::Engine(what)) => what == "injected",
        Error::Blob(cosine_blob::Error::Io(_)) => true,
        Error::Unknown | Error::Fenced | Error::Frozen | Error::Busy => true,
        _ => false,
    };
    assert!(caused, "no fault explains {error:?}");
}

/// The sizes of bodies: inline, at the bound, and in blobs.
pub const SIZES: [usize; 5] = [0, 100, 16 << 10, (16 << 10) + 1, 20_000];

/// For messages.
pub fn show(possible: &Possible) -> String {
    format!("{possible:?}")
}
