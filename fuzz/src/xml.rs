//! Documents that clients send.

use cosine_wire::Code;
use cosine_wire::grant::Grantee;
use cosine_wire::xml::acl::{self, AccessControlPolicy};
use cosine_wire::xml::cors::CorsConfiguration;
use cosine_wire::xml::delete_objects::{Delete, Deleted, OBJECTS_MAX, Outcome, delete_result};
use cosine_wire::xml::{Xml, complete_upload, create_bucket, restore, tagging, versioning};

/// Reads a body as each document that a client may send.
pub fn xml(data: &[u8]) {
    delete(data);
    access_control(data);
    cors(data);
    if let Ok(parts) = complete_upload::parse(data) {
        assert!((1..=complete_upload::PARTS_MAX).contains(&parts.len()));
        assert!(parts.iter().all(|(number, _)| (1..=10_000).contains(number)));
        assert!(parts.iter().map(|(_, etag)| etag.len()).sum::<usize>() <= data.len());
    }
    if let Ok(request) = restore::parse(data) {
        assert!((1..=restore::DAYS_MAX).contains(&request.days));
    }
    if let Ok(enabled) = versioning::parse(data) {
        let again = versioning::document(Some(enabled));
        assert_eq!(versioning::parse(again.as_bytes()), Ok(enabled));
    }
    if let Ok(tags) = tagging::parse(data) {
        let pairs = tags.into_pairs();
        let again = tagging::parse(tagging::document(&pairs).as_bytes());
        assert_eq!(again.map(|tags| tags.into_pairs()), Ok(pairs));
    }
    let _ = create_bucket::parse(data);
}

/// What is read is within the limits, holds no more text than was sent, and is read the same when
/// it is written again.
fn delete(data: &[u8]) {
    let Ok(delete) = Delete::parse(data) else { return };
    assert!((1..=OBJECTS_MAX).contains(&delete.objects.len()));
    assert!(delete.objects.iter().all(|object| !object.key.is_empty()));
    let version = |version: &Option<String>| version.as_ref().map_or(0, String::len);
    let text = delete.objects.iter().map(|object| object.key.len() + version(&object.version_id));
    assert!(text.sum::<usize>() <= data.len());
    if !data.contains(&0) {
        // no reference stands for a NUL
        assert_eq!(Delete::parse(written(&delete).as_bytes()), Ok(delete.clone()));
    }
    let deleted = [Ok(Deleted::default()), Err(Code::AccessDenied.into())].into_iter().cycle();
    let outcomes = delete.objects.into_iter().zip(deleted);
    let outcomes: Vec<_> = outcomes.map(|(object, deleted)| Outcome { object, deleted }).collect();
    assert!(delete_result(&outcomes, delete.quiet).contains("DeleteResult"));
}

/// What is read is read the same when it is written again, behind the owner's own grant.
fn access_control(data: &[u8]) {
    let Ok(read) = acl::parse(data) else { return };
    let owner = match read.owner {
        Some(Grantee::Cam(owner, uin)) => (owner, uin),
        _ => (7, 7), // a group owns nothing
    };
    let grants = read.grants.iter().map(|(grantee, permission)| (*grantee, permission.as_str()));
    let document = acl::document(owner, &grants.collect::<Vec<_>>());
    let owner = Grantee::Cam(owner.0, owner.1);
    let own = (owner, "FULL_CONTROL".to_owned());
    let grants = std::iter::once(own).chain(read.grants).collect();
    let expected = AccessControlPolicy { owner: Some(owner), grants };
    assert_eq!(acl::parse(document.as_bytes()), Ok(expected));
}

/// What is read is read the same when it is written again, and each rule lets in what it names.
fn cors(data: &[u8]) {
    let Ok(read) = CorsConfiguration::parse(data) else { return };
    assert!((1..=100).contains(&read.rules.len()));
    for (at, rule) in read.rules.iter().enumerate() {
        for (origin, method) in rule.allowed_origins.iter().zip(&rule.allowed_methods) {
            let headers: Vec<String> =
                rule.allowed_headers.iter().map(|header| header.replace('*', "A")).collect();
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let found = read.rule_for(&origin.replace('*', "any"), method, &headers);
            let found = read.rules.iter().position(|rule| Some(rule) == found);
            assert!(found.is_some_and(|found| found <= at), "{rule:?}");
        }
    }
    let document = read.document();
    assert_eq!(CorsConfiguration::parse(document.as_bytes()), Ok(read));
}

fn written(delete: &Delete) -> String {
    let mut xml = Xml::document();
    xml.open("Delete");
    xml.value("Quiet", delete.quiet);
    for object in &delete.objects {
        xml.open("Object");
        xml.text("Key", &object.key);
        if let Some(version) = &object.version_id {
            xml.text("VersionId", version);
        }
        xml.close("Object");
    }
    xml.close("Delete");
    xml.finish()
}
