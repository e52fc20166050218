//! `cosine sign`: the `Authorization` header for a request, for use with `curl`.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgMatches, Command};
use cosine_access::Credential;
use cosine_wire::qsign::{self, Signed};
use cosine_wire::query::Query;
use http::HeaderMap;

use crate::credentials;
use crate::error::Error;
use crate::settings::{self, Settings, Use};

/// A signature that is printed is good for this long.
const VALID_SECONDS: u64 = 600;

/// The command line of `cosine sign`.
pub fn command() -> Command {
    Command::new("sign")
        .about("Prints the Authorization header for a request, good for ten minutes")
        .arg(Arg::new("method").required(true).value_name("METHOD").help("Such as PUT."))
        .arg(
            Arg::new("path").required(true).value_name("PATH").help("Decoded, such as /b-1/a key."),
        )
        .args(settings::arguments(Use::Serve))
}

/// Signs with the credential of the settings, or else with that of the data directory.
pub fn run(matches: &ArgMatches) -> Result<(), Error> {
    let settings = Settings::resolve(Use::Serve, matches)?;
    let credential = match settings.credential {
        Some(credential) => credential,
        None => credentials::load(&settings.data, settings.account)?.ok_or_else(|| {
            let path = credentials::path(&settings.data);
            Error::Settings(format!("no secret_id is set, and there is no {}", path.display()))
        })?,
    };
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let window = (now.saturating_sub(60), now + VALID_SECONDS);
    let line = authorization(text("method"), text("path"), &credential, window);
    writeln!(std::io::stdout(), "{line}")
        .map_err(|error| Error::System("cannot print".to_owned(), error))
}

/// Signs method and path; headers and parameters are left free, so that one line serves them all.
pub fn authorization(
    method: &str,
    path: &str,
    credential: &Credential,
    window: (u64, u64),
) -> String {
    let signed = Signed {
        method,
        path: path.as_bytes(),
        query: &Query::default(),
        headers: &HeaderMap::new(),
        authority: "",
    };
    qsign::sign(signed, &[], &credential.secret_id, &credential.secret_key, window)
}
