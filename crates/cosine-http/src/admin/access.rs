//! Why somebody may do something, or not.

use std::borrow::Cow;
use std::collections::HashMap;

use cosine_access::{
    AclNeed, Action, Ask, Caller, Fact, Facts, Key, Resource, Rules, explain as explain_ask,
};
use cosine_store::{BucketName, Error, Holder, ObjectKey};
use cosine_wire::{ApiError, Code};
use serde_json::{Value, json};

use super::identities::account;
use super::{Params, invalid};
use crate::Api;
use crate::error::store_error;
use crate::operation::TABLE;

/// Circumstances that are made up.
struct Supposed(HashMap<String, String>);

impl Facts for Supposed {
    fn fact(&self, key: Key) -> Fact<'_> {
        let value = key.names().iter().find_map(|name| self.0.get(*name));
        value.map(|value| Cow::Borrowed(value.as_str())).into()
    }
}

/// Decides as the API would, and says of every statement what it had to say. Nothing is done.
pub async fn explain(api: &Api, params: &Params) -> Result<Value, ApiError> {
    let caller = caller(api, params).await?;
    let action = action(params.need("action")?)?;
    let resource = params.need("resource")?;
    let name = resource.rsplit_once(':').map_or(resource, |(_, name)| name);
    let (bucket, key) = name.split_once('/').unwrap_or((name, ""));
    let whole = format!("{bucket}/{key}");
    // Of a list, the key is the prefix.
    let is_list = action.acl == AclNeed::BucketRead && !key.is_empty();
    let name = if is_list { format!("{bucket}/") } else { whole.clone() };
    let bucket = BucketName::parse(bucket)
        .map_err(|_| invalid("resource is <bucket-appid>/<key>.".to_owned()))?;
    if params.appid != 0 && account(api, params).await?.appid != bucket.appid() {
        return Err(Code::AccessDenied.into());
    }
    let bucket = api.find(&bucket, None).await?;
    let bucket_acl = api.store.bucket_acl(&bucket).await.map_err(store_error)?;
    let policy = api.directory.policy(&bucket).await?;
    let object_acl = match ObjectKey::parse(key) {
        Ok(key) => match api.store.object(&bucket, &key, None).await {
            Ok(version) => Some(version.acl),
            Err(Error::NoSuchKey | Error::DeleteMarker(_)) => None,
            Err(error) => return Err(store_error(error)),
        },
        Err(_) => None,
    };
    let ask = Ask {
        caller: &caller,
        action,
        resource: Resource {
            service: "cos",
            region: bucket.region(),
            owner: api.directory.owner(bucket.name().appid()).await?,
            name: &name,
            list_of: is_list.then_some(whole.as_str()),
        },
        facts: &supposed(params)?,
        rules: Rules {
            policy: policy.as_deref(),
            bucket_acl: Some(&bucket_acl),
            object_acl: object_acl.as_ref(),
            is_trust: false,
        },
    };
    let (decision, considered) = explain_ask(&ask);
    let statements = considered.into_iter().map(|one| {
        json!({
            "policy": format!("{:?}", one.place).to_lowercase(),
            "statement": one.statement,
            "sid": one.sid,
            "effect": one.effect,
            "says": one.says,
        })
    });
    Ok(json!({
        "allowed": decision.allowed,
        "reason": decision.reason.to_string(),
        "who": caller.to_string(),
        "statements": statements.collect::<Vec<_>>(),
    }))
}

/// A user of the account by name, somebody by a number, or nobody.
async fn caller(api: &Api, params: &Params) -> Result<Caller, ApiError> {
    let Some(user) = params.text("user")?.filter(|user| *user != "anonymous") else {
        return Ok(Caller::Anonymous);
    };
    let own = account(api, params).await?;
    let by_name = api.store.user(own.appid, user).await.map_err(store_error)?;
    let holder = match (by_name, user.parse::<u64>()) {
        (Some(_), _) => Holder { appid: own.appid, user: Some(user.to_owned()) },
        (None, Ok(uin)) if uin == own.uin => Holder { appid: own.appid, user: None },
        (None, Ok(uin)) => {
            let found = api.store.holder_of(uin).await.map_err(store_error)?;
            found.ok_or(Code::NoSuchEntity)?
        }
        (None, Err(_)) => return Err(Code::NoSuchEntity.into()),
    };
    // An account learns nothing of others' users.
    if !params.is_operator && holder.appid != own.appid {
        return Err(Code::NoSuchEntity.into());
    }
    let (identity, _) = api.directory.identity(&holder).await?.ok_or(Code::NoSuchEntity)?;
    Ok(Caller::Known(identity.into()))
}

/// An action by its COS name.
fn action(name: &str) -> Result<Action, ApiError> {
    let bare = name.strip_prefix("name/").unwrap_or(name);
    let bare = bare.strip_prefix("cos:").unwrap_or(bare);
    let mut rows = TABLE.iter().map(|row| row.action);
    // The row that has it for its own name, before those that take it as well.
    let found = rows.clone().find(|action| action.names.first() == Some(&bare));
    found.or_else(|| rows.find(|action| action.names.contains(&bare))).ok_or_else(|| {
        invalid(format!("{name} is no action that an operation of docs/operations.md has."))
    })
}

fn supposed(params: &Params) -> Result<Supposed, ApiError> {
    let Some(context) = params.members.get("context") else {
        return Ok(Supposed(HashMap::new()));
    };
    let members = context.as_object().ok_or_else(|| invalid("context is no object.".to_owned()))?;
    let mut values = HashMap::new();
    for (name, value) in members {
        let value =
            value.as_str().ok_or_else(|| invalid(format!("context.{name} is not text.")))?;
        Key::named(name).ok_or_else(|| invalid(format!("{name} is no condition key.")))?;
        values.insert(name.clone(), value.to_owned());
    }
    Ok(Supposed(values))
}
