//! `cosine`: arguments and configuration in, a running server out.

mod admin;
mod background;
mod banner;
mod credentials;
mod dev;
mod error;
mod fault;
mod files;
mod fsck;
mod kms;
mod master_key;
#[cfg(test)]
mod monitoring;
mod pools;
mod run;
mod secrecy;
mod serve;
mod settings;
mod sign;
mod units;

use std::io::Write;
use std::process::ExitCode;

use clap::Command;
use settings::{Settings, Use};

fn main() -> ExitCode {
    let command = Command::new("cosine")
        .about("A self-hosted object store that speaks Tencent Cloud Object Storage (COS)")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .subcommand(
            Command::new("serve")
                .about("Serves a data directory")
                .args(settings::arguments(Use::Serve)),
        )
        .subcommand(
            Command::new("dev")
                .about("Serves from memory with well-known credentials: nothing is written to disk")
                .args(settings::arguments(Use::Dev))
                .arg(dev::fault_argument()),
        )
        .subcommand(admin::command())
        .subcommand(fsck::command())
        .subcommand(sign::command());
    let done = |()| ExitCode::SUCCESS;
    let result = match command.get_matches().subcommand() {
        Some(("serve", matches)) => {
            Settings::resolve(Use::Serve, matches).and_then(serve::run).map(done)
        }
        Some(("dev", matches)) => Settings::resolve(Use::Dev, matches)
            .and_then(|settings| dev::run(settings, dev::fault(matches)))
            .map(done),
        Some(("admin", matches)) => admin::run(matches).map(done),
        Some(("fsck", matches)) => fsck::run(matches),
        Some(("sign", matches)) => sign::run(matches).map(done),
        _ => Ok(ExitCode::SUCCESS),
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "cosine: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}
