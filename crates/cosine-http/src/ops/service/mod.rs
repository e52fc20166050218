//! Operations on the service.

pub mod list_buckets;
