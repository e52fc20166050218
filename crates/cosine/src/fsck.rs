//! `cosine fsck`: is everything in a data directory sound?

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use cosine_kv::Embedded;
use cosine_store::Engines;
use cosine_store::fsck::{Finding, Flaw, FsckOptions, Progress, Report, fsck};
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Error;
use crate::pools;

/// What the exit status is when something is not sound.
const NOT_SOUND: u8 = 1;

/// The command and its flags.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("fsck")
        .about("Checks a data directory that no server has open; exits with 0 only if all is sound")
        .arg(
            Arg::new("data")
                .long("data")
                .value_name("DIR")
                .help("The data directory. [COSINE_DATA, default cosine-data]"),
        )
        .arg(flag("deep", "Reads every byte of every object."))
        .arg(flag(
            "repair",
            "Rebuilds what can be derived, puts aside what nothing explains, marks damaged objects.",
        ))
        .arg(flag("json", "Prints the report as JSON."))
}

/// Checks, and prints what came out.
pub fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let named = matches.get_one::<String>("data").cloned();
    let data = named.or_else(|| std::env::var("COSINE_DATA").ok().filter(|data| !data.is_empty()));
    let data = PathBuf::from(data.unwrap_or_else(|| "cosine-data".to_owned()));
    let options =
        FsckOptions { deep: matches.get_flag("deep"), repair: matches.get_flag("repair") };
    let report = check(&data, options)?;
    let text = if matches.get_flag("json") { json(&report) } else { table(&report) };
    let written = writeln!(std::io::stdout(), "{text}");
    written.map_err(|error| Error::System("cannot print the report".to_owned(), error))?;
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(NOT_SOUND) })
}

fn check(data: &Path, options: FsckOptions) -> Result<Report, Error> {
    let failed = |error: cosine_store::Error| Error::Store(data.display().to_string(), error);
    let meta = data.join("meta");
    if !meta.is_dir() || !data.join("blobs").is_dir() {
        return Err(Error::Settings(format!("there is no store in {}", data.display())));
    }
    let kv = Embedded::open(&meta, Default::default()).map_err(|error| failed(error.into()))?;
    let blobs = pools::open_all(data)?;
    let engines = Engines { kv: Arc::new(kv), blobs: Arc::new(blobs) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Error::System("cannot start threads".to_owned(), error))?;
    let mut bar = Bar::default();
    let report =
        runtime.block_on(fsck(&engines, options, &mut |progress| bar.show(progress, options)));
    bar.end();
    report.map_err(failed)
}

/// A bar for each phase, on a terminal only.
#[derive(Default)]
struct Bar {
    bar: Option<(&'static str, ProgressBar)>,
}

impl Bar {
    fn show(&mut self, progress: Progress, options: FsckOptions) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        if self.bar.as_ref().is_none_or(|(phase, _)| *phase != progress.phase) {
            self.end();
            let bytes = options.deep && progress.phase == "contents";
            self.bar = Some((progress.phase, begin(progress, bytes)));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(progress.done);
        }
    }

    fn end(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn begin(progress: Progress, bytes: bool) -> ProgressBar {
    let template = match (progress.total, bytes) {
        (Some(_), true) => "{msg:10} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
        (Some(_), false) => "{msg:10} {wide_bar} {pos}/{len} {per_sec} {eta} left",
        (None, _) => "{msg:10} {pos} {per_sec}",
    };
    let style = ProgressStyle::with_template(template);
    let bar = progress.total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_message(progress.phase)
}

fn json(report: &Report) -> String {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("sound".to_owned(), report.is_sound().into());
    }
    value.to_string()
}

fn table(report: &Report) -> String {
    let counts = &report.counts;
    let rows = [
        ("rows of metadata", counts.rows),
        ("buckets", counts.buckets),
        ("versions", counts.versions),
        ("delete markers", counts.delete_markers),
        ("uploads under way", counts.uploads),
        ("parts of uploads", counts.parts),
        ("contents", counts.contents),
        ("bytes in contents", counts.content_bytes),
        ("bytes read and verified", counts.verified_bytes),
        ("references", counts.references),
        ("blobs", counts.blobs),
        ("blobs doomed", counts.doomed_blobs),
        ("blobs left by ended runs", counts.orphaned_blobs),
        ("blobs put aside", counts.quarantined_blobs),
    ];
    let mut text: String = rows.iter().map(|(name, n)| format!("{name:26} {n:>16}\n")).collect();
    let mended = report.mended.iter().map(|finding| match finding.flaw {
        Flaw::DamagedObject => ("marked", finding), // it is damaged still
        _ => ("mended", finding),
    });
    let findings = report.findings.iter().map(|finding| ("NOT SOUND", finding));
    for (word, Finding { subject, what, .. }) in mended.chain(findings) {
        text += &format!("{word}: {subject}: {what}\n");
    }
    text += &match report.flaws {
        0 => "all is sound".to_owned(),
        n => format!("{n} things are not sound"),
    };
    text
}
