//! Whom an ACL or a grant header names.

use cosine_wire::grant::{ALL_USERS, AUTHENTICATED_USERS, Grantee};
use cosine_wire::xml::cam_id;

/// Longer headers are refused.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// Reads bytes as two numbers, and text as an ID, as a group, and as a header. Whom it names is named by every spelling of them
/// too, and a header names no more than it has items.
pub fn grant(data: &[u8]) {
    if let Some((two, _)) = data.split_first_chunk::<16>() {
        let [owner, uin] = [0, 8].map(|at| u64::from_le_bytes(two[at..at + 8].try_into().unwrap()));
        spelled(Grantee::Cam(owner, uin));
        spelled(Grantee::Cam(owner, owner));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(grantee) = Grantee::parse_id(text) {
        assert_ne!(grantee, Grantee::AuthenticatedUsers, "no ID stands for it");
        spelled(grantee);
    }
    if let Ok(grantee) = Grantee::parse_uri(text) {
        assert!(!matches!(grantee, Grantee::Cam(..)), "{grantee:?} is no group");
        spelled(grantee);
    }
    let Ok(grantees) = Grantee::parse_header("x-cos-grant-read", text) else { return };
    assert!(text.len() <= HEADER_BYTES_MAX);
    assert!(grantees.len() <= text.split(',').count());
    grantees.iter().copied().for_each(spelled);
    let items: Vec<String> = grantees.iter().copied().map(item).collect();
    let again = items.join(", ");
    if again.len() <= HEADER_BYTES_MAX {
        assert_eq!(Grantee::parse_header("x-cos-grant-read", &again), Ok(grantees));
    }
}

/// A grantee as an item of a header.
fn item(grantee: Grantee) -> String {
    match grantee {
        Grantee::AllUsers => format!("uri=\"{ALL_USERS}\""),
        Grantee::AuthenticatedUsers => format!("uri=\"{AUTHENTICATED_USERS}\""),
        Grantee::Cam(owner, uin) => format!("id=\"{}\"", cam_id((owner, uin))),
    }
}

fn spelled(grantee: Grantee) {
    match grantee {
        Grantee::AllUsers => {
            assert_eq!(Grantee::parse_uri(ALL_USERS), Ok(grantee));
            assert_eq!(Grantee::parse_id("qcs::cam::anyone:anyone"), Ok(grantee));
        }
        Grantee::AuthenticatedUsers => {
            assert_eq!(Grantee::parse_uri(AUTHENTICATED_USERS), Ok(grantee));
        }
        Grantee::Cam(owner, uin) => {
            let long = cam_id((owner, uin));
            assert_eq!(Grantee::parse_id(&long), Ok(grantee));
            assert_eq!(Grantee::parse_id(&format!("{owner}/{uin}")), Ok(grantee));
            assert!(owner != uin || Grantee::parse_id(&owner.to_string()) == Ok(grantee));
            for upper in [format!("UIN=\"{long}\""), format!(" ID = {long} ,")] {
                assert_eq!(Grantee::parse_header("x-cos-grant-write", &upper), Ok(vec![grantee]));
            }
        }
    }
}
