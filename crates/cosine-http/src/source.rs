//! What is copied from: for PUT Object - Copy and Upload Part - Copy alike.

use cosine_access::{ReadProof, Reason};
use cosine_store::{Bucket, BucketName, CustomerKey, ObjectKey, VersionId};
use cosine_wire::condition::{COPY_SOURCE, Conditions, Facts};
use cosine_wire::copy_source::CopySource;
use cosine_wire::header::name;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::authorise::{GET_OBJECT, Wanted};
use crate::error::store_error;
use crate::facts::About;
use crate::params::{read_version_id, show_version_id};
use crate::remote::Remote;
use crate::reply::Reply;
use crate::request::{Request, name_error};
use crate::sse;

/// `x-cos-copy-source` and the conditions on it.
#[derive(Debug)]
pub struct Source {
    /// The bucket.
    pub bucket: BucketName,
    /// The region in which the bucket must live.
    pub region: Option<String>,
    /// The key.
    pub key: ObjectKey,
    /// Which version; `None` for the current one.
    pub id: Option<VersionId>,
    /// What must hold of it.
    pub conditions: Conditions,
    /// The customer's key that it is encrypted with.
    pub customer_key: Option<CustomerKey>,
}

/// Whether the tags of a source are carried over where the request replaces none.
#[derive(Clone, Copy, Debug)]
pub struct TagsGoAlong(pub bool);

impl Source {
    /// Reads the headers.
    ///
    /// # Errors
    /// Those of [`CopySource::parse`], 400 `InvalidCopySource` and `KeyTooLong`, 404 `NoSuchVersion`, 400
    /// `InvalidArgument` for malformed conditions.
    pub fn parse(api: &Api, request: &Request) -> Result<Self, ApiError> {
        let rules = &api.settings.hosts;
        let header = request.headers.get(name::COPY_SOURCE).ok_or(Code::InvalidCopySource)?;
        let source = CopySource::parse(header.as_bytes(), rules)?;
        let bucket_error = |_| {
            let message = "The copy source is not valid: its bucket has no valid name.";
            ApiError::new(Code::InvalidCopySource, message)
        };
        Ok(Self {
            bucket: BucketName::parse(&source.bucket).map_err(bucket_error)?,
            region: source.region,
            key: ObjectKey::parse(source.key).map_err(name_error)?,
            id: source.version_id.as_deref().map(read_version_id).transpose()?,
            conditions: Conditions::parse(&request.headers, COPY_SOURCE)?,
            customer_key: sse::source_key(api, request)?,
        })
    }

    /// Finds the source, and sees to it that the caller may read it and that the conditions hold. With it
    /// comes whether its tags may go along: to another account, only where the caller may see them.
    ///
    /// # Errors
    /// 403, 404; 400 `InvalidRequest` for a delete marker that is named (C33); 412
    /// `PreconditionFailed`.
    pub async fn resolve(
        &self,
        api: &Api,
        request: &Request,
        to: &Bucket,
    ) -> Result<(ReadProof<cosine_store::CopySource>, TagsGoAlong), ApiError> {
        let id = self.id.map(show_version_id);
        let about = About::CopySource(id.as_deref());
        let wanted = Wanted {
            bucket: &self.bucket,
            region: self.region.as_deref(),
            key: &self.key,
            id: self.id,
            named_marker: Code::InvalidRequest,
            action: GET_OBJECT,
            about,
        };
        let found = api.readable_object(request, &wanted).await?;
        let (place, customer) = ((&found.bucket, &found.key), self.customer_key.as_ref());
        let checked = api.store.check_customer_key(place, &found.version, customer).await;
        checked.map_err(store_error)?;
        let etag = api.store.sums(&found.version).map_err(store_error)?.etag.to_string();
        self.require(Facts { etag: &etag, last_modified: found.version.last_modified() })?;
        let tags = api.sees_tags(request, &found, about);
        let stays_inside = self.bucket.appid() == to.name().appid();
        let along = match tags.reason {
            Reason::Denied(..) => false,
            _ => tags.allowed || stays_inside,
        };
        Ok((api.prove_readable(request, found, (self.id, about))?, TagsGoAlong(along)))
    }

    /// The other deployment that holds the source, if one does. It is read with the credential of this
    /// one's configuration, so it takes somebody of the account of this one's settings, with that account's
    /// leave to read the source; what the credential itself may read is for the other deployment to say.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub async fn remote<'a>(
        &self,
        api: &'a Api,
        request: &Request,
    ) -> Result<Option<&'a Remote>, ApiError> {
        let Some(remote) = api.settings.remotes.find(self.region.as_deref()) else {
            return Ok(None);
        };
        let name = format!("{}/{}", self.bucket.as_str(), self.key.as_str());
        let region = self.region.as_deref().unwrap_or_default();
        let owner = api.directory.account().appid;
        let id = self.id.map(show_version_id);
        let about = About::CopySource(id.as_deref());
        api.permit_beyond(request, GET_OBJECT, (owner, region, &name), about).await?;
        if self.customer_key.is_some() && api.settings.customer_keys_need_tls && !remote.is_secure()
        {
            let message = "A customer key is sent over HTTPS alone, to other regions too.";
            return Err(ApiError::new(Code::InvalidRequest, message));
        }
        Ok(Some(remote))
    }

    /// Sees to it that the conditions hold.
    ///
    /// # Errors
    /// 412 `PreconditionFailed`.
    pub fn require(&self, facts: Facts<'_>) -> Result<(), ApiError> {
        match self.conditions.all_hold(facts) {
            true => Ok(()),
            false => Err(Code::PreconditionFailed.into()),
        }
    }

    /// The answer, with the version that was named (C31).
    pub fn name_version(&self, reply: Reply) -> Reply {
        match self.id {
            Some(id) => reply.with_text(name::COPY_SOURCE_VERSION_ID, show_version_id(id)),
            None => reply,
        }
    }
}
