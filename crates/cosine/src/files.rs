//! How many files and sockets the process may have open.

use cosine_http::Limits;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that the store has open beside the connections.
const STORE_FILES: u64 = 1000;

/// Raises the limit on open files as far as it goes. Where that is too low for the connections that
/// there may be, there may be fewer: an accepted connection must not cost the store its files.
pub fn make_room(limits: &mut Limits) {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, files) {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    let Some(most) = getrlimit(Resource::Nofile).current else { return };
    let fitting = connections_within(most, limits.connections);
    if fitting < limits.connections {
        tracing::warn!(
            "at most {most} files may be open: {fitting} connections are taken, and not the {} of \
             connections_max",
            limits.connections
        );
        limits.connections = fitting;
    }
}

/// As many of the connections as leave the store its files; half of what there is where there is
/// very little.
fn connections_within(files: u64, connections: u32) -> u32 {
    let room = files.saturating_sub(STORE_FILES).max(files / 2).max(1);
    connections.min(u32::try_from(room).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_keeps_its_files() {
        for (files, connections, fitting) in [
            (1_000_000, 20_000, 20_000),
            (21_000, 20_000, 20_000),
            (20_999, 20_000, 19_999),
            (1_024, 20_000, 512),
            (0, 20_000, 1),
        ] {
            assert_eq!(connections_within(files, connections), fitting, "{files}");
        }
    }
}
