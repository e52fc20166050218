//! `AccessControlPolicy`, in both directions. Source: PUT and GET Bucket acl (436/7737, 436/7733), Object acl
//! (436/7748, 436/7744).

use super::{Xml, cam_id, read};
use crate::error::ApiError;
use crate::grant::{ALL_USERS, AUTHENTICATED_USERS, Grantee};

/// No list within the limits needs more.
pub const BODY_BYTES_MAX: u64 = 128 << 10;

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessControlPolicy {
    /// The owner, if the body names one.
    pub owner: Option<Grantee>,
    /// Grantees and permissions, in their order.
    pub grants: Vec<(Grantee, String)>,
}

/// Reads the body. What kind of grantee it is follows from `ID` or `URI`, since clients spell `xsi:type` in
/// many ways, and some as an element.
///
/// # Errors
/// 400 `MalformedXML`, `InvalidArgument` for a grantee that is none.
pub fn parse(body: &[u8]) -> Result<AccessControlPolicy, ApiError> {
    let (mut owner, mut grants) = (None, Vec::new());
    let (mut id, mut uri, mut permission) = (None, None, None);
    read::elements(body, "AccessControlPolicy", |path, text| {
        match *path {
            [_, "Owner", "ID"] => owner = Some(text),
            [_, "AccessControlList", "Grant", "Grantee", "ID"] => id = Some(text),
            [_, "AccessControlList", "Grant", "Grantee", "URI"] => uri = Some(text),
            [_, "AccessControlList", "Grant", "Permission"] => permission = Some(text),
            [_, "AccessControlList", "Grant"] => {
                let grantee = match (id.take(), uri.take()) {
                    (Some(id), None) => Ok(id),
                    (None, Some(uri)) => Err(uri),
                    _ => return Err("a Grantee has an ID or a URI"),
                };
                let permission = permission.take().ok_or("a Grant has no Permission")?;
                grants.push((grantee, permission.trim().to_owned()));
            }
            _ => {}
        }
        Ok(())
    })?;
    let owner = owner.map(|id| Grantee::parse_id(&id)).transpose()?;
    let grantee = |named: Result<String, String>| match named {
        Ok(id) => Grantee::parse_id(&id),
        Err(uri) => Grantee::parse_uri(&uri),
    };
    let grant = |(named, permission)| Ok((grantee(named)?, permission));
    let grants = grants.into_iter().map(grant).collect::<Result<_, ApiError>>()?;
    Ok(AccessControlPolicy { owner, grants })
}

/// Renders an ACL: the owner's full control, then the grants.
pub fn document(owner: (u64, u64), grants: &[(Grantee, &str)]) -> String {
    let mut xml = Xml::document();
    xml.open("AccessControlPolicy");
    xml.cam_person("Owner", owner);
    xml.open("AccessControlList");
    let own = (Grantee::Cam(owner.0, owner.1), "FULL_CONTROL");
    for (grantee, permission) in std::iter::once(&own).chain(grants) {
        xml.open("Grant");
        render(&mut xml, *grantee);
        xml.text("Permission", permission);
        xml.close("Grant");
    }
    xml.close("AccessControlList");
    xml.close("AccessControlPolicy");
    xml.finish()
}

fn render(xml: &mut Xml, grantee: Grantee) {
    let group = |xml: &mut Xml, uri: &str| {
        xml.open_with("Grantee", &grantee_type("Group"));
        xml.text("URI", uri);
    };
    match grantee {
        Grantee::AllUsers => group(xml, ALL_USERS),
        Grantee::AuthenticatedUsers => group(xml, AUTHENTICATED_USERS),
        Grantee::Cam(owner, uin) => {
            xml.open_with("Grantee", &grantee_type("CanonicalUser"));
            xml.text("ID", &cam_id((owner, uin)));
            xml.text("DisplayName", &uin.to_string());
        }
    }
    xml.close("Grantee");
}

fn grantee_type(name: &str) -> String {
    format!("xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn what_is_written_is_read() {
        let grants = [
            (Grantee::AllUsers, "READ"),
            (Grantee::AuthenticatedUsers, "WRITE"),
            (Grantee::Cam(1, 2), "READ_ACP"),
        ];
        let document = document((7, 7), &grants);
        assert!(document.contains("xsi:type=\"Group\""));
        let read = parse(document.as_bytes()).unwrap();
        assert_eq!(read.owner, Some(Grantee::Cam(7, 7)));
        let own = (Grantee::Cam(7, 7), "FULL_CONTROL".to_owned());
        let grants = grants.map(|(grantee, permission)| (grantee, permission.to_owned()));
        assert_eq!(read.grants, [&[own], &grants[..]].concat());
    }

    #[test]
    fn what_is_no_acl_is_refused() {
        let grant = |inner: &str| {
            format!(
                "<AccessControlPolicy><AccessControlList><Grant>{inner}</Grant></AccessControlList></AccessControlPolicy>"
            )
        };
        for (body, code) in [
            ("<Acl/>".to_owned(), Code::MalformedXML),
            (grant("<Permission>READ</Permission>"), Code::MalformedXML),
            (grant("<Grantee><ID>1</ID></Grantee>"), Code::MalformedXML),
            (
                grant("<Grantee><ID>1</ID><URI>x</URI></Grantee><Permission>READ</Permission>"),
                Code::MalformedXML,
            ),
            (
                grant("<Grantee><ID>x</ID></Grantee><Permission>READ</Permission>"),
                Code::InvalidArgument,
            ),
            (
                grant("<Grantee><URI>x</URI></Grantee><Permission>READ</Permission>"),
                Code::InvalidArgument,
            ),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err().code, code, "{body}");
        }
    }
}
