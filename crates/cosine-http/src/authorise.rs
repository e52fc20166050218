//! From names to resources that the caller may use.

use std::sync::{Arc, OnceLock};

use cosine_access::{
    Account, AclNeed, Action, Ask, BucketAcl, Decision, ObjectAcl, Policy, ReadProof, Reason,
    Resource, Rules, allow_read, decide,
};
use cosine_store::{
    Bucket, BucketName, CopySource, DeleteMarker, Error, KEY_BYTES_MAX, ObjectKey, ObjectKind,
    Version, VersionId,
};
use cosine_wire::header::name;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::audit::Effect;
use crate::error::store_error;
use crate::facts::{About, RequestFacts};
use crate::params::show_version_id;
use crate::request::{Request, name_error};

/// Between the look at a key and the use of what was seen, the key may be written anew and the old
/// content collected: then one looks again. What is gone this many times in a row is damaged.
pub const LOOKS_MAX: usize = 10;

/// What a copy does with its source.
pub const GET_OBJECT: Action = Action::cos(&["GetObject"], AclNeed::ObjectRead);
/// What it takes to learn which keys a bucket lacks.
const GET_BUCKET: Action = Action::cos(&["GetBucket"], AclNeed::BucketRead);
/// What it takes to give an object an ACL of its own, or tags, while it is written.
const PUT_OBJECT_ACL: Action = Action::cos(&["PutObjectACL"], AclNeed::ObjectWriteAcp);
const PUT_OBJECT_TAGGING: Action = Action::cos(&["PutObjectTagging"], AclNeed::Nothing);
/// What it takes to see the tags of an object.
const GET_OBJECT_TAGGING: Action = Action::cos(&["GetObjectTagging"], AclNeed::Nothing);

/// An object that is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// The region in which the bucket must live.
    pub region: Option<&'a str>,
    /// Its key.
    pub key: &'a ObjectKey,
    /// Which version; `None` for the current one.
    pub id: Option<VersionId>,
    /// The answer where the version that is named is a delete marker.
    pub named_marker: Code,
    /// What is done with it.
    pub action: Action,
    /// What of the request bears on it.
    pub about: About<'a>,
}

/// An object that was found.
#[derive(Debug)]
pub struct Found {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its key: where a symlink was named, that of what it points at.
    pub key: ObjectKey,
    /// The version.
    pub version: Version,
    /// What its bucket says of who may.
    rules: BucketRules,
}

/// What a bucket says of who may.
#[derive(Debug)]
struct BucketRules {
    owner: Account,
    /// Read where nothing else decides.
    acl: OnceLock<BucketAcl>,
    policy: Option<Arc<Policy>>,
}

/// What is asked of a key in a bucket; the key is empty for the bucket itself.
#[derive(Clone, Copy)]
struct Asked<'a> {
    bucket: &'a Bucket,
    rules: &'a BucketRules,
    action: Action,
    key: &'a str,
    acl: Option<&'a ObjectAcl>,
    about: About<'a>,
}

impl Asked<'_> {
    /// `<bucket-appid>/<key>`.
    fn name(&self) -> String {
        [self.bucket.name().as_str(), "/", self.key].concat()
    }

    /// Has it decided by `rule`, which is `decide` or what ends in it.
    fn decide<T>(&self, request: &Request, name: &str, rule: impl FnOnce(&Ask<'_>) -> T) -> T {
        // Of a list, a policy may name the bucket, or the prefix.
        let is_list = self.key.is_empty() && request.row.knows_param("prefix");
        let prefix = request.query.get("prefix").filter(|prefix| {
            // No key has a longer one.
            is_list && prefix.len() <= KEY_BYTES_MAX
        });
        let prefix = prefix.unwrap_or_default();
        let list_of = (!prefix.is_empty()).then(|| [name, prefix].concat());
        rule(&Ask {
            caller: &request.caller,
            action: self.action,
            resource: Resource {
                service: "cos",
                region: self.bucket.region(),
                owner: self.rules.owner,
                name,
                list_of: list_of.as_deref(),
            },
            facts: &RequestFacts::new(request, self.about),
            rules: Rules {
                policy: self.rules.policy.as_deref(),
                bucket_acl: self.rules.acl.get(),
                object_acl: self.acl,
                is_trust: false,
            },
        })
    }
}

impl<'a> Wanted<'a> {
    /// What the request itself names, to be dealt with as its operation does.
    ///
    /// # Errors
    /// 404 `NoSuchVersion` for what no version can be named.
    pub fn of(request: &'a Request, named_marker: Code) -> Result<Self, ApiError> {
        Ok(Self {
            bucket: request.bucket()?,
            region: request.target.region.as_deref(),
            key: request.key()?,
            id: crate::params::version_id(request)?,
            named_marker,
            action: request.action(),
            about: About::Request,
        })
    }

    /// The answer where a delete marker stands in the place of the version.
    fn hidden_by(&self, marker: DeleteMarker) -> ApiError {
        let code = if self.id.is_some() { self.named_marker } else { Code::NoSuchKey };
        ApiError::from(code)
            .with_header(name::DELETE_MARKER, "true".to_owned())
            .with_header(name::VERSION_ID, show_version_id(marker.id()))
    }
}

impl Api {
    /// Finds the bucket that a request names, in its region, and lets the caller do there what it asks
    /// for: with the bucket, with the key in it, or, for a list, with what has the prefix.
    ///
    /// # Errors
    /// 404 `NoSuchBucket`, also where the bucket lives in another region; 403 `AccessDenied`.
    pub async fn permitted_bucket(&self, request: &Request) -> Result<Bucket, ApiError> {
        self.bucket_for(request, request.action()).await
    }

    /// The same, for another action than that of the operation.
    ///
    /// # Errors
    /// As for [`permitted_bucket`](Self::permitted_bucket).
    pub async fn bucket_for(&self, request: &Request, action: Action) -> Result<Bucket, ApiError> {
        let bucket = self.find(request.bucket()?, request.target.region.as_deref()).await?;
        self.permit_key(request, &bucket, action, key_of(request)).await?;
        Ok(bucket)
    }

    /// Lets the caller do something with a key of a bucket, whether it has an object or not.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub async fn permit_key(
        &self,
        request: &Request,
        bucket: &Bucket,
        action: Action,
        key: &str,
    ) -> Result<(), ApiError> {
        let rules = &self.rules(bucket).await?;
        let asked = Asked { bucket, rules, action, key, acl: None, about: About::Request };
        self.permit(request, asked).await
    }

    /// Lets the caller do something with each of several objects of a bucket, or not: keys, and the
    /// versions that are named. What can be no key is refused as that. They may be many, so that others have
    /// their turn in between.
    ///
    /// # Errors
    /// If nobody can tell.
    pub async fn permit_each(
        &self,
        request: &Request,
        bucket: &Bucket,
        objects: Vec<(Action, &str, Option<&str>)>,
    ) -> Result<Vec<Result<(), ApiError>>, ApiError> {
        let rules = &self.rules(bucket).await?;
        let mut permitted = Vec::with_capacity(objects.len());
        for (action, key, id) in objects {
            if let Err(error) = ObjectKey::parse(key) {
                permitted.push(Err(name_error(error)));
                continue;
            }
            self.audit.room().await?;
            let about = About::Object(id);
            let asked = Asked { bucket, rules, action, key, acl: None, about };
            permitted.push(self.permit(request, asked).await);
            tokio::task::yield_now().await;
        }
        Ok(permitted)
    }

    /// Lets the caller give the object that it writes an ACL of its own, or tags, if it does (C117).
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub async fn permit_extras(
        &self,
        request: &Request,
        bucket: &Bucket,
        (acl, tags): (&ObjectAcl, &[(String, String)]),
    ) -> Result<(), ApiError> {
        let key = key_of(request);
        if *acl != ObjectAcl::Default {
            self.permit_key(request, bucket, PUT_OBJECT_ACL, key).await?;
        }
        if !tags.is_empty() {
            self.permit_key(request, bucket, PUT_OBJECT_TAGGING, key).await?;
        }
        Ok(())
    }

    /// Finds an object that the caller may read; where it is a symlink, what it points at, which the
    /// caller must be allowed to read as well.
    ///
    /// # Errors
    /// As [`permitted_bucket`](Self::permitted_bucket), 404 `NoSuchKey` and `NoSuchVersion`, and what is
    /// wanted for a delete marker; who may not list the bucket does not learn which keys it lacks. 400
    /// `InvalidRequest` for a symlink to a symlink.
    pub async fn readable_object(
        &self,
        request: &Request,
        wanted: &Wanted<'_>,
    ) -> Result<Found, ApiError> {
        for _ in 0..LOOKS_MAX {
            let found = self.readable_version(request, wanted).await?;
            if found.version.kind != ObjectKind::Symlink {
                return Ok(found);
            }
            let target = match self.store.symlink_target(&found.version).await {
                Err(Error::Gone) => continue,
                target => target.map_err(store_error)?,
            };
            let beyond = Wanted { key: &target, id: None, ..*wanted };
            let found = self.found(request, found.bucket, found.rules, &beyond).await?;
            return match found.version.kind {
                ObjectKind::Symlink => Err(ApiError::new(
                    Code::InvalidRequest,
                    "A symlink that points at a symlink is not followed.",
                )),
                _ => Ok(found),
            };
        }
        Err(store_error(Error::Gone))
    }

    /// Finds an object that the caller may deal with, as it is: a symlink is not followed.
    ///
    /// # Errors
    /// As for [`readable_object`](Self::readable_object).
    pub async fn readable_version(
        &self,
        request: &Request,
        wanted: &Wanted<'_>,
    ) -> Result<Found, ApiError> {
        let bucket = self.find(wanted.bucket, wanted.region).await?;
        let rules = self.rules(&bucket).await?;
        self.found(request, bucket, rules, wanted).await
    }

    /// The proof that the caller may read what was found to be copied.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn prove_readable(
        &self,
        request: &Request,
        found: Found,
        (id, about): (Option<VersionId>, About<'_>),
    ) -> Result<ReadProof<CopySource>, ApiError> {
        let Found { bucket, key, version, rules } = found;
        let source = CopySource { bucket: bucket.clone(), key: key.clone(), id, version };
        let acl = source.version.acl.clone();
        let (action, key, acl) = (GET_OBJECT, key.as_str(), Some(&acl));
        let asked = Asked { bucket: &bucket, rules: &rules, action, key, acl, about };
        let name = asked.name();
        asked.decide(request, &name, |ask| allow_read(ask, source)).map_err(|decision| {
            self.audit.decided(request, (action.name(), &name), &decision, Effect::Copied);
            Code::AccessDenied.into()
        })
    }

    /// Whether the caller may see the tags of what was found, and why.
    pub fn sees_tags(&self, request: &Request, found: &Found, about: About<'_>) -> Decision {
        let (key, acl) = (found.key.as_str(), Some(&found.version.acl));
        let (bucket, rules) = (&found.bucket, &found.rules);
        let asked = Asked { bucket, rules, action: GET_OBJECT_TAGGING, key, acl, about };
        asked.decide(request, &asked.name(), decide)
    }

    /// Lets the caller do something, as far as its own account has a say: make a bucket, see those of the
    /// account, or read an object of another deployment, which is read with a credential of this one.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub async fn permit_beyond(
        &self,
        request: &Request,
        action: Action,
        (appid, region, name): (u64, &str, &str),
        about: About<'_>,
    ) -> Result<(), ApiError> {
        let owner = self.directory.owner(appid).await?;
        let decision = decide(&Ask {
            caller: &request.caller,
            action,
            resource: Resource { service: "cos", region, owner, name, list_of: None },
            facts: &RequestFacts::new(request, about),
            rules: Rules::default(),
        });
        let effect = Effect::of(request, about);
        self.audit.decided(request, (action.name(), name), &decision, effect);
        if decision.allowed { Ok(()) } else { Err(Code::AccessDenied.into()) }
    }

    /// Finds a version that the caller may deal with.
    async fn found(
        &self,
        request: &Request,
        bucket: Bucket,
        rules: BucketRules,
        wanted: &Wanted<'_>,
    ) -> Result<Found, ApiError> {
        let (action, key, about) = (wanted.action, wanted.key.as_str(), wanted.about);
        let asked = Asked { bucket: &bucket, rules: &rules, action, key, acl: None, about };
        let missing = match self.store.object(&bucket, wanted.key, wanted.id).await {
            Ok(version) => {
                self.permit(request, Asked { acl: Some(&version.acl), ..asked }).await?;
                let key = wanted.key.clone();
                return Ok(Found { bucket, key, version, rules });
            }
            Err(Error::NoSuchKey) => Code::NoSuchKey.into(),
            Err(Error::NoSuchVersion) => Code::NoSuchVersion.into(),
            Err(Error::DeleteMarker(marker)) => wanted.hidden_by(marker),
            Err(error) => return Err(store_error(error)),
        };
        // Who could have dealt with it, had it been there, and who may see what is there, learn that it
        // is not.
        if !self.judge(request, asked, &asked.name()).await?.allowed {
            self.permit(request, Asked { action: GET_BUCKET, ..asked }).await?;
        }
        Err(missing)
    }

    /// Finds a bucket in its region.
    ///
    /// # Errors
    /// 404 `NoSuchBucket`.
    pub async fn find(&self, name: &BucketName, region: Option<&str>) -> Result<Bucket, ApiError> {
        let bucket = self.store.bucket(name).await.map_err(store_error)?;
        if region.is_some_and(|region| region != bucket.region()) {
            return Err(Code::NoSuchBucket.into());
        }
        Ok(bucket)
    }

    /// Lets the caller do something, or not, and keeps a record of it.
    async fn permit(&self, request: &Request, asked: Asked<'_>) -> Result<(), ApiError> {
        let name = asked.name();
        let decision = self.judge(request, asked, &name).await?;
        let effect = Effect::of(request, asked.about);
        self.audit.decided(request, (asked.action.name(), &name), &decision, effect);
        if decision.allowed { Ok(()) } else { Err(Code::AccessDenied.into()) }
    }

    /// Decides. The bucket's ACL can only allow, so it is read where nothing else does.
    async fn judge(
        &self,
        request: &Request,
        asked: Asked<'_>,
        name: &str,
    ) -> Result<Decision, ApiError> {
        let decision = asked.decide(request, name, decide);
        let is_final = decision.allowed || matches!(decision.reason, Reason::Denied(..));
        if is_final || asked.action.acl == AclNeed::Nothing || asked.rules.acl.get().is_some() {
            return Ok(decision);
        }
        let acl = self.store.bucket_acl(asked.bucket).await.map_err(store_error)?;
        // Nobody else has this one: it is of this request.
        let _ = asked.rules.acl.set(acl);
        Ok(asked.decide(request, name, decide))
    }

    async fn rules(&self, bucket: &Bucket) -> Result<BucketRules, ApiError> {
        let owner = self.directory.owner(bucket.name().appid()).await?;
        let policy = self.directory.policy(bucket).await?;
        Ok(BucketRules { owner, acl: OnceLock::new(), policy })
    }
}

/// The key that a request is about, if it is about one.
fn key_of(request: &Request) -> &str {
    request.target.key.as_ref().map_or("", ObjectKey::as_str)
}
