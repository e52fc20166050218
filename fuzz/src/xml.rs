//! Documents that clients send.

use cosine_wire::Code;
use cosine_wire::xml::Xml;
use cosine_wire::xml::delete_objects::{Delete, OBJECTS_MAX, Outcome, delete_result};

/// Reads a body as each document that a client may send.
pub fn xml(data: &[u8]) {
    delete(data);
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
    let errors = [None, Some(Code::AccessDenied.into())].into_iter().cycle();
    let outcomes = delete.objects.into_iter().map(|object| object.key).zip(errors);
    let outcomes: Vec<_> = outcomes.map(|(key, error)| Outcome { key, error }).collect();
    assert!(delete_result(&outcomes, delete.quiet).contains("DeleteResult"));
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
