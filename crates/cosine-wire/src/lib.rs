//! The COS wire protocol as pure functions.
//!
//! Everything here turns bytes into values and values into bytes: no IO, no async, no clock but
//! the one handed in, and no knowledge of accounts or of storage.

pub mod condition;
pub mod copy_source;
pub mod date;
pub mod encode;
pub mod error;
pub mod grant;
pub mod header;
pub mod host;
pub mod id;
pub mod post_policy;
pub mod qsign;
pub mod query;
pub mod range;
pub mod tags;
pub mod tc3;
pub mod xml;

pub use error::{ApiError, Code};
