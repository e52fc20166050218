//! Identities: stores, process runs, blobs.

use std::fmt;
use std::str::FromStr;

/// One store: its metadata and its blobs carry the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub u128);

/// One run of one process on a store; random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// A storage pool: where blobs lie. 0 is the one that every store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(u8);

impl PoolId {
    /// A store has at most this many pools.
    pub const COUNT: u8 = 16;

    /// The pool of this number; `None` from [`COUNT`](Self::COUNT) on.
    pub fn new(number: u8) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// One blob: 6 bytes of milliseconds since 1970, 4 bits of the pool that holds it, 12 bits of a
/// sequence within the millisecond, 8 bytes of the run that wrote it, big-endian. Ids sort by time,
/// and show where the blob lies and whose blob in the making it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 16]);

impl BlobId {
    /// A millisecond has this many blobs of a run.
    pub const SEQUENCES: u64 = 1 << 12;

    /// The `sequence`-th blob that `run` begins in this millisecond, below
    /// [`SEQUENCES`](Self::SEQUENCES).
    pub fn new(milliseconds: u64, pool: PoolId, sequence: u16, run: RunId) -> Self {
        let place = (u16::from(pool.0) << 12) | (sequence % (1 << 12));
        let id = (u128::from(milliseconds) << 80) | (u128::from(place) << 64) | u128::from(run.0);
        Self(id.to_be_bytes())
    }

    /// The pool that holds the blob.
    pub fn pool(self) -> PoolId {
        PoolId((u128::from_be_bytes(self.0) >> 76) as u8 & 15)
    }

    /// The run that wrote the blob.
    pub fn run(self) -> RunId {
        RunId(u128::from_be_bytes(self.0) as u64)
    }

    /// Spreads blobs over 256 directories: the low bytes of time and sequence.
    pub(crate) fn shard(self) -> u8 {
        let id = u128::from_be_bytes(self.0);
        (id >> 80) as u8 ^ (id >> 64) as u8
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl FromStr for BlobId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let canonical =
            text.len() == 32 && !text.bytes().any(|b| b.is_ascii_uppercase() || b == b'+');
        let id = u128::from_str_radix(text, 16).ok().filter(|_| canonical).ok_or(())?;
        Ok(Self(id.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_carry_their_pool_and_their_run() {
        let run = RunId(u64::MAX - 1);
        let [first, last] = [0, 15].map(|number| PoolId::new(number).unwrap());
        let ids = [
            (1, first, 0),
            (1, first, 1),
            (1, first, 4095),
            (1, last, 0),
            (2, first, 0),
            (1 << 47, last, 4095),
        ]
        .map(|(ms, pool, sequence)| BlobId::new(ms, pool, sequence, run));
        assert!(ids.is_sorted());
        assert_eq!(ids.map(|id| id.pool().number()), [0, 0, 0, 15, 0, 15]);
        assert!(PoolId::new(16).is_none());
        assert!(ids.iter().all(|id| id.to_string().ends_with("fffffffffffffffe")));
        assert!(ids.iter().all(|id| id.run() == run));
        assert!(ids.iter().all(|id| id.to_string().parse() == Ok(*id)));
        assert!("0123".parse::<BlobId>().is_err());
    }
}
