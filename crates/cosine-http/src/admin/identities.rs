//! Accounts, users, roles and keys.

use std::num::NonZeroU64;

use cosine_access::{Account, Policy, PolicyKind};
use cosine_store::{AccessKey, Error, Holder, IDENTITY_NAME_BYTES_MAX};
use cosine_wire::{ApiError, Code};
use serde_json::{Value, json};

use super::{Params, invalid};
use crate::Api;
use crate::directory::purpose;
use crate::error::store_error;
use crate::secret::new_pair;

/// Numbers of users are drawn from those of twelve digits, as COS's are.
const UIN_MIN: u64 = 200_000_000_000;
const UIN_RANGE: NonZeroU64 = NonZeroU64::new(800_000_000_000).expect("not zero");
/// A number that is taken is drawn again, this often.
const DRAWS_MAX: usize = 20;

/// Makes an account, with its first keys.
pub async fn account_add(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let account = Account { appid: params.number("appid")?, uin: params.number("uin")? };
    let own = api.directory.account();
    if account.appid == own.appid || account.uin == own.uin {
        return Err(Code::EntityAlreadyExists.into());
    }
    let Account { appid, uin } = account;
    let (key, secret) = new_key(api, Holder { appid, user: None })?;
    api.store.add_account(account, &key).await.map_err(store_error)?;
    Ok(json!({ "appid": appid, "uin": uin, "secret_id": key.secret_id, "secret_key": secret }))
}

/// All accounts.
pub async fn account_list(api: &Api) -> Result<Value, ApiError> {
    let others = api.store.accounts().await.map_err(store_error)?;
    let all = std::iter::once(api.directory.account()).chain(others);
    let all: Vec<_> = all.map(|a| json!({ "appid": a.appid, "uin": a.uin })).collect();
    Ok(json!({ "accounts": all }))
}

/// Makes a user, with its first keys.
pub async fn user_add(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let name = name(params)?;
    let policy = policy(params, "policy", PolicyKind::Identity)?;
    let holder = Holder { appid, user: Some(name.to_owned()) };
    let (key, secret) = new_key(api, holder)?;
    for _ in 0..DRAWS_MAX {
        let uin = draw_uin()?;
        // A name that is taken is found at once; a number that is, only means another draw.
        if uin == api.directory.account().uin
            || api.store.holder_of(uin).await.map_err(store_error)?.is_some()
        {
            continue;
        }
        let added = api.store.add_user((appid, name), uin, policy.clone(), &key).await;
        added.map_err(store_error)?;
        return Ok(json!({ "uin": uin, "secret_id": key.secret_id, "secret_key": secret }));
    }
    Err(store_error(Error::Busy))
}

/// All users of an account.
pub async fn user_list(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let users = api.store.users(appid).await.map_err(store_error)?;
    let user = |(name, user): (String, cosine_store::UserRecord)| json!({ "name": name, "uin": user.uin, "created": user.created, "policy": user.policy });
    Ok(json!({ "users": users.into_iter().map(user).collect::<Vec<_>>() }))
}

/// Says what a user may do, in place of all that was said.
pub async fn user_policy(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let policy = policy(params, "policy", PolicyKind::Identity)?;
    let set = api.store.set_user_policy((appid, name(params)?), policy).await;
    set.map(|()| json!({})).map_err(store_error)
}

/// Removes a user, and its keys with it.
pub async fn user_remove(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let removed = api.store.remove_user(appid, name(params)?).await;
    removed.map(|()| json!({})).map_err(store_error)
}

/// Makes a role, or changes it.
pub async fn role_set(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let Account { appid, uin } = account(api, params).await?;
    let name = name(params)?;
    let trust = policy(params, "trust", PolicyKind::Resource)?;
    let trust = trust.ok_or_else(|| invalid("trust is missing.".to_owned()))?;
    if Policy::parse(&trust, PolicyKind::Resource).is_ok_and(|trust| trust.is_for_everyone()) {
        let message = "trust: a role that everyone may assume is nobody's.";
        return Err(ApiError::new(Code::MalformedPolicy, message));
    }
    let policy = policy(params, "policy", PolicyKind::Identity)?;
    api.store.set_role((appid, name), &trust, policy).await.map_err(store_error)?;
    Ok(json!({ "arn": format!("qcs::cam::uin/{uin}:roleName/{name}") }))
}

/// All roles of an account.
pub async fn role_list(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let roles = api.store.roles(appid).await.map_err(store_error)?;
    let role = |(name, role): (String, cosine_store::RoleRecord)| json!({ "name": name, "created": role.created, "trust": role.trust, "policy": role.policy });
    Ok(json!({ "roles": roles.into_iter().map(role).collect::<Vec<_>>() }))
}

/// Removes a role: whoever has assumed it has no longer.
pub async fn role_remove(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let removed = api.store.remove_role(appid, name(params)?).await;
    removed.map(|()| json!({})).map_err(store_error)
}

/// Gives a user, or the account itself, another pair of keys.
pub async fn key_add(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let (key, secret) = new_key(api, holder(api, params).await?)?;
    api.store.add_access_key(&key).await.map_err(store_error)?;
    Ok(json!({ "secret_id": key.secret_id, "secret_key": secret }))
}

/// All keys of a user, or of the account itself; never their secrets.
pub async fn key_list(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let holder = holder(api, params).await?;
    let keys = api.store.access_keys(&holder).await.map_err(store_error)?;
    let key = |key: AccessKey| json!({ "secret_id": key.secret_id, "created": key.created, "enabled": key.enabled });
    Ok(json!({ "keys": keys.into_iter().map(key).collect::<Vec<_>>() }))
}

/// Switches a pair of keys on or off, or removes it.
pub async fn key_set(api: &Api, params: &Params, enabled: Option<bool>) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let set = api.store.set_access_key(params.need("secret_id")?, appid, enabled).await;
    set.map(|()| json!({})).map_err(store_error)
}

/// The account that it is about: the one that is named, or that of the settings.
pub(super) async fn account(api: &Api, params: &Params) -> Result<Account, ApiError> {
    let own = api.directory.account();
    match params.appid {
        0 => Ok(own),
        appid if appid == own.appid => Ok(own),
        appid => {
            let found = api.store.account(appid).await.map_err(store_error)?;
            found.ok_or_else(|| Code::NoSuchEntity.into())
        }
    }
}

/// The user that is named, or the account itself.
async fn holder(api: &Api, params: &Params) -> Result<Holder, ApiError> {
    let appid = account(api, params).await?.appid;
    let user = params.text("name")?.map(str::to_owned);
    if let Some(name) = &user {
        let found = api.store.user(appid, name).await.map_err(store_error)?;
        found.ok_or(Code::NoSuchEntity)?;
    }
    Ok(Holder { appid, user })
}

fn name(params: &Params) -> Result<&str, ApiError> {
    let name = params.need("name")?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.@-".contains(&b);
    let is_free = name != "anonymous";
    let fits = (1..=IDENTITY_NAME_BYTES_MAX).contains(&name.len());
    match is_free && fits && name.bytes().all(allowed) {
        true => Ok(name),
        false => Err(invalid("name is 1 to 64 letters, digits and _.@-".to_owned())),
    }
}

/// A policy in the body: 400 `MalformedPolicy`.
fn policy(params: &Params, member: &str, kind: PolicyKind) -> Result<Option<String>, ApiError> {
    let Some(text) = params.text(member)? else { return Ok(None) };
    match Policy::parse(text, kind) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(error) => Err(ApiError::new(Code::MalformedPolicy, format!("{member}: {error}"))),
    }
}

fn new_key(api: &Api, holder: Holder) -> Result<(AccessKey, String), ApiError> {
    let (secret_id, secret_key) = new_pair().ok_or(Code::InternalError)?;
    let sealed = api.directory.key().seal(&purpose(&secret_id), secret_key.as_bytes());
    let secret = sealed.map_err(|_| Code::InternalError)?;
    let created = api.clock.now_seconds().cast_signed();
    Ok((AccessKey { secret_id, secret, holder, created, enabled: true }, secret_key))
}

fn draw_uin() -> Result<u64, ApiError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Code::InternalError)?;
    Ok(UIN_MIN + u64::from_be_bytes(bytes) % UIN_RANGE)
}
