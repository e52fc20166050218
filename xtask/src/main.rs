//! The developer's commands. `cargo xtask test` is everything that must pass; `cargo xtask nightly`
//! runs for longer and finds more.

mod fuzz;
mod node;
mod sdk;
mod tidy;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Why a step did not pass.
type Failure = String;

/// One step of the whole: its name, what it does, and how.
type Step = (&'static str, &'static str, fn(&Path) -> Result<(), Failure>);

/// The whole workspace, and the fuzz targets, which are a workspace of their own.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

/// Everything that must pass.
const TEST: [Step; 8] = [
    ("fmt", "formatting", |root| {
        on_each_manifest(root, &["fmt", "--all", "--check", "--manifest-path"], &[])
    }),
    ("tidy", "limits on files and functions", tidy::check),
    ("clippy", "lints, warnings denied", |root| {
        let arguments =
            ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        cargo(root, &arguments)?;
        fuzz::clippy(root)
    }),
    ("deny", "licences and sources of dependencies (needs cargo-deny)", deny),
    ("unit", "unit, property and conformance tests", |root| {
        cargo(root, &["test", "--workspace", "--quiet"])
    }),
    ("corpus", "every kept input of the fuzz targets", fuzz::replay),
    ("sdk", "the official Python SDK against the release binary", sdk::test),
    (
        "node",
        "the official JavaScript SDKs, in Node.js and in Chromium, against the release binary",
        node::test,
    ),
];

/// What finds more the longer it runs. The environment says how long; else it is as long as here.
const NIGHTLY: [Step; 4] = [
    ("fuzz", "each fuzz target, COSINE_FUZZ_SECONDS=60 (needs cargo-fuzz)", fuzz::fuzz),
    ("crash", "power cuts, COSINE_CRASH_SEEDS=10", |root| {
        let arguments = ["test", "--quiet", "--package", "cosine-store", "--test", "crash"];
        run(command(root, &arguments).envs([setting("COSINE_CRASH_SEEDS", "10")]))
    }),
    ("simulation", "random operations and faults, COSINE_STEPS=5000000", |root| {
        let arguments = ["test", "--quiet", "--package", "cosine-store", "--test", "simulation"];
        let mut simulation = command(root, &arguments);
        run(simulation.arg("--release").envs([setting("COSINE_STEPS", "5000000")]))
    }),
    ("kill", "kill -9 under load, COSINE_KILL_ROUNDS=200", sdk::kill),
];

/// The steps that run together, by the name of that.
const ALL: [(&str, &[Step]); 2] = [("test", &TEST), ("nightly", &NIGHTLY)];

fn main() -> ExitCode {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let chosen: Vec<&Step> = match ALL.iter().find(|(all, _)| *all == wanted) {
        Some((_, steps)) => steps.iter().collect(),
        None => {
            ALL.iter().flat_map(|(_, steps)| *steps).filter(|(step, ..)| *step == wanted).collect()
        }
    };
    if chosen.is_empty() {
        for (all, steps) in ALL {
            say(&format!("cargo xtask {all} runs all of these; each can be run by its name:"));
            steps.iter().for_each(|(name, what, _)| say(&format!("  {name:10} {what}")));
        }
        return ExitCode::from(2);
    }
    for (name, what, run) in chosen {
        say(&format!("== {name}: {what}"));
        if let Err(failure) = run(&root) {
            say(&format!("== {name} failed: {failure}"));
            return ExitCode::FAILURE;
        }
    }
    say("== all passed");
    ExitCode::SUCCESS
}

/// Prints a line; a closed terminal is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Cargo, at the root.
fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(root);
    command
}

/// Runs cargo in the workspace.
fn cargo(root: &Path, arguments: &[&str]) -> Result<(), Failure> {
    run(&mut command(root, arguments))
}

/// Runs cargo on every manifest, which goes between the arguments.
fn on_each_manifest(root: &Path, before: &[&str], after: &[&str]) -> Result<(), Failure> {
    MANIFESTS.iter().try_for_each(|manifest| cargo(root, &[before, &[*manifest], after].concat()))
}

/// Licences, bans and sources; advisories need a network that not every machine has, and have a
/// command of their own in CONTRIBUTING. Crates for other systems are read too, so they must be here.
fn deny(root: &Path) -> Result<(), Failure> {
    on_each_manifest(root, &["fetch", "--quiet", "--manifest-path"], &[])?;
    let checks = ["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    on_each_manifest(root, &["deny", "--offline", "--manifest-path"], &checks)
}

/// Where cargo puts what it builds.
fn target_directory(root: &Path) -> PathBuf {
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Builds the release binary, as the README says it: what that builds is what is tested.
fn release_binary(root: &Path) -> Result<PathBuf, Failure> {
    cargo(root, &["run", "--release", "--quiet", "--", "--version"])?;
    let binary = target_directory(root).join("release/cosine");
    if binary.exists() {
        Ok(binary)
    } else {
        Err(format!("the build left no {}", binary.display()))
    }
}

/// A variable of the environment: as it is set, or else what is long enough for a night.
fn setting(name: &'static str, nightly: &str) -> (&'static str, OsString) {
    (name, std::env::var_os(name).unwrap_or_else(|| nightly.into()))
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
