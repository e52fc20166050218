//! The Python suite: its environment is made here, below `target/`, when it is not there yet.

use std::path::Path;
use std::process::Command;

use crate::{Failure, release_binary, run, setting};

/// Runs the suite.
pub fn test(root: &Path) -> Result<(), Failure> {
    run(&mut pytest(root)?)
}

/// Runs the loop that kills the server.
pub fn kill(root: &Path) -> Result<(), Failure> {
    let kills = [setting("COSINE_KILL_ROUNDS", "200")];
    run(pytest(root)?.arg("test_restart.py").envs(kills))
}

/// Builds the release binary and makes the environment; returns the command that runs the suite.
fn pytest(root: &Path) -> Result<Command, Failure> {
    let binary = release_binary(root)?;
    let suite = root.join("tests/sdk");
    let requirements = suite.join("requirements.txt");
    let environment = root.join("target/sdk-venv");
    let python = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    if read(&installed) != read(&requirements) || !python.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        run(pip.arg(&requirements))?;
        std::fs::copy(&requirements, &installed).map_err(|error| error.to_string())?;
    }
    let mut pytest = Command::new(&python);
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).current_dir(&suite);
    pytest.env("COSINE_BIN", binary);
    Ok(pytest)
}
