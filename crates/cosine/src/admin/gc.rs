//! `cosine admin gc`: the collector.

use clap::{Arg, ArgMatches, Command};
use http::Method;
use serde_json::Value;

use crate::error::Error;

use super::client::Client;
use super::{number, table};

const PATH: &str = "/-/admin/gc";

pub fn command() -> Command {
    let grace = Arg::new("grace")
        .long("grace")
        .value_name("SECONDS")
        .value_parser(clap::value_parser!(u64))
        .help("In place of the server's gc_grace. With less than the longest download takes, downloads break off.");
    Command::new("gc")
        .about("The collector: what becomes of the bytes in the store")
        .subcommand_required(true)
        .subcommand(Command::new("status").about("Shows the ledger"))
        .subcommand(
            Command::new("run").about("Collects until there is nothing left to do").arg(grace),
        )
}

pub async fn run(client: &Client, matches: &ArgMatches) -> Result<(Value, String), Error> {
    match matches.subcommand() {
        Some(("run", matches)) => collect(client, matches.get_one::<u64>("grace").copied()).await,
        _ => {
            let answer = client.ask(Method::GET, PATH, &[]).await?;
            let text = ledger(&answer);
            Ok((answer, text))
        }
    }
}

/// The server answers after a while, done or not; the sum is what is shown.
async fn collect(client: &Client, grace: Option<u64>) -> Result<(Value, String), Error> {
    let headers: Vec<_> =
        grace.map(|grace| ("x-cosine-grace", grace.to_string())).into_iter().collect();
    let names = ["contents", "blobs", "bytes", "orphans", "quarantined"];
    let mut sums = [0; 5];
    loop {
        let answer = client.ask(Method::POST, PATH, &headers).await?;
        for (sum, name) in sums.iter_mut().zip(names) {
            *sum += number(&answer, &format!("/{name}"));
        }
        if answer.get("more").and_then(Value::as_bool) != Some(true) {
            break;
        }
    }
    let answer = names.iter().zip(sums).map(|(name, n)| ((*name).to_owned(), n.into())).collect();
    let [contents, blobs, bytes, orphans, quarantined] = sums;
    let text = table(&[
        ("contents removed", contents),
        ("blobs deleted", blobs),
        ("bytes reclaimed", bytes),
        ("blobs of ended runs doomed", orphans),
        ("blobs put aside, since nothing explains them", quarantined),
    ]);
    Ok((Value::Object(answer), text))
}

fn ledger(answer: &Value) -> String {
    let row = |(name, path)| (name, number(answer, path));
    let rows = [
        ("live, bytes", "/live/bytes"),
        ("shared by copies, bytes", "/shared/bytes"),
        ("released, contents to look at", "/released/contents"),
        ("condemned, bytes", "/condemned/bytes"),
        ("doomed, blobs waiting for the grace", "/doomed/blobs"),
        ("doomed, bytes", "/doomed/bytes"),
        ("reclaimed, bytes since the store began", "/reclaimed/bytes"),
        ("put aside, blobs", "/quarantined/blobs"),
    ];
    table(&rows.map(row))
}
