//! The administration of a server: `/-/admin/...`, on hosts that name no bucket, in JSON, signed
//! like any request. `cosine admin` speaks it.
//!
//! The root credential may do everything; the keys of an account may look after its users, roles and keys.
//! Temporary credentials may do nothing here. What a request asks for is in its method, its path, its
//! `x-cosine-*` headers and its body; the signature must cover all of the headers, and one of them is the
//! digest of the body.

mod access;
mod identities;
mod kms;
mod upkeep;

use aws_lc_rs::digest;
use cosine_access::{Caller, Identity, Who};
use cosine_wire::encode::hex;
use cosine_wire::host::HostRules;
use cosine_wire::{ApiError, Code};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value};

use crate::Api;
use crate::audit::Event;
use crate::body::Upload;
use crate::client::Arrival;
use crate::reply::Reply;
use crate::request::Head;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // their paths say it
pub enum Command {
    GcStatus,
    GcRun,
    ScrubStatus,
    ScrubRun,
    AccountAdd,
    AccountList,
    UserAdd,
    UserList,
    UserPolicy,
    UserRemove,
    RoleSet,
    RoleList,
    RoleRemove,
    KeyAdd,
    KeyList,
    KeyEnable,
    KeyDisable,
    KeyRemove,
    AccessExplain,
    KmsKeyAdd,
    KmsKeyList,
    KmsKeyDescribe,
    KmsKeyEnable,
    KmsKeyDisable,
    KmsKeyDelete,
    KmsKeyRotate,
    KmsMasterStatus,
    KmsMasterRotate,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Who has the root credential.
    Operator,
    /// The account that it is about, and who has the root credential.
    Account,
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    method: Method,
    path: &'static str,
    command: Command,
    whom: For,
}

const fn row(method: Method, path: &'static str, command: Command, whom: For) -> Row {
    Row { method, path, command, whom }
}

static TABLE: [Row; 28] = [
    row(Method::GET, "/-/admin/gc", Command::GcStatus, For::Operator),
    row(Method::POST, "/-/admin/gc", Command::GcRun, For::Operator),
    row(Method::GET, "/-/admin/scrub", Command::ScrubStatus, For::Operator),
    row(Method::POST, "/-/admin/scrub", Command::ScrubRun, For::Operator),
    row(Method::POST, "/-/admin/account/add", Command::AccountAdd, For::Operator),
    row(Method::POST, "/-/admin/account/list", Command::AccountList, For::Operator),
    row(Method::POST, "/-/admin/user/add", Command::UserAdd, For::Account),
    row(Method::POST, "/-/admin/user/list", Command::UserList, For::Account),
    row(Method::POST, "/-/admin/user/policy", Command::UserPolicy, For::Account),
    row(Method::POST, "/-/admin/user/remove", Command::UserRemove, For::Account),
    row(Method::POST, "/-/admin/role/set", Command::RoleSet, For::Account),
    row(Method::POST, "/-/admin/role/list", Command::RoleList, For::Account),
    row(Method::POST, "/-/admin/role/remove", Command::RoleRemove, For::Account),
    row(Method::POST, "/-/admin/key/add", Command::KeyAdd, For::Account),
    row(Method::POST, "/-/admin/key/list", Command::KeyList, For::Account),
    row(Method::POST, "/-/admin/key/enable", Command::KeyEnable, For::Account),
    row(Method::POST, "/-/admin/key/disable", Command::KeyDisable, For::Account),
    row(Method::POST, "/-/admin/key/remove", Command::KeyRemove, For::Account),
    row(Method::POST, "/-/admin/access/explain", Command::AccessExplain, For::Account),
    row(Method::POST, "/-/admin/kms/key/add", Command::KmsKeyAdd, For::Account),
    row(Method::POST, "/-/admin/kms/key/list", Command::KmsKeyList, For::Account),
    row(Method::POST, "/-/admin/kms/key/describe", Command::KmsKeyDescribe, For::Account),
    row(Method::POST, "/-/admin/kms/key/enable", Command::KmsKeyEnable, For::Account),
    row(Method::POST, "/-/admin/kms/key/disable", Command::KmsKeyDisable, For::Account),
    row(Method::POST, "/-/admin/kms/key/schedule-deletion", Command::KmsKeyDelete, For::Account),
    row(Method::POST, "/-/admin/kms/key/rotate", Command::KmsKeyRotate, For::Account),
    row(Method::POST, "/-/admin/kms/master/status", Command::KmsMasterStatus, For::Operator),
    row(Method::POST, "/-/admin/kms/master/rotate", Command::KmsMasterRotate, For::Operator),
];

/// The SHA-256 of a body, in hex.
const CONTENT_SHA256: &str = "x-cosine-content-sha256";
/// Headers of administration begin with this.
const PREFIX: &str = "x-cosine-";
/// No body is larger: two policies, as JSON texts.
const BODY_BYTES_MAX: u64 = 256 << 10;

/// A request, before it is looked at.
pub struct Asked {
    /// How it came.
    pub arrival: Arrival,
    /// Who asks.
    pub caller: Caller,
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Upload,
}

/// What is asked of accounts, by the members of the body.
struct Params {
    members: Map<String, Value>,
    /// The account that it is about.
    appid: u64,
    /// Whether who asks has the root credential.
    is_operator: bool,
}

impl Params {
    /// Whom or what it is about, for the record.
    fn subject(&self) -> String {
        let names = ["appid", "uin", "name", "secret_id", "key_id", "user", "action", "resource"];
        let shown = |name: &&str| Some(format!("{name}={}", self.members.get(*name)?));
        names.iter().filter_map(shown).collect::<Vec<_>>().join(" ")
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(format!("{name} is not text."))),
        }
    }

    fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)?.ok_or_else(|| invalid(format!("{name} is missing.")))
    }

    fn number(&self, name: &str) -> Result<u64, ApiError> {
        let number = self.members.get(name).and_then(Value::as_u64).filter(|number| *number > 0);
        number.ok_or_else(|| invalid(format!("{name} is missing, or no number.")))
    }
}

fn invalid(what: String) -> ApiError {
    ApiError::new(Code::InvalidArgument, what)
}

/// Finds the command that a request asks for, if it asks for one.
pub fn find(head: &Head, hosts: &HostRules) -> Option<&'static Row> {
    let found = TABLE.iter().find(|row| row.method == head.method && row.path == head.path)?;
    (!head.names_bucket(hosts)).then_some(found)
}

/// Headers whose signature is required.
pub fn is_admin_header(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Does what is asked.
pub async fn run(api: &Api, row: &Row, request: Asked) -> Result<Reply, ApiError> {
    let Asked { arrival, caller, head, mut body } = request;
    let mut subject = String::new();
    let answered = async {
        // The body first: who may ask is looked at when everything is there.
        let body = body.collect(BODY_BYTES_MAX, Code::EntityTooLarge).await?;
        let own = permit(api, row, &caller)?;
        let params = read(&head, &body, own)?;
        subject = params.subject();
        answer(api, row.command, &head, &params).await
    }
    .await;
    let reason = match &answered {
        Ok(_) => "done".to_owned(),
        Err(error) => error.to_string(),
    };
    if row.method != Method::GET || answered.is_err() {
        api.audit.record(Event {
            request_id: &arrival.id,
            at: arrival.at,
            ip: arrival.client.ip,
            who: &caller,
            action: row.path,
            resource: &subject,
            allowed: answered.is_ok(),
            reason: &reason,
        });
    }
    let answer = answered?;
    let json = HeaderValue::from_static("application/json");
    Ok(Reply::text(StatusCode::OK, format!("{answer}\n")).with(header::CONTENT_TYPE, json))
}

/// Lets the caller ask; returns the one account that it may ask about, if it is not the operator.
fn permit(api: &Api, row: &Row, caller: &Caller) -> Result<Option<u64>, ApiError> {
    let identity = caller.identity().ok_or(Code::AccessDenied)?;
    let Identity { account, who, session, .. } = identity;
    if *who != Who::Root || session.is_some() {
        return Err(Code::AccessDenied.into());
    }
    match row.whom {
        _ if *account == api.directory.account() => Ok(None),
        For::Account => Ok(Some(account.appid)),
        For::Operator => Err(Code::AccessDenied.into()),
    }
}

fn read(head: &Head, body: &[u8], own: Option<u64>) -> Result<Params, ApiError> {
    // What is asked of accounts stands in a body, and an empty one is signed as well.
    let has_digest = head.headers.contains_key(CONTENT_SHA256);
    if body.is_empty() && !has_digest {
        let (appid, is_operator) = (own.unwrap_or_default(), own.is_none());
        return Ok(Params { members: Map::new(), appid, is_operator });
    }
    let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
    let signed = head.headers.get(CONTENT_SHA256);
    if signed.is_none_or(|value| value.as_bytes() != digest.as_bytes()) {
        let message = format!("{CONTENT_SHA256} is not that of the body.");
        return Err(ApiError::new(Code::AccessDenied, message));
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Err(invalid("The body is no JSON object.".to_owned()));
    };
    let asked = members.get("appid").and_then(Value::as_u64);
    match (own, asked) {
        (Some(own), Some(asked)) if own != asked => Err(Code::AccessDenied.into()),
        (own, asked) => {
            let (appid, is_operator) = (own.or(asked).unwrap_or_default(), own.is_none());
            Ok(Params { members, appid, is_operator })
        }
    }
}

async fn answer(
    api: &Api,
    command: Command,
    head: &Head,
    params: &Params,
) -> Result<Value, ApiError> {
    match command {
        Command::GcStatus => upkeep::gc_status(api).await,
        Command::GcRun => upkeep::gc_run(api, &head.headers).await,
        Command::ScrubStatus => upkeep::scrub_status(api).await,
        Command::ScrubRun => upkeep::scrub_run(api).await,
        Command::AccountAdd => identities::account_add(api, params).await,
        Command::AccountList => identities::account_list(api).await,
        Command::UserAdd => identities::user_add(api, params).await,
        Command::UserList => identities::user_list(api, params).await,
        Command::UserPolicy => identities::user_policy(api, params).await,
        Command::UserRemove => identities::user_remove(api, params).await,
        Command::RoleSet => identities::role_set(api, params).await,
        Command::RoleList => identities::role_list(api, params).await,
        Command::RoleRemove => identities::role_remove(api, params).await,
        Command::KeyAdd => identities::key_add(api, params).await,
        Command::KeyList => identities::key_list(api, params).await,
        Command::KeyEnable => identities::key_set(api, params, Some(true)).await,
        Command::KeyDisable => identities::key_set(api, params, Some(false)).await,
        Command::KeyRemove => identities::key_set(api, params, None).await,
        Command::AccessExplain => access::explain(api, params).await,
        Command::KmsKeyAdd => kms::key_add(api, params).await,
        Command::KmsKeyList => kms::key_list(api, params).await,
        Command::KmsKeyDescribe => kms::key_describe(api, params).await,
        Command::KmsKeyEnable => kms::key_set(api, params, true).await,
        Command::KmsKeyDisable => kms::key_set(api, params, false).await,
        Command::KmsKeyDelete => kms::key_delete(api, params).await,
        Command::KmsKeyRotate => kms::key_rotate(api, params).await,
        Command::KmsMasterStatus => Ok(api.settings.master.status()),
        Command::KmsMasterRotate => kms::master_rotate(api).await,
    }
}
