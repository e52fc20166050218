//! Operations on buckets.

pub mod acl;
pub mod cors;
pub mod create;
pub mod delete;
pub mod delete_objects;
pub mod encryption;
pub mod head;
pub mod list;
pub mod list_uploads;
pub mod list_versions;
pub mod location;
pub mod policy;
pub mod versioning;
