//! `cosine admin scrub`: the scrub.

use clap::{ArgMatches, Command};
use http::Method;
use serde_json::Value;

use crate::error::Error;

use super::client::Client;
use super::{number, table};

const PATH: &str = "/-/admin/scrub";

pub fn command() -> Command {
    Command::new("scrub")
        .about("The scrub: reads everything now and then to find damage early")
        .subcommand_required(true)
        .subcommand(Command::new("status").about("Shows how far it has come, and what is damaged"))
        .subcommand(Command::new("run").about("Begins a pass now, from the start"))
}

pub async fn run(client: &Client, matches: &ArgMatches) -> Result<(Value, String), Error> {
    if matches.subcommand_name() == Some("run") {
        let answer = client.ask(Method::POST, PATH, &[]).await?;
        return Ok((answer, "a pass has begun".to_owned()));
    }
    let answer = client.ask(Method::GET, PATH, &[]).await?;
    let text = status(&answer);
    Ok((answer, text))
}

fn status(answer: &Value) -> String {
    let running = answer.get("running").and_then(Value::as_bool) == Some(true);
    let pass = number(answer, "/pass");
    let mut text = match (pass, running) {
        (0, _) => "no pass has begun\n".to_owned(),
        (pass, true) => format!("pass {pass} is under way\n"),
        (pass, false) => format!("pass {pass} has ended\n"),
    };
    let row = |(name, path)| (name, number(answer, path));
    text += &table(
        &[
            ("contents seen in it", "/seen/live/contents"),
            ("bytes verified in it", "/seen/live/bytes"),
            ("damaged contents", "/damaged_contents"),
        ]
        .map(row),
    );
    let word = |object: &Value, name: &str| {
        object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for object in answer.get("damaged").and_then(Value::as_array).into_iter().flatten() {
        let (bucket, key, what) =
            (word(object, "bucket"), word(object, "key"), word(object, "what"));
        let version = number(object, "/version");
        text += &format!("DAMAGED: {bucket}/{key} (version {version}): {what}\n");
    }
    text
}
