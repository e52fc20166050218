//! The Node.js suite: npm installs what it needs beside it, when it is not there yet.

use std::path::Path;
use std::process::Command;

use crate::{Failure, release_binary, run};

/// Runs the suite.
pub fn test(root: &Path) -> Result<(), Failure> {
    let binary = release_binary(root)?;
    let suite = root.join("tests/node");
    let lock = suite.join("package-lock.json");
    let installed = suite.join("node_modules/installed.json");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    if read(&installed) != read(&lock) {
        let mut npm = Command::new("npm");
        run(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&suite))?;
        std::fs::copy(&lock, &installed).map_err(|error| error.to_string())?;
    }
    // Newer versions of Node.js take no directory; told nothing, each looks below the current one.
    run(Command::new("node").arg("--test").current_dir(&suite).env("COSINE_BIN", binary))
}
