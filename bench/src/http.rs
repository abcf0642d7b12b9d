//! Just enough HTTP/1.1 to ask a proxy something and read the whole answer.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// The path that the plain workloads ask for; the origin answers it with 1 KiB.
pub(crate) const PLAIN_PATH: &str = "/api/v1/users/12345?fields=name,email";

/// What a browser behind a login usually sends.
pub(crate) const HEADERS: [(&str, &str); 8] = [
    ("Host", "api.example.com"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"),
    ("Accept", "application/json, text/plain, */*"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-US,en;q=0.9,de;q=0.8"),
    (
        "Authorization",
        "Bearer 0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefgh",
    ),
    ("Cookie", "session=00112233445566778899aabbccddeeff; theme=dark"),
    ("Referer", "https://app.example.com/dashboard"),
];

/// A request with the usual headers, and `body` bytes of body when it isn't 0.
pub(crate) fn request(method: &str, path: &str, body: usize) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in HEADERS {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if body > 0 {
        let _ = write!(head, "Content-Length: {body}\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes
}

/// What matters of an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Bytes of the head itself, with its empty line.
    pub(crate) length: usize,
    /// Bytes of the body that follows.
    pub(crate) body: u64,
}

/// The head at the start of `bytes`; `None` when it isn't whole yet.
pub(crate) fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(Some(Head {
        status: status.ok_or_else(|| invalid("no HTTP/1.1 status line"))?,
        length: end + 4,
        body: length.and_then(|(_, value)| value.trim().parse().ok()).ok_or_else(|| invalid("no Content-Length"))?,
    }))
}

/// One keep-alive connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Client {
    /// Connects to a port of this machine. Reading and writing give up after half a minute.
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream, buffer: Vec::new(), filled: 0 })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// Reads up to the end of an answer's head; what of the body came along is counted as read.
    pub(crate) fn read_head(&mut self) -> io::Result<(Head, u64)> {
        self.buffer.resize(16 * 1024, 0);
        self.filled = 0;
        loop {
            let n = self.stream.read(&mut self.buffer[self.filled..])?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.filled += n;
            if let Some(head) = parse_head(&self.buffer[..self.filled])? {
                return Ok((head, (self.filled - head.length) as u64));
            }
        }
    }

    /// Reads a whole answer and throws its body away.
    pub(crate) fn read_answer(&mut self) -> io::Result<Head> {
        let (head, mut read) = self.read_head()?;
        while read < head.body {
            let n = self.stream.read(&mut self.buffer)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            read += n as u64;
        }
        if read > head.body {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than Content-Length says"));
        }
        Ok(head)
    }

    /// Gives the read buffer back: what thousands of idle clients can do without.
    pub(crate) fn shrink(&mut self) {
        self.buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_usual_headers() {
        let text = String::from_utf8(request("GET", PLAIN_PATH, 0)).unwrap();
        assert!(text.starts_with("GET /api/v1/users/12345?fields=name,email HTTP/1.1\r\nHost: api.example.com\r\n"));
        assert!(text.ends_with("dashboard\r\n\r\n"));
        assert_eq!(text.lines().count(), 1 + HEADERS.len() + 1);
    }

    #[test]
    fn bodies_are_announced() {
        let text = String::from_utf8(request("POST", "/", 4)).unwrap();
        assert!(text.ends_with("Content-Length: 4\r\n\r\nxxxx"));
    }

    #[test]
    fn heads_are_parsed_when_whole() {
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(), None);
        let head = parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello").unwrap().unwrap();
        assert_eq!(head, Head { status: 200, length: 39, body: 12 });
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(parse_head(b"SSH-2.0\r\n\r\n").is_err());
    }
}
