//! Copies by reference, of objects however large and of however many parts, and of ranges of them.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use super::{GIB, KIB, MIB, Settings, copy, object, perform_all, size_text};
use crate::client::{Body, Connection};
use crate::load::Series;
use crate::report::{self, Target};
use crate::request::{PartOf, Request, Signer};

const SMALL: u64 = KIB;
/// What the largest object is made of, and how many of these.
const BLOCK: u64 = 64 * MIB;
const BLOCKS: u64 = 80;
/// The object of many parts: a little more than 1 GiB, each part more than the least there may be.
const PARTS: u64 = 1000;
const PART: u64 = 1_073_742;
/// The object that came whole, of which the many parts are ranges.
const WHOLE: u64 = GIB + MIB;
/// Ranges begin here, within a chunk of what is checksummed.
const UNALIGNED: u64 = 7;
/// Sizes of the ranges: small; less than half of the source; large.
const RANGES: [u64; 3] = [MIB, 256 * MIB, GIB];
/// An upload takes this many parts.
const PART_NUMBERS: u32 = 10_000;

/// Copies of small, large and composed objects, and of ranges of large ones, over one connection, in
/// turn.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    report::heading("reference: copies of composed objects, and of ranges, c=1");
    let signer = Signer::new()?;
    let cosine = settings.cosine_with_bucket(&signer)?;
    let address = cosine.address;
    let (small, block, whole) =
        (Body::numbered(1, SMALL), Body::numbered(2, BLOCK), Body::numbered(3, WHOLE));
    let sources =
        [signer.put("small", small), signer.put("block", block), signer.put("whole", whole)];
    perform_all(address, &sources)?;
    compose(&signer, address, "large", &vec![("block", 0..BLOCK); BLOCKS as usize])?;
    let part = |number| ("whole", number * PART..(number + 1) * PART);
    compose(&signer, address, "parts", &(0..PARTS).map(part).collect::<Vec<_>>())?;
    // A block is so long that the next one goes on where it ends.
    let contents = [
        ("small", small),
        ("large", Body::numbered(2, BLOCKS * BLOCK)),
        ("parts", whole.first(PARTS * PART)),
    ];
    let checks = contents.map(|(key, content)| signer.get_checked(key, content));
    perform_all(address, &checks)?;

    let copies = copies(settings, &signer, address, &contents)?;
    let ranges = [
        ranges(settings, &signer, address, "whole", "put whole")?,
        ranges(settings, &signer, address, "parts", &format!("of {PARTS} parts"))?,
    ];
    check_range(&signer, address, "whole", whole)?;
    check_range(&signer, address, "parts", whole)?;
    report::table(&copies.iter().chain(ranges.iter().flatten()).collect::<Vec<_>>());
    let [small, large, parts] = &copies;
    for other in [large, parts] {
        let what = format!("{} : {}, p50", other.name, small.name);
        report::ratio(&what, other.p50() / small.p50(), Target::AtMost(3.0));
    }
    for [small, _, large] in &ranges {
        let what = format!("{} : {}, p50", large.name, size_text(MIB));
        report::ratio(&what, large.p50() / small.p50(), Target::AtMost(3.0));
    }
    Ok(())
}

/// Copies of whole objects, in turn.
fn copies(
    settings: &Settings,
    signer: &Signer,
    address: SocketAddr,
    contents: &[(&str, Body); 3],
) -> io::Result<[Series; 3]> {
    let mut series = [
        format!("copy {}", size_text(SMALL)),
        format!("copy {} of {BLOCKS} parts", size_text(BLOCKS * BLOCK)),
        format!("copy 1 GiB of {PARTS} parts"),
    ]
    .map(Series::new);
    for round in 0..settings.rounds {
        for (series, (source, _)) in series.iter_mut().zip(contents) {
            let copies = copy::copies(signer, source, &format!("copy-{source}-{round}"));
            series.rounds.push(settings.timed(address, 1, &copies)?);
        }
    }
    let copied = |(source, content): &(&str, Body)| {
        let (key, _) = object(&format!("copy-{source}-0"), 0, 0);
        signer.get_checked(&key, *content)
    };
    perform_all(address, &contents.iter().map(copied).collect::<Vec<_>>())?;
    Ok(series)
}

/// Copies of ranges of one object into parts, in turn.
fn ranges(
    settings: &Settings,
    signer: &Signer,
    address: SocketAddr,
    source: &str,
    how: &str,
) -> io::Result<[Series; 3]> {
    let name = |bytes| format!("copy of a part, {} out of one {how}", size_text(bytes));
    let mut series = RANGES.map(|bytes| Series::new(name(bytes)));
    let mut connection = Connection::open(address)?;
    for round in 0..settings.rounds {
        for (series, bytes) in series.iter_mut().zip(RANGES) {
            // An upload of its own: no part takes the place of another.
            let key = format!("range-{source}-{bytes}-{round}");
            let upload = begin(signer, &mut connection, &key)?;
            let part = |number| {
                let part = PartOf { key: &key, upload: &upload, number };
                signer.copy_part(source, UNALIGNED..UNALIGNED + bytes, part)
            };
            let parts: Vec<Request> = (1..=PART_NUMBERS).map(part).collect();
            series.rounds.push(settings.timed(address, 1, &parts)?);
        }
    }
    Ok(series)
}

/// Makes an object of each range, and reads it.
fn check_range(signer: &Signer, address: SocketAddr, source: &str, of: Body) -> io::Result<()> {
    for bytes in RANGES {
        let key = format!("check-{source}-{bytes}");
        compose(signer, address, &key, &[(source, UNALIGNED..UNALIGNED + bytes)])?;
        let content = of.after(UNALIGNED as usize).first(bytes);
        perform_all(address, &[signer.get_checked(&key, content)])?;
    }
    Ok(())
}

/// Makes an object of ranges of others.
fn compose(
    signer: &Signer,
    address: SocketAddr,
    key: &str,
    parts: &[(&str, Range<u64>)],
) -> io::Result<()> {
    let mut connection = Connection::open(address)?;
    let upload = begin(signer, &mut connection, key)?;
    let mut etags = Vec::with_capacity(parts.len());
    for (number, (source, range)) in (1..).zip(parts) {
        let part = PartOf { key, upload: &upload, number };
        let answer = signer.copy_part(source, range.clone(), part).fetch(&mut connection)?;
        etags.push(element(&answer, "ETag")?);
    }
    signer.complete_upload(key, &upload, &etags).perform(&mut connection)
}

/// Begins an upload, and returns its id.
fn begin(signer: &Signer, connection: &mut Connection, key: &str) -> io::Result<String> {
    element(&signer.begin_upload(key).fetch(connection)?, "UploadId")
}

/// The text of the first element of this name, without quotes.
///
/// # Errors
/// There is none.
pub fn element(document: &[u8], name: &str) -> io::Result<String> {
    let text = String::from_utf8_lossy(document);
    let inner = text.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
    let (value, _) = inner.ok_or_else(|| io::Error::other(format!("no {name} in {text}")))?;
    Ok(value.replace("&quot;", "").replace('"', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_freed_from_quotes() {
        let document = b"<R><ETag>\"a\"</ETag><UploadId>b</UploadId></R>";
        assert_eq!(element(document, "ETag").unwrap(), "a");
        assert_eq!(element(document, "UploadId").unwrap(), "b");
        assert_eq!(element(b"<ETag>&quot;a&quot;</ETag>", "ETag").unwrap(), "a");
        assert!(element(document, "Key").is_err());
    }
}
