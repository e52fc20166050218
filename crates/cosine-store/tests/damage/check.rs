//! What must hold of every damaged store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cosine_store::fsck::{Flaw, FsckOptions, Report, fsck};
use cosine_store::{BucketName, Engines, Error, ObjectKey, Store, SystemClock};

use crate::base::{BASE, BUCKET, Fixture, Rows, Tree, collector, live_contents};

/// What a kind of damage leads to.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    /// For messages.
    pub what: &'static str,
    /// What fsck finds by looking at what is there, ...
    pub shallow: &'static [Flaw],
    /// ... by reading every byte, ...
    pub deep: &'static [Flaw],
    /// ... and, deeply, after a repair, then and ever after.
    pub repaired: &'static [Flaw],
    /// Objects that cannot be read.
    pub lost: &'static [&'static str],
    /// Objects that a repair gives up, since nothing is left that says what they were.
    pub given_up: &'static [&'static str],
}

/// Nothing is wrong.
pub const SOUND: Damage =
    Damage { what: "", shallow: &[], deep: &[], repaired: &[], lost: &[], given_up: &[] };

impl Damage {
    /// Damage that shows at once.
    pub const fn shows(what: &'static str, flaws: &'static [Flaw]) -> Self {
        Self { what, shallow: flaws, deep: flaws, ..SOUND }
    }

    /// What a repair leaves.
    pub const fn leaves(self, repaired: &'static [Flaw]) -> Self {
        Self { repaired, ..self }
    }

    /// Objects that cannot be read, before the repair and after.
    pub const fn costs(self, lost: &'static [&'static str]) -> Self {
        Self { lost, ..self }
    }
}

/// Holds a damaged store against what is expected of it; `make` makes it as often as asked.
pub async fn examine(damage: Damage, make: impl AsyncFn() -> Fixture) {
    let fixture = make().await;
    let before = fixture.all().await;
    for (deep, expected) in [(false, damage.shallow), (true, damage.deep)] {
        let report = check(&fixture.engines(), FsckOptions { deep, repair: false }).await;
        assert_eq!(
            flaws(&report),
            set(expected),
            "{damage:?}, deep {deep}: {:#?}",
            report.findings
        );
        assert_eq!(report.is_sound(), expected.is_empty());
    }
    assert!(fixture.all().await == before, "{damage:?}: a check changed something");
    use_it(damage, &fixture, "as it is").await;

    let fixture = make().await;
    let report = check(&fixture.engines(), FsckOptions { deep: true, repair: true }).await;
    assert_eq!(flaws(&report), set(damage.repaired), "{damage:?}, mended: {:#?}", report.findings);
    let after = fixture.all().await;
    keeps_what_is_needed(damage, &before, &after, "mended");
    let again = check(&fixture.engines(), FsckOptions { deep: true, repair: true }).await;
    assert_eq!(flaws(&again), set(damage.repaired), "{damage:?}, mended twice");
    use_it(damage, &fixture, "mended").await;
}

/// Reads everything, collects everything, and reads everything again.
async fn use_it(damage: Damage, fixture: &Fixture, when: &str) {
    let before = fixture.all().await;
    let opened = Store::open(fixture.engines(), Arc::new(SystemClock)).await;
    let Ok(store) = opened else {
        let untouched = fixture.all().await == before;
        return assert!(untouched, "{damage:?}, {when}: refused, and changed");
    };
    read_everything(damage, &store, when).await;
    collect(&store).await;
    keeps_what_is_needed(damage, &before, &fixture.all().await, when);
    read_everything(damage, &store, when).await;
}

/// Until there is nothing to do, or it cannot go on; three times, since a run ends when it is seen for
/// the second time, and what it left goes after that.
pub async fn collect(store: &Store) {
    let mut collector = collector(store, Duration::ZERO);
    for _ in 0..3 {
        if collector.run().await.is_err() {
            return;
        }
    }
}

async fn read_everything(damage: Damage, store: &Store, when: &str) {
    for (key, body) in &BASE.objects {
        let read = read(store, key).await;
        match damage.lost.contains(&key.as_str()) {
            true => assert!(read.is_err(), "{damage:?}, {when}: {key} was read"),
            false => assert!(read.as_ref() == Ok(body), "{damage:?}, {when}: {key}: {read:?}"),
        }
    }
}

/// An object's bytes; an error is fine, wrong bytes before it are not.
async fn read(store: &Store, key: &str) -> Result<Vec<u8>, String> {
    let text = |error: Error| error.to_string();
    let bucket = store.bucket(&BucketName::parse(BUCKET).unwrap()).await.map_err(text)?;
    let version =
        store.object(&bucket, &ObjectKey::parse(key).unwrap(), None).await.map_err(text)?;
    let mut reader = store.read(&version, 0..version.size).await.map_err(text)?;
    let mut bytes = vec![];
    while let Some(piece) = reader.next().await.map_err(text)? {
        bytes.extend_from_slice(&piece);
        assert!(BASE.objects[key].starts_with(&bytes), "wrong bytes of {key}");
    }
    Ok(bytes)
}

/// Rows and blobs of live objects are as they were before, where they were there before.
fn keeps_what_is_needed(damage: Damage, before: &(Rows, Tree), after: &(Rows, Tree), when: &str) {
    if !damage.given_up.is_empty() {
        return;
    }
    let live = live_contents(&BASE.rows);
    let owner = |key: &[u8]| live.contains(&key[key.len() - 16..]);
    for (key, value) in &before.0 {
        let needed = BASE.rows.contains_key(key)
            && match key[0] {
                b'b' | b'k' => true,
                b'c' | b'i' => live.contains(&key[1..]),
                b'r' => key.starts_with(b"rc") || owner(key),
                _ => false,
            };
        let kept = after.0.get(key) == Some(value) || (key[0] == b'r' && after.0.contains_key(key));
        assert!(!needed || kept, "{damage:?}, {when}: row {key:?} went or changed");
    }
    for key in BASE.rows.keys().filter(|key| key.starts_with(b"rb") && owner(key)) {
        let id = cosine_blob::BlobId(key[2..18].try_into().unwrap());
        let path = crate::base::path_of(std::path::Path::new(""), id);
        let kept = after.1.get(&path) == before.1.get(&path);
        assert!(kept, "{damage:?}, {when}: blob {id} went or changed");
    }
}

pub async fn check(engines: &Engines, options: FsckOptions) -> Report {
    fsck(engines, options, &mut |_| {}).await.unwrap()
}

pub fn flaws(report: &Report) -> BTreeSet<Flaw> {
    report.findings.iter().map(|finding| finding.flaw).collect()
}

pub fn set(flaws: &[Flaw]) -> BTreeSet<Flaw> {
    flaws.iter().copied().collect()
}
