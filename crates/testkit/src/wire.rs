//! Strict reading of HTTP/1 from a socket, the same for clients and origins.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::fields::Fields;

/// The most that a log of received bytes keeps of one connection.
const LOG: usize = 256 * 1024;

/// Why reading stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The peer closed.
    Closed,
    /// The peer reset the connection.
    Reset,
    /// Nothing came in time.
    TimedOut,
    /// What came breaks RFC 9112.
    Malformed(String),
}

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// There was none to read, by method or status.
    NoBody,
    /// As many bytes as Content-Length said.
    Length,
    /// With the last chunk and the trailers.
    Chunked,
    /// With the connection, which was all that could end it.
    Close,
    /// Not at all: this stopped it first.
    Cut(Stop),
}

/// A body and what followed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The content, decoded from chunks.
    pub bytes: Vec<u8>,
    /// Trailer fields.
    pub trailers: Fields,
    /// How it ended.
    pub end: End,
}

impl Body {
    /// Whether the peer would take the body for whole.
    pub fn is_complete(&self) -> bool {
        !matches!(self.end, End::Cut(_))
    }

    pub(crate) fn none() -> Self {
        Body { bytes: Vec::new(), trailers: Fields::default(), end: End::NoBody }
    }
}

/// How a message's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// What the fields say about the body; `absent` where they say nothing.
pub(crate) fn framing(fields: &Fields, absent: Framing) -> Result<Framing, String> {
    let lengths: Vec<&str> = fields.all("content-length").collect();
    let codings: Vec<&str> = fields.all("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(absent),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|_| format!("Content-Length {length:?}"))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        _ => Err(format!("Content-Length {lengths:?} with Transfer-Encoding {codings:?}")),
    }
}

/// A socket with what was read too far, and a log of all that came.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
    pub(crate) log: Arc<Mutex<Vec<u8>>>,
    deadline: Option<Instant>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, log: Arc<Mutex<Vec<u8>>>) -> Self {
        Wire { stream, buffer: Vec::new(), log, deadline: None }
    }

    /// Lets the reads that follow take this long together.
    pub(crate) fn within(&mut self, limit: Duration) {
        self.deadline = Some(Instant::now() + limit);
    }

    /// Reads once more.
    pub(crate) fn fill(&mut self) -> Result<(), Stop> {
        let mut part = [0; 16 * 1024];
        loop {
            let left = self.deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Stop::TimedOut);
            }
            self.stream.set_read_timeout(left).expect("a read time-out above zero");
            match self.stream.read(&mut part) {
                Ok(0) => return Err(Stop::Closed),
                Ok(read) => {
                    let part = part.get(..read).unwrap_or_default();
                    self.buffer.extend_from_slice(part);
                    let mut log = self.log.lock().unwrap();
                    let room = LOG.saturating_sub(log.len()).min(read);
                    log.extend_from_slice(part.get(..room).unwrap_or_default());
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Stop::TimedOut),
                    _ => return Err(Stop::Reset),
                },
            }
        }
    }

    /// One line without its CRLF.
    pub(crate) fn line(&mut self) -> Result<Vec<u8>, Stop> {
        let mut from = 0;
        loop {
            if let Some(at) = self.buffer.iter().skip(from).position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=from + at).collect();
                line.pop();
                if line.pop() != Some(b'\r') {
                    return Err(Stop::Malformed("a line ends with a bare LF".into()));
                }
                if line.contains(&b'\r') {
                    return Err(Stop::Malformed("a bare CR in a line".into()));
                }
                return Ok(line);
            }
            from = self.buffer.len();
            self.fill()?;
        }
    }

    /// A start line and its fields.
    pub(crate) fn head(&mut self) -> Result<(Vec<u8>, Fields), Stop> {
        let start = self.line()?;
        let fields = self.fields()?;
        Ok((start, fields))
    }

    fn fields(&mut self) -> Result<Fields, Stop> {
        let mut fields = Fields::default();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            fields.push_line(&line).map_err(Stop::Malformed)?;
        }
    }

    /// The body that follows a head.
    pub(crate) fn body(&mut self, framing: Framing) -> Body {
        let mut body = Body::none();
        let read = match framing {
            Framing::None => return body,
            Framing::Length(length) => self.take(length, &mut body.bytes).map(|()| End::Length),
            Framing::Chunked => self.chunks(&mut body).map(|()| End::Chunked),
            Framing::UntilClose => self.until_close(&mut body.bytes).map(|()| End::Close),
        };
        body.end = read.unwrap_or_else(End::Cut);
        body
    }

    /// Moves `length` bytes to `out`, and what there is of them when it stops before.
    pub(crate) fn take(&mut self, length: usize, out: &mut Vec<u8>) -> Result<(), Stop> {
        let end = out.len() + length;
        loop {
            let some = self.buffer.len().min(end - out.len());
            out.extend(self.buffer.drain(..some));
            if out.len() == end {
                return Ok(());
            }
            self.fill()?;
        }
    }

    fn until_close(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        loop {
            out.append(&mut self.buffer);
            match self.fill() {
                Ok(()) => {}
                Err(Stop::Closed) => return Ok(()),
                Err(stop) => return Err(stop),
            }
        }
    }

    fn chunks(&mut self, body: &mut Body) -> Result<(), Stop> {
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            let plain = !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
            let size = usize::from_str_radix(&text, 16).ok().filter(|_| plain);
            let Some(size) = size else {
                return Err(Stop::Malformed(format!("not a plain chunk size: {text:?}")));
            };
            if size == 0 {
                body.trailers = self.fields()?;
                return Ok(());
            }
            self.take(size, &mut body.bytes)?;
            if !self.line()?.is_empty() {
                return Err(Stop::Malformed("no CRLF after a chunk".into()));
            }
        }
    }
}
