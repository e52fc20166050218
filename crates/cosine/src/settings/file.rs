//! The settings file: values of the table, and what has a table of its own.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use cosine_blob::PoolId;
use cosine_store::{BucketName, StorageClass};
use cosine_wire::host::{Binding, without_port};
use http::Uri;

use super::TABLE;

/// The tables of the file.
const TABLES: [&str; 4] = ["buckets", "hosts", "pools", "regions"];

/// What the file says: settings as text, and its tables.
#[derive(Debug, Default)]
pub struct File {
    /// Settings by their keys.
    pub values: HashMap<String, String>,
    /// Host names that are bound to buckets.
    pub bindings: HashMap<String, Binding>,
    /// Storage pools.
    pub pools: Vec<Pool>,
    /// Regions that other deployments serve.
    pub remotes: Vec<RemoteRegion>,
    /// Buckets whose copies have their bytes sealed anew where they get another key.
    pub never_rewrap: BTreeSet<String>,
}

/// A storage pool: a directory, and the classes whose objects lie in it.
#[derive(Clone, Debug)]
pub struct Pool {
    /// What it is called.
    pub name: String,
    /// What blobs know it by, from 1 to 15: for ever.
    pub number: PoolId,
    /// Where it is.
    pub directory: PathBuf,
    /// What new objects of these classes go to.
    pub classes: Vec<StorageClass>,
}

/// A region that another deployment serves.
#[derive(Clone)]
pub struct RemoteRegion {
    /// Its name.
    pub name: String,
    /// Where it answers.
    pub endpoint: Uri,
    /// What to sign with.
    pub secret_id: String,
    /// The secret half.
    pub secret_key: String,
    /// Certificates to trust beside those of the system.
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for RemoteRegion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteRegion").field("name", &self.name).finish_non_exhaustive()
    }
}

impl File {
    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong with it, for a person; no value is shown, since it may be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error| malformed(text, &error))?;
        let mut file = Self::default();
        for (key, value) in table {
            match (key.as_str(), value) {
                ("buckets", toml::Value::Table(buckets)) => file.read_buckets(buckets)?,
                ("hosts", value) => file.bindings = bindings(value)?,
                ("pools", value) => file.pools = pools(value)?,
                ("regions", toml::Value::Table(regions)) => file.read_regions(regions)?,
                (key, value) => {
                    let Some(setting) = TABLE.iter().find(|setting| setting.key == key) else {
                        return Err(unknown(key, TABLE.iter().map(|s| s.key).chain(TABLES)));
                    };
                    let text = match value {
                        toml::Value::Boolean(yes) if setting.is_switch() => Some(yes.to_string()),
                        value => text_of(value),
                    };
                    let text = text.ok_or(format!("{key}: not a value"))?;
                    file.values.insert(key.to_owned(), text);
                }
            }
        }
        Ok(file)
    }

    /// `[buckets.NAME]`: what holds of one bucket.
    fn read_buckets(&mut self, buckets: toml::Table) -> Result<(), String> {
        for (name, value) in buckets {
            let what = format!("buckets.{name}");
            if BucketName::parse(&name).is_err() {
                return Err(format!("{what} is not <name>-<appid>"));
            }
            let mut keys = Keys::of(value, what.clone())?;
            let rewrap = keys.text("rewrap")?;
            keys.end(&["rewrap"])?;
            match rewrap.as_deref() {
                None | Some("allowed") => {}
                Some("never") => _ = self.never_rewrap.insert(name),
                Some(_) => return Err(format!("{what}.rewrap is neither allowed nor never")),
            }
        }
        Ok(())
    }

    /// `[regions.NAME]`: with `endpoint`, another deployment serves it; without, this one does, and
    /// `default` says where a bucket goes whose host names no region.
    fn read_regions(&mut self, regions: toml::Table) -> Result<(), String> {
        let (mut here, mut default) = (Vec::new(), Vec::new());
        for (name, value) in regions {
            let what = format!("regions.{name}");
            let mut keys = Keys::of(value, what.clone())?;
            if keys.take("default", toml::Value::as_bool)?.unwrap_or_default() {
                default.push(name.clone());
            }
            let endpoint = keys.text("endpoint")?;
            let (id, key) = (keys.text("secret_id")?, keys.text("secret_key")?);
            let ca = keys.text("ca")?.map(PathBuf::from);
            keys.end(&["default", "endpoint", "secret_id", "secret_key", "ca"])?;
            match (endpoint, id, key) {
                (None, None, None) => here.push(name),
                (Some(endpoint), Some(secret_id), Some(secret_key)) => {
                    let endpoint = endpoint_uri(&endpoint)
                        .ok_or(format!("{what}.endpoint is not http(s)://<host>:<port>"))?;
                    let remote = RemoteRegion { name, endpoint, secret_id, secret_key, ca };
                    self.remotes.push(remote);
                }
                _ => return Err(format!("{what}: endpoint, secret_id and secret_key go together")),
            }
        }
        match (&here[..], &default[..]) {
            ([], []) => {}
            ([_], []) => _ = self.values.insert("regions".to_owned(), here.concat()),
            (_, [default]) if here.contains(default) => {
                here.sort_by_key(|name| name != default);
                self.values.insert("regions".to_owned(), here.join(","));
            }
            _ => return Err("regions: of those served here, one has default = true".to_owned()),
        }
        Ok(())
    }
}

pub fn endpoint_uri(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    (known && uri.host().is_some() && uri.path() == "/").then_some(uri)
}

/// The keys of a table in the file, taken one by one.
struct Keys {
    what: String,
    table: toml::Table,
}

impl Keys {
    fn of(value: toml::Value, what: String) -> Result<Self, String> {
        match value {
            toml::Value::Table(table) => Ok(Self { what, table }),
            _ => Err(format!("{what} is a table")),
        }
    }

    fn take<T>(
        &mut self,
        key: &str,
        read: impl Fn(&toml::Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.table.remove(key) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| format!("{}.{key} is of the wrong type", self.what))
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        self.take(key, |value| value.as_str().map(str::to_owned))
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| format!("{} has no {key}", self.what))
    }

    /// Sees to it that nothing is left.
    fn end(self, known: &[&'static str]) -> Result<(), String> {
        match self.table.keys().next() {
            Some(key) => Err(unknown(key, known.iter().copied())),
            None => Ok(()),
        }
    }
}

/// Where the file is malformed, and how; the line itself may hold a secret, and is not shown.
fn malformed(text: &str, error: &toml::de::Error) -> String {
    let front = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", front.matches('\n').count() + 1, error.message())
}

/// `[hosts."name"]` with `bucket` and, perhaps, `acceleration`.
fn bindings(value: toml::Value) -> Result<HashMap<String, Binding>, String> {
    let hosts = Keys::of(value, "hosts".to_owned())?.table;
    let mut bindings = HashMap::new();
    for (host, value) in hosts {
        if without_port(&host) != host {
            return Err(format!("hosts.\"{host}\": a host is bound without its port"));
        }
        let mut keys = Keys::of(value, format!("hosts.\"{host}\""))?;
        let bucket = keys.text("bucket")?;
        let acceleration = keys.take("acceleration", toml::Value::as_bool)?.unwrap_or_default();
        let missing = keys.required("bucket", bucket);
        keys.end(&["bucket", "acceleration"])?;
        let bucket = missing?;
        cosine_store::BucketName::parse(&bucket)
            .map_err(|_| format!("hosts.\"{host}\": {bucket} is not <name>-<appid>"))?;
        bindings.insert(host, Binding { bucket, acceleration });
    }
    Ok(bindings)
}

/// `[pools.NAME]` with `number`, `directory` and `classes`.
fn pools(value: toml::Value) -> Result<Vec<Pool>, String> {
    let mut pools: Vec<Pool> = Vec::new();
    for (name, value) in Keys::of(value, "pools".to_owned())?.table {
        let what = format!("pools.{name}");
        let mut keys = Keys::of(value, what.clone())?;
        let number = keys.take("number", toml::Value::as_integer)?;
        let directory = keys.text("directory")?;
        let named = keys.take("classes", |classes| {
            let names = classes.as_array()?.iter();
            names.map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        })?;
        let (number, directory) =
            (keys.required("number", number)?, keys.required("directory", directory)?);
        keys.end(&["number", "directory", "classes"])?;
        let number = u8::try_from(number).ok().filter(|number| *number > 0).and_then(PoolId::new);
        let number = number.ok_or(format!("{what}.number is not one from 1 to 15"))?;
        let class = |name: &String| {
            StorageClass::named(name).ok_or(format!("{what}.classes: {name} is no storage class"))
        };
        let classes = named.unwrap_or_default().iter().map(class).collect::<Result<Vec<_>, _>>()?;
        for other in &pools {
            if other.number == number {
                return Err(format!("{what} and pools.{} have one number", other.name));
            }
            if other.classes.iter().any(|class| classes.contains(class)) {
                return Err(format!("{what} and pools.{} have one class", other.name));
            }
        }
        pools.push(Pool { name, number, directory: directory.into(), classes });
    }
    Ok(pools)
}

fn unknown<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> String {
    let nearest = known.min_by_key(|name| strsim::damerau_levenshtein(name, key));
    format!("there is no setting {key}; did you mean {}?", nearest.unwrap_or_default())
}

fn text_of(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => {
            Some(items.into_iter().map(text_of).collect::<Option<Vec<_>>>()?.join(","))
        }
        _ => None,
    }
}
