//! What is encrypted, and under which keys.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use cosine_store::RewrapRules;
use http::Uri;
use zeroize::Zeroizing;

use super::file::endpoint_uri;
use crate::{master_key, units};

/// What is encrypted, and under which keys.
#[derive(Debug)]
pub struct EncryptionSettings {
    /// Where the master key comes from.
    pub master_key: master_key::Source,
    /// Seal new bytes though nobody asks for it.
    pub at_rest: bool,
    /// Which copies have their bytes sealed anew where they get another key.
    pub rewrap: RewrapRules,
    /// Refuse keys of customers over plain HTTP.
    pub customer_keys_need_tls: bool,
    /// Let the memory of the process, and the keys in it, be dumped.
    pub core_files: bool,
    /// The Transit engine, if there is one.
    pub kms: Option<KmsSettings>,
}

/// Where a Transit engine is.
#[derive(Clone, Debug)]
pub struct KmsSettings {
    /// The server.
    pub endpoint: Uri,
    /// Certificates to trust beside those of the system.
    pub ca: Option<PathBuf>,
    /// Where the engine is mounted.
    pub mount: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// The file with the token.
    pub token_file: PathBuf,
    /// The key that is used where none is named.
    pub default_key: Option<String>,
    /// How long an answer may take.
    pub patience: Duration,
}

impl EncryptionSettings {
    /// From the table, and the buckets in which nothing is re-wrapped.
    pub fn of<'v>(
        get: impl Fn(&str) -> &'v str,
        never_in: BTreeSet<String>,
    ) -> Result<Self, String> {
        let yes = |key| boolean(get(key), key);
        let never = match get("rewrap") {
            "allowed" | "" => false,
            "never" => true,
            other => return Err(format!("rewrap: {other} is neither allowed nor never")),
        };
        Ok(Self {
            master_key: master_key_source(&get)?,
            at_rest: yes("encrypt_at_rest")?,
            rewrap: RewrapRules { never, never_in },
            customer_keys_need_tls: yes("customer_keys_need_tls")?,
            core_files: yes("core_files")?,
            kms: kms(&get)?,
        })
    }
}

fn boolean(text: &str, key: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(format!("{key}: {other} is neither true nor false")),
    }
}

/// The one place where the master key comes from.
fn master_key_source<'v>(get: impl Fn(&str) -> &'v str) -> Result<master_key::Source, String> {
    let places = [get("master_key_file"), get("master_key"), get("master_key_command")];
    match places {
        ["", "", ""] => Ok(master_key::Source::Data),
        [file, "", ""] => Ok(master_key::Source::File(file.into())),
        ["", text, ""] => Ok(master_key::Source::Text(Zeroizing::new(text.to_owned()))),
        ["", "", command] => Ok(master_key::Source::Command(command.to_owned())),
        _ => Err("of master_key_file, master_key and master_key_command, one is enough".to_owned()),
    }
}

/// Where the Transit engine is, if there is one.
fn kms<'v>(get: impl Fn(&str) -> &'v str) -> Result<Option<KmsSettings>, String> {
    let some = |key: &str| Some(get(key).to_owned()).filter(|text| !text.is_empty());
    let Some(endpoint) = some("kms_endpoint") else {
        let alone = ["kms_token_file", "kms_namespace", "kms_default_key", "kms_ca"];
        return match alone.into_iter().find(|key| some(key).is_some()) {
            Some(key) => Err(format!("{key} goes with kms_endpoint")),
            None => Ok(None),
        };
    };
    let endpoint = endpoint_uri(&endpoint)
        .ok_or_else(|| format!("kms_endpoint: {endpoint} is not http(s)://<host>:<port>"))?;
    let token_file = some("kms_token_file").ok_or("kms_token_file goes with kms_endpoint")?;
    let mount = get("kms_mount").trim_matches('/').to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if mount.is_empty() || !mount.chars().all(plain) {
        return Err(format!("kms_mount: {mount} is no path"));
    }
    Ok(Some(KmsSettings {
        endpoint,
        ca: some("kms_ca").map(PathBuf::from),
        mount,
        namespace: some("kms_namespace"),
        token_file: token_file.into(),
        default_key: some("kms_default_key"),
        patience: units::seconds(get("kms_time")).map_err(|why| format!("kms_time: {why}"))?,
    }))
}
