//! Measures Cosine against its targets, as ratios taken in one run.
//!
//! It reports and does not judge: a missed target, and a workload that could not be measured, are
//! printed as such, and the exit status is 0.

mod admin;
mod client;
mod effort;
mod load;
mod report;
mod request;
mod server;
mod workload;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};

use workload::single::{Kind, Single};
use workload::{GIB, KIB, MIB, Settings};

/// A workload with targets: its name, what it does, its function.
type Workload = (&'static str, &'static str, fn(&Settings) -> Result<(), Box<dyn Error>>);

const WORKLOADS: [Workload; 14] = [
    ("start", "Time from exec to the first answer", workload::start::run),
    ("copy", "Copies of a small and a large object, and small puts", workload::copy::run),
    ("put", "Small durable puts, few and many at once, and their sync calls", workload::put::run),
    ("get", "Reads, beside nginx", workload::get::run),
    ("access", "Reads that are signed and decided, beside public ones", workload::access::run),
    ("memory", "Memory of the server, idle and under large transfers", workload::memory::run),
    (
        "idle",
        "Reads beside idle and beside very slow clients, and what those hold",
        workload::idle::run,
    ),
    ("reference", "Copies of composed objects, and of ranges into parts", workload::reference::run),
    ("copies", "Very many copies, of one object and of many", workload::copies::run),
    (
        "listing",
        "Pages of small and of large buckets, and of many versions",
        workload::listing::run,
    ),
    ("transcode", "Copies whose bytes move to another storage pool", workload::transcode::run),
    (
        "encryption",
        "Copies between kinds of encryption, and reads of sealed objects",
        workload::encryption::run,
    ),
    ("churn", "Disk use after many rounds of overwriting and deleting", workload::churn::run),
    ("background", "Reads beside the collector and the scrub", workload::background::run),
];

/// `statfs` gives this as the type of a tmpfs.
const TMPFS_MAGIC: i64 = 0x0102_1994;

fn main() {
    let matches = command().get_matches();
    let Some((name, arguments)) = matches.subcommand() else { return };
    let settings = settings(&matches);
    print_surroundings(&settings.data_parent);
    if name == "load" {
        note(name, workload::single::run(&settings, single(arguments)));
        return;
    }
    for (workload, _, run) in WORKLOADS {
        if name == workload || name == "all" {
            note(workload, run(&settings));
        }
    }
}

fn note(workload: &str, outcome: Result<(), Box<dyn Error>>) {
    if let Err(error) = outcome {
        println!("- **NOT MEASURED** {workload}: {error}");
    }
}

fn command() -> Command {
    let mut command = Command::new("cosine-bench")
        .about("Measures Cosine against its targets, as ratios taken in one run")
        .subcommand_required(true)
        .args([
            path("cosine", "The Cosine program", "target/release/cosine"),
            path("nginx", "The nginx program", "nginx"),
            Arg::new("data-parent")
                .long("data-parent")
                .value_name("DIR")
                .help("Where data directories are made; a real disk [default: system temp]")
                .value_parser(value_parser!(PathBuf))
                .global(true),
            number("rounds", "Times that each run is repeated", "5"),
            Arg::new("seconds")
                .long("seconds")
                .value_name("SECONDS")
                .help("Length of one run")
                .value_parser(seconds)
                .default_value("2")
                .global(true),
            size("large", "Size of the large object of copy, memory and transcode", "1GiB")
                .global(true),
            number("clients", "Clients of the memory workload", "8"),
            number("counted-puts", "Puts to count sync calls over", "5000"),
            number("copies", "Copies in a run of the copies workload", "100000"),
            number("objects", "Objects in the large bucket of listing", "1000000"),
            number("versions", "Versions of each of 1,000 keys of listing", "1001"),
        ]);
    for (name, about, _) in WORKLOADS {
        command = command.subcommand(Command::new(name).about(about));
    }
    command.subcommand(Command::new("all").about("All workloads with targets")).subcommand(
        Command::new("load").about("One load of your choice, without a target").args([
            Arg::new("kind").required(true).value_parser(["put", "get", "copy", "head"]),
            size("size", "Size of the objects", "1KiB"),
            number("connections", "Connections", "32").short('c').global(false),
            Arg::new("count")
                .long("count")
                .value_name("N")
                .help("Requests to send, instead of a time")
                .value_parser(value_parser!(u64).range(1..)),
        ]),
    )
}

fn path(name: &'static str, help: &'static str, default: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("PATH")
        .help(help)
        .value_parser(value_parser!(PathBuf))
        .default_value(default)
        .global(true)
}

fn number(name: &'static str, help: &'static str, default: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("N")
        .help(help)
        .value_parser(value_parser!(u32).range(1..))
        .default_value(default)
        .global(true)
}

fn size(name: &'static str, help: &'static str, default: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("SIZE")
        .help(help)
        .value_parser(parse_size)
        .default_value(default)
}

/// A number of bytes: `1500`, `4KiB`, `64MiB`, `1GiB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let units = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("", 1)];
    let suffixed = |(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, unit));
    let (number, unit) = units.into_iter().find_map(suffixed).unwrap_or((text, 1));
    let number: u64 = number.trim().parse().map_err(|_| "not of the form 1500, 4KiB, 1GiB")?;
    number.checked_mul(unit).ok_or_else(|| "too large".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number")?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("not a length of time".to_owned()) } else { Ok(duration) }
}

fn settings(matches: &ArgMatches) -> Settings {
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let number = |name| matches.get_one::<u32>(name).copied().unwrap_or(1);
    Settings {
        cosine: path("cosine").unwrap_or_default(),
        nginx: path("nginx").unwrap_or_default(),
        data_parent: path("data-parent").unwrap_or_else(std::env::temp_dir),
        rounds: number("rounds"),
        run: matches.get_one("seconds").copied().unwrap_or(Duration::from_secs(2)),
        large_bytes: matches.get_one("large").copied().unwrap_or(GIB),
        clients: number("clients"),
        counted_puts: u64::from(number("counted-puts")),
        copies: number("copies") as usize,
        objects: number("objects") as usize,
        versions: number("versions") as usize,
    }
}

fn single(matches: &ArgMatches) -> Single {
    let kind = match matches.get_one::<String>("kind").map(String::as_str) {
        Some("get") => Kind::Get,
        Some("copy") => Kind::Copy,
        Some("head") => Kind::Head,
        _ => Kind::Put,
    };
    Single {
        kind,
        bytes: matches.get_one("size").copied().unwrap_or(KIB),
        connections: matches.get_one("connections").copied().unwrap_or(1),
        count: matches.get_one("count").copied(),
    }
}

/// Says what figures depend on beside the programs.
fn print_surroundings(data_parent: &Path) {
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("{processors} processors, client included; data below {}", data_parent.display());
    let on_tmpfs = rustix::fs::statfs(data_parent).is_ok_and(|fs| fs.f_type == TMPFS_MAGIC);
    if on_tmpfs {
        println!("WARNING: that is a tmpfs. Figures of durable writes mean nothing there.");
    }
    if cfg!(debug_assertions) {
        println!("WARNING: the load generator is a debug build. Use --release.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("1500"), Ok(1500));
        assert_eq!(parse_size("4KiB"), Ok(4096));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert!(parse_size("1GB").is_err());
        assert!(parse_size("99999999999GiB").is_err());
        assert_eq!(workload::size_text(4096), "4 KiB");
        assert_eq!(workload::size_text(1500), "1500 B");
    }
}
