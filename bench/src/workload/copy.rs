//! Copies: a copy is one commit whatever the size, and costs about what a small put costs.

use std::error::Error;

use super::{KIB, Settings, object, perform_all, puts, size_text};
use crate::client::Body;
use crate::load::Series;
use crate::report::{self, Target};
use crate::request::{Request, Signer};

/// Keys that one round writes to before it starts over with them.
const FRESH_KEYS: usize = 16_384;
const SMALL: u64 = KIB;

/// Copies a small and a large object, and puts small ones, over one connection, in turn.
///
/// # Errors
/// The server fails, or refuses a request.
pub fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let large = settings.large_bytes;
    let (small_text, large_text) = (size_text(SMALL), size_text(large));
    report::heading(&format!("copy: {small_text} and {large_text}, c=1"));
    let signer = Signer::new()?;
    let cosine = settings.cosine_with_bucket(&signer)?;
    let (small_content, large_content) = (Body::numbered(1, SMALL), Body::numbered(2, large));
    let sources = [signer.put("small", small_content), signer.put("large", large_content)];
    perform_all(cosine.address, &sources)?;

    let mut small_copies = Series::new(format!("copy {small_text}"));
    let mut large_copies = Series::new(format!("copy {large_text}"));
    let mut small_puts = Series::new(format!("put {small_text}, durable"));
    for round in 0..settings.rounds {
        let copies = copies(&signer, "small", &format!("copy-small-{round}"));
        small_copies.rounds.push(settings.timed(cosine.address, 1, &copies)?);
        let copies = self::copies(&signer, "large", &format!("copy-large-{round}"));
        large_copies.rounds.push(settings.timed(cosine.address, 1, &copies)?);
        let puts = puts(&signer, &format!("put-{round}"), FRESH_KEYS, SMALL);
        small_puts.rounds.push(settings.timed(cosine.address, 1, &puts)?);
    }
    let check = |set: &str, content: Body| {
        let (key, _) = object(set, 0, 0);
        signer.get_checked(&key, content)
    };
    let checks = [check("copy-small-0", small_content), check("copy-large-0", large_content)];
    perform_all(cosine.address, &checks)?;

    report::table(&[&small_copies, &large_copies, &small_puts]);
    let small_p50 = small_copies.p50();
    let what = format!("copy {large_text} : copy {small_text}, p50");
    report::ratio(&what, large_copies.p50() / small_p50, Target::AtMost(3.0));
    let what = format!("copy {small_text} : durable put {small_text}, p50");
    report::ratio(&what, small_p50 / small_puts.p50(), Target::AtMost(1.5));
    Ok(())
}

/// Copies of one object to the keys of a set.
pub fn copies(signer: &Signer, source: &str, set: &str) -> Vec<Request> {
    (0..FRESH_KEYS).map(|number| signer.copy(source, &object(set, number, 0).0)).collect()
}
