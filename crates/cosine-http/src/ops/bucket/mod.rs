//! Operations on buckets.

pub mod create;
pub mod delete;
pub mod delete_objects;
pub mod head;
pub mod list;
