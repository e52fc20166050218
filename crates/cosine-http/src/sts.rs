//! The Security Token Service: temporary credentials, by GetFederationToken and AssumeRole. Source:
//! GetFederationToken (1312/48195), AssumeRole (1312/48197).
//!
//! It answers on hosts whose first label is `sts`, and to a `POST /` where no bucket is named: nothing of
//! COS is there. Requests are signed with `TC3-HMAC-SHA256`, in JSON, or, as the STS SDKs do, with the older
//! signature, as a form. An answer is always 200, errors too, since the SDKs look for them there.

use std::sync::Arc;

use cosine_access::{
    Account, AclNeed, Action, Ask, Caller, Credential, Policy, PolicyKind, Reason, Resource, Rules,
    Who, decide,
};
use cosine_store::Holder;
use cosine_wire::date::iso_date;
use cosine_wire::encode::percent_decode;
use cosine_wire::host::{HostRules, without_port};
use cosine_wire::query::Query;
use cosine_wire::tc3::{SKEW_SECONDS_MAX, Tc3, Tc3Ask, v1_is_right};
use cosine_wire::{ApiError, Code};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Api;
use crate::audit::Event;
use crate::body::Upload;
use crate::client::Arrival;
use crate::directory::Signer;
use crate::facts::CommonFacts;
use crate::reply::Reply;
use crate::request::Head;
use crate::secret::random_text;
use crate::token::{TOKEN_BYTES_MAX, Token};

/// No request is larger.
const BODY_BYTES_MAX: u64 = 64 << 10;
/// The policy of a session holds at most this many bytes: it travels with every request.
const POLICY_BYTES_MAX: usize = 6 << 10;
/// Names of sessions hold this many bytes at most.
const NAME_BYTES_MAX: usize = 128;
/// The name of the service that clients sign for, wherever they send their requests.
const OFFICIAL_HOST: &str = "sts.tencentcloudapi.com";

/// An error, by its code and a message for people.
type StsError = (&'static str, String);

/// What can be asked for: its name, how long credentials last where nobody says, and what it does.
const GET_FEDERATION_TOKEN: &str = "GetFederationToken";
const ASSUME_ROLE: &str = "AssumeRole";

/// How long temporary credentials last, in seconds.
struct Durations {
    default: u64,
    max: u64,
}

/// A request, read, and the lasting or temporary key that signed it.
struct Call {
    action: String,
    params: Map<String, Value>,
    signer: Arc<Signer>,
}

/// Whether a request is for this service.
pub fn is_for(head: &Head, hosts: &HostRules, own: Option<&str>) -> bool {
    let host = without_port(&head.authority);
    if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) {
        return true;
    }
    let named = host.get(..4).is_some_and(|front| front.eq_ignore_ascii_case("sts."));
    let nowhere_else =
        head.method == Method::POST && head.path == "/" && head.query.iter().next().is_none();
    !head.names_bucket(hosts) && (named || nowhere_else)
}

/// Answers.
pub async fn run(
    api: &Api,
    arrival: Arrival,
    head: Head,
    mut body: Upload,
) -> Result<Reply, ApiError> {
    let body = body.collect(BODY_BYTES_MAX, Code::EntityTooLarge).await?;
    let mut who = "anonymous".to_owned();
    let answered = answer(api, &arrival, &head, &body, &mut who).await;
    let reason = match &answered {
        Ok(_) => "made".to_owned(),
        Err((code, message)) => format!("{code}: {message}"),
    };
    api.audit.record(Event {
        request_id: &arrival.id,
        at: arrival.at,
        ip: arrival.client.ip,
        who: &who,
        action: "sts",
        resource: answered.as_ref().map_or("", |(what, _)| what),
        allowed: answered.is_ok(),
        reason: &reason,
    });
    let mut response = match answered {
        Ok((_, response)) => response,
        Err((code, message)) => json!({ "Error": { "Code": code, "Message": message } }),
    };
    if let Some(members) = response.as_object_mut() {
        members.insert("RequestId".to_owned(), json!(arrival.id));
    }
    let text = json!({ "Response": response }).to_string();
    let kind = HeaderValue::from_static("application/json");
    Ok(Reply::text(StatusCode::OK, text).with(header::CONTENT_TYPE, kind))
}

async fn answer(
    api: &Api,
    arrival: &Arrival,
    head: &Head,
    body: &[u8],
    who: &mut String,
) -> Result<(String, Value), StsError> {
    let is_form = head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
    });
    let call = match is_form {
        true => by_form(api, arrival, head, body).await?,
        false => by_json(api, arrival, head, body).await?,
    };
    *who = call.signer.identity.to_string();
    match call.action.as_str() {
        GET_FEDERATION_TOKEN => federation_token(api, arrival, &call),
        ASSUME_ROLE => assume_role(api, arrival, &call).await,
        other => Err(("InvalidAction", format!("{other:?} is no action that is known here."))),
    }
}

/// `TC3-HMAC-SHA256`: the body in JSON, everything else in headers.
async fn by_json(api: &Api, arrival: &Arrival, head: &Head, body: &[u8]) -> Result<Call, StsError> {
    let tc3 = Tc3::find(&head.headers).ok_or_else(|| {
        let message = "The request has no signature of TC3-HMAC-SHA256.".to_owned();
        ("AuthFailure.InvalidAuthorization", message)
    })?;
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let signer = signer(api, &tc3.secret_id, text("x-tc-token"), arrival.at).await?;
    require_fresh(tc3.timestamp, arrival.at)?;
    let secret = &signer.credential.secret_key;
    let right = hosts_of(head).iter().any(|host| {
        [true, false].into_iter().any(|lower_case| {
            let headers = &head.headers;
            tc3.is_right(Tc3Ask { service: "sts", host, headers, body, lower_case }, secret)
        })
    });
    require_signature(right)?;
    let params = match serde_json::from_slice(body) {
        Ok(Value::Object(params)) => params,
        _ => return Err(("InvalidParameter", "The body is no JSON object.".to_owned())),
    };
    let action = text("x-tc-action").unwrap_or_default().to_owned();
    Ok(Call { action, params, signer })
}

/// The older signature: everything in a form.
async fn by_form(api: &Api, arrival: &Arrival, head: &Head, body: &[u8]) -> Result<Call, StsError> {
    let text = String::from_utf8_lossy(body);
    let form = Query::parse(&text);
    let form = form.ok_or_else(|| ("InvalidParameter", "The body is no form.".to_owned()))?;
    let mut params: Vec<(String, String)> =
        form.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let need = |name: &str| {
        let found = params.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        found.filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
    };
    let (signature, action, secret_id) = (need("Signature")?, need("Action")?, need("SecretId")?);
    let timestamp = need("Timestamp")?.parse().map_err(|_| missing("Timestamp"))?;
    let signer = signer(api, &secret_id, need("Token").ok().as_deref(), arrival.at).await?;
    require_fresh(timestamp, arrival.at)?;
    params.retain(|(name, _)| name != "Signature");
    // The signature joins decoded values: with these, one value could be signed as two.
    if params.iter().any(|(name, value)| name.contains(['&', '=']) || value.contains('&')) {
        return Err(("InvalidParameter", "A parameter holds an ampersand.".to_owned()));
    }
    // The Python SDK signs `Region=None` where it sends no region.
    let with_none = [&params[..], &[("Region".to_owned(), "None".to_owned())]].concat();
    let secret = &signer.credential.secret_key;
    let right = hosts_of(head).iter().any(|host| {
        [&params, &with_none].iter().any(|params| v1_is_right(host, params, &signature, secret))
    });
    require_signature(right)?;
    let params = params.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    Ok(Call { action, params, signer })
}

/// What clients may have signed as the host.
fn hosts_of(head: &Head) -> [&str; 3] {
    [&head.authority, without_port(&head.authority), OFFICIAL_HOST]
}

async fn signer(
    api: &Api,
    secret_id: &str,
    token: Option<&str>,
    now: u64,
) -> Result<Arc<Signer>, StsError> {
    let found = api.directory.signer(secret_id, token).await;
    let signer = found.map_err(|error| match error.code {
        Code::InvalidAccessKeyId => (
            "AuthFailure.SecretIdNotFound",
            "The SecretId is not found, please ensure that your SecretId is correct.".to_owned(),
        ),
        _ => ("InternalError", "The keys cannot be read now.".to_owned()),
    })?;
    let expired = |_| ("AuthFailure.TokenFailure", "The token has expired.".to_owned());
    signer.require_unexpired(now).map_err(expired)?;
    Ok(signer)
}

fn require_fresh(timestamp: u64, now: u64) -> Result<(), StsError> {
    match timestamp.abs_diff(now) > SKEW_SECONDS_MAX {
        true => Err((
            "AuthFailure.SignatureExpire",
            "The timestamp is more than five minutes from the time of the server.".to_owned(),
        )),
        false => Ok(()),
    }
}

fn require_signature(right: bool) -> Result<(), StsError> {
    match right {
        true => Ok(()),
        false => Err((
            "AuthFailure.SignatureFailure",
            "The provided credentials could not be validated. Please check your signature is \
             correct."
                .to_owned(),
        )),
    }
}

fn missing(name: &str) -> StsError {
    ("MissingParameter", format!("The request is missing a required parameter `{name}`."))
}

impl Call {
    fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, StsError> {
        self.text(name).ok_or_else(|| missing(name))
    }

    fn duration(&self, durations: &Durations) -> Result<u64, StsError> {
        let seconds = match self.params.get("DurationSeconds") {
            None | Some(Value::Null) => return Ok(durations.default),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        match seconds.filter(|seconds| (1..=durations.max).contains(seconds)) {
            Some(seconds) => Ok(seconds),
            None => Err((
                "InvalidParameter.OverTimeError",
                format!("DurationSeconds is from 1 to {}.", durations.max),
            )),
        }
    }

    /// The name of the session.
    fn name(&self, param: &str) -> Result<&str, StsError> {
        let name = self.need(param)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        match name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed) {
            true => Ok(name),
            false => Err((
                "InvalidParameter.ParamError",
                format!("{param} is up to 128 letters, digits and _+=,.@-"),
            )),
        }
    }

    /// The policy of the session: percent-encoded, or, from those who forget it, not.
    fn policy(&self) -> Result<Option<String>, StsError> {
        let Some(sent) = self.text("Policy") else { return Ok(None) };
        let decoded = match sent.trim_start().starts_with('{') {
            true => Some(sent.to_owned()),
            false => percent_decode(sent.as_bytes()).and_then(|text| String::from_utf8(text).ok()),
        };
        let wrong = |what: String| ("InvalidParameter.StrategyFormatError", what);
        let text = decoded.ok_or_else(|| wrong("Policy is not percent-encoded.".to_owned()))?;
        // As compact as it can be, since it is part of the token.
        let compact = serde_json::from_str::<Value>(&text).map(|value| value.to_string());
        let text = match Policy::parse(&text, PolicyKind::Identity) {
            Ok(_) => compact.unwrap_or(text),
            Err(error) => return Err(wrong(error.to_string())),
        };
        match text.len() > POLICY_BYTES_MAX {
            true => {
                Err(("InvalidParameter.PolicyTooLong", "Policy holds at most 6 KB.".to_owned()))
            }
            false => Ok(Some(text)),
        }
    }
}

/// Temporary credentials of the caller, narrowed by a policy. It takes no leave of the user's policy, since
/// they are never more than the user is; but a deny denies.
fn federation_token(
    api: &Api,
    arrival: &Arrival,
    call: &Call,
) -> Result<(String, Value), StsError> {
    let identity = &call.signer.identity;
    if identity.session.is_some() {
        let message = "Temporary credentials make no others.".to_owned();
        return Err(("FailedOperation.TempKeyNotAllowed", message));
    }
    let name = call.name("Name")?;
    let policy = Some(call.policy()?.ok_or_else(|| missing("Policy"))?);
    let (user, max) = match &identity.who {
        Who::Root => (None, 7200),
        Who::User { name, .. } | Who::Role { name } => (Some(name.clone()), 129_600),
    };
    let resource = format!("uin/{}", identity.uin());
    if let Reason::Denied(..) = may(
        call,
        arrival,
        (GET_FEDERATION_TOKEN_ACTION, identity.account, &resource),
        Rules::default(),
    ) {
        return Err(unauthorised(GET_FEDERATION_TOKEN));
    }
    let duration = call.duration(&Durations { default: 1800, max })?;
    let holder = Holder { appid: identity.account.appid, user };
    let made = Made { holder, role: None, name, policy, duration };
    made.credentials(api, arrival, &call.signer).map(|value| (name.to_owned(), value))
}

const GET_FEDERATION_TOKEN_ACTION: Action =
    Action { service: "sts", names: &["GetFederationToken"], acl: AclNeed::Nothing };
const ASSUME_ROLE_ACTION: Action =
    Action { service: "sts", names: &["AssumeRole"], acl: AclNeed::Nothing };

/// What the policies of the caller, and of the resource, say.
fn may(
    call: &Call,
    arrival: &Arrival,
    (action, owner, name): (Action, Account, &str),
    rules: Rules<'_>,
) -> Reason {
    let caller = Caller::Known(Arc::clone(&call.signer.identity));
    let resource = Resource { service: "cam", region: "", owner, name, list_of: None };
    let facts = &CommonFacts { client: arrival.client, at: arrival.at };
    decide(&Ask { caller: &caller, action, resource, facts, rules }).reason
}

fn unauthorised(what: &str) -> StsError {
    ("UnauthorizedOperation", format!("The caller may not do {what}."))
}

/// Temporary credentials of a role: of whom the role trusts, and who may by its own policy.
async fn assume_role(
    api: &Api,
    arrival: &Arrival,
    call: &Call,
) -> Result<(String, Value), StsError> {
    let arn = call.need("RoleArn")?;
    let arn = percent_decode(arn.as_bytes()).and_then(|arn| String::from_utf8(arn).ok());
    let arn = arn.unwrap_or_default();
    let name = call.name("RoleSessionName")?;
    let policy = call.policy()?;
    let (uin, role) = role_of(&arn).ok_or_else(|| no_role(&arn))?;
    // Other accounts do not learn which roles there are.
    let is_own = call.signer.identity.account.uin == uin;
    let not_found = || if is_own { no_role(&arn) } else { unauthorised(ASSUME_ROLE) };
    let failed = |_| ("InternalError", "The role cannot be read now.".to_owned());
    let appid = match uin == api.directory.account().uin {
        true => Some(api.directory.account().appid),
        false => {
            let holder = api.store.holder_of(uin).await.map_err(failed)?;
            holder.filter(|holder| holder.user.is_none()).map(|holder| holder.appid)
        }
    };
    let appid = appid.ok_or_else(not_found)?;
    let record = api.store.role(appid, role).await.map_err(failed)?.ok_or_else(not_found)?;
    let trust = Policy::parse(&record.trust, PolicyKind::Resource);
    let trust = trust.map_err(|error| ("InternalError.IllegalRole", error.to_string()))?;
    let rules = Rules { policy: Some(&trust), is_trust: true, ..Rules::default() };
    let resource = format!("roleName/{role}");
    let reason = may(call, arrival, (ASSUME_ROLE_ACTION, Account { appid, uin }, &resource), rules);
    if !matches!(reason, Reason::Allowed(..)) || call.signer.identity.account.uin == 0 {
        return Err(unauthorised(ASSUME_ROLE));
    }
    let duration = call.duration(&Durations { default: 7200, max: 43_200 })?;
    let holder = Holder { appid, user: None };
    let made = Made { holder, role: Some(role.to_owned()), name, policy, duration };
    made.credentials(api, arrival, &call.signer).map(|value| (arn.clone(), value))
}

fn no_role(arn: &str) -> StsError {
    ("ResourceNotFound.RoleNotFound", format!("There is no role {arn}."))
}

/// `qcs::cam::uin/<account>:roleName/<name>`, or `role/<name>`.
fn role_of(arn: &str) -> Option<(u64, &str)> {
    let (uin, role) = arn.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
    let name = role.strip_prefix("roleName/").or_else(|| role.strip_prefix("role/"))?;
    Some((uin.parse().ok()?, name))
}

/// Credentials to be made.
struct Made<'a> {
    holder: Holder,
    role: Option<String>,
    name: &'a str,
    policy: Option<String>,
    duration: u64,
}

impl Made<'_> {
    /// Nothing that is made with temporary credentials outlives them.
    fn credentials(self, api: &Api, arrival: &Arrival, signer: &Signer) -> Result<Value, StsError> {
        let failed = || ("InternalError", "There are no random bytes.".to_owned());
        let secret_id = format!("AKID{}", random_text(32).ok_or_else(failed)?);
        let secret_key = random_text(32).ok_or_else(failed)?;
        let expires = (arrival.at + self.duration).min(signer.expires.unwrap_or(u64::MAX));
        let token = Token {
            credential: Credential { secret_id, secret_key },
            holder: self.holder,
            role: self.role,
            name: self.name.to_owned(),
            policy: self.policy,
            expires,
            key: signer.key.clone(),
        };
        let sealed = token.seal(api.directory.key()).map_err(|_| failed())?;
        if sealed.len() > TOKEN_BYTES_MAX {
            return Err(("InvalidParameter.PolicyTooLong", "Policy is too long.".to_owned()));
        }
        Ok(json!({
            "Credentials": {
                "Token": sealed,
                "TmpSecretId": token.credential.secret_id,
                "TmpSecretKey": token.credential.secret_key,
            },
            "ExpiredTime": expires,
            "Expiration": iso_date(expires.cast_signed()),
        }))
    }
}
