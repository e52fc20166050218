//! One HTTP/1.1 keep-alive connection: the cheapest client that still reads every answer fully.
//!
//! It shares the processors with the server that it measures, so it allocates nothing for a
//! request, sends the head and the start of the body with one call, and looks only at the parts
//! of an answer that frame it.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

/// Size of the receive buffer of a connection, and so the largest answer head, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;
/// Size of the pool that bodies are cut from, in bytes.
const POOL_BYTES: usize = 1024 * 1024;
/// A server that sends nothing for so long is taken for stuck.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// Bytes without pattern, so that nothing on the way can profit from compressing them.
static POOL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = (0..POOL_BYTES / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
});

/// A request body, or an object's content: `bytes` bytes of an endless repetition of the pool,
/// from `offset` on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Where in the pool the content starts, in bytes; below the size of the pool.
    offset: usize,
    /// Length, in bytes.
    bytes: u64,
}

impl Body {
    /// The content with this number: contents that differ in the number differ in their bytes.
    pub fn numbered(number: usize, bytes: u64) -> Self {
        Self { offset: number.wrapping_mul(4099) % POOL_BYTES, bytes }
    }

    /// Length, in bytes.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// The longest piece at the front; empty only when nothing is left.
    pub fn front(self) -> &'static [u8] {
        let piece = POOL.get(self.offset..).unwrap_or_default();
        let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX).min(piece.len());
        piece.get(..bytes).unwrap_or_default()
    }

    /// What remains after the first `bytes` bytes.
    pub fn after(self, bytes: usize) -> Self {
        Self {
            offset: self.offset.wrapping_add(bytes) % POOL_BYTES,
            bytes: self.bytes.saturating_sub(bytes as u64),
        }
    }

    /// The content of so many bytes, at most, from the front.
    pub fn first(self, bytes: u64) -> Self {
        Self { bytes: self.bytes.min(bytes), ..self }
    }

    /// Takes `received` off the front; whether it was what is there.
    pub fn take_equal(&mut self, mut received: &[u8]) -> bool {
        while !received.is_empty() {
            let front = self.front();
            let bytes = front.len().min(received.len());
            if bytes == 0 || front.get(..bytes) != received.get(..bytes) {
                return false;
            }
            *self = self.after(bytes);
            received = received.get(bytes..).unwrap_or_default();
        }
        true
    }
}

/// How the end of an answer's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// The head of an answer, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    framing: Option<Framing>,
}

/// A connection, with its receive buffer.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Received and not yet consumed: `start..end` of the buffer.
    start: usize,
    end: usize,
}

impl Connection {
    /// Connects, with Nagle's algorithm off.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0 })
    }

    /// Sends a request and reads the head of the answer. A server may refuse a body that it has
    /// not read: then its answer counts, not the broken pipe.
    pub fn exchange(&mut self, head: &[u8], body: Body) -> io::Result<Head> {
        match self.send(head, body) {
            Ok(()) => self.receive_head(),
            Err(error) => self.receive_head().map_err(|_| error),
        }
    }

    /// Gives the buffer up, for a connection on which nothing more is received.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn send(&mut self, head: &[u8], body: Body) -> io::Result<()> {
        let front = body.front();
        let sent = loop {
            match self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(front)]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if let Some(unsent) = head.get(sent..) {
            self.stream.write_all(unsent)?;
        }
        let mut rest = body.after(sent.saturating_sub(head.len()));
        while rest.bytes > 0 {
            let piece = rest.front();
            self.stream.write_all(piece)?;
            rest = rest.after(piece.len());
        }
        Ok(())
    }

    /// Reads the head of the next answer that is not a 1xx.
    fn receive_head(&mut self) -> io::Result<Head> {
        loop {
            let Some((head, bytes)) = parse_head(self.received())? else {
                self.fill()?;
                continue;
            };
            self.start += bytes;
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    /// Reads the body that follows `head`, handing it over piece by piece; its length in bytes.
    /// Not to be called after a HEAD request.
    pub fn receive_body(&mut self, head: Head, sink: &mut impl FnMut(&[u8])) -> io::Result<u64> {
        match head.framing {
            Some(Framing::Length(bytes)) => self.deliver(bytes, sink),
            Some(Framing::Chunked) => self.deliver_chunks(sink),
            None if matches!(head.status, 204 | 304) => Ok(0),
            None => Err(malformed("a body without a length")),
        }
    }

    fn deliver_chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let bytes = self.line(|line| {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let digits = std::str::from_utf8(digits).unwrap_or_default().trim();
                u64::from_str_radix(digits, 16).map_err(|_| malformed("the size of a chunk"))
            })?;
            if bytes == 0 {
                while !self.line(|line| Ok(line.is_empty()))? {}
                return Ok(total);
            }
            total += self.deliver(bytes, sink)?;
            if !self.line(|line| Ok(line.is_empty()))? {
                return Err(malformed("the end of a chunk"));
            }
        }
    }

    fn deliver(&mut self, bytes: u64, sink: &mut impl FnMut(&[u8])) -> io::Result<u64> {
        let mut left = bytes;
        while left > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let received = self.received();
            let take = received.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            sink(received.get(..take).unwrap_or_default());
            self.start += take;
            left -= take as u64;
        }
        Ok(bytes)
    }

    /// Consumes a line; `read` sees it without its end.
    fn line<T>(&mut self, read: impl Fn(&[u8]) -> io::Result<T>) -> io::Result<T> {
        loop {
            if let Some((line, rest)) = split_line(self.received()) {
                let consumed = self.end - self.start - rest.len();
                let value = read(line)?;
                self.start += consumed;
                return Ok(value);
            }
            self.fill()?;
        }
    }

    fn received(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Receives more, after what is there.
    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            if self.start == 0 {
                return Err(malformed("a line or a head longer than the buffer"));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = loop {
            match self.stream.read(space) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if count == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up"));
        }
        self.end += count;
        Ok(())
    }
}

/// The head at the front of `received` and its length in bytes; `None` while it is incomplete.
fn parse_head(received: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let Some((status_line, mut rest)) = split_line(received) else { return Ok(None) };
    let status = status_line
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|line| line.get(..3))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| malformed("the status line"))?;
    let mut framing = None;
    loop {
        let Some((line, next)) = split_line(rest) else { return Ok(None) };
        rest = next;
        if line.is_empty() {
            return Ok(Some((Head { status, framing }, received.len() - rest.len())));
        }
        if let Some(value) = header_value(line, b"content-length") {
            let length = value.parse().map_err(|_| malformed("Content-Length"))?;
            framing = framing.or(Some(Framing::Length(length)));
        } else if header_value(line, b"transfer-encoding").is_some() {
            framing = Some(Framing::Chunked);
        }
    }
}

fn header_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let (field, value) = line.split_at_checked(name.len())?;
    if !field.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(std::str::from_utf8(value.strip_prefix(b":")?).ok()?.trim())
}

/// The first line, without its end, and what follows it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed answer: {what}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that sends `pieces` one after the other, and then hangs up.
    fn serve(pieces: Vec<Vec<u8>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for piece in pieces {
                stream.write_all(&piece).unwrap();
                thread::sleep(Duration::from_millis(2));
            }
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            io::copy(&mut stream, &mut io::sink()).unwrap();
        });
        address
    }

    fn read_all(connection: &mut Connection) -> io::Result<(u16, Vec<u8>)> {
        let head = connection.exchange(b"GET / HTTP/1.1\r\n\r\n", Body::default())?;
        let mut body = Vec::new();
        connection.receive_body(head, &mut |piece| body.extend_from_slice(piece))?;
        Ok((head.status, body))
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let answers = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\
            T: v\r\n\r\n\
            HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        for size in [1, 7, answers.len()] {
            let address = serve(answers.chunks(size).map(<[u8]>::to_vec).collect());
            let mut connection = Connection::open(address).unwrap();
            assert_eq!(read_all(&mut connection).unwrap(), (200, b"hello".to_vec()));
            assert_eq!(read_all(&mut connection).unwrap(), (200, b"abc0123456789".to_vec()));
            assert_eq!(read_all(&mut connection).unwrap(), (204, Vec::new()));
            assert_eq!(read_all(&mut connection).unwrap(), (404, b"no".to_vec()));
            let error = read_all(&mut connection).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_body_beyond_the_buffer_arrives_whole() {
        let body = Body::numbered(7, 3 * POOL_BYTES as u64 + 17);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.bytes);
        let mut pieces = vec![head.into_bytes()];
        let mut rest = body;
        while rest.bytes > 0 {
            pieces.push(rest.front().to_vec());
            rest = rest.after(rest.front().len());
        }
        let mut connection = Connection::open(serve(pieces)).unwrap();
        let (_, received) = read_all(&mut connection).unwrap();
        assert_eq!(received.len() as u64, body.bytes);
        let mut expected = body;
        assert!(expected.take_equal(&received));
        assert_eq!(expected.bytes(), 0);
        assert!(!Body::numbered(8, body.bytes).take_equal(&received));
    }

    #[test]
    fn an_incomplete_head_is_not_an_answer_and_garbage_is_an_error() {
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(), None);
        assert!(parse_head(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
    }
}
