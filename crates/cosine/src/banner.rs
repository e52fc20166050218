//! What is printed once the server is ready.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use cosine_access::Credential;
use cosine_kv::embedded::Durability;
use cosine_wire::query::Query;
use http::HeaderValue;
use http::header::HOST;

use crate::settings::Settings;
use crate::sign;

/// The signed `curl` line of the banner works this long.
const CURL_SECONDS: u64 = 3600;

/// Whether the secret key may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// It was made just now, or is well known.
    Shown,
    /// Whoever needs it has it: from the environment, or from the file in the data directory.
    Hidden(&'static str),
}

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The API.
    pub api: SocketAddr,
    /// Metrics and health.
    pub monitor: Option<SocketAddr>,
}

/// Prints the endpoint, the credentials, and snippets that can be pasted. The first line is a
/// contract: tools wait for it and read the address from it.
pub fn print(settings: &Settings, addresses: Addresses, credential: &Credential, secret: Secret) {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let address = match addresses.api {
        all if all.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], all.port())),
        one => one,
    };
    let (key, key_in_python) = match secret {
        Secret::Shown => (credential.secret_key.as_str(), format!("'{}'", credential.secret_key)),
        Secret::Hidden(place) => (place, "os.environ['COSINE_SECRET_KEY']".to_owned()),
    };
    let import = if secret == Secret::Shown { "" } else { "import os\n" };
    let (id, appid, region) =
        (&credential.secret_id, settings.account.appid, &settings.regions.default);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // The host is signed: the line lists this server's buckets, and opens none of them.
    let host = HeaderValue::try_from(address.to_string());
    let headers = host.map(|host| (HOST, host)).into_iter().collect();
    let window = (now.saturating_sub(60), now + CURL_SECONDS);
    let authorization =
        sign::authorization(("GET", "/", &Query::default()), &headers, credential, window);
    let durability = match settings.durability {
        Durability::Sync => "",
        Durability::Os => "Durability: os. What is acknowledged can be lost with the power.\n",
    };
    let monitor = match addresses.monitor {
        Some(monitor) => format!("Monitor:   http://{monitor}/metrics\n"),
        None => String::new(),
    };
    let text = format!(
        "cosine is ready: {scheme}://{address}
SecretId:  {id}
SecretKey: {key}
APPID:     {appid}
Region:    {region}
{durability}{monitor}
Python (pip install cos-python-sdk-v5):
{import}from qcloud_cos import CosConfig, CosS3Client
client = CosS3Client(CosConfig(Region='{region}', SecretId='{id}', SecretKey={key_in_python}, Scheme='{scheme}', IP='{ip}', Port={port}, ServiceDomain='{address}'))
client.create_bucket(Bucket='first-{appid}')
client.put_object(Bucket='first-{appid}', Key='hello', Body=b'hello')
client.copy_object(Bucket='first-{appid}', Key='copy', CopySource={{'Bucket': 'first-{appid}', 'Key': 'hello', 'Region': '{region}'}})
print(client.get_object(Bucket='first-{appid}', Key='copy')['Body'].get_raw_stream().read())

curl (signed, good for an hour: lists the buckets):
curl -H 'Authorization: {authorization}' {scheme}://{address}/
",
        ip = address.ip(),
        port = address.port(),
    );
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
