//! Operations on buckets.

pub mod create;
pub mod delete;
pub mod delete_objects;
pub mod head;
pub mod list;
pub mod list_uploads;
pub mod list_versions;
pub mod location;
pub mod versioning;
