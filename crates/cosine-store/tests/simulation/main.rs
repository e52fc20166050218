//! Two processes with clocks of their own on one store, with faults at every call, each of them
//! paused or killed at any point; and their clients, who hold every answer against what it may be.
//!
//! Everything that happens follows from a seed, which is printed. The same run again:
//! `COSINE_SEED=<seed> cargo test -p cosine-store --test simulation`; a longer one:
//! `COSINE_STEPS=10000000`. A case that fails is shrunk to the steps that matter.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test reports by panicking and printing"
)]

mod clients;
mod dice;
mod faults;
mod model;
mod runs;
#[path = "../support/mod.rs"]
mod support;
mod uploads;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use cosine_kv::{Found, Kv, Scan};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use clients::{BUCKETS, KEYS};
use world::{SIZES, Step, World};

/// Steps in a run, unless `COSINE_STEPS` says otherwise.
const STEPS: u64 = 100_000;
const STEPS_IN_A_CASE: usize = 120;

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let process = || 0..2usize;
    let bucket = || 0..BUCKETS.len();
    // Mostly few places, so that operations meet.
    let place = || (prop_oneof![4 => Just(0usize), 1 => Just(1)], 0..KEYS.len());
    let size = || (0..SIZES.len()).prop_map(|n| SIZES[n]);
    let rarely = || prop::bool::weighted(0.1);
    prop_oneof![
        3 => (process(), bucket()).prop_map(|(process, bucket)| CreateBucket { process, bucket }),
        1 => (process(), bucket()).prop_map(|(process, bucket)| DeleteBucket { process, bucket }),
        12 => (process(), place(), size(), rarely()).prop_map(
            |(process, at, size, forbid_overwrite)| Put { process, at, size, forbid_overwrite }
        ),
        16 => (process(), place(), place(), any::<bool>(), rarely()).prop_map(
            |(process, from, to, replace, forbid_overwrite)| {
                Copy { process, from, to, replace, forbid_overwrite }
            }
        ),
        6 => (process(), place(), size(), rarely())
            .prop_map(|(process, at, size, abort)| PutInParts { process, at, size, abort }),
        6 => (process(), place(), place())
            .prop_map(|(process, from, to)| CopyInParts { process, from, to }),
        1 => (process(), bucket(), any::<bool>())
            .prop_map(|(process, bucket, enabled)| SetVersioning { process, bucket, enabled }),
        3 => (process(), place()).prop_map(|(process, at)| RemoveOldVersion { process, at }),
        4 => (process(), place()).prop_map(|(process, at)| Tag { process, at }),
        8 => (process(), place()).prop_map(|(process, at)| Delete { process, at }),
        8 => (process(), place()).prop_map(|(process, at)| Read { process, at }),
        2 => (process(), bucket()).prop_map(|(process, bucket)| List { process, bucket }),
        20 => process().prop_map(|process| Collect { process }),
        2 => process().prop_map(|process| Scrub { process }),
        6 => process().prop_map(|process| Beat { process }),
        1 => process().prop_map(|process| Pause { process }),
        3 => process().prop_map(|process| Resume { process }),
        1 => process().prop_map(|process| Kill { process }),
        6 => (1..700u64).prop_map(|seconds| TimePasses { seconds }),
        1 => (process(), -4000..4000i64)
            .prop_map(|(process, seconds)| ClockSteps { process, seconds }),
        4 => Just(Wait),
    ]
}

/// Runs one case; returns what is left in the metadata, so that two runs can be compared: which rows, and by
/// which commit. What is in them is sealed under keys that no seed tells.
fn run(seed: u64, steps: &[Step]) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        for step in steps {
            world.step(*step).await;
        }
        let kv = world.kv();
        world.end().await;
        let page = kv.scan(Scan::prefix(b"", usize::MAX)).await.unwrap();
        let written = |found| match found {
            Found::Row(key, row) => format!("{key:?} {:?}", row.revision),
            other => format!("{other:?}"),
        };
        page.found.into_iter().map(written).collect()
    })
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_is_left() {
    // The gate takes the same steps each time; a longer run takes others.
    let steps = environment("COSINE_STEPS");
    let drawn = || if steps.is_some() { rand_seed() } else { 1 };
    let seed = environment("COSINE_SEED").unwrap_or_else(drawn);
    let wanted = steps.unwrap_or(STEPS);
    eprintln!("simulation: COSINE_SEED={seed}");
    let taken = AtomicU64::new(0);
    let cases = wanted.div_ceil(STEPS_IN_A_CASE as u64 * 2 / 5) as u32;
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 4].concat());
    let mut runner = TestRunner::new_with_rng(config, rng);
    let case = (any::<u64>(), prop::collection::vec(step(), 1..STEPS_IN_A_CASE));
    let result = runner.run(&case, |(seed, steps)| {
        taken.fetch_add(steps.len() as u64, Ordering::Relaxed);
        std::panic::catch_unwind(|| run(seed, &steps))
            .map(drop)
            .map_err(|panic| TestCaseError::fail(message(&*panic)))
    });
    eprintln!("simulation: {} steps in {cases} cases", taken.load(Ordering::Relaxed));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (dice, steps))) => {
            let steps: String = steps.iter().map(|step| format!("  {step:?}\n")).collect();
            panic!("COSINE_SEED={seed}: {why}\nwith dice {dice}, shrunk to\n{steps}");
        }
        Err(abort) => panic!("COSINE_SEED={seed}: {abort}"),
    }
}

/// A seed is worth printing only if it brings the same run again.
#[test]
fn the_same_seed_is_the_same_run() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for seed in 0..20 {
        let steps = prop::collection::vec(step(), 100..STEPS_IN_A_CASE);
        let steps = steps.new_tree(&mut runner).unwrap().current();
        assert_eq!(run(seed, &steps), run(seed, &steps));
    }
}

fn rand_seed() -> u64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).unwrap();
    u64::from(u32::from_le_bytes(bytes))
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
