//! Copies whose bytes have to move, since the destination's class lies in another storage pool.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crc_fast::CrcAlgorithm;
use md5::{Digest, Md5};

use super::{MIB, Settings, object, perform_all, size_text};
use crate::client::Body;
use crate::load::{Load, Report, Series, Until};
use crate::report::{self, Target};
use crate::request::Signer;
use crate::server::{Cosine, disk_use, forget_peak, status_bytes};

const CLASS: &str = "STANDARD_IA";
/// Where the pool is, below the directory of the server.
const POOL: &str = "cold";

/// Copies a large object into another pool, and beside it does on one thread what has to be done with
/// its bytes, in turn.
///
/// # Errors
/// The server fails, refuses a request or returns other content than it was given.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let bytes = settings.large_bytes;
    let size = size_text(bytes);
    report::heading(&format!("transcode: copies of {size} into another storage pool, c=1"));
    let signer = Signer::new()?;
    let file =
        format!("[pools.{POOL}]\nnumber = 1\ndirectory = \"{POOL}\"\nclasses = [\"{CLASS}\"]\n");
    let cosine = Cosine::start_configured(&settings.cosine, &settings.data_parent, &file)?;
    let pool = cosine.directory().join(POOL);
    let content = Body::numbered(1, bytes);
    perform_all(cosine.address, &[signer.create_bucket(), signer.put("source", content)])?;

    let mut copies = Series::new(format!("copy {size} into {CLASS}"));
    let mut hashes = Series::new("CRC-64/XZ and MD5 of as much, one thread".to_owned());
    let mut writes = Series::new("as much written to a file and synced, one thread".to_owned());
    forget_peak(cosine.pid())?;
    let before = status_bytes(cosine.pid(), "VmHWM")?;
    for round in 0..settings.rounds {
        let lay = disk_use(&pool)?;
        let (key, _) = object("copy", round as usize, 0);
        let copy = signer.copy_into_class("source", &key, CLASS).moving(bytes);
        let load = Load {
            address: cosine.address,
            connections: 1,
            warm_up: Duration::ZERO,
            until: Until::Count(1),
        };
        copies.rounds.push(load.run(&[copy])?);
        if disk_use(&pool)?.saturating_sub(lay) < bytes {
            return Err(format!("a copy into {CLASS} did not move its bytes").into());
        }
        hashes.rounds.push(timed(bytes, || hash(content))?);
        writes.rounds.push(timed(bytes, || write(&cosine, content))?);
    }
    let after = status_bytes(cosine.pid(), "VmHWM")?;
    let (key, _) = object("copy", 0, 0);
    perform_all(cosine.address, &[signer.get_checked(&key, content)])?;

    report::table(&[&copies, &hashes, &writes]);
    let mebibytes = |bytes: u64| bytes as f64 / MIB as f64;
    println!("| memory of the server | MiB |\n| --- | ---: |");
    println!("| resident, before the copies | {:.1} |", mebibytes(before));
    println!("| peak, during the copies | {:.1} |\n", mebibytes(after));
    let what = format!("copy {size} into another pool : CRC-64/XZ and MD5 on one thread, MB/s");
    let ratio = copies.megabytes_per_second() / hashes.megabytes_per_second();
    report::ratio(&what, ratio, Target::AtLeast(0.6));
    let growth = mebibytes(after.saturating_sub(before));
    report::ratio(&format!("MiB more while {size} is copied"), growth, Target::Below(64.0));
    Ok(())
}

/// One run of something that handles so many bytes.
///
/// # Errors
/// Those of the work.
pub fn timed(bytes: u64, work: impl FnOnce() -> io::Result<()>) -> io::Result<Report> {
    let began = Instant::now();
    work()?;
    let elapsed = began.elapsed();
    let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    Ok(Report { elapsed, payload: bytes, latencies: vec![nanoseconds] })
}

fn pieces(content: Body) -> impl Iterator<Item = &'static [u8]> {
    let next = |content: &Body| Some(content.after(content.front().len()));
    std::iter::successors(Some(content), next)
        .map(Body::front)
        .take_while(|piece| !piece.is_empty())
}

fn hash(content: Body) -> io::Result<()> {
    let (mut crc64, mut md5) = (crc_fast::Digest::new(CrcAlgorithm::Crc64Xz), Md5::new());
    for piece in pieces(content) {
        crc64.update(piece);
        md5.update(piece);
    }
    std::hint::black_box((crc64.finalize(), md5.finalize()));
    Ok(())
}

/// Writes below the directory of the server, durably.
///
/// # Errors
/// If it cannot.
pub fn write(cosine: &Cosine, content: Body) -> io::Result<()> {
    let path = cosine.directory().join("written");
    let mut file = File::create(&path)?;
    for piece in pieces(content) {
        file.write_all(piece)?;
    }
    file.sync_data()?;
    std::fs::remove_file(path)
}
