//! `cosine admin`: the administration of a server that runs, over its own listener, signed with the
//! root credential, or, for users and their keys, with that of their account.

mod asks;
mod client;
mod gc;
mod scrub;

use std::io::Write;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use crate::error::Error;
use client::Client;

/// The command line of `cosine admin`.
pub fn command() -> Command {
    let global = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).global(true).help(help)
    };
    let credential = "The root credential's, as the server has it";
    Command::new("admin")
        .about("Looks after a server that runs, with the root credential")
        .subcommand_required(true)
        .arg(
            global("endpoint", "URL", "The server, such as http://127.0.0.1:9000.")
                .default_value("http://127.0.0.1:9000"),
        )
        .arg(global("ca", "FILE", "Certificate in PEM to trust, beside those of the system."))
        .arg(global(
            "data",
            "DIR",
            "Data directory with the root credential, if the environment has none.",
        ))
        .arg(global("secret-id", "ID", credential))
        .arg(global("secret-key", "KEY", credential))
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Prints the answer as JSON."),
        )
        .subcommand(gc::command())
        .subcommand(scrub::command())
        .subcommands(asks::commands())
}

/// Asks, and prints the answer.
pub fn run(matches: &ArgMatches) -> Result<(), Error> {
    let (name, matches) = matches.subcommand().unwrap_or(("", matches));
    let client = Client::new(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::System("cannot start".to_owned(), error))?;
    let (answer, text) = runtime.block_on(async {
        match name {
            "gc" => gc::run(&client, matches).await,
            "scrub" => scrub::run(&client, matches).await,
            group => asks::run(&client, group, matches).await,
        }
    })?;
    let text = if matches.get_flag("json") { answer.to_string() } else { text };
    writeln!(std::io::stdout(), "{}", text.trim_end())
        .map_err(|error| Error::System("cannot print".to_owned(), error))
}

/// The number at a path in an answer, such as `/doomed/bytes`; 0 if there is none.
fn number(answer: &Value, path: &str) -> u64 {
    answer.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// Rows of words and numbers.
fn table(rows: &[(&str, u64)]) -> String {
    rows.iter().map(|(name, n)| format!("{name:42} {n:>16}\n")).collect()
}
