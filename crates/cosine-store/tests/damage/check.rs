//! What must hold of every damaged store.

use crate::support::open;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cosine_store::fsck::{Flaw, FsckOptions, Report, fsck};
use cosine_store::{BucketName, CompleteRequest, Engines, Error, Store, SystemClock, Upload};

use crate::base::{BASE, BUCKET, Fixture, Object, Rows, Tree, collector};
use crate::made::{UnderWay, key};
use crate::{block_on, names};

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
    /// Objects that cannot be read, and uploads that become none.
    pub lost: &'static [&'static str],
    /// Objects that cannot be read until a repair.
    pub unread: &'static [&'static str],
    /// Objects and uploads that a repair gives up, since nothing is left that says what they were.
    pub given_up: &'static [&'static str],
    /// Objects of which the newest version is lost, and the older one that a repair has in its place.
    pub replaced: &'static [(&'static str, &'static str)],
}

/// Nothing is wrong.
pub const SOUND: Damage = Damage {
    what: "",
    shallow: &[],
    deep: &[],
    repaired: &[],
    lost: &[],
    unread: &[],
    given_up: &[],
    replaced: &[],
};

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

    /// Objects that cannot be read before the repair.
    pub const fn hides(self, unread: &'static [&'static str]) -> Self {
        Self { unread, ..self }
    }

    /// Objects that cannot be read, and of whose bytes nothing speaks any more.
    pub const fn gives_up(self, lost: &'static [&'static str]) -> Self {
        Self { lost, given_up: lost, ..self }
    }

    /// Objects that are older after the repair.
    pub const fn replaces(self, replaced: &'static [(&'static str, &'static str)]) -> Self {
        Self { replaced, ..self }
    }

    /// What one reads of an object; `None` for an error.
    fn body(&self, name: &str, when: When) -> Option<&'static Vec<u8>> {
        let replaced = self.replaced.iter().find(|(newest, _)| *newest == name);
        if let (Some((_, older)), When::Mended) = (replaced, when) {
            return BASE.objects[older].body.as_ref();
        }
        let unread = when == When::AsItIs && self.unread.contains(&name);
        match unread || self.lost.contains(&name) {
            true => None,
            false => BASE.objects[name].body.as_ref(),
        }
    }
}

/// Whether a repair was there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    AsItIs,
    Mended,
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
    use_it(damage, &fixture, When::AsItIs).await;

    let fixture = make().await;
    let report = check(&fixture.engines(), FsckOptions { deep: true, repair: true }).await;
    assert_eq!(flaws(&report), set(damage.repaired), "{damage:?}, mended: {:#?}", report.findings);
    let after = fixture.all().await;
    keeps_what_is_needed(damage, &before, &after, When::Mended);
    let again = check(&fixture.engines(), FsckOptions { deep: true, repair: true }).await;
    assert_eq!(flaws(&again), set(damage.repaired), "{damage:?}, mended twice");
    use_it(damage, &fixture, When::Mended).await;
}

/// Reads everything, collects everything, reads everything again, and ends what is under way.
async fn use_it(damage: Damage, fixture: &Fixture, when: When) {
    let before = fixture.all().await;
    let opened =
        Store::open(fixture.engines(), Arc::new(SystemClock), crate::support::master()).await;
    let Ok(store) = opened else {
        let untouched = fixture.all().await == before;
        return assert!(untouched, "{damage:?}, {when:?}: refused, and changed");
    };
    read_everything(damage, &store, when).await;
    collect(&store).await;
    keeps_what_is_needed(damage, &before, &fixture.all().await, when);
    read_everything(damage, &store, when).await;
    end_uploads(damage, &store, when).await;
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

async fn read_everything(damage: Damage, store: &Store, when: When) {
    for (name, object) in &BASE.objects {
        let body = damage.body(name, when);
        let bytes = body.or(object.body.as_ref()).map_or(&[][..], Vec::as_slice);
        let read = read(store, object, bytes).await;
        match body {
            None => assert!(read.is_err(), "{damage:?}, {when:?}: {name} was read"),
            Some(body) => {
                let error = read.as_ref().err();
                assert!(read.as_ref() == Ok(body), "{damage:?}, {when:?}: {name}: {error:?}");
            }
        }
    }
}

/// An object's bytes; an error is fine, wrong bytes before it are not.
async fn read(store: &Store, object: &Object, right: &[u8]) -> Result<Vec<u8>, String> {
    let text = |error: Error| error.to_string();
    let name = BucketName::parse(object.bucket).unwrap();
    let bucket = store.bucket(&name).await.map_err(text)?;
    let key = key(object.key);
    let version = store.object(&bucket, &key, object.id).await.map_err(text)?;
    let mut reader = open(store, (&bucket, &key), &version).await.map_err(text)?;
    let mut bytes = vec![];
    while let Some(piece) = reader.next().await.map_err(text)? {
        bytes.extend_from_slice(&piece);
        assert!(right.starts_with(&bytes), "wrong bytes of {}", object.key);
    }
    Ok(bytes)
}

/// What is under way becomes an object that can be read.
async fn end_uploads(damage: Damage, store: &Store, when: When) {
    for (name, upload) in &BASE.uploads {
        let object = Object::current(name, upload.body.clone());
        let ended = match find(store, name, upload).await {
            Ok(found) => {
                let parts = vec![(1, Some(upload.etag))];
                let request = CompleteRequest { upload: found, parts, forbid_overwrite: false };
                store.complete_upload(request).await.map(drop).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let read = match ended {
            Ok(()) => read(store, &object, &upload.body).await,
            Err(error) => Err(error),
        };
        let (lost, error) = (damage.lost.contains(name), read.as_ref().err());
        assert_eq!(read.is_err(), lost, "{damage:?}, {when:?}: upload {name}: {error:?}");
        assert!(lost || read == Ok(upload.body.clone()), "{damage:?}, {when:?}: {name}");
    }
}

/// What is under way in a store with nothing wrong.
pub async fn end_uploads_of(fixture: &Fixture) {
    let store = Store::open(fixture.engines(), Arc::new(SystemClock), crate::support::master())
        .await
        .unwrap();
    collect(&store).await;
    end_uploads(SOUND, &store, When::Mended).await;
}

async fn find(store: &Store, name: &str, upload: &UnderWay) -> Result<Upload, Error> {
    let bucket = store.bucket(&BucketName::parse(BUCKET).unwrap()).await?;
    store.upload(&bucket, &key(name), upload.id).await
}

/// Rows without which something could not be read: of those that a collector leaves in the sound store,
/// the ones that do not follow from others.
static NEEDED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(|| {
    let collected = async {
        let fixture = Fixture::new(&BASE.rows).await;
        collect(
            &Store::open(fixture.engines(), Arc::new(SystemClock), crate::support::master())
                .await
                .unwrap(),
        )
        .await;
        fixture.all().await.0
    };
    let left = std::thread::spawn(|| block_on(collected)).join().unwrap();
    let needed = |key: &&Vec<u8>| b"bceikpruv".contains(&key[0]) && left.contains_key(*key);
    BASE.rows.keys().filter(needed).cloned().collect()
});

/// What is needed is as it was before, where it was there before.
fn keeps_what_is_needed(damage: Damage, before: &(Rows, Tree), after: &(Rows, Tree), when: When) {
    if !damage.given_up.is_empty() {
        return;
    }
    for (key, value) in before.0.iter().filter(|(key, _)| NEEDED.contains(*key)) {
        let kept = match key[0] {
            b'r' => after.0.contains_key(key),
            b'v' if after.0.get(key) != Some(value) => names::is_current(key, value, &after.0),
            _ => after.0.get(key) == Some(value),
        };
        assert!(kept, "{damage:?}, {when:?}: row {key:?} went or changed");
    }
    for key in NEEDED.iter().filter(|key| key.starts_with(b"rb")) {
        let id = cosine_blob::BlobId(key[2..18].try_into().unwrap());
        let path = crate::base::path_of(std::path::Path::new(""), id);
        let kept = after.1.get(&path) == before.1.get(&path);
        assert!(kept, "{damage:?}, {when:?}: blob {id} went or changed");
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
