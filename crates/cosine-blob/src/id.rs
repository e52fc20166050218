//! Identities: stores, process runs, blobs.

use std::fmt;
use std::str::FromStr;

/// One store: its metadata and its blobs carry the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub u128);

/// One run of one process on a store; random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// One blob: 6 bytes of milliseconds since 1970, 2 of a sequence within them, 8 of the run that
/// wrote it, big-endian. Ids sort by time, and show whose blob in the making this is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 16]);

impl BlobId {
    /// The `sequence`-th blob that `run` begins in this millisecond.
    pub fn new(milliseconds: u64, sequence: u16, run: RunId) -> Self {
        let id = u128::from(milliseconds) << 80 | u128::from(sequence) << 64 | u128::from(run.0);
        Self(id.to_be_bytes())
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
    fn ids_sort_by_time_and_carry_their_run() {
        let run = RunId(u64::MAX - 1);
        let ids = [(1, 0), (1, 1), (1, u16::MAX), (2, 0), (1 << 47, 0)]
            .map(|(ms, sequence)| BlobId::new(ms, sequence, run));
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.to_string().ends_with("fffffffffffffffe")));
        assert!(ids.iter().all(|id| id.run() == run));
        assert!(ids.iter().all(|id| id.to_string().parse() == Ok(*id)));
        assert!("0123".parse::<BlobId>().is_err());
    }
}
