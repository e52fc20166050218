//! What it costs to know who asks, and whether they may: signed reads under a hundred statements, beside
//! unsigned reads of what is public.

use std::error::Error;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{KIB, Settings, WARM_UP, object, perform_all, puts};
use crate::effort::Effort;
use crate::load::{Load, Series, Until};
use crate::report::{self, Target};
use crate::request::{APPID, Request, SECRET_ID, SECRET_KEY, Signer};
use crate::server::{Cosine, free_address};

const CONNECTIONS: u32 = 32;
const OBJECTS: usize = 1024;
/// In the policy of the user, and as many in that of the bucket.
const STATEMENTS: usize = 50;
/// Processor time of a signed read, by that of an unsigned one.
const RATIO_MAX: f64 = 1.15;

/// A way to read, its runs, and what they cost the server.
struct Way {
    requests: Vec<Request>,
    series: Series,
    seconds: f64,
}

impl Way {
    fn new(name: &str, signer: &Signer) -> Self {
        let get = |number| {
            let (key, content) = object("set", number, KIB);
            signer.get(&key, content)
        };
        let requests = (0..OBJECTS).map(get).collect();
        Self { requests, series: Series::new(name), seconds: 0.0 }
    }

    fn add(&mut self, settings: &Settings, cosine: &Cosine, monitor: SocketAddr) -> io::Result<()> {
        let (address, connections) = (cosine.address, CONNECTIONS);
        let warm = Load { address, connections, warm_up: WARM_UP, until: Until::Count(1) };
        warm.run(&self.requests)?;
        let before = Effort::now(cosine, monitor)?;
        let load = Load {
            address,
            connections,
            warm_up: std::time::Duration::ZERO,
            until: Until::Elapsed(settings.run),
        };
        self.series.rounds.push(load.run(&self.requests)?);
        self.seconds += Effort::now(cosine, monitor)?.since(before).server_seconds;
        Ok(())
    }

    fn micros(&self) -> f64 {
        self.seconds * 1e6 / self.series.operations() as f64
    }
}

/// Reads one way and the other, in turn.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let all = 2 * STATEMENTS;
    report::heading(&format!("access: a read of 1 KiB under {all} statements, c={CONNECTIONS}"));
    let monitor = free_address()?;
    let cosine = settings.cosine_with(&[("COSINE_MONITOR", &monitor.to_string())])?;
    let (public, private) = (Signer::of_bucket("public")?, Signer::of_bucket("private")?);
    for signer in [&public, &private] {
        perform_all(cosine.address, &[signer.create_bucket()])?;
        perform_all(cosine.address, &puts(signer, "set", OBJECTS, KIB))?;
    }
    perform_all(cosine.address, &[public.open_to_read()])?;
    perform_all(cosine.address, &[private.set_policy(&policy(Some("100000000001")))])?;
    let keys = add_user(&settings.cosine, &cosine, &policy(None))?;

    let mut ways = [
        Way::new("unsigned, public", &public.with_keys(None)),
        Way::new("signed by the owner, no statements", &public),
        Way::new(&format!("signed by a user, {all} statements"), &private.with_keys(Some(keys))),
    ];
    for _ in 0..settings.rounds {
        for way in &mut ways {
            way.add(settings, &cosine, monitor)?;
        }
    }
    report::table(&ways.iter().map(|way| &way.series).collect::<Vec<_>>());
    for way in &ways {
        println!("- µs of processor a read, {}: {:.1}", way.series.name, way.micros());
    }
    let [unsigned, _, signed] = &ways;
    let what = format!("processor time, signed under {all} statements : unsigned");
    report::ratio(&what, signed.micros() / unsigned.micros(), Target::AtMost(RATIO_MAX));
    Ok(())
}

/// Statements about other things, and at last the one that allows, or, for a bucket, denies somebody else.
fn policy(owner: Option<&str>) -> String {
    let statement = |number: usize| {
        let principal = owner.map_or(String::new(), |owner| {
            format!("\"principal\":{{\"qcs\":[\"qcs::cam::uin/{owner}:uin/{}\"]}},", 7 + number)
        });
        let (effect, key) = match (owner, number + 1 == STATEMENTS) {
            (None, true) => ("allow", "*".to_owned()),
            (None, false) if number.is_multiple_of(5) => ("deny", format!("team-{number}/*")),
            (Some(_), _) if number.is_multiple_of(5) => ("deny", "*".to_owned()),
            _ => ("allow", format!("team-{number}/*/reports-*")),
        };
        format!(
            "{{\"effect\":\"{effect}\",{principal}\"action\":[\"name/cos:GetObject\",\"name/cos:HeadObject\"],\
             \"resource\":[\"qcs::cos:ap-guangzhou:uid/{APPID}:private-{APPID}/{key}\"],\
             \"condition\":{{\"ip_equal\":{{\"qcs:ip\":[\"127.0.0.0/8\"]}}}}}}"
        )
    };
    let statements: Vec<String> = (0..STATEMENTS).map(statement).collect();
    format!("{{\"version\":\"2.0\",\"statement\":[{}]}}", statements.join(","))
}

/// Makes a user, with `cosine admin`; returns its keys.
fn add_user(program: &Path, cosine: &Cosine, policy: &str) -> io::Result<(String, String)> {
    let file = cosine.directory().join("policy.json");
    fs::write(&file, policy)?;
    let endpoint = format!("http://{}", cosine.address);
    let done = Command::new(fs::canonicalize(program)?)
        .args(["admin", "user", "add", "--name", "bench", "--json", "--endpoint", &endpoint])
        .arg("--policy")
        .arg(&file)
        .env("COSINE_SECRET_ID", SECRET_ID)
        .env("COSINE_SECRET_KEY", SECRET_KEY)
        .output()?;
    let failed = || io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned());
    let made: Value = serde_json::from_slice(&done.stdout).map_err(|_| failed())?;
    let text = |name: &str| made.get(name).and_then(Value::as_str).map(str::to_owned);
    text("secret_id").zip(text("secret_key")).ok_or_else(failed)
}
