//! Stores that were damaged by hand: what fsck says of each, what its repair does, and that neither
//! reading nor collecting makes anything worse.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking"
)]

mod base;
mod blobs;
mod check;
mod engine;
mod identity;
mod made;
mod names;
mod rows;
#[path = "../support/mod.rs"]
mod support;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
