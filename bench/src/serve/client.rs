//! A client of HTTP/1.1 over plain sockets, small enough to misbehave with: a request is bytes, and whoever has the bytes
//! may send half of them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a client waits for an answer before it counts as a failure: more than the 60 seconds that the server allows
/// itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(70);

/// An answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether it says when to try again.
    pub(super) has_retry_after: bool,
    /// Whether the server closes the connection after it.
    pub(super) closes: bool,
    pub(super) body: Vec<u8>,
}

/// A request with a body, as bytes.
pub(super) fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request =
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n")
            .into_bytes();
    request.extend_from_slice(body);
    request
}

/// A request without a body, as bytes.
pub(super) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

/// A connection that is kept.
pub(super) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// The server does not accept it.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// The connection ends first, the answer takes too long, or it is not HTTP.
    pub(super) fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.answer()
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask).
    pub(super) fn answer(&mut self) -> io::Result<Answer> {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some((answer, length)) = parse(&self.unread)? {
                self.unread.drain(..length);
                return Ok(answer);
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.unread.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// The socket itself.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// Asks once on a connection of its own.
///
/// # Errors
/// As for [`Connection::ask`].
pub(super) fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    Connection::open(address)?.ask(request)
}

/// The first answer in `bytes` and how many of them it took; `None` where it is not whole yet.
///
/// # Errors
/// It is not an answer of HTTP/1.1.
pub(super) fn parse(bytes: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| strange("a head that is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status.and_then(|line| line.get(2..5)).and_then(|status| status.parse().ok());
    let mut answer =
        Answer { status: status.ok_or_else(|| strange("another first line"))?, ..Answer::default() };
    let (mut length, mut is_chunked) = (0, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(|_| strange("another Content-Length"))?,
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            "retry-after" => answer.has_retry_after = value.parse::<u32>().is_ok(),
            "connection" => answer.closes = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let start = end + 4;
    if is_chunked {
        return Ok(chunked(&bytes[start..])?.map(|(body, used)| (Answer { body, ..answer }, start + used)));
    }
    Ok(bytes
        .get(start..start + length)
        .map(|body| (Answer { body: body.to_vec(), ..answer }, start + length)))
}

/// A body in chunks and the bytes that it took; `None` where it is not whole yet.
fn chunked(bytes: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&bytes[at..at + line]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or_else(|| strange("another size of a chunk"))?;
        at += line + 2;
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// Where `pattern` begins in `bytes`.
pub(super) fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

fn strange(found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("expected an answer of HTTP/1.1, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_whatever_the_pieces() {
        let plain =
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy".as_slice();
        let chunks =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
                .as_slice();
        for (bytes, status, body) in [(plain, 503, &b"busy"[..]), (chunks, 200, b"abc0123456789")] {
            for end in 0..bytes.len() {
                assert!(parse(&bytes[..end]).unwrap().is_none(), "{end}");
            }
            let two = [bytes, bytes].concat();
            let (answer, length) = parse(&two).unwrap().unwrap();
            assert_eq!((answer.status, answer.body.as_slice(), length), (status, body, bytes.len()));
            assert_eq!((answer.has_retry_after, answer.closes), (status == 503, status == 200));
        }
    }

    #[test]
    fn what_is_not_an_answer_is_said() {
        for bytes in [
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
