//! `cosine sign`: the `Authorization` header for a request, for use with `curl`.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches, Command};
use cosine_access::Credential;
use cosine_wire::qsign::{self, Signed};
use cosine_wire::query::Query;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credentials;
use crate::error::Error;
use crate::settings::{self, Settings, Use};

/// A signature that is printed is good for this long.
const VALID_SECONDS: u64 = 600;

/// The command line of `cosine sign`.
pub fn command() -> Command {
    let header = Arg::new("header")
        .long("header")
        .short('H')
        .value_name("NAME:VALUE")
        .action(ArgAction::Append)
        .help("A header to sign; x-cos-copy-source, x-cos-acl and grants must be.");
    Command::new("sign")
        .about("Prints the Authorization header for a request, good for ten minutes")
        .arg(Arg::new("method").required(true).value_name("METHOD").help("Such as PUT."))
        .arg(
            Arg::new("path").required(true).value_name("PATH").help("Decoded, such as /b-1/a key."),
        )
        .arg(header)
        .arg(Arg::new("query").long("query").value_name("QUERY").help(
            "Parameters to sign, such as acl or versionId=null; those that say what is done must be.",
        ))
        .args(settings::arguments(Use::Serve))
}

/// Signs with the credential of the settings, or else with that of the data directory.
pub fn run(matches: &ArgMatches) -> Result<(), Error> {
    let settings = Settings::resolve(Use::Serve, matches)?;
    let credential = match settings.credential {
        Some(credential) => credential,
        None => credentials::load(&settings.data)?.ok_or_else(|| {
            let path = credentials::path(&settings.data);
            Error::Settings(format!("no secret_id is set, and there is no {}", path.display()))
        })?,
    };
    let headers = matches.get_many::<String>("header").into_iter().flatten();
    let headers = headers.map(|header| parse_header(header)).collect::<Result<HeaderMap, _>>()?;
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let window = (now.saturating_sub(60), now + VALID_SECONDS);
    let query = Query::parse(text("query"))
        .ok_or_else(|| Error::Settings("query is not percent-encoded UTF-8".to_owned()))?;
    let what = (text("method"), text("path"), &query);
    let line = authorization(what, &headers, &credential, window);
    writeln!(std::io::stdout(), "{line}")
        .map_err(|error| Error::System("cannot print".to_owned(), error))
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let parsed = text.split_once(':').and_then(|(name, value)| {
        let name = HeaderName::try_from(name.trim()).ok()?;
        Some((name, HeaderValue::try_from(value.trim()).ok()?))
    });
    parsed.ok_or_else(|| Error::Settings(format!("{text} is not <name>:<value>")))
}

/// Signs method, path, query and these headers; other parameters and headers are left free.
pub fn authorization(
    (method, path, query): (&str, &str, &Query),
    headers: &HeaderMap,
    credential: &Credential,
    window: (u64, u64),
) -> String {
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let path = path.as_bytes();
    let signed = Signed { method, path, query, headers, authority: host.unwrap_or_default() };
    qsign::sign(signed, &names, &credential.secret_id, &credential.secret_key, window)
}
