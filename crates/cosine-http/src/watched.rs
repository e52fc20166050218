//! A stream whose first bytes can be looked at, and that tells when the client is slow to take what it
//! is given.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::activity::Activity;

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream under watch.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    /// What was read already, to be read again.
    front: Bytes,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    /// Tells `activity` about this stream.
    pub fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, front: Bytes::new(), activity }
    }

    /// Gives back what was read of it, and not used.
    pub fn with_front(mut self, front: Bytes) -> Self {
        // Of nothing, too, there can be a buffer.
        self.front = if front.is_empty() { Bytes::new() } else { front };
        self
    }

    /// Whether everything that was read of it was used.
    pub fn is_at_rest(&self) -> bool {
        self.front.is_empty()
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        self.activity.set_blocked(written.is_pending());
        written
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Waits for the next bytes, until they are not HTTP/2's first words, or all of them. May be
    /// dropped and called again.
    ///
    /// # Errors
    /// Those of the stream, and its end.
    pub async fn begins_http2(&mut self) -> io::Result<bool> {
        let mut bytes = [0; PREFACE.len()];
        loop {
            let room = bytes.get_mut(self.front.len()..).unwrap_or_default();
            let count = self.stream.read(room).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut front = BytesMut::from(self.front.as_ref());
            front.extend_from_slice(room.get(..count).unwrap_or_default());
            self.front = front.freeze();
            if self.front == PREFACE || !PREFACE.starts_with(&self.front) {
                return Ok(self.front == PREFACE);
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.front.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let bytes = self.front.len().min(buffer.remaining());
        buffer.put_slice(self.front.get(..bytes).unwrap_or_default());
        self.front.advance(bytes);
        if self.front.is_empty() {
            self.front = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// TLS takes what its socket does not take yet, and shows it only here.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
