//! ACLs as requests say them: a canned one, grant headers, or a document.

use cosine_access::{Account, AclPermission, BucketAcl, GRANTS_MAX, Grant, Grantee, ObjectAcl};
use cosine_wire::header::name;
use cosine_wire::xml::acl::AccessControlPolicy;
use cosine_wire::{ApiError, Code, grant};

use crate::request::Request;

/// Grant headers, and what they grant.
const GRANT_HEADERS: [(&str, AclPermission); 5] = [
    ("x-cos-grant-read", AclPermission::Read),
    ("x-cos-grant-write", AclPermission::Write),
    ("x-cos-grant-read-acp", AclPermission::ReadAcp),
    ("x-cos-grant-write-acp", AclPermission::WriteAcp),
    ("x-cos-grant-full-control", AclPermission::FullControl),
];

/// What an ACL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A bucket.
    Bucket,
    /// An object: `WRITE` means nothing for it.
    Object,
}

/// Whether the headers of a request say the ACL that it sets; else its body has to.
///
/// # Errors
/// 400 `InvalidRequest` where both do, `MissingRequestBodyError` where neither does.
pub fn says_acl(request: &Request, body: &[u8]) -> Result<bool, ApiError> {
    let says = |header: &str| matches!(request.header(header), Ok(Some(_)) | Err(_));
    let by_headers = says(name::ACL) || GRANT_HEADERS.iter().any(|(header, _)| says(header));
    match (by_headers, body.is_empty()) {
        (true, false) => Err(ApiError::new(
            Code::InvalidRequest,
            "The ACL is in the headers or in the body, not in both.",
        )),
        (false, true) => Err(Code::MissingRequestBodyError.into()),
        _ => Ok(by_headers),
    }
}

/// The ACL that the headers give a bucket: `x-cos-acl`, grants, or both together. 400 `InvalidArgument`,
/// `AttachmentFull`.
pub fn bucket_acl(request: &Request) -> Result<BucketAcl, ApiError> {
    let canned = canned(request, &BucketAcl::CANNED)?;
    match grants(request, Resource::Bucket)? {
        grants if grants.is_empty() => Ok(canned.unwrap_or_default()),
        grants => {
            let canned = canned.unwrap_or_default();
            Ok(BucketAcl::Grants(bounded([canned.grants().to_vec(), grants].concat())?))
        }
    }
}

/// The ACL that the headers give an object. 400 `InvalidArgument`, `AttachmentFull`.
pub fn object_acl(request: &Request) -> Result<ObjectAcl, ApiError> {
    let canned = canned(request, &ObjectAcl::CANNED)?;
    match grants(request, Resource::Object)? {
        grants if grants.is_empty() => Ok(canned.unwrap_or_default()),
        grants => {
            let canned = canned.unwrap_or_default();
            let canned = canned.grants().unwrap_or_default().to_vec();
            Ok(ObjectAcl::Grants(bounded([canned, grants].concat())?))
        }
    }
}

/// The grants of a document, without the owner's own, which needs none.
///
/// # Errors
/// 400 `MalformedXML` for a permission that is none, `InvalidArgument` for one that objects do not have,
/// `AttachmentFull`; 403 `AccessDenied` for another owner.
pub fn of_body(
    policy: AccessControlPolicy,
    owner: Account,
    resource: Resource,
) -> Result<Vec<Grant>, ApiError> {
    let owners = grant::Grantee::Cam(owner.uin, owner.uin);
    if policy.owner.is_some_and(|named| named != owners) {
        return Err(ApiError::new(Code::AccessDenied, "The Owner of the ACL is another one."));
    }
    let mut grants = Vec::with_capacity(policy.grants.len());
    for (grantee, permission) in policy.grants {
        let found = AclPermission::ALL.into_iter().find(|known| known.as_str() == permission);
        let permission = found.ok_or_else(|| {
            ApiError::new(Code::MalformedXML, format!("{permission:?} is no Permission."))
        })?;
        if grantee != owners {
            grants.push(granting(grantee, permission, resource)?);
        }
    }
    bounded(grants)
}

/// The document of an ACL.
pub fn document(owner: Account, grants: &[Grant]) -> String {
    let shown = |grant: &Grant| {
        let grantee = match grant.grantee {
            Grantee::Everyone => grant::Grantee::AllUsers,
            Grantee::Authenticated => grant::Grantee::AuthenticatedUsers,
            Grantee::Account(uin) => grant::Grantee::Cam(uin, uin),
            Grantee::User { owner, uin } => grant::Grantee::Cam(owner, uin),
        };
        (grantee, grant.permission.as_str())
    };
    let grants: Vec<_> = grants.iter().map(shown).collect();
    cosine_wire::xml::acl::document((owner.uin, owner.uin), &grants)
}

fn canned<T: Clone>(request: &Request, table: &[(&str, T)]) -> Result<Option<T>, ApiError> {
    let Some(value) = request.header(name::ACL)? else { return Ok(None) };
    let found = table.iter().find(|(text, _)| *text == value);
    found.map(|(_, acl)| Some(acl.clone())).ok_or_else(|| {
        ApiError::new(
            Code::InvalidArgument,
            format!("{value} is not an ACL that {} takes.", name::ACL),
        )
    })
}

fn grants(request: &Request, resource: Resource) -> Result<Vec<Grant>, ApiError> {
    let mut grants = Vec::new();
    for (header, permission) in GRANT_HEADERS {
        let Some(value) = request.header(header)? else { continue };
        for grantee in grant::Grantee::parse_header(header, value)? {
            grants.push(granting(grantee, permission, resource)?);
        }
    }
    bounded(grants)
}

fn granting(
    grantee: grant::Grantee,
    permission: AclPermission,
    resource: Resource,
) -> Result<Grant, ApiError> {
    if resource == Resource::Object && permission == AclPermission::Write {
        return Err(ApiError::new(Code::InvalidArgument, "An object has no WRITE permission."));
    }
    let grantee = match grantee {
        grant::Grantee::AllUsers => Grantee::Everyone,
        grant::Grantee::AuthenticatedUsers => Grantee::Authenticated,
        grant::Grantee::Cam(owner, uin) => Grantee::of(owner, uin),
    };
    Ok(Grant { grantee, permission })
}

/// Each grant once, and no more of them than a list may have.
fn bounded(grants: Vec<Grant>) -> Result<Vec<Grant>, ApiError> {
    let mut once = Vec::with_capacity(grants.len().min(GRANTS_MAX));
    for grant in grants {
        if once.contains(&grant) {
            continue;
        }
        if once.len() == GRANTS_MAX {
            return Err(Code::AttachmentFull.into());
        }
        once.push(grant);
    }
    Ok(once)
}
