//! Chance that can be thrown again.

use std::sync::Mutex;

use cosine_store::{Error, Random};

/// A stream of numbers from a seed (SplitMix64).
#[derive(Debug)]
pub struct Dice(Mutex<u64>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&self, n: u64) -> u64 {
        self.next() % n
    }

    /// Comes true once in so many times.
    pub fn once_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.next().to_le_bytes()[..piece.len()]);
        }
        Ok(())
    }
}
