use cosine_kv::{Commit, Outcome, Write};

use super::*;
use crate::record::{ContentState, ContentSums, Coverage, DataKey, Etag, Pools, Sums};

const BELOW: Uid = Uid([1; 16]);
const WHOLE: Uid = Uid([2; 16]);
const KEY: Uid = Uid([3; 16]);
const OTHER: Uid = Uid([4; 16]);

fn content(content_key: Option<Uid>, body: Body) -> ContentRecord {
    let etag = Etag { digest: [0; 16], parts: 0 };
    let clear = ContentSums { crc64: crc64(b"bytes"), md5: None, etag };
    ContentRecord {
        size: 5,
        sums: content_key.map_or(Sums::Clear(clear), |_| Sums::Sealed(vec![])),
        state: ContentState::Live,
        pools: Pools::default(),
        depth: 0,
        coverage: content_key.map_or(Coverage::Plain, |_| Coverage::Sealed),
        content_key,
        body,
    }
}

fn sealed() -> Body {
    Body::Inline(DataKey::Sealed { key: vec![], crc64: 0 })
}

/// A content under `own`, of one slice of a content under [`KEY`], as a scan without keys sees it.
async fn of_a_slice(own: Option<Uid>, key: SliceKey) -> Option<String> {
    let slice = Slice { content: BELOW, holder: Uid([5; 16]), offset: 0, length: 5, key };
    let sums = own.map_or(Sums::Clear(vec![crc64(b"bytes")]), |_| Sums::Sealed(vec![]));
    let whole = content(own, Body::Slices(vec![PageEnd { end: 5 }]));
    let page = PageRecord { slices: vec![slice], crc64: sums };
    let kv = cosine_kv::Memory::default();
    let writes: Vec<Write> = vec![
        content(Some(KEY), sealed()).put(key::content(BELOW)).unwrap(),
        whole.put(key::content(WHOLE)).unwrap(),
        page.put(key::page(WHOLE, 0)).unwrap(),
    ];
    let commit = Commit { conditions: vec![], writes };
    assert!(matches!(kv.commit(commit).await.unwrap(), Outcome::Committed(_)));
    let blobs = cosine_blob::Memory::default();
    let look = (Depth::Presence, Pace::UNBOUNDED, None);
    verify(&kv, &blobs, (WHOLE, &whole), look).await.unwrap()
}

#[tokio::test]
async fn a_slice_has_the_key_of_what_it_is_of() {
    let handed_on = SliceKey::Sealed(vec![1; 48]);
    assert_eq!(of_a_slice(Some(KEY), SliceKey::Same).await, None);
    assert_eq!(of_a_slice(Some(OTHER), handed_on).await, None);
    let wrong = of_a_slice(Some(OTHER), SliceKey::Same).await.unwrap();
    assert_eq!(wrong, "it has another key than a content that it is made of");
    let none = of_a_slice(None, SliceKey::Same).await.unwrap();
    assert_eq!(none, "it has no key of a sealed content that it is made of");
}

/// The checksums of sealed bytes add up, as far as who looks has the key that they are sealed under.
#[tokio::test]
async fn sealed_checksums_add_up() {
    let store = Key::new(&[9; 32]);
    let sums = |crc64| {
        let etag = Etag { digest: [0; 16], parts: 0 };
        ContentSums { crc64, md5: None, etag }
    };
    let sealed_sums =
        |crc64, owner: Uid| Sums::keep(sums(crc64), true, (&store, &owner.0)).unwrap();
    let right = crc64(b"bytes");
    for (below, page, whole, wrong) in [
        (right, right, right, None),
        (right, right, 7, Some("its slices do not add up")),
        (right, 7, 7, Some("a content that it is made of is another one")),
        (7, right, right, Some("a content that it is made of is another one")),
    ] {
        let kv = cosine_kv::Memory::default();
        let slice = Slice {
            content: BELOW,
            holder: Uid([5; 16]),
            offset: 0,
            length: 5,
            key: SliceKey::Same,
        };
        let below =
            ContentRecord { sums: sealed_sums(below, BELOW), ..content(Some(KEY), sealed()) };
        let slices = Body::Slices(vec![PageEnd { end: 5 }]);
        let whole = ContentRecord { sums: sealed_sums(whole, WHOLE), ..content(Some(KEY), slices) };
        let owner = page_owner(WHOLE, 0);
        let crc64 = Sums::keep(vec![page], true, (&store, &owner)).unwrap();
        let page = PageRecord { slices: vec![slice], crc64 };
        let writes =
            vec![below.put(key::content(BELOW)).unwrap(), page.put(key::page(WHOLE, 0)).unwrap()];
        let _ = kv.commit(Commit { conditions: vec![], writes }).await.unwrap();
        let blobs = cosine_blob::Memory::default();
        for (key, expected) in [(Some(&store), wrong), (None, None)] {
            let look = (Depth::Presence, Pace::UNBOUNDED, key);
            let found = verify(&kv, &blobs, (WHOLE, &whole), look).await.unwrap();
            assert_eq!(found.as_deref(), expected);
        }
    }
}

/// What a record says of its encryption fits together, or it is damaged.
#[tokio::test]
async fn a_record_that_contradicts_itself() {
    let plain = || Body::Inline(DataKey::Plain);
    let sound = [content(None, plain()), content(Some(KEY), sealed())];
    let sums_of = |record: &ContentRecord| record.sums.clone();
    let wrong = [
        ContentRecord { content_key: Some(KEY), ..sound[0].clone() },
        ContentRecord { content_key: None, ..sound[1].clone() },
        ContentRecord { coverage: Coverage::Sealed, ..sound[0].clone() },
        ContentRecord { coverage: Coverage::Plain, ..sound[1].clone() },
        ContentRecord { body: sealed(), ..sound[0].clone() },
        ContentRecord { body: plain(), ..sound[1].clone() },
        ContentRecord { sums: sums_of(&sound[1]), ..sound[0].clone() },
        ContentRecord { sums: sums_of(&sound[0]), ..sound[1].clone() },
    ];
    let (kv, blobs) = (cosine_kv::Memory::default(), cosine_blob::Memory::default());
    let look = (Depth::Presence, Pace::UNBOUNDED, None);
    for record in &sound {
        let found = verify(&kv, &blobs, (WHOLE, record), look).await.unwrap();
        assert_eq!(found.unwrap(), "its inline bytes are missing");
    }
    for record in &wrong {
        let found = verify(&kv, &blobs, (WHOLE, record), look).await.unwrap();
        assert_eq!(found, contradictory(), "{record:?}");
    }
}
