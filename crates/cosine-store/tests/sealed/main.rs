//! Sealed contents: every kind of encryption into every other, whole, in parts and appended, and what is
//! on the disks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod damage;
mod matrix;
mod parts;
#[path = "../support/mod.rs"]
mod support;
mod world;
