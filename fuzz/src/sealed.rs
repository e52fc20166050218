//! Sealed bytes: runs of segments, and values.
//!
//! Sealing is the same each time it is given the same, so what was damaged can be held against what it
//! was: it opens to the very bytes, or not at all.

use std::ops::Range;
use std::sync::LazyLock;

use cosine_crypt::Key;
use cosine_crypt::segment::{Sealer, Segments, Stream, sealed_length, stored_range};

/// More than two segments.
const LONGEST: usize = 150_000;
const PURPOSE: &[u8] = b"a purpose";

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(&[7; 32]));
static PLAIN: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..LONGEST).map(|at| (at * 31 % 251) as u8).collect());
/// A key, sealed with and without random bytes.
static VALUES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [KEY.seal_key(PURPOSE, &KEY).unwrap(), KEY.seal_only_key(PURPOSE, &KEY).unwrap()]
});

/// Three bytes of a length, eight of a range, and steps that damage what was sealed.
pub fn sealed(data: &[u8]) {
    nobody_sealed(data);
    values(data);
    let Some((&[low, middle, high], rest)) = data.split_first_chunk::<3>() else { return };
    let Some((range, steps)) = rest.split_first_chunk::<8>() else { return };
    let length = u32::from_le_bytes([low, middle, high, 0]) as usize % (LONGEST + 1);
    let whole = Sealer::new(&KEY, Stream::Data).unwrap().finish(&PLAIN[..length]).unwrap();
    assert_eq!(whole.len() as u64, sealed_length(length as u64).unwrap());
    let [from, to] = [0, 4].map(|at| u32::from_le_bytes(range[at..at + 4].try_into().unwrap()));
    let stored = damaged(&whole, steps);
    check_whole(length, &whole, stored.clone());
    check_range(length, u64::from(from)..u64::from(to), (&whole, &stored));
}

/// What nobody sealed does not open. The fuzzer learns some sealed bytes from comparisons; what opens is
/// then what sealing makes of it.
fn nobody_sealed(data: &[u8]) {
    for stream in [Stream::Data, Stream::Table] {
        let segments = Segments::new(&KEY, stream).unwrap();
        if let Ok(opened) = segments.open_whole(data.to_vec()) {
            assert_eq!(Sealer::new(&KEY, stream).unwrap().finish(&opened).unwrap(), data);
        }
        let length = data.len() as u64;
        assert!(segments.open(length, &(0..length), data.to_vec()).is_err());
    }
    let [random, only] = &*VALUES;
    assert_eq!(KEY.open(PURPOSE, data).is_ok(), data == random);
    assert_eq!(KEY.open_only_key(PURPOSE, data).is_ok(), data == only);
}

fn values(steps: &[u8]) {
    let [random, only] = &*VALUES;
    let changed = damaged(random, steps);
    assert_eq!(KEY.open_key(PURPOSE, &changed).is_ok(), changed == *random);
    let changed = damaged(only, steps);
    assert_eq!(KEY.open_only_key(PURPOSE, &changed).is_ok(), changed == *only);
    assert_eq!(KEY.open_key(steps, random).is_ok(), steps == PURPOSE);
}

fn check_whole(length: usize, whole: &[u8], stored: Vec<u8>) {
    let is_whole = stored == whole;
    match Segments::new(&KEY, Stream::Data).unwrap().open_whole(stored) {
        Ok(opened) => assert!(is_whole && opened == PLAIN[..length], "opened, and it is not whole"),
        Err(_) => assert!(!is_whole, "it is whole, and does not open"),
    }
}

/// The segments that a range touches open if they are as they were, whatever became of the others.
fn check_range(length: usize, range: Range<u64>, (whole, stored): (&[u8], &[u8])) {
    let segments = Segments::new(&KEY, Stream::Data).unwrap();
    let Some(at) = stored_range(length as u64, &range) else {
        assert!(segments.open(length as u64, &range, stored.to_vec()).is_err());
        return;
    };
    let at = at.start as usize..at.end as usize;
    let Some(touched) = stored.get(at.clone()) else { return };
    let is_whole = touched == &whole[at];
    match segments.open(length as u64, &range, touched.to_vec()) {
        Ok(opened) => {
            let expected = &PLAIN[range.start as usize..range.end as usize];
            assert!(is_whole && opened == expected, "opened, and it is not whole");
        }
        Err(_) => assert!(!is_whole, "it is whole, and does not open"),
    }
}

/// Steps of five bytes each: change a byte, or swap two runs of the length of a stored segment. What is
/// left over cuts the end off.
fn damaged(whole: &[u8], steps: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let (steps, cut) = steps.as_chunks::<5>();
    for &[a, b, c, d, xor] in steps {
        if bytes.is_empty() {
            break;
        }
        match xor {
            0 => swap(&mut bytes, (a.into(), b.into())),
            _ => {
                let at = u32::from_le_bytes([a, b, c, d]) as usize % bytes.len();
                bytes[at] ^= xor;
            }
        }
    }
    bytes.truncate(bytes.len().saturating_sub(cut.iter().map(|&bytes| usize::from(bytes)).sum()));
    bytes
}

/// Changes two stored segments for one another.
fn swap(bytes: &mut [u8], (one, other): (usize, usize)) {
    const STORED: usize = 65_552;
    let (one, other) = (one % 3 * STORED, other % 3 * STORED);
    let run = STORED.min(bytes.len().saturating_sub(one.max(other)));
    for at in 0..run {
        bytes.swap(one + at, other + at);
    }
}
