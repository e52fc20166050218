//! Settings: one table, three places. A flag beats the environment, which beats the file.

mod encryption;
mod file;

pub use encryption::EncryptionSettings;
pub use file::{Pool, RemoteRegion};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches};
use cosine_access::{Account, Credential};
use cosine_http::audit::AuditTarget;
use cosine_http::{Limits, Regions};
use cosine_kv::embedded::Durability;
use cosine_store::{CollectorOptions, RestoreTimes, ScrubOptions};
use cosine_wire::host::{HostRules, ServedRegions};

use crate::error::Error;
use crate::units;
use file::File;

/// Which command takes a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// `cosine serve`
    Serve,
    /// `cosine dev`
    Dev,
}

/// One setting.
pub struct Setting {
    /// Its name in the file; the flag is the same with hyphens.
    pub key: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// What it is when nobody says, for `serve` and for `dev`; empty for nothing.
    pub defaults: [&'static str; 2],
    /// Whether `dev` has it.
    pub in_dev: bool,
    /// One line for people.
    pub help: &'static str,
}

impl Setting {
    /// Whether it is on or off, and nothing else.
    pub fn is_switch(&self) -> bool {
        self.defaults[0] == "false"
    }
}

macro_rules! settings {
    ($($key:literal $env:literal $serve:literal $dev:literal $in_dev:literal $help:literal;)*) => {
        /// Every setting. The table in `docs/configuration.md` is made from this one.
        pub const TABLE: &[Setting] = &[$(Setting {
            key: $key, env: $env, defaults: [$serve, $dev], in_dev: $in_dev, help: $help,
        },)*];
    };
}

settings! {
    "data" "COSINE_DATA" "cosine-data" "" false "Directory that holds everything; made if it is not there.";
    "listen" "COSINE_LISTEN" "127.0.0.1:9000" "127.0.0.1:9000" true "Address and port; port 0 takes a free one.";
    "secret_id" "COSINE_SECRET_ID" "" "AKIDCosineDevelopmentOnly000000000000" true "Root SecretId; without one, serve makes a pair at its first start.";
    "secret_key" "COSINE_SECRET_KEY" "" "CosineDevelopmentOnly00000000000" true "Root SecretKey; goes with the SecretId.";
    "appid" "COSINE_APPID" "1250000000" "1250000000" true "APPID of the root account: what its buckets' names end with.";
    "uin" "COSINE_UIN" "100000000001" "100000000001" true "Account number (uin) of the root account.";
    "regions" "COSINE_REGIONS" "ap-guangzhou" "ap-guangzhou,*" true "Regions, comma-separated; the first is the default, * stands for any other.";
    "domains" "COSINE_DOMAINS" "" "" true "Base domains beside myqcloud.com and tencentcos.cn, comma-separated.";
    "tls_cert" "COSINE_TLS_CERT" "" "" true "Certificate chain in PEM; with it, only TLS is served.";
    "tls_key" "COSINE_TLS_KEY" "" "" true "Private key in PEM.";
    "durability" "COSINE_DURABILITY" "sync" "" false "sync: acknowledged is on the disk; os: acknowledged is with the operating system, and lost with its power.";
    "connections_max" "COSINE_CONNECTIONS_MAX" "20000" "1000" true "Connections that may be open; more are refused with 503 SlowDown, or hung up on.";
    "requests_max" "COSINE_REQUESTS_MAX" "4096" "4096" true "Requests that may be under way; more wait a second at most, and are then answered 503 SlowDown.";
    "memory_max" "COSINE_MEMORY_MAX" "512MiB" "512MiB" true "Memory for bodies on their way in and out; a request that finds none left is treated like one too many.";
    "header_time" "COSINE_HEADER_TIME" "30" "30" true "Seconds that a connection may be without a request: for the first head, each later one, and between them.";
    "stall_time" "COSINE_STALL_TIME" "60" "60" true "Seconds that a client may leave its body, or its answer, where it is.";
    "drain_time" "COSINE_DRAIN_TIME" "25" "25" true "Seconds that requests under way have after SIGTERM.";
    "disk_reserve" "COSINE_DISK_RESERVE" "512MiB" "" false "Bytes of the disk that stay free: when there are fewer, objects can be read and deleted, not written.";
    "gc_grace" "COSINE_GC_GRACE" "3600" "60" true "Seconds that the bytes of what was deleted stay: longer than the longest download, and than the age of any backup of the metadata that may be restored.";
    "scrub_rate" "COSINE_SCRUB_RATE" "16MiB" "" false "Bytes a second that are read to find damage early; 0 switches the scrub off.";
    "scrub_interval" "COSINE_SCRUB_INTERVAL" "604800" "" false "Seconds from the end of one pass of the scrub to the next.";
    "restore_time" "COSINE_RESTORE_TIME" "0" "0" true "Seconds that POST Object restore takes, or three numbers: for Expedited, Standard and Bulk.";
    "monitor" "COSINE_MONITOR" "" "" true "Address and port of a second, plain HTTP listener for metrics and health, such as 127.0.0.1:9001.";
    "sts_host" "COSINE_STS_HOST" "" "" true "Host name on which temporary credentials are made, beside every one that begins with sts.";
    "audit" "COSINE_AUDIT" "" "" true "Where a record of each change and each refusal goes: a file, - for the standard output, or nowhere.";
    "audit_size" "COSINE_AUDIT_SIZE" "64MiB" "64MiB" true "Size at which the file of the audit is put aside.";
    "audit_files" "COSINE_AUDIT_FILES" "10" "10" true "How many files that were put aside are kept.";
    "master_key_file" "COSINE_MASTER_KEY_FILE" "" "" false "File with the master key in hex, instead of master-key in the data directory.";
    "master_key" "COSINE_MASTER_KEY" "" "" false "The master key itself, in hex; better in the environment than in a flag.";
    "master_key_command" "COSINE_MASTER_KEY_COMMAND" "" "" false "Program, with arguments, that prints the master key in hex.";
    "encrypt_at_rest" "COSINE_ENCRYPT_AT_REST" "false" "false" true "true: new bytes are sealed though no request asks for it.";
    "rewrap" "COSINE_REWRAP" "allowed" "allowed" true "never: a copy that gets another key has its bytes sealed anew.";
    "customer_keys_need_tls" "COSINE_CUSTOMER_KEYS_NEED_TLS" "false" "false" true "true: keys of customers (SSE-C) are refused over plain HTTP.";
    "kms_endpoint" "COSINE_KMS_ENDPOINT" "" "" true "Server with a Transit engine (Vault, OpenBao), instead of the built-in key management.";
    "kms_token_file" "COSINE_KMS_TOKEN_FILE" "" "" true "File with the token for it.";
    "kms_mount" "COSINE_KMS_MOUNT" "transit" "transit" true "Where the engine is mounted.";
    "kms_namespace" "COSINE_KMS_NAMESPACE" "" "" true "Namespace of the engine.";
    "kms_default_key" "COSINE_KMS_DEFAULT_KEY" "" "" true "Key of the engine that is used where a request names none.";
    "kms_ca" "COSINE_KMS_CA" "" "" true "Certificate in PEM to trust for it, beside those of the system.";
    "kms_time" "COSINE_KMS_TIME" "5" "5" true "Seconds that an answer of it may take.";
    "core_files" "COSINE_CORE_FILES" "false" "false" true "true: the process may be dumped and debugged; the keys that customers bring are in what is dumped.";
    "log" "COSINE_LOG" "info" "warn" true "Log filter: error, warn, info, debug, or per module; info,access=debug adds a line for each request.";
    "log_format" "COSINE_LOG_FORMAT" "text" "text" true "text, or json: an object a line.";
}

/// With less memory, two large requests could wait for each other's first share.
const MEMORY_MIN: u64 = 4 << 20;
/// No machine has more connections or requests.
const COUNT_MAX: u32 = 10_000_000;

/// The settings of a run, checked.
#[derive(Debug)]
pub struct Settings {
    /// Where everything lies; empty for `dev`.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The root credential, if the settings name one.
    pub credential: Option<Credential>,
    /// The root account.
    pub account: Account,
    /// Where buckets may live.
    pub regions: Regions,
    /// How host names are read.
    pub hosts: HostRules,
    /// Paths of certificate chain and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// When a commit counts as done.
    pub durability: Durability,
    /// Where metrics and health are served.
    pub monitor: Option<SocketAddr>,
    /// Bytes of the disk that stay free.
    pub disk_reserve: u64,
    /// How patient the collector is.
    pub collector: CollectorOptions,
    /// How long restores take.
    pub restore_times: RestoreTimes,
    /// Storage pools beside the data directory.
    pub pools: Vec<Pool>,
    /// Regions that other deployments serve.
    pub remotes: Vec<RemoteRegion>,
    /// How hard the scrub works, if it does.
    pub scrub: Option<ScrubOptions>,
    /// How much clients may hold.
    pub limits: Limits,
    /// A host on which temporary credentials are made.
    pub sts_host: Option<String>,
    /// What is encrypted, and under which keys.
    pub encryption: EncryptionSettings,
    /// Where records of changes and refusals go.
    pub audit: AuditTarget,
    /// What is logged.
    pub log: String,
    /// In which form.
    pub log_format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// The flags of a command.
pub fn arguments(usage: Use) -> Vec<Arg> {
    let file = Arg::new("config").long("config").value_name("FILE").help("Settings in TOML.");
    let of_table = TABLE.iter().filter(|setting| usage == Use::Serve || setting.in_dev).map(|s| {
        let help = match s.default_for(usage) {
            "" => format!("{} [{}]", s.help, s.env),
            default => format!("{} [{}, default {default}]", s.help, s.env),
        };
        Arg::new(s.key).long(s.key.replace('_', "-")).value_name("VALUE").help(help)
    });
    std::iter::once(file).chain(of_table).collect()
}

impl Setting {
    fn default_for(&self, usage: Use) -> &'static str {
        let [serve, dev] = self.defaults;
        if usage == Use::Serve { serve } else { dev }
    }
}

impl Settings {
    /// Resolves the settings of a command from its flags, the environment and the file.
    pub fn resolve(usage: Use, matches: &ArgMatches) -> Result<Self, Error> {
        let file = match matches.get_one::<String>("config") {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Error::System(format!("cannot read {path}"), error))?;
                File::parse(&text).map_err(|why| Error::Settings(format!("{path}: {why}")))?
            }
            None => File::default(),
        };
        Self::from_places(
            usage,
            |key| matches.try_get_one::<String>(key).ok().flatten().cloned(),
            |env| std::env::var(env).ok(),
            file,
        )
        .map_err(Error::Settings)
    }

    fn from_places(
        usage: Use,
        flag: impl Fn(&str) -> Option<String>,
        env: impl Fn(&str) -> Option<String>,
        file: File,
    ) -> Result<Self, String> {
        let values: HashMap<&str, String> = TABLE
            .iter()
            .map(|setting| {
                let value = flag(setting.key)
                    .or_else(|| env(setting.env).filter(|value| !value.is_empty()))
                    .or_else(|| file.values.get(setting.key).cloned());
                (setting.key, value.unwrap_or_else(|| setting.default_for(usage).to_owned()))
            })
            .collect();
        let get = |key: &str| values.get(key).map_or("", String::as_str);
        let account =
            Account { appid: number(get("appid"), "appid")?, uin: number(get("uin"), "uin")? };
        let regions = regions(get("regions"))?;
        if let Some(remote) = file.remotes.iter().find(|r| regions.named.contains(&r.name)) {
            let name = &remote.name;
            return Err(format!("regions.{name} has an endpoint, and is served here as well"));
        }
        let domains = domains(get("domains"))?;
        let served = match regions.any {
            true => ServedRegions::All,
            // A host name may carry a region that is served elsewhere, to copy from.
            false => {
                let remote = file.remotes.iter().map(|remote| &remote.name);
                ServedRegions::Named(regions.named.iter().chain(remote).cloned().collect())
            }
        };
        Ok(Self {
            data: get("data").into(),
            listen: address(get("listen"), "listen")?,
            credential: credential(get("secret_id"), get("secret_key"))?,
            account,
            hosts: HostRules::new(domains, served, file.bindings),
            regions,
            tls: pair(get("tls_cert"), get("tls_key"), "tls_cert and tls_key")?
                .map(|(cert, key)| (cert.into(), key.into())),
            durability: match get("durability") {
                "os" => Durability::Os,
                "sync" | "" => Durability::Sync,
                other => return Err(format!("durability: {other} is neither sync nor os")),
            },
            disk_reserve: bytes(get("disk_reserve"), "disk_reserve")?,
            collector: CollectorOptions {
                grace: Duration::from_secs(seconds(get("gc_grace"), "gc_grace")?),
                ..CollectorOptions::default()
            },
            restore_times: restore_times(get("restore_time"))?,
            pools: file.pools,
            remotes: file.remotes,
            scrub: scrub(get("scrub_rate"), get("scrub_interval"))?,
            monitor: some(get("monitor")).map(|monitor| address(monitor, "monitor")).transpose()?,
            limits: limits(get)?,
            sts_host: some(get("sts_host")).map(str::to_owned),
            encryption: EncryptionSettings::of(get, file.never_rewrap)?,
            audit: audit(get)?,
            log: get("log").to_owned(),
            log_format: match get("log_format") {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => return Err(format!("log_format: {other} is neither text nor json")),
            },
        })
    }
}

/// What is set, if anything is.
fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn address(text: &str, key: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{key}: {text} is not <address>:<port>"))
}

fn number(text: &str, key: &str) -> Result<u64, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("{key}: {text} is not a number"))
}

/// A number of bytes; nothing is 0.
fn bytes(text: &str, key: &str) -> Result<u64, String> {
    if text.is_empty() { Ok(0) } else { units::bytes(text).map_err(|why| format!("{key}: {why}")) }
}

/// A number of whole seconds, however many; nothing is 0.
fn seconds(text: &str, key: &str) -> Result<u64, String> {
    let text = if text.is_empty() { "0" } else { text };
    text.parse().map_err(|_| format!("{key}: {text} is not a number of seconds"))
}

fn scrub(rate: &str, interval: &str) -> Result<Option<ScrubOptions>, String> {
    let bytes_per_second = bytes(rate, "scrub_rate")?;
    let interval = Duration::from_secs(seconds(interval, "scrub_interval")?);
    Ok((bytes_per_second > 0).then_some(ScrubOptions { bytes_per_second, interval }))
}

/// One number of seconds, or one for each tier.
fn restore_times(text: &str) -> Result<RestoreTimes, String> {
    let times: Vec<Duration> = list(text)
        .iter()
        .map(|time| seconds(time, "restore_time").map(Duration::from_secs))
        .collect::<Result<_, _>>()?;
    match times[..] {
        [all] => Ok(RestoreTimes { expedited: all, standard: all, bulk: all }),
        [expedited, standard, bulk] => Ok(RestoreTimes { expedited, standard, bulk }),
        _ => Err(format!("restore_time: {text} is neither one number of seconds nor three")),
    }
}

/// A number of things that are counted one by one.
fn count(text: &str, key: &str) -> Result<u32, String> {
    let count = u32::try_from(number(text, key)?).ok().filter(|count| *count <= COUNT_MAX);
    count.ok_or_else(|| format!("{key}: {text} is more than {COUNT_MAX}"))
}

fn limits<'v>(get: impl Fn(&str) -> &'v str) -> Result<Limits, String> {
    let count = |key| count(get(key), key);
    let time = |key| units::seconds(get(key)).map_err(|why| format!("{key}: {why}"));
    let memory = units::bytes(get("memory_max")).map_err(|why| format!("memory_max: {why}"))?;
    if memory < MEMORY_MIN {
        return Err(format!("memory_max: {} is less than 4MiB", get("memory_max")));
    }
    Ok(Limits {
        connections: count("connections_max")?,
        requests: count("requests_max")?,
        memory,
        header_time: time("header_time")?,
        stall_time: time("stall_time")?,
        drain_time: time("drain_time")?,
    })
}

fn audit<'v>(get: impl Fn(&str) -> &'v str) -> Result<AuditTarget, String> {
    Ok(match get("audit") {
        "" => AuditTarget::Off,
        "-" => AuditTarget::Stdout,
        path => AuditTarget::File {
            path: path.into(),
            size_max: bytes(get("audit_size"), "audit_size")?.max(1),
            kept: count(get("audit_files"), "audit_files")?,
        },
    })
}

fn regions(text: &str) -> Result<Regions, String> {
    let mut named = list(text);
    let any = named.iter().any(|region| region == "*");
    named.retain(|region| region != "*");
    let valid = |region: &String| {
        region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match named.first().cloned() {
        Some(default) if named.iter().all(valid) => Ok(Regions { default, named, any }),
        _ => Err(format!("regions: {text} is not a list of names such as ap-guangzhou")),
    }
}

fn domains(text: &str) -> Result<Vec<String>, String> {
    let domains = list(text);
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    match domains.iter().find(|domain| !domain.bytes().all(valid)) {
        Some(domain) => Err(format!("domains: {domain} is not a domain such as cos.example.com")),
        None => Ok(domains),
    }
}

fn pair<'t>(one: &'t str, two: &'t str, names: &str) -> Result<Option<(&'t str, &'t str)>, String> {
    match (one, two) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(format!("{names} go together")),
        both => Ok(Some(both)),
    }
}

fn credential(id: &str, key: &str) -> Result<Option<Credential>, String> {
    let pair = pair(id, key, "secret_id and secret_key")?;
    Ok(pair.map(|(id, key)| Credential { secret_id: id.into(), secret_key: key.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        flag: &[(&str, &str)],
        env: &[(&str, &str)],
        file: &str,
    ) -> Result<Settings, String> {
        let find = |places: &[(&str, &str)], name: &str| {
            places.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        let file = File::parse(file)?;
        Settings::from_places(Use::Serve, |key| find(flag, key), |name| find(env, name), file)
    }

    #[test]
    fn a_flag_beats_the_environment_and_the_environment_the_file() {
        let file = "appid = 1\nuin = 1\nregions = [\"ap-x\", \"ap-y\"]\nlisten = \"127.0.0.1:1\"";
        let env = [("COSINE_APPID", "2"), ("COSINE_UIN", "2"), ("COSINE_LISTEN", "")];
        let settings = resolve(&[("appid", "3")], &env, file).unwrap();
        assert_eq!(settings.account, Account { appid: 3, uin: 2 });
        assert_eq!(settings.regions.named, ["ap-x", "ap-y"]);
        assert_eq!(settings.listen.port(), 1);
        assert_eq!(settings.data, PathBuf::from("cosine-data"));
    }

    #[test]
    fn limits_are_numbers_sizes_and_seconds() {
        let file =
            "connections_max = 7\nmemory_max = \"8MiB\"\nstall_time = \"1.5\"\ndrain_time = 2";
        let limits = resolve(&[("requests_max", "9")], &[], file).unwrap().limits;
        assert_eq!((limits.connections, limits.requests, limits.memory), (7, 9, 8 << 20));
        let milliseconds = [limits.header_time, limits.stall_time, limits.drain_time];
        assert_eq!(milliseconds.map(|time| time.as_millis()), [30_000, 1_500, 2_000]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_name() {
        let error = resolve(&[], &[], "regoins = \"ap-x\"").unwrap_err();
        assert_eq!(error, "there is no setting regoins; did you mean regions?");
        let error = resolve(&[], &[], "[hosts.\"h\"]\nbuckets = \"b-1\"").unwrap_err();
        assert_eq!(error, "there is no setting buckets; did you mean bucket?");
    }

    #[test]
    fn a_malformed_file_is_told_by_its_line_and_not_by_what_stands_there() {
        let error = resolve(&[], &[], "appid = 1\nsecret_key = hush hush").unwrap_err();
        assert!(error.starts_with("line 2: ") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn bindings_reach_the_host_rules() {
        let file = "[hosts.\"img.example.com\"]\nbucket = \"img-1250000000\"\nacceleration = true";
        let host = resolve(&[], &[], file).unwrap().hosts.read("img.example.com:80");
        let cosine_wire::host::Host::Bucket(host) = host else { panic!("{host:?}") };
        assert_eq!(host.bucket, "img-1250000000");
        assert_eq!(host.endpoint, cosine_wire::host::Endpoint::Accelerate);
    }

    #[test]
    fn regions_are_served_here_or_elsewhere() {
        let remote = "[regions.ap-y]\nendpoint = \"https://cos.ap-y.myqcloud.com\"\n\
                      secret_id = \"i\"\nsecret_key = \"hush\"\n";
        let settings = resolve(&[], &[], remote).unwrap();
        assert_eq!(settings.regions.named, ["ap-guangzhou"]);
        assert_eq!(settings.remotes.len(), 1);
        assert!(!format!("{settings:?}").contains("hush"));
        let file = format!("{remote}[regions.ap-x]\n[regions.ap-z]\ndefault = true\n");
        let settings = resolve(&[], &[], &file).unwrap();
        assert_eq!(settings.regions.named, ["ap-z", "ap-x"]);
    }

    #[test]
    fn pools_hold_classes() {
        let file = "[pools.cold]\nnumber = 3\ndirectory = \"/mnt/cold\"\n\
                    classes = [\"ARCHIVE\", \"Standard_IA\"]";
        let pools = resolve(&[], &[], file).unwrap().pools;
        assert_eq!(pools[0].number.number(), 3);
        assert_eq!(pools[0].directory, PathBuf::from("/mnt/cold"));
        let classes = pools[0].classes.iter().map(|class| class.as_str());
        assert!(classes.eq(["ARCHIVE", "STANDARD_IA"]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (key, value) in [
            ("listen", "9000"),
            ("appid", "x"),
            ("uin", "0"),
            ("regions", ""),
            ("regions", "*"),
            ("regions", "AP_X"),
            ("secret_id", "only-one"),
            ("tls_key", "only-one"),
            ("durability", "maybe"),
            ("disk_reserve", "much"),
            ("gc_grace", "-1"),
            ("scrub_rate", "1MB"),
            ("scrub_interval", "weekly"),
            ("monitor", "9001"),
            ("log_format", "xml"),
            ("domains", "http://example.com/"),
            ("connections_max", "0"),
            ("connections_max", "10000001"),
            ("requests_max", "many"),
            ("memory_max", "3MiB"),
            ("memory_max", "1TB"),
            ("header_time", "0"),
            ("stall_time", "1m"),
            ("drain_time", "-1"),
            ("restore_time", "1,2"),
            ("restore_time", "soon"),
        ] {
            assert!(resolve(&[(key, value)], &[], "").is_err(), "{key} = {value}");
        }
        for file in [
            "[hosts.\"h:80\"]\nbucket = \"b-1\"",
            "hosts = 1",
            "[hosts.\"h\"]\nbucket = \"B\"",
            "[hosts.\"h\"]\n",
            "data = true",
            "=",
            "[pools.a]\ndirectory = \"/x\"",
            "[pools.a]\nnumber = 0\ndirectory = \"/x\"",
            "[pools.a]\nnumber = 16\ndirectory = \"/x\"",
            "[pools.a]\nnumber = 1\nclasses = [\"ARCHIVE\"]",
            "[pools.a]\nnumber = 1\ndirectory = \"/x\"\nclasses = [\"WARM\"]",
            "[pools.a]\nnumber = 1\ndirectory = \"/x\"\n[pools.b]\nnumber = 1\ndirectory = \"/y\"",
            "[pools.a]\nnumber = 1\ndirectory = \"/x\"\nclasses = [\"ARCHIVE\"]\n\
             [pools.b]\nnumber = 2\ndirectory = \"/y\"\nclasses = [\"archive\"]",
            "[regions.ap-y]\nendpoint = \"http://h\"\nsecret_id = \"i\"",
            "[regions.ap-y]\nendpoint = \"h:80\"\nsecret_id = \"i\"\nsecret_key = \"k\"",
            "[regions.ap-guangzhou]\nendpoint = \"http://h\"\nsecret_id = \"i\"\nsecret_key = \"k\"",
            "[regions.ap-x]\n[regions.ap-z]",
        ] {
            assert!(resolve(&[], &[], file).is_err(), "{file}");
        }
    }

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    const BEGIN: &str = "<!-- settings: made from the table in settings.rs -->\n";
    const END: &str = "<!-- end of settings -->";

    /// `UPDATE_DOCS=1 cargo test` writes the table into the page.
    #[test]
    fn the_page_of_settings_has_the_table() {
        let mut table = "| key in the file | flag | environment | default | `dev` | meaning |\n\
                         | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
        let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
        for setting in TABLE {
            let flag = setting.key.replace('_', "-");
            let [serve, dev] = setting.defaults.map(code);
            let dev = if setting.in_dev { dev } else { "-".to_owned() };
            let (key, env, help) = (setting.key, setting.env, setting.help);
            table += &format!("| `{key}` | `--{flag}` | `{env}` | {serve} | {dev} | {help} |\n");
        }
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (front, rest) = page.split_once(BEGIN).unwrap();
        let (kept, back) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(PAGE, format!("{front}{BEGIN}{table}{END}{back}")).unwrap();
        } else {
            assert_eq!(kept, table, "UPDATE_DOCS=1 cargo test writes docs/configuration.md");
        }
    }
}
