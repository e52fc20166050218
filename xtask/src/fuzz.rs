//! The fuzz targets: a workspace of their own, since cargo-fuzz wants flags that only it needs.

use std::path::Path;

use crate::{Failure, command, run, setting, target_directory};

/// Longer inputs, bytes, are for the replay: what the fuzzer finds in seconds among short documents, it
/// does not find in minutes among those of 29 KB.
const LENGTH: &str = "-max_len=1024";
/// No input may take longer than this, seconds.
const TIMEOUT: &str = "-timeout=10";
/// No input may make a target take more memory at once than this, MiB.
const MEMORY: &str = "-malloc_limit_mb=64";

/// Runs every kept input through its target: plain functions, no fuzzer, the compiler of the rest.
pub fn replay(root: &Path) -> Result<(), Failure> {
    cargo_without_fuzzer(root, "test", &[])
}

/// Lints, warnings denied.
pub fn clippy(root: &Path) -> Result<(), Failure> {
    cargo_without_fuzzer(root, "clippy", &["--all-targets", "--", "-D", "warnings"])
}

/// What is built for the workspace is used here too.
fn cargo_without_fuzzer(root: &Path, verb: &str, arguments: &[&str]) -> Result<(), Failure> {
    let crate_arguments = [verb, "--manifest-path", "fuzz/Cargo.toml", "--no-default-features"];
    let mut cargo = command(root, &crate_arguments);
    cargo.arg("--quiet").arg("--target-dir").arg(target_directory(root));
    run(cargo.args(arguments))
}

/// Lets the fuzzer loose on each target. What it learns is kept below `fuzz/target`, for the next
/// night; a crash is left in `fuzz/artifacts`.
pub fn fuzz(root: &Path) -> Result<(), Failure> {
    targets(root)?.iter().try_for_each(|target| fuzz_one(root, target))
}

fn fuzz_one(root: &Path, target: &str) -> Result<(), Failure> {
    let learnt = format!("fuzz/target/corpus/{target}");
    std::fs::create_dir_all(root.join(&learnt)).map_err(|error| format!("{learnt}: {error}"))?;
    let kept = ["corpus", "crashes"].map(|kept| format!("fuzz/{kept}/{target}"));
    let (_, seconds) = setting("COSINE_FUZZ_SECONDS", "60");
    let mut fuzz = command(root, &["fuzz", "run", target, &learnt]);
    fuzz.args(kept.iter().filter(|kept| root.join(kept).exists()));
    fuzz.args(["--", LENGTH, TIMEOUT, MEMORY]);
    fuzz.arg(format!("-max_total_time={}", seconds.display()));
    // The sanitizer's flags are not stable, but the compiler of everything else has them.
    run(fuzz.env("RUSTC_BOOTSTRAP", "1"))
}

/// The names of the targets: each has a program.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let directory = root.join("fuzz/fuzz_targets");
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut names = Vec::new();
    for entry in directory.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort_unstable();
    Ok(names)
}
