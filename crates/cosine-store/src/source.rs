//! Bytes on their way in.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

/// Why bytes did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The sender went away, or sent less than it announced.
    #[error("it was cut off")]
    Cut,
    /// The sender stopped sending.
    #[error("it stalled")]
    Stalled,
    /// More than an object may hold.
    #[error("it is too large")]
    TooLarge,
    /// There is no memory to receive it in for now.
    #[error("there is no room for it")]
    NoRoom,
}

/// A body that arrives piece by piece.
#[async_trait]
pub trait ByteSource: Send {
    /// The next piece, of any size; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError>;
}

#[async_trait]
impl ByteSource for Bytes {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        Ok((!self.is_empty()).then(|| std::mem::take(self)))
    }
}

/// Bytes are hashed and written in blocks of this many.
pub const BLOCK_BYTES: usize = 512 << 10;

/// Gathers pieces into blocks.
pub struct Blocks<'s> {
    source: &'s mut dyn ByteSource,
    spare: Bytes,
    ended: bool,
}

impl<'s> Blocks<'s> {
    pub fn new(source: &'s mut dyn ByteSource) -> Self {
        Self { source, spare: Bytes::new(), ended: false }
    }

    /// The next block: full, unless it is the last. A block that arrived in one piece is not
    /// copied.
    pub async fn next(&mut self) -> Result<Block, SourceError> {
        let mut pieces = Vec::new();
        let mut room = BLOCK_BYTES;
        while room > 0 && !self.ended {
            let mut piece = std::mem::take(&mut self.spare);
            if piece.is_empty() {
                match self.source.next().await? {
                    Some(next) => piece = next,
                    None => self.ended = true,
                }
            }
            self.spare = piece.split_off(piece.len().min(room));
            room -= piece.len();
            pieces.push(piece);
        }
        pieces.retain(|piece| !piece.is_empty());
        let last = self.ended && self.spare.is_empty();
        Ok(Block { bytes: join(pieces), last })
    }
}

/// Some bytes, and whether they are the last.
pub struct Block {
    pub bytes: Bytes,
    pub last: bool,
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() <= 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    whole.freeze()
}
