//! Keys of the built-in key management, and the master key that they are sealed under.

use std::sync::Arc;

use cosine_store::{KmsKey, KmsKeyState};
use cosine_wire::{ApiError, Code};
use serde_json::{Value, json};

use super::identities::account;
use super::{Params, invalid};
use crate::Api;
use crate::error::store_error;
use crate::sse::KEY_ID_BYTES_MAX;

/// A description has at most this many bytes.
const DESCRIPTION_BYTES_MAX: usize = 1024;
/// A key waits this many days to be deleted, if nobody says otherwise, and at most this many.
const DAYS: u64 = 7;
const DAYS_MAX: u64 = 30;
const DAY_MICROS: u64 = 86_400 * 1_000_000;

/// Makes a key.
pub async fn key_add(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    if !api.store.keeps_kms_keys() {
        let message = "Keys are made where the Transit engine is: nothing would use one of these.";
        return Err(ApiError::new(Code::InvalidRequest, message));
    }
    let description = params.text("description")?.unwrap_or_default().to_owned();
    if description.len() > DESCRIPTION_BYTES_MAX {
        return Err(invalid("description is longer than 1 KB.".to_owned()));
    }
    let key = api.store.add_kms_key(appid, description).await.map_err(store_error)?;
    Ok(json!({ "key_id": key.key_id }))
}

/// The keys of an account.
pub async fn key_list(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let appid = account(api, params).await?.appid;
    let keys = api.store.kms_keys(Some(appid)).await.map_err(store_error)?;
    Ok(json!({ "keys": keys.iter().map(shown).collect::<Vec<_>>() }))
}

/// A key.
pub async fn key_describe(api: &Api, params: &Params) -> Result<Value, ApiError> {
    own(api, params).await.map(|key| shown(&key))
}

/// Switches a key on or off.
pub async fn key_set(api: &Api, params: &Params, enabled: bool) -> Result<Value, ApiError> {
    let key = own(api, params).await?;
    let set = api.store.set_kms_key_enabled(&key.key_id, enabled).await;
    set.map(|()| json!({})).map_err(store_error)
}

/// Has a key go in some days.
pub async fn key_delete(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let key = own(api, params).await?;
    let days = match params.members.get("days") {
        None | Some(Value::Null) => DAYS,
        Some(days) => days
            .as_u64()
            .filter(|days| *days <= DAYS_MAX)
            .ok_or_else(|| invalid(format!("days is a number from 0 to {DAYS_MAX}.")))?,
    };
    let scheduled = api.store.schedule_kms_key_deletion(&key.key_id, days * DAY_MICROS).await;
    scheduled.map(|()| json!({})).map_err(store_error)
}

/// Gives a key a new version.
pub async fn key_rotate(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let key = own(api, params).await?;
    api.store.rotate_kms_key(&key.key_id).await.map(|()| json!({})).map_err(store_error)
}

/// Has a new master key take the place of the one that there is.
pub async fn master_rotate(api: &Api) -> Result<Value, ApiError> {
    let master = Arc::clone(&api.settings.master);
    let rotated = tokio::task::spawn_blocking(move || master.rotate()).await;
    rotated.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(|error| {
        ApiError::new(
            Code::InvalidRequest,
            format!("The master key cannot be replaced here: {error}."),
        )
    })?;
    Ok(api.settings.master.status())
}

/// The key that is named, if it is one of the account's.
async fn own(api: &Api, params: &Params) -> Result<KmsKey, ApiError> {
    let appid = account(api, params).await?.appid;
    let key_id = params.need("key_id")?;
    if key_id.len() > KEY_ID_BYTES_MAX {
        return Err(Code::KmsKeyNotExist.into());
    }
    let key = api.store.kms_key(key_id).await.map_err(store_error)?;
    if key.appid == appid { Ok(key) } else { Err(Code::KmsKeyNotExist.into()) }
}

fn shown(key: &KmsKey) -> Value {
    let (state, deletion) = match key.state {
        KmsKeyState::Enabled => ("Enabled", None),
        KmsKeyState::Disabled => ("Disabled", None),
        KmsKeyState::PendingDeletion(at) => ("PendingDeletion", Some(at / 1_000_000)),
    };
    json!({
        "key_id": key.key_id,
        "appid": key.appid,
        "state": state,
        "deletion": deletion,
        "created": key.created,
        "description": key.description,
        "versions": key.versions,
        "default": key.is_default,
    })
}
