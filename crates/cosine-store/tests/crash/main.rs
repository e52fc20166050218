//! Power cuts. A workload runs under strace; from the recorded system calls it is known, at every
//! moment, what a disk must still hold after a power cut and what it may have lost. For each sync,
//! and for moments between, images of such disks are made and opened: everything acknowledged is
//! there, nothing is there by half. Why this way: `docs/adr/0005`.
//!
//! `COSINE_CRASH_SEEDS=20` runs as many workloads, `COSINE_CRASH_SEED=7` begins with that one. A
//! failure prints the command that repeats it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking"
)]

mod content;
mod disk;
mod examine;
mod machine;
mod plan;
mod points;
mod random;
#[path = "../support/mod.rs"]
mod support;
mod trace;
mod workload;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What went wrong, for a person.
type Failure = String;

/// Groups of operations in one workload, after those that every workload has.
const GROUPS: usize = 50;
const SEEDS: &str = "COSINE_CRASH_SEEDS";
const SEED: &str = "COSINE_CRASH_SEED";
/// A kept recording, instead of a new one.
const TRACE: &str = "COSINE_CRASH_TRACE";
/// Where the workload process works; set for it alone.
const DIRECTORY: &str = "COSINE_CRASH_DIRECTORY";

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn acknowledged_operations_survive_every_power_cut() {
    let first = number(SEED, 1);
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return workload::run(Path::new(&directory), plan::plan(first, GROUPS));
    }
    for seed in first..first + number(SEEDS, 1) {
        let kept = std::env::var_os(TRACE).map(PathBuf::from);
        let scratch = tempfile::tempdir_in(fast_directory()).unwrap();
        let trace = kept.unwrap_or_else(|| record(seed, scratch.path()));
        let events = trace::read(&trace).unwrap();
        let figures = points::run(seed, &events, &plan::plan(seed, GROUPS), scratch.path());
        match figures {
            Ok(figures) => say(&format!("crash images, seed {seed}: {figures}")),
            Err(failure) => {
                let kept = scratch.keep();
                let trace = if trace.starts_with(&kept) { trace } else { kept.join("trace") };
                panic!(
                    "{failure}\nkept in {}\nagain: {SEED}={seed} {TRACE}={} cargo test -p \
                     cosine-store --test crash",
                    kept.display(),
                    trace.display()
                );
            }
        }
    }
}

/// Also when the harness captures what tests print.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Syncs need not be real here: what they mean is read from the trace.
fn fast_directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Runs the workload in a process of its own, and returns where its calls are recorded.
fn record(seed: u64, scratch: &Path) -> PathBuf {
    let directory = scratch.join("recording");
    std::fs::create_dir_all(directory.join(machine::ROOT)).unwrap();
    let trace = scratch.join("trace");
    let mut process = trace::record(&std::env::current_exe().unwrap(), &trace);
    process.args(["--exact", "acknowledged_operations_survive_every_power_cut", "--nocapture"]);
    process.env(SEED, seed.to_string()).env(DIRECTORY, &directory).stdout(Stdio::null());
    let status = process.status().unwrap_or_else(|error| {
        panic!("this test needs strace (Debian: apt-get install strace): {error}")
    });
    assert!(status.success(), "the workload under strace: {status}; may strace trace here?");
    std::fs::remove_dir_all(directory).unwrap();
    trace
}
