//! Disk use after many rounds of overwriting and deleting.

use std::error::Error;
use std::time::Duration;

use super::{KIB, MIB, Settings, perform_all, perform_once};
use crate::admin::Admin;
use crate::client::Body;
use crate::report::{self, Target};
use crate::request::{Request, Signer};
use crate::server::disk_use;

const ROUNDS: usize = 100;
/// A multiple of the connections; so are the copies and the deletions of a round.
const OBJECTS: usize = 1000;
/// Inline and in files, in turn.
const SIZES: [u64; 5] = [KIB, 8 * KIB, 50 * KIB, 200 * KIB, 2 * MIB];
/// Objects up to this size lie in the metadata.
const INLINE_BYTES_MAX: u64 = 16 * KIB;
const GRACE_SECONDS: &str = "1";
/// The collector has so long after the last round.
const SETTLE: Duration = Duration::from_secs(120);

/// Overwrites and deletes the same objects again and again, copies some, and looks at the disk when
/// the grace has passed.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    report::heading(&format!("churn: {ROUNDS} rounds of {OBJECTS} objects"));
    let signer = Signer::new()?;
    let cosine = settings.cosine_with(&[("COSINE_GC_GRACE", GRACE_SECONDS)])?;
    perform_all(cosine.address, &[signer.create_bucket()])?;
    let mut written = 0;
    for round in 0..ROUNDS {
        let all = 0..OBJECTS;
        let puts = all.clone().map(|n| signer.put(&key(n), body(round, n))).collect::<Vec<_>>();
        let copies = all.clone().filter(|n| is_copied(*n));
        let copies = copies.map(|n| signer.copy(&key(n), &copy_key(n))).collect::<Vec<Request>>();
        let deletes = all.filter(|n| is_deleted(round, *n)).map(|n| signer.delete(&key(n)));
        written += puts.iter().map(|put| put.payload).sum::<u64>();
        for requests in [puts, copies, deletes.collect()] {
            perform_once(cosine.address, &requests)?;
        }
    }
    let took = Admin::new(cosine.address)?.settle(SETTLE)?;

    // A copy keeps the bytes of what was deleted, and shares those of what was not.
    let last = ROUNDS - 1;
    let is_live = |n: &usize| !is_deleted(last, *n) || is_copied(*n);
    let live = (0..OBJECTS).filter(is_live).map(|n| body(last, n).bytes());
    let (inline, in_files): (Vec<u64>, Vec<u64>) =
        live.partition(|bytes| *bytes <= INLINE_BYTES_MAX);
    let (inline, in_files) = (inline.iter().sum::<u64>(), in_files.iter().sum::<u64>());
    let checks = (0..OBJECTS).filter(|n| is_copied(*n));
    let checks = checks.map(|n| signer.get_checked(&copy_key(n), body(last, n)));
    perform_all(cosine.address, &checks.collect::<Vec<_>>())?;
    let (data, blobs) = (disk_use(&cosine.data())?, disk_use(&cosine.data().join("blobs"))?);
    let rows = [
        ("written", written),
        ("live, in files", in_files),
        ("live, inline", inline),
        ("on the disk, blobs", blobs),
        ("on the disk, metadata and inline objects", data.saturating_sub(blobs)),
    ];
    println!("| after {ROUNDS} rounds, {:.1} s after the last | MiB |", took.as_secs_f64());
    println!("| --- | ---: |");
    for (name, bytes) in rows {
        println!("| {name} | {:.1} |", bytes as f64 / MIB as f64);
    }
    println!();
    let after = format!("after {ROUNDS} rounds and {GRACE_SECONDS} s of grace");
    let ratio = blobs as f64 / in_files as f64;
    report::ratio(
        &format!("blobs on the disk : live bytes in them, {after}"),
        ratio,
        Target::AtMost(1.3),
    );
    let ratio = data as f64 / (in_files + inline) as f64;
    report::ratio(
        &format!("everything on the disk : live bytes, {after}"),
        ratio,
        Target::AtMost(1.3),
    );
    Ok(())
}

fn key(n: usize) -> String {
    format!("churn/{n:04}")
}

fn copy_key(n: usize) -> String {
    format!("copy/{n:04}")
}

fn is_copied(n: usize) -> bool {
    n.is_multiple_of(5)
}

/// A fifth of the objects, another one in each round, and never all of the same size.
fn is_deleted(round: usize, n: usize) -> bool {
    (n / 5 + round).is_multiple_of(5)
}

/// Another size in each round, too.
fn body(round: usize, n: usize) -> Body {
    let size = SIZES.get((n + n / 5 + round) % SIZES.len()).copied().unwrap_or(KIB);
    Body::numbered(round * OBJECTS + n, size)
}
