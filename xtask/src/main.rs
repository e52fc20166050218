//! The developer's commands. `cargo xtask test` is everything that must pass.

mod sdk;
mod tidy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Why a step did not pass.
type Failure = String;

/// One step of the whole: its name, what it does, and how.
type Step = (&'static str, &'static str, fn(&Path) -> Result<(), Failure>);

const STEPS: [Step; 6] = [
    ("fmt", "formatting", |root| cargo(root, &["fmt", "--all", "--check"])),
    ("tidy", "limits on files and functions", tidy::check),
    ("clippy", "lints, warnings denied", |root| {
        let arguments =
            ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        cargo(root, &arguments)
    }),
    ("deny", "licences and sources of dependencies (needs cargo-deny)", deny),
    ("unit", "unit, property and conformance tests", |root| {
        cargo(root, &["test", "--workspace", "--quiet"])
    }),
    ("sdk", "the official Python SDK against the release binary", sdk::test),
];

fn main() -> ExitCode {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<&Step> = match wanted.first().map(String::as_str) {
        Some("test") => STEPS.iter().collect(),
        Some(name) => STEPS.iter().filter(|(step, ..)| *step == name).collect(),
        None => vec![],
    };
    if chosen.is_empty() {
        say("cargo xtask test runs all of these; each can be run by its name:");
        STEPS.iter().for_each(|(name, what, _)| say(&format!("  {name:8} {what}")));
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

/// Runs cargo in the workspace.
fn cargo(root: &Path, arguments: &[&str]) -> Result<(), Failure> {
    run(Command::new(env!("CARGO")).args(arguments).current_dir(root))
}

/// Licences, bans and sources; advisories need a network that not every machine has, and have a
/// command of their own in CONTRIBUTING.
fn deny(root: &Path) -> Result<(), Failure> {
    cargo(
        root,
        &["deny", "--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"],
    )
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
