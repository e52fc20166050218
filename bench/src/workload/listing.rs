//! Pages of listings: of small and large buckets, of keys and of common prefixes, and of keys that
//! have many versions.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::{KIB, Settings, perform_all};
use crate::client::{Body, Connection};
use crate::load::{Load, Report, Series, Until};
use crate::report::{self, Target};
use crate::request::{Request, Signer};
use crate::server::disk_use;

/// Connections that fill the buckets. Their number divides those of the copies: each key is written as
/// often as it should be.
const FILLERS: u32 = 40;
/// Requests that are made, and held, at a time.
const FILL: usize = 64_000;
const SMALL_BUCKET: usize = 10_000;
/// Objects below each common prefix.
const BELOW_PREFIX: usize = 10;
/// Keys or common prefixes on a page.
const PAGE: usize = 1000;
/// Keys of the bucket that keeps versions: a page.
const VERSIONED: usize = PAGE;
/// Copies into another bucket that have the engine write out what it holds in memory.
const WRITES: usize = 100_000;
/// The engine has so long to tidy up after the buckets were filled.
const PAUSE: Duration = Duration::from_secs(10);
/// The source of all objects.
const SOURCE: &str = "~source";

/// A bucket with so many objects, all copies of one.
struct Bucket {
    signer: Signer,
    objects: usize,
}

/// Fills buckets, and asks for their pages over one connection, in turn.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let objects = settings.objects.next_multiple_of(PAGE * BELOW_PREFIX);
    report::heading(&format!("listing: {SMALL_BUCKET} and {objects} objects, pages of {PAGE}"));
    let cosine = settings.cosine_with(&[])?;
    let address = cosine.address;
    let small = Bucket { signer: Signer::of_bucket("small")?, objects: SMALL_BUCKET };
    let large = Bucket { signer: Signer::of_bucket("large")?, objects };
    small.fill(address)?;
    large.fill(address)?;
    println!("Filled; {} MiB on the disk.\n", disk_use(&cosine.data())? >> 20);
    thread::sleep(PAUSE);
    for list in [Bucket::keys, Bucket::prefixes, Bucket::first_page] {
        compare(settings, address, &small, &large, list)?;
    }
    versions(settings, address, &small)
}

/// A listing of both buckets, in turn.
fn compare(
    settings: &Settings,
    address: SocketAddr,
    small: &Bucket,
    large: &Bucket,
    list: fn(&Bucket) -> Pages,
) -> Result<(), Box<dyn Error>> {
    let mut listings = [small, large].map(|bucket| Listing::new(list(bucket)));
    listings.iter().try_for_each(|listing| listing.check(address))?;
    for _ in 0..settings.rounds {
        for listing in &mut listings {
            listing.add(|pages| settings.timed(address, 1, pages))?;
        }
    }
    let [small, large] = listings.map(|listing| listing.series);
    report::table(&[&small, &large]);
    let what = format!("{} : {}, p50", large.name, small.name);
    report::ratio(&what, large.p50() / small.p50(), Target::AtMost(1.5));
    println!();
    Ok(())
}

/// A page of as many keys with and without older versions, and pages of versions, in turn: right after
/// the versions were made, while the engine still holds rows that were overwritten in its memory; and
/// after it has written them out.
fn versions(
    settings: &Settings,
    address: SocketAddr,
    small: &Bucket,
) -> Result<(), Box<dyn Error>> {
    let versions = settings.versions;
    let versioned = Bucket { signer: Signer::of_bucket("versioned")?, objects: VERSIONED };
    let mut fill = Series::new(format!("copies to {VERSIONED} keys, c={FILLERS}"));
    fill.rounds.push(versioned.fill_with_versions(address, versions)?);
    let mut shown = vec![fill];
    let mut ratios = Vec::new();
    for (when, writes) in [("at once", 0), ("later", WRITES)] {
        if writes > 0 {
            Bucket { signer: Signer::of_bucket("other")?, objects: writes }.fill(address)?;
        }
        thread::sleep(PAUSE);
        let name = |what: &str| format!("{what}, {VERSIONED} keys of {versions} versions, {when}");
        let mut listings = [
            small.first_page(),
            Pages { name: name("current versions"), ..versioned.first_page() },
            Pages { name: name("all versions"), ..versioned.versions() },
        ]
        .map(Listing::new);
        listings.iter().try_for_each(|listing| listing.check(address))?;
        for _ in 0..settings.rounds {
            for listing in &mut listings {
                listing.add(|pages| settings.timed(address, 1, pages))?;
            }
        }
        let [plain, current, all] = listings.map(|listing| listing.series);
        let what = format!("{} : {}, p50", current.name, plain.name);
        ratios.push((what, current.p50() / plain.p50()));
        shown.extend([plain, current, all]);
    }
    report::table(&shown.iter().collect::<Vec<_>>());
    for (what, ratio) in ratios {
        report::ratio(&what, ratio, Target::AtMost(1.5));
    }
    Ok(())
}

/// Requests for pages, all of which are full.
struct Pages {
    name: String,
    requests: Vec<Request>,
    /// How the elements begin that count.
    element: &'static str,
}

/// Pages, and how long they took.
struct Listing {
    pages: Pages,
    series: Series,
}

impl Listing {
    fn new(pages: Pages) -> Self {
        Self { series: Series::new(&pages.name), pages }
    }

    /// Sees to it that pages are full.
    fn check(&self, address: SocketAddr) -> io::Result<()> {
        let mut connection = Connection::open(address)?;
        let Pages { name, requests, element } = &self.pages;
        for request in requests.iter().step_by(requests.len().div_ceil(10)) {
            let page = String::from_utf8_lossy(&request.fetch(&mut connection)?).into_owned();
            let found = page.matches(element).count();
            if found != PAGE {
                return Err(io::Error::other(format!("{name}: {found} on a page")));
            }
        }
        Ok(())
    }

    /// A round; the next one begins with other pages.
    fn add(&mut self, run: impl FnOnce(&[Request]) -> io::Result<Report>) -> io::Result<()> {
        let report = run(&self.pages.requests)?;
        let asked = report.latencies.len() % self.pages.requests.len().max(1);
        self.pages.requests.rotate_left(asked);
        self.series.rounds.push(report);
        Ok(())
    }
}

impl Bucket {
    /// Makes the bucket and its objects.
    fn fill(&self, address: SocketAddr) -> io::Result<()> {
        let Self { signer, objects } = self;
        perform_all(address, &[signer.create_bucket()])?;
        perform_all(address, &[signer.put(SOURCE, Body::numbered(1, KIB))])?;
        let numbers: Vec<usize> = (0..*objects).collect();
        for numbers in numbers.chunks(FILL) {
            let copies: Vec<Request> =
                numbers.iter().map(|number| signer.copy(SOURCE, &key(*number))).collect();
            let until = Until::Count(copies.len() as u64);
            let load = Load { address, connections: FILLERS, warm_up: Duration::ZERO, until };
            load.run(&copies)?;
        }
        Ok(())
    }

    /// Pages of keys, from all over the bucket.
    fn keys(&self) -> Pages {
        let page = |number: usize| match number * PAGE {
            0 => self.signer.list(&format!("max-keys={PAGE}")),
            first => self.signer.list(&format!("max-keys={PAGE}&marker={}", key(first - 1))),
        };
        Pages {
            name: format!("{PAGE} keys of {}", self.objects),
            requests: scattered(self.objects / PAGE).map(page).collect(),
            element: "<Contents>",
        }
    }

    /// Pages of common prefixes, from all over the bucket.
    fn prefixes(&self) -> Pages {
        let query = format!("max-keys={PAGE}&delimiter=/");
        let prefixes = self.objects / BELOW_PREFIX;
        let page = |number: usize| match number * PAGE {
            0 => self.signer.list(&query),
            first => self.signer.list(&format!("{query}&marker={}", prefix(first - 1))),
        };
        Pages {
            name: format!("{PAGE} common prefixes of {prefixes}"),
            requests: scattered(prefixes / PAGE).map(page).collect(),
            element: "<CommonPrefixes>",
        }
    }

    /// One page, again and again.
    fn first_page(&self) -> Pages {
        Pages {
            name: format!("the first {PAGE} keys of {}", self.objects),
            requests: vec![self.signer.list(&format!("max-keys={PAGE}"))],
            element: "<Contents>",
        }
    }

    /// Makes a bucket that keeps versions, and so many versions of each of its objects.
    fn fill_with_versions(&self, address: SocketAddr, versions: usize) -> io::Result<Report> {
        let Self { signer, objects } = self;
        perform_all(address, &[signer.create_bucket(), signer.keep_versions()])?;
        perform_all(address, &[signer.put(SOURCE, Body::numbered(1, KIB))])?;
        let copies: Vec<Request> =
            (0..*objects).map(|number| signer.copy(SOURCE, &key(number))).collect();
        let until = Until::Count((objects * versions) as u64);
        Load { address, connections: FILLERS, warm_up: Duration::ZERO, until }.run(&copies)
    }

    /// Pages of versions: those behind all versions of a key, for each key but the last ones.
    fn versions(&self) -> Pages {
        let query = format!("versions&max-keys={PAGE}&key-marker=");
        let page = |number: usize| self.signer.list(&format!("{query}{}", key(number)));
        Pages {
            name: format!("{PAGE} versions of {} keys", self.objects),
            requests: (0..self.objects / 2).map(page).collect(),
            element: "<Version>",
        }
    }
}

/// The numbers below this one, neighbours far apart.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    /// A prime that divides no count of pages there will be.
    const STRIDE: usize = 7919;
    (0..count).map(move |number| number * STRIDE % count)
}

fn prefix(number: usize) -> String {
    format!("{number:06}/")
}

fn key(number: usize) -> String {
    format!("{}{}", prefix(number / BELOW_PREFIX), number % BELOW_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_asked_for_once() {
        for count in [1, 10, 100, 1000] {
            let mut numbers: Vec<usize> = scattered(count).collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..count));
        }
    }

    #[test]
    fn keys_are_in_order_below_their_prefixes() {
        assert_eq!([key(0), key(9), key(10)], ["000000/0", "000000/9", "000001/0"]);
    }
}
