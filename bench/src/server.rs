//! The servers under measurement as child processes, and what can be seen of them from outside.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::request::{APPID, REGION, SECRET_ID, SECRET_KEY};

/// A server that is not ready by then has failed to start.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// A process that has not ended so long after its signal is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const SETTINGS_FILE: &str = "settings.toml";
/// What Cosine prints on stdout before its address.
const READY_LINE: &str = "cosine is ready: http://";
/// At most so much of the end of a failed server's log is quoted, in bytes.
const LOG_QUOTE_BYTES_MAX: usize = 2000;

/// A child process that is asked to end, and waited for, when it is dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    stop_signal: Signal,
}

impl Process {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal and waits for the end; kills when it takes too long.
    fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), self.stop_signal)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > STOP_WITHIN {
                self.child.kill()?;
                self.child.wait()?;
                return Err(io::Error::other("the process ignored its signal and was killed"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("stopping process {}: {error}", self.pid());
        }
    }
}

/// Which way Cosine is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `cosine serve`, on an empty data directory.
    Serve,
    /// `cosine dev`, in memory.
    Dev,
}

/// A running Cosine with its data, both gone when it is dropped.
#[derive(Debug)]
pub struct Cosine {
    /// Where it listens.
    pub address: SocketAddr,
    /// Just before the process was made.
    pub spawned: Instant,
    // The process before its directory: fields are dropped in this order.
    process: Process,
    directory: TempDir,
}

impl Cosine {
    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// The program cannot be run, or ends or stays silent instead of getting ready.
    pub fn start(program: &Path, mode: Mode, data_parent: &Path) -> io::Result<Self> {
        Self::start_with(program, mode, data_parent, &[])
    }

    /// The same, with settings as environment variables.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        program: &Path,
        mode: Mode,
        data_parent: &Path,
        settings: &[(&str, &str)],
    ) -> io::Result<Self> {
        Self::launch(program, mode, data_parent, settings, "")
    }

    /// `cosine serve` with a file of settings. A path in there is below [`Self::directory`].
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_configured(program: &Path, data_parent: &Path, file: &str) -> io::Result<Self> {
        Self::launch(program, Mode::Serve, data_parent, &[], file)
    }

    fn launch(
        program: &Path,
        mode: Mode,
        data_parent: &Path,
        settings: &[(&str, &str)],
        file: &str,
    ) -> io::Result<Self> {
        let program = fs::canonicalize(program).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.display()))
        })?;
        let directory = directory_in(data_parent)?;
        let data = directory.path().join("data");
        let log = directory.path().join("log");
        fs::create_dir(&data)?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COSINE_") {
                command.env_remove(name);
            }
        }
        match mode {
            Mode::Dev => command.arg("dev"),
            Mode::Serve => command
                .arg("serve")
                .arg("--data")
                .arg(&data)
                .env("COSINE_SECRET_ID", SECRET_ID)
                .env("COSINE_SECRET_KEY", SECRET_KEY)
                .env("COSINE_APPID", APPID)
                .env("COSINE_REGIONS", REGION),
        };
        // Else its memory is measured by root alone.
        command.env("COSINE_CORE_FILES", "true").envs(settings.iter().copied());
        if !file.is_empty() {
            fs::write(directory.path().join(SETTINGS_FILE), file)?;
            command.args(["--config", SETTINGS_FILE]);
        }
        command.args(["--listen", "127.0.0.1:0"]).current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let spawned = Instant::now();
        let mut process = Process { child: command.spawn()?, stop_signal: Signal::TERM };
        let stdout = process.child.stdout.take();
        let stdout = stdout.ok_or_else(|| io::Error::other("the server has no stdout"))?;
        let address = wait_until_ready(stdout).map_err(|error| quoting_log(error, &log))?;
        Ok(Self { address, spawned, process, directory })
    }

    /// The directory that it was started in, with everything of it below.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Reads the ready line, and leaves a thread behind that keeps the pipe empty.
fn wait_until_ready(stdout: impl Read + Send + 'static) -> io::Result<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = ready_address(&line) {
                // Nobody listens for a second one.
                let _ = sender.send(address);
            }
        }
    });
    receiver.recv_timeout(READY_WITHIN).map_err(|_| {
        io::Error::other(format!("no line \"{READY_LINE}ADDRESS\" came from the server"))
    })
}

fn ready_address(line: &str) -> Option<SocketAddr> {
    line.trim().strip_prefix(READY_LINE)?.trim_end_matches('/').parse().ok()
}

fn quoting_log(error: io::Error, log: &Path) -> io::Error {
    let text = fs::read(log).unwrap_or_default();
    let tail = text.get(text.len().saturating_sub(LOG_QUOTE_BYTES_MAX)..).unwrap_or_default();
    io::Error::other(format!("{error}\n{}", String::from_utf8_lossy(tail)))
}

/// A new directory below `parent`, gone when dropped.
fn directory_in(parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("cosine-bench-").tempdir_in(fs::canonicalize(parent)?)
}

/// A running nginx that serves static files, gone with them when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
    directory: TempDir,
}

impl Nginx {
    /// Starts it and waits until it accepts connections.
    ///
    /// # Errors
    /// The program cannot be run, or does not get ready.
    pub fn start(program: &Path, data_parent: &Path) -> io::Result<Self> {
        let directory = directory_in(data_parent)?;
        fs::create_dir(directory.path().join("files"))?;
        // nginx does not tell which port it got, so it is told a free one.
        let address = free_address()?;
        let config = directory.path().join("nginx.conf");
        fs::write(&config, nginx_config(address, geteuid().is_root()))?;
        let log = directory.path().join("log");
        let mut command = Command::new(program);
        command.arg("-p").arg(directory.path()).arg("-c").arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.display()))
        })?;
        let mut process = Process { child, stop_signal: Signal::TERM };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if process.child.try_wait()?.is_some() || started.elapsed() > READY_WITHIN {
                let error = io::Error::other("nginx did not get ready");
                return Err(quoting_log(error, &log));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { address, _process: process, directory })
    }

    /// The path of a served file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("files").join(name)
    }
}

/// An address that nobody listens at, for those who do not tell which one they got.
///
/// # Errors
/// There is none.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// `as_root`: the workers must stay root to see files below a private directory.
fn nginx_config(address: SocketAddr, as_root: bool) -> String {
    let user = if as_root { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;
worker_processes auto;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  open_file_cache max=100000 inactive=1h;
  open_file_cache_valid 1h;
  client_body_temp_path temp-body;
  proxy_temp_path temp-proxy;
  fastcgi_temp_path temp-fastcgi;
  uwsgi_temp_path temp-uwsgi;
  scgi_temp_path temp-scgi;
  server {{ listen {address}; root files; }}
}}
"
    )
}

/// Bytes on the disk in everything below a directory, as `du` counts them. What goes away meanwhile
/// does not count.
///
/// # Errors
/// The directory cannot be read.
pub fn disk_use(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += metadata.blocks() * 512;
        if metadata.is_dir() {
            bytes += disk_use(&entry.path())?;
        }
    }
    Ok(bytes)
}

/// A field of `/proc/PID/status` that is given in kB, such as `VmRSS` (resident now) and `VmHWM`
/// (the most that ever was); in bytes.
///
/// # Errors
/// The process is gone, or the field is not there.
pub fn status_bytes(pid: u32, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = status_field(&text, field).and_then(|value| {
        value.strip_suffix("kB").and_then(|number| number.trim().parse::<u64>().ok())
    });
    kilobytes
        .map(|number| number * 1024)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no {field} in kB")))
}

/// From here on, `VmHWM` is the most since now.
///
/// # Errors
/// The process is gone, or another user's.
pub fn forget_peak(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

fn status_field<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim()))
}

/// An strace that counts the sync calls of a process.
#[derive(Debug)]
pub struct SyncCounter {
    process: Process,
    directory: TempDir,
}

impl SyncCounter {
    /// Attaches to all threads of the process; returns once all are traced.
    ///
    /// # Errors
    /// strace is missing or is not allowed to trace.
    pub fn attach(pid: u32) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let log = directory.path().join("log");
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,msync"]);
        command.arg("-o").arg(directory.path().join("summary")).args(["-p", &pid.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("strace: {error}")))?;
        let mut process = Process { child, stop_signal: Signal::INT };
        let started = Instant::now();
        while !traced(pid)? {
            if process.child.try_wait()?.is_some() || started.elapsed() > READY_WITHIN {
                return Err(quoting_log(io::Error::other("strace did not attach"), &log));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { process, directory })
    }

    /// Detaches; the number of sync calls since [`Self::attach`].
    ///
    /// # Errors
    /// strace left no summary that can be read.
    pub fn finish(mut self) -> io::Result<u64> {
        self.process.stop()?;
        let summary = fs::read_to_string(self.directory.path().join("summary"))?;
        sync_calls(&summary)
            .ok_or_else(|| io::Error::other(format!("strace's summary reads:\n{summary}")))
    }
}

/// Whether every thread of the process has a tracer. A thread that ends meanwhile does not count.
fn traced(pid: u32) -> io::Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        if status_field(&text, "TracerPid") == Some("0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The calls in a summary of `strace -c`; 0 when it is empty, as it is when there were none.
/// Columns: % time, seconds, usecs/call, calls, errors (may be blank), syscall.
fn sync_calls(summary: &str) -> Option<u64> {
    let rows = summary.lines().filter(|line| !line.trim().is_empty());
    let mut calls = 0;
    for row in rows {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let is_call = columns.last().is_some_and(|name| {
            matches!(*name, "fsync" | "fdatasync" | "sync_file_range" | "syncfs" | "msync")
        });
        if is_call {
            calls += columns.get(3)?.parse::<u64>().ok()?;
        }
    }
    Some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_gives_the_address() {
        let address = ready_address("cosine is ready: http://127.0.0.1:4567");
        assert_eq!(address, Some(SocketAddr::from(([127, 0, 0, 1], 4567))));
        assert_eq!(ready_address("  secret id: x"), None);
    }

    #[test]
    fn the_summary_of_strace_is_added_up() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.00    0.019446         129       150         3 fdatasync
  2.00    0.000411         411         1           fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.019857         131       151         3 total
";
        assert_eq!(sync_calls(summary), Some(151));
        assert_eq!(sync_calls(""), Some(0));
    }

    #[test]
    fn the_own_status_can_be_read() {
        let peak = status_bytes(std::process::id(), "VmHWM").unwrap();
        assert!(peak >= status_bytes(std::process::id(), "VmRSS").unwrap());
        assert!(status_bytes(std::process::id(), "VmNothing").is_err());
    }
}
