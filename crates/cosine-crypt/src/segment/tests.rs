use super::*;
use proptest::prelude::*;

const KEY: [u8; 32] = [7; 32];
const S: u64 = SEGMENT_BYTES;

fn plain(length: u64) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(31) ^ (i >> 9)) as u8).collect()
}

fn seal(plain: &[u8], blocks: usize) -> Vec<u8> {
    let mut sealer = Sealer::new(&Key::new(&KEY), Stream::Data).unwrap();
    let mut sealed = Vec::new();
    let mut rest = plain;
    while rest.len() > blocks * S as usize {
        let (block, behind) = rest.split_at(blocks * S as usize);
        sealed.extend(sealer.seal(block).unwrap());
        rest = behind;
    }
    sealed.extend(sealer.finish(rest).unwrap());
    sealed
}

fn data() -> Segments {
    Segments::new(&Key::new(&KEY), Stream::Data).unwrap()
}

fn open(length: u64, range: Range<u64>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let stored = stored_range(length, &range).ok_or(SealError::Unsealable)?;
    let stored = sealed.get(stored.start as usize..stored.end as usize);
    let opened = data().open(length, &range, stored.ok_or(SealError::Unsealable)?.to_vec())?;
    Ok(opened.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any range of what was sealed, in blocks of any number of segments, is that range of the plain
    /// bytes: the model is a slice.
    #[test]
    fn any_range_opens_as_the_slice_that_it_is(
        length in prop_oneof![0..200_000u64, Just(0), Just(1), (0..4u64).prop_map(|n| n * S), (1..4u64).prop_map(|n| n * S - 1), (0..4u64).prop_map(|n| n * S + 1)],
        blocks in 1..4usize, a in any::<u64>(), b in any::<u64>(),
    ) {
        let plain = plain(length);
        let sealed = seal(&plain, blocks);
        prop_assert_eq!(Some(sealed.len() as u64), sealed_length(length));
        prop_assert_eq!(&data().open_whole(sealed.clone()).unwrap(), &plain);
        let (a, b) = (a % (length + 1), b % (length + 1));
        let range = a.min(b)..a.max(b);
        if !range.is_empty() {
            let expected = &plain[range.start as usize..range.end as usize];
            prop_assert_eq!(&open(length, range, &sealed).unwrap()[..], expected);
        }
    }

    /// A bit flipped anywhere is an error where its segment is read, and nowhere else.
    #[test]
    fn a_flipped_bit_is_an_error_in_its_segment(
        length in 1..200_000u64, at in any::<proptest::sample::Index>(), bit in 0..8u8,
    ) {
        let plain = plain(length);
        let mut sealed = seal(&plain, 2);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(data().open_whole(sealed.clone()).is_err());
        let damaged = at as u64 / STORED_BYTES;
        for number in 0..length.div_ceil(S) {
            let range = number * S..((number + 1) * S).min(length);
            let opened = open(length, range.clone(), &sealed);
            prop_assert_eq!(opened.is_err(), number == damaged);
        }
    }
}

/// Cut, swapped, repeated, of another place, of another stream, of another key, of another length.
#[test]
fn only_what_was_sealed_there_opens() {
    let plain = plain(3 * S + 5);
    let sealed = seal(&plain, 4);
    let stored = STORED_BYTES as usize;
    let segment = |n: usize| &sealed[n * stored..((n + 1) * stored).min(sealed.len())];
    let other = [&sealed[..3 * stored], &seal(&plain[..5], 1)].concat();
    let wrong = [
        ("cut behind a segment", sealed[..3 * stored].to_vec()),
        ("cut within one", sealed[..sealed.len() - 1].to_vec()),
        ("without its last one", sealed[..2 * stored].to_vec()),
        ("nothing", vec![]),
        ("swapped", [segment(1), segment(0), segment(2), segment(3)].concat()),
        ("repeated", [segment(0), segment(0), segment(2), segment(3)].concat()),
        ("one left out", [segment(0), segment(2), segment(3)].concat()),
        ("another run's last one", other),
        ("the last one twice", [&sealed[..], segment(3)].concat()),
    ];
    for (what, stored) in wrong {
        assert!(data().open_whole(stored).is_err(), "{what}");
    }
    let table = Segments::new(&Key::new(&KEY), Stream::Table).unwrap();
    assert!(table.open_whole(sealed.clone()).is_err(), "another stream");
    let other = Segments::new(&Key::new(&[8; 32]), Stream::Data).unwrap();
    assert!(other.open_whole(sealed.clone()).is_err(), "another key");
    let range = 3 * S..3 * S + 5;
    assert!(open(3 * S + 5, range.clone(), &sealed).is_ok());
    let tail = sealed[3 * stored..].to_vec();
    assert!(data().open(3 * S + 6, &range, tail).is_err(), "another length");
    assert!(open(4 * S, 0..1, &sealed).is_ok(), "a whole segment is the same in a longer run");
}

/// The vector of `docs/format.md`.
#[test]
fn the_form_stays() {
    let key = Key::new(&std::array::from_fn(|n| n as u8));
    let sealed = |stream, plain: &[u8]| {
        let sealed = Sealer::new(&key, stream).unwrap().finish(plain).unwrap();
        sealed.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(sealed(Stream::Data, b"plain"), "7ed0d4b7dbdbd073b689311b0c1ac6325c901144d9");
    assert_eq!(sealed(Stream::Table, b""), "667cf0c118795b7cc50e382b107977cc");
    let long = sealed(Stream::Data, &vec![b'a'; S as usize + 1]);
    let (tag, last) = long[long.len() - 66..].split_at(32);
    assert_eq!(tag, "25bfbabbe643d6f32f71bfb5b782d119");
    assert_eq!(last, "74ee0a2fc7c3dba16787b3cd89eda1c4bf");
}

#[test]
fn lengths_and_places() {
    let table = [(0, 16), (1, 17), (S - 1, S + 15), (S, S + 32), (S + 1, S + 33)];
    for (length, sealed) in table {
        assert_eq!(sealed_length(length), Some(sealed), "{length}");
    }
    assert_eq!(sealed_length(u64::MAX), None);
    assert_eq!(stored_range(S, &(0..S)), Some(0..STORED_BYTES));
    assert_eq!(stored_range(2 * S, &(S - 1..S + 1)), Some(0..2 * STORED_BYTES));
    assert_eq!(stored_range(S + 1, &(S..S + 1)), Some(STORED_BYTES..STORED_BYTES + 17));
    assert_eq!(stored_range(S, &(0..S + 1)), None);
    assert_eq!(stored_range(S, &(5..5)), None);
}
