//! Copies from every kind of encryption into every other, of small, large and composed objects; and reads
//! of sealed objects beside those of plain ones.

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::reference::element;
use super::transcode::{timed, write};
use super::{KIB, MIB, Settings, copy, object, perform_all, size_text};
use crate::client::{Body, Connection};
use crate::load::{Load, Series, Until};
use crate::report::{self, Target};
use crate::request::{PartOf, Request, Signer};
use crate::server::Cosine;

const SMALL: u64 = KIB;
/// The object that is uploaded in parts has so many.
const PARTS: u64 = 1000;
const SEGMENT_BYTES: usize = 64 << 10;
/// A range that is read out of the large object.
const RANGE: u64 = 4 * KIB;
const RANGES: u64 = 4096;
/// Each cell is measured for this part of a run, since there are many.
const CELL_PARTS: u32 = 4;

type Headers = Vec<(&'static str, String)>;

/// A kind of encryption: what asks for it, what asks for it of a copy, with another key if it has one, what
/// reads it, and what reads it as the source of a copy.
struct Kind {
    name: &'static str,
    asks: Headers,
    copies: Headers,
    reads: Headers,
    as_source: Headers,
}

fn customer(prefix: [&'static str; 3], seed: u8) -> Headers {
    let key = [seed; 32];
    let [algorithm, name, md5] = prefix;
    vec![
        (algorithm, "AES256".to_owned()),
        (name, STANDARD.encode(key)),
        (md5, STANDARD.encode(Md5::digest(key))),
    ]
}

const OWN: [&str; 3] = [
    "x-cos-server-side-encryption-customer-algorithm",
    "x-cos-server-side-encryption-customer-key",
    "x-cos-server-side-encryption-customer-key-md5",
];
const SOURCE: [&str; 3] = [
    "x-cos-copy-source-server-side-encryption-customer-algorithm",
    "x-cos-copy-source-server-side-encryption-customer-key",
    "x-cos-copy-source-server-side-encryption-customer-key-md5",
];

fn kinds() -> [Kind; 4] {
    let asking = |name, value: &str| Kind {
        name,
        asks: vec![("x-cos-server-side-encryption", value.to_owned())],
        copies: vec![("x-cos-server-side-encryption", value.to_owned())],
        reads: vec![],
        as_source: vec![],
    };
    [
        Kind { name: "none", asks: vec![], copies: vec![], reads: vec![], as_source: vec![] },
        Kind {
            name: "SSE-C",
            asks: customer(OWN, 1),
            copies: customer(OWN, 2),
            reads: customer(OWN, 1),
            as_source: customer(SOURCE, 1),
        },
        asking("SSE-COS", "AES256"),
        asking("SSE-KMS", "cos/kms"),
    ]
}

/// The whole matrix; a plain source into a kind that is sealed moves its bytes, and is measured by these.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let large = settings.large_bytes;
    report::heading(&format!("encryption: {} and {}, c=1", size_text(SMALL), size_text(large)));
    let signer = Signer::new()?;
    let plain = settings.cosine_with_bucket(&signer)?;
    let sealed = settings.cosine_with(&[("COSINE_ENCRYPT_AT_REST", "true")])?;
    perform_all(sealed.address, &[signer.create_bucket()])?;
    let (mut series, mut ratios) = (Vec::new(), Vec::new());
    for source in kinds() {
        make(&signer, &plain, &source, large)?;
        for wanted in kinds() {
            let moves = source.name == "none" && wanted.name != "none";
            if !moves {
                cell(settings, &signer, &plain, (source.name, &source, &wanted), &mut series)?;
            }
        }
    }
    let [none, ..] = kinds();
    make(&signer, &sealed, &none, large)?;
    for wanted in kinds() {
        cell(settings, &signer, &sealed, ("at rest", &none, &wanted), &mut series)?;
    }
    for [small, large, parts] in &series {
        for other in [large, parts] {
            let what = format!("{} : {}, p50", other.name, small.name);
            ratios.push((what, other.p50() / small.p50(), Target::AtMost(3.0)));
        }
    }
    let (moving, mut more) = transcode(settings, &signer, &plain)?;
    ratios.append(&mut more);
    let (reading, mut more) = reads(settings, &signer, &plain)?;
    ratios.append(&mut more);
    report::table(&series.iter().flatten().chain(&moving).chain(&reading).collect::<Vec<_>>());
    for (what, ratio, target) in ratios {
        report::ratio(&what, ratio, target);
    }
    Ok(())
}

type Ratio = (String, f64, Target);

/// Objects of a kind: a small one, a large one, and one of the same bytes that is uploaded in parts.
fn make(signer: &Signer, cosine: &Cosine, kind: &Kind, large: u64) -> io::Result<()> {
    let asking = signer.carrying(kind.asks.clone());
    let name = |what: &str| format!("{what}-{}", kind.name);
    let content = Body::numbered(2, large);
    let puts =
        [asking.put(&name("small"), Body::numbered(1, SMALL)), asking.put(&name("large"), content)];
    perform_all(cosine.address, &puts)?;
    let bytes = large / PARTS * PARTS;
    upload(signer, cosine, (kind, &name("parts")), content.first(bytes))?;
    let reading = signer.carrying(kind.reads.clone());
    perform_all(cosine.address, &[reading.get_checked(&name("parts"), content.first(bytes))])
}

/// Uploads an object in parts. Those of a customer's upload bring the key.
fn upload(
    signer: &Signer,
    cosine: &Cosine,
    (kind, key): (&Kind, &str),
    content: Body,
) -> io::Result<()> {
    let mut connection = Connection::open(cosine.address)?;
    let begin = signer.carrying(kind.asks.clone()).begin_upload(key);
    let upload = element(&begin.fetch(&mut connection)?, "UploadId")?;
    let sending = signer.carrying(kind.reads.clone());
    let bytes = content.bytes() / PARTS;
    for number in 0..PARTS {
        let part = PartOf { key, upload: &upload, number: number as u32 + 1 };
        let body = content.after((number * bytes) as usize).first(bytes);
        sending.put_part(part, body).perform(&mut connection)?;
    }
    let listed = signer.list_parts(key, &upload).fetch(&mut connection)?;
    let listed = String::from_utf8_lossy(&listed);
    let etags: io::Result<Vec<String>> =
        listed.split("<Part>").skip(1).map(|part| element(part.as_bytes(), "ETag")).collect();
    signer.complete_upload(key, &upload, &etags?).perform(&mut connection)
}

/// Copies of the three objects of one kind into another, in turn.
fn cell(
    settings: &Settings,
    signer: &Signer,
    cosine: &Cosine,
    (from, source, wanted): (&str, &Kind, &Kind),
    all: &mut Vec<[Series; 3]>,
) -> io::Result<()> {
    let copying = signer.carrying([wanted.copies.clone(), source.as_source.clone()].concat());
    let names = ["small", "large", "parts"];
    let mut series =
        names.map(|what| Series::new(format!("copy {what}, {from} to {}", wanted.name)));
    let run = settings.run / CELL_PARTS;
    for round in 0..settings.rounds {
        for (series, what) in series.iter_mut().zip(names) {
            let set = format!("{what}-{from}-{}-{round}", wanted.name).replace(' ', "-");
            let copies = copy::copies(&copying, &format!("{what}-{}", source.name), &set);
            let load = Load {
                address: cosine.address,
                connections: 1,
                warm_up: Duration::from_millis(50),
                until: Until::Elapsed(run),
            };
            series.rounds.push(load.run(&copies)?);
        }
    }
    all.push(series);
    Ok(())
}

/// A plain object into SSE-COS, beside the cipher alone on one thread.
fn transcode(
    settings: &Settings,
    signer: &Signer,
    cosine: &Cosine,
) -> Result<(Vec<Series>, Vec<Ratio>), Box<dyn Error>> {
    let bytes = settings.large_bytes;
    let [_, _, cos, _] = kinds();
    let copying = signer.carrying(cos.asks);
    let mut copies = Series::new(format!("copy {}, none to SSE-COS", size_text(bytes)));
    let mut ciphers = Series::new("AES-256-GCM of as much, one thread".to_owned());
    let mut writes = Series::new("as much written to a file and synced, one thread".to_owned());
    for round in 0..settings.rounds {
        let (key, _) = object("transcode", round as usize, 0);
        let copy = copying.copy("large-none", &key).moving(bytes);
        let load = Load {
            address: cosine.address,
            connections: 1,
            warm_up: Duration::ZERO,
            until: Until::Count(1),
        };
        copies.rounds.push(load.run(&[copy])?);
        perform_all(cosine.address, &[signer.delete(&key)])?;
        ciphers.rounds.push(timed(bytes, || cipher(bytes))?);
        writes.rounds.push(timed(bytes, || write(cosine, Body::numbered(2, bytes)))?);
    }
    let ratio = |other: &Series| copies.megabytes_per_second() / other.megabytes_per_second();
    let target = Target::AtLeast(0.6);
    let ratios = vec![
        ("none to SSE-COS : AES-256-GCM on one thread, MB/s".to_owned(), ratio(&ciphers), target),
        ("none to SSE-COS : as much written and synced, MB/s".to_owned(), ratio(&writes), target),
    ];
    Ok((vec![copies, ciphers, writes], ratios))
}

/// Seals so many bytes, a segment after the other, in place.
fn cipher(bytes: u64) -> io::Result<()> {
    let failed = |_| io::Error::other("the cipher refuses");
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(failed)?;
    let key = LessSafeKey::new(key);
    let mut segment = vec![1; SEGMENT_BYTES];
    for number in 0..bytes / SEGMENT_BYTES as u64 {
        let mut nonce = [0; 12];
        nonce.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut segment);
        let _ = black_box(tag.map_err(failed)?);
    }
    Ok(())
}

/// Reads of the large object, whole and a few bytes of it, sealed beside plain.
fn reads(
    settings: &Settings,
    signer: &Signer,
    cosine: &Cosine,
) -> Result<(Vec<Series>, Vec<Ratio>), Box<dyn Error>> {
    let large = settings.large_bytes;
    let [none, customer, ..] = kinds();
    let mut series: Vec<Series> = Vec::new();
    for what in [format!("get {}", size_text(large)), format!("get {} of it", size_text(RANGE))] {
        series.extend(["plain", "SSE-C"].map(|kind| Series::new(format!("{what}, {kind}"))));
    }
    for _ in 0..settings.rounds {
        for (n, kind) in [&none, &customer].into_iter().enumerate() {
            let reading = signer.carrying(kind.reads.clone());
            let key = format!("large-{}", kind.name);
            let whole = [reading.get(&key, Body::numbered(2, large))];
            let range = |n: u64| {
                let at = n.wrapping_mul(7919 * MIB + 12_345) % (large - RANGE);
                reading.get_range(&key, at..at + RANGE)
            };
            let ranges: Vec<Request> = (0..RANGES).map(range).collect();
            let runs = [(n, &whole[..]), (n + 2, &ranges[..])];
            for (place, requests) in runs {
                let report = settings.timed(cosine.address, 1, requests)?;
                series.get_mut(place).ok_or("no such series")?.rounds.push(report);
            }
        }
    }
    let [plain, sealed, plain_range, sealed_range] = &series[..] else {
        return Err("four series".into());
    };
    let throughput = sealed.megabytes_per_second() / plain.megabytes_per_second();
    let latency = sealed_range.p50() / plain_range.p50();
    let ratios = vec![
        ("get sealed : get plain, MB/s".to_owned(), throughput, Target::AtLeast(0.5)),
        ("range of a sealed object : of a plain one, p50".to_owned(), latency, Target::AtMost(1.5)),
    ];
    Ok((series, ratios))
}
