//! Reads what strace wrote: system calls, each as its begin and its end, in the order in which they
//! happened.

use std::io::BufRead;
use std::path::Path;
use std::process::Command;

use crate::Failure;

/// Every call that changes files, or that says which file another call is about. `read` is among
/// them for the file position that it moves; calls that this test does not understand
/// (`sync_file_range`, writable shared mappings, ...) are recorded so that it can refuse them.
const CALLS: &str = "openat,open,creat,openat2,close,close_range,dup,dup2,dup3,fcntl,lseek,read,readv,\
    write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,\
    sync_file_range,sync,syncfs,mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,\
    link,linkat,symlink,symlinkat,mmap,copy_file_range,sendfile,splice,io_uring_setup";
/// More than any single write of the workload has.
const STRING_BYTES_MAX: &str = "16777216";

/// A command that runs `program` and records its calls in `trace`.
pub fn record(program: &Path, trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "--seccomp-bpf", "-qq", "-xx", "-s", STRING_BYTES_MAX]);
    strace.args(["-e", "signal=none", "-e", "raw=read,readv"]);
    strace.arg("-e").arg(format!("trace={CALLS}")).arg("-o").arg(trace).arg(program);
    strace
}

pub type Thread = u32;

/// One of the two moments of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It is about to happen.
    Begin(Thread, Call),
    /// It has happened, with this result; `None` if it failed.
    End(Thread, Option<i64>),
}

/// A call as strace prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Vec<String>,
}

impl Call {
    /// The `at`-th argument as a number; `None` for `AT_FDCWD` and the like.
    pub fn number(&self, at: usize) -> Option<i64> {
        let text = self.arguments.get(at)?;
        match text.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// The bytes of every string in the `at`-th argument, one after the other.
    pub fn bytes(&self, at: usize) -> Vec<u8> {
        let text = self.arguments.get(at).map_or("", String::as_str);
        text.split('"').skip(1).step_by(2).flat_map(unescape).collect()
    }

    /// The `at`-th argument as a path.
    pub fn path(&self, at: usize) -> String {
        String::from_utf8_lossy(&self.bytes(at)).into_owned()
    }

    /// Whether the `at`-th argument names this flag.
    pub fn has(&self, at: usize, flag: &str) -> bool {
        self.arguments.get(at).is_some_and(|flags| flags.split('|').any(|one| one == flag))
    }
}

/// `\x68\x69` as bytes.
fn unescape(text: &str) -> impl Iterator<Item = u8> {
    text.as_bytes().chunks_exact(4).map(|escape| {
        let digit = |at: usize| (escape[at] as char).to_digit(16).unwrap_or(0) as u8;
        digit(2) << 4 | digit(3)
    })
}

/// Reads a whole trace.
pub fn read(trace: &Path) -> Result<Vec<Event>, Failure> {
    let file = std::fs::File::open(trace).map_err(|error| format!("{trace:?}: {error}"))?;
    let mut events = Vec::new();
    for line in std::io::BufReader::with_capacity(1 << 20, file).lines() {
        let line = line.map_err(|error| error.to_string())?;
        parse(&line, &mut events).ok_or_else(|| {
            format!("not understood in the trace: {}", line.chars().take(300).collect::<String>())
        })?;
    }
    Ok(events)
}

/// `12 call(a, b) = 0`, or in two lines `12 call(a, b <unfinished ...>` and
/// `12 <... call resumed>) = 0`.
fn parse(line: &str, events: &mut Vec<Event>) -> Option<()> {
    let (thread, rest) = line.split_once(' ')?;
    let (thread, rest) = (thread.parse().ok()?, rest.trim_start());
    if rest.starts_with("+++") || rest.starts_with("---") {
        return Some(()); // an exit, a signal
    }
    if let Some(resumed) = rest.strip_prefix("<... ") {
        events.push(Event::End(thread, result(resumed)?));
        return Some(());
    }
    let (name, rest) = rest.split_once('(')?;
    let call = |arguments| Call { name: name.to_owned(), arguments: split(arguments) };
    if let Some(arguments) = rest.strip_suffix("<unfinished ...>") {
        events.push(Event::Begin(thread, call(arguments)));
    } else {
        let end = rest.rfind(" = ")?;
        events.push(Event::Begin(thread, call(rest[..end].trim_end().strip_suffix(')')?)));
        events.push(Event::End(thread, result(rest)?));
    }
    Some(())
}

/// What stands behind the last `=`.
fn result(text: &str) -> Option<Option<i64>> {
    let word = text.rsplit_once(" = ")?.1.split(' ').next()?;
    if word == "?" || word.starts_with('-') {
        return Some(None);
    }
    let hex = word.strip_prefix("0x").map(|hex| i64::from_str_radix(hex, 16).ok());
    hex.unwrap_or_else(|| word.parse().ok()).map(Some)
}

/// Arguments are separated by commas, save within brackets; strings are all escapes.
fn split(arguments: &str) -> Vec<String> {
    let (mut depth, mut found, mut from) = (0, vec![], 0);
    for (at, letter) in arguments.bytes().enumerate() {
        match letter {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.push(arguments[from..at].trim().to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(arguments[from..].trim().to_owned());
    found
}
