use super::*;
use crate::kms::{BuiltIn, KeyTable, StoredKey, new_material};
use crate::{MasterKeys, Provider};
use async_trait::async_trait;
use md5::{Digest, Md5};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Table(BTreeMap<String, StoredKey>);

#[async_trait]
impl KeyTable for Table {
    async fn find(&self, key_id: &str) -> Result<Option<StoredKey>, KmsError> {
        Ok(self.0.get(key_id).cloned())
    }

    async fn default_key(&self, _: u64) -> Result<String, KmsError> {
        Ok("one".to_owned())
    }
}

const PLACE: Place<'static> =
    Place { content_key: [1; 16], bucket: [2; 16], object: "a/b", appid: 1_250_000_000 };

fn keyring(change: impl FnOnce(&mut BTreeMap<String, StoredKey>, &MasterKeys)) -> Keyring {
    let master = Arc::new(MasterKeys::new(Key::new(&[9; 32]), vec![]));
    let stored = |key_id: &str, appid| StoredKey {
        appid,
        enabled: true,
        versions: vec![new_material(&master, key_id).unwrap()],
    };
    let mut keys: BTreeMap<String, StoredKey> =
        [("one", PLACE.appid), ("two", PLACE.appid), ("foreign", 5)]
            .map(|(key_id, appid)| (key_id.to_owned(), stored(key_id, appid)))
            .into();
    change(&mut keys, &master);
    let kms = Arc::new(BuiltIn::new(Arc::new(Table(keys)), master));
    Keyring::new(Arc::new(Key::new(&[3; 32])), kms, vec![])
}

fn customer(byte: u8) -> CustomerKey {
    CustomerKey::new(&[byte; 32], Md5::digest([byte; 32]).into()).unwrap()
}

fn kms(key_id: Option<&str>, context: &str) -> Encryption {
    Encryption::Kms { key_id: key_id.map(str::to_owned), context: context.into() }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Every kind opens in its place with what it was sealed with, and nowhere else, and not with less.
#[test]
fn an_envelope_opens_in_its_place_alone() {
    let ring = keyring(|_, _| {});
    let kinds = [
        (Encryption::None, None),
        (Encryption::Cos, None),
        (Encryption::Customer(customer(5)), Some(customer(5))),
        (kms(None, ""), None),
        (kms(Some("two"), "{\"a\":\"b\"}"), None),
    ];
    let elsewhere = [
        Place { content_key: [8; 16], ..PLACE },
        Place { bucket: [8; 16], ..PLACE },
        Place { object: "a/c", ..PLACE },
        Place { object: "a", ..PLACE },
    ];
    for (encryption, presented) in kinds {
        let key = Key::random().unwrap();
        let envelope = run(ring.seal(&key, &encryption, PLACE)).unwrap();
        let opened = run(ring.open(&envelope, presented.as_ref(), PLACE)).unwrap();
        assert_eq!(*opened.bytes(), *key.bytes(), "{encryption:?}");
        for place in elsewhere {
            let opened = run(ring.open(&envelope, presented.as_ref(), place));
            assert!(opened.is_err(), "{encryption:?} at {place:?}");
        }
        let with_wrong = run(ring.open(&envelope, Some(&customer(6)), PLACE)).unwrap_err();
        let without = run(ring.open(&envelope, None, PLACE));
        match presented {
            Some(_) => {
                assert_eq!(with_wrong, KeyError::CustomerKeyWrong);
                assert_eq!(without.unwrap_err(), KeyError::CustomerKeyMissing);
            }
            None => assert_eq!(with_wrong, KeyError::CustomerKeyUnwanted),
        }
        let again = run(ring.seal(&key, &encryption, PLACE)).unwrap();
        assert_ne!(again, envelope, "no wrap is made twice");
    }
}

/// Two envelopes in one place, of the same content key: what one says of its context is not the other's.
#[test]
fn the_context_binds() {
    let ring = keyring(|_, _| {});
    let key = Key::new(&[1; 32]);
    let seal = |context| {
        let Envelope::Kms(sealed) = run(ring.seal(&key, &kms(None, context), PLACE)).unwrap()
        else {
            panic!("another kind")
        };
        sealed
    };
    let (one, other) = (seal("{\"a\":\"1\"}"), seal("{\"a\":\"2\"}"));
    let mixed = KmsEnvelope { context: other.context, ..one.clone() };
    assert!(run(ring.open(&Envelope::Kms(mixed), None, PLACE)).is_err());
    assert!(run(ring.open(&Envelope::Kms(one), None, PLACE)).is_ok());
}

/// One kind's envelope is not another's, though the key of the store seals both.
#[test]
fn kinds_do_not_stand_for_each_other() {
    let ring = keyring(|_, _| {});
    let Envelope::Cos(sealed) =
        run(ring.seal(&Key::new(&[1; 32]), &Encryption::Cos, PLACE)).unwrap()
    else {
        panic!("another kind")
    };
    let disguised = Envelope::AtRest(sealed);
    assert_eq!(run(ring.open(&disguised, None, PLACE)).unwrap_err(), KeyError::Damaged);
}

#[test]
fn keys_that_are_not_there_disabled_or_of_others() {
    let ring = keyring(|keys, _| keys.get_mut("two").unwrap().enabled = false);
    let key = Key::new(&[1; 32]);
    let table = [
        ("none", KmsError::NotFound),
        ("foreign", KmsError::NotFound),
        ("two", KmsError::Disabled),
    ];
    for (key_id, error) in table {
        let sealed = run(ring.seal(&key, &kms(Some(key_id), ""), PLACE));
        assert_eq!(sealed.unwrap_err(), KeyError::Kms(error), "{key_id}");
    }
}

/// What an older version of a key sealed still opens; the newest version seals; another key's version does
/// not stand in.
#[test]
fn versions_of_a_key() {
    let materials = std::cell::RefCell::new(vec![]);
    let before = keyring(|keys, _| materials.borrow_mut().push(keys["one"].clone()));
    let key = Key::new(&[1; 32]);
    let envelope = run(before.seal(&key, &kms(Some("one"), "c"), PLACE)).unwrap();
    let after = keyring(|keys, master| {
        let mut rotated = materials.borrow()[0].clone();
        rotated.versions.push(new_material(master, "one").unwrap());
        keys.insert("one".to_owned(), rotated);
    });
    assert_eq!(*run(after.open(&envelope, None, PLACE)).unwrap().bytes(), [1; 32]);
    let newer = run(after.seal(&key, &kms(Some("one"), "c"), PLACE)).unwrap();
    assert_eq!(*run(after.open(&newer, None, PLACE)).unwrap().bytes(), [1; 32]);
    let opened = run(before.open(&newer, None, PLACE));
    assert_eq!(opened.unwrap_err(), KeyError::Kms(KmsError::Unsealable));
}

/// Whose envelopes need another provider than is there.
#[test]
fn an_envelope_of_a_provider_that_is_not_configured() {
    let ring = keyring(|_, _| {});
    let envelope = run(ring.seal(&Key::new(&[1; 32]), &kms(None, ""), PLACE)).unwrap();
    let Envelope::Kms(kms) = envelope else { panic!("another kind") };
    let elsewhere = Envelope::Kms(KmsEnvelope { provider: Provider::Transit, ..kms });
    let error = run(ring.open(&elsewhere, None, PLACE)).unwrap_err();
    assert!(matches!(error, KeyError::Kms(KmsError::Unavailable(_))), "{error:?}");
}

#[test]
fn which_envelopes_are_under_the_key_that_is_asked_for() {
    let ring = keyring(|_, _| {});
    let (five, six) = (customer(5), customer(6));
    let sealed = |encryption| run(ring.seal(&Key::new(&[1; 32]), &encryption, PLACE)).unwrap();
    let c = |key: &CustomerKey| Encryption::Customer(key.clone());
    let table = [
        (sealed(Encryption::None), None, Encryption::Cos, true),
        (sealed(Encryption::Cos), None, Encryption::None, true),
        (sealed(Encryption::Cos), None, kms(None, ""), false),
        (sealed(kms(None, "x")), None, kms(Some("one"), "y"), true),
        (sealed(kms(None, "")), None, kms(Some("two"), ""), false),
        (sealed(c(&five)), Some(&five), c(&five), true),
        (sealed(c(&five)), Some(&five), c(&six), false),
        (sealed(c(&five)), Some(&five), Encryption::None, false),
        (sealed(Encryption::None), None, c(&five), false),
    ];
    for (envelope, customer, encryption, expected) in table {
        let asked = (&encryption, PLACE.appid);
        let found = run(ring.is_under(&envelope, customer, asked)).unwrap();
        assert_eq!(found, expected, "{envelope:?} {encryption:?}");
    }
}
