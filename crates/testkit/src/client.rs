//! A client that sends what it is told, byte for byte, and reads answers strictly.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::fields::Fields;
use crate::text::{latin1, show};
use crate::wait::PATIENCE;
use crate::wire::{Body, Framing, Stop, Wire, framing};

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Response {
    /// `HTTP/1.1`, or what stood there.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub fields: Fields,
    /// The body and how it ended.
    pub body: Body,
    /// The informational answers (1xx) that came before it.
    pub interim: Vec<(u16, Fields)>,
}

impl Response {
    /// The body as text, one character for each byte.
    pub fn text(&self) -> String {
        latin1(&self.body.bytes)
    }
}

/// One TCP connection to a gateway.
pub struct Client {
    wire: Wire,
    limit: Duration,
}

impl Client {
    /// Connects; panics where nobody listens.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|error| panic!("connecting to {address}: {error}"));
        Self::over(stream)
    }

    /// Connects with a receive buffer of about this size, so that a slow reader fills it soon.
    pub fn connect_narrow(address: SocketAddr, receive_buffer: usize) -> Self {
        let client = Self::connect(address);
        rustix::net::sockopt::set_socket_recv_buffer_size(&client.wire.stream, receive_buffer)
            .expect("SO_RCVBUF can be set");
        client
    }

    /// Connects to a Unix socket.
    pub fn connect_unix(path: &Path) -> Self {
        let stream =
            UnixStream::connect(path).unwrap_or_else(|error| panic!("connecting to {}: {error}", path.display()));
        // All that is done with it from here on, every stream socket can do.
        Self::wrap(TcpStream::from(OwnedFd::from(stream)))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self::wrap(stream)
    }

    fn wrap(stream: TcpStream) -> Self {
        stream.set_write_timeout(Some(PATIENCE)).expect("a write time-out can be set");
        Client { wire: Wire::new(stream, Arc::new(Mutex::new(Vec::new()))), limit: PATIENCE }
    }

    /// Sets how long each read may take as a whole; [`PATIENCE`] unless set.
    pub fn patience(&mut self, limit: Duration) -> &mut Self {
        self.limit = limit;
        self
    }

    /// Sends bytes; panics when the gateway no longer takes them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("sending: {error}"));
    }

    /// Sends bytes that the gateway may refuse to take.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.wire.stream.write_all(bytes.as_ref())
    }

    /// Sends pieces as packets of their own. Nothing tells a sender that the peer has read, so a moment passes between
    /// two of them; that they arrive joined all the same does a test no harm.
    pub fn send_pieces<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> std::io::Result<()> {
        for piece in pieces {
            self.try_send(piece)?;
            thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    /// Ends the sending direction: the gateway reads an end of file.
    pub fn half_close(&mut self) {
        // The gateway may have closed already.
        let _ = self.wire.stream.shutdown(Shutdown::Write);
    }

    /// Drops the connection with a reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.wire.stream, Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    /// The next final answer to a request with this method, and the informational ones before it.
    ///
    /// A 101 is final. `Stop::Malformed` covers all that RFC 9112 forbids a gateway to send.
    pub fn response(&mut self, method: &str) -> Result<Response, Stop> {
        self.wire.within(self.limit);
        let mut interim = Vec::new();
        loop {
            let (version, status, fields) = self.response_head()?;
            if (100..200).contains(&status) && status != 101 {
                interim.push((status, fields));
                continue;
            }
            let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let how = if bodiless {
                Framing::None
            } else {
                framing(&fields, Framing::UntilClose).map_err(Stop::Malformed)?
            };
            let body = self.wire.body(how);
            return Ok(Response { version, status, fields, body, interim });
        }
    }

    /// The next head, informational or not; its body, if any, stays unread.
    pub fn head(&mut self) -> Result<(u16, Fields), Stop> {
        self.wire.within(self.limit);
        self.response_head().map(|(_, status, fields)| (status, fields))
    }

    fn response_head(&mut self) -> Result<(String, u16, Fields), Stop> {
        let (line, fields) = self.wire.head()?;
        let line = latin1(&line);
        let malformed = || Stop::Malformed(format!("not a status line: {line:?}"));
        let mut words = line.splitn(3, ' ');
        let version = words.next().filter(|v| matches!(*v, "HTTP/1.1" | "HTTP/1.0")).ok_or_else(malformed)?;
        let digits = words.next().filter(|code| code.len() == 3).ok_or_else(malformed)?;
        let status = digits.parse().ok().filter(|s| (100..600).contains(s)).ok_or_else(malformed)?;
        Ok((version.to_owned(), status, fields))
    }

    /// Exactly so many bytes, whatever they are.
    pub fn read_exact(&mut self, length: usize) -> Result<Vec<u8>, Stop> {
        self.wire.within(self.limit);
        let mut out = Vec::new();
        self.wire.take(length, &mut out).map(|()| out)
    }

    /// All bytes until the gateway closes or resets, and which it was. A time-out gives what came and `TimedOut`.
    pub fn read_to_close(&mut self) -> (Vec<u8>, Stop) {
        self.wire.within(self.limit);
        loop {
            if let Err(stop) = self.wire.fill() {
                return (std::mem::take(&mut self.wire.buffer), stop);
            }
        }
    }

    /// Whether the gateway has closed, with no byte unread before; waits for it.
    pub fn closes(&mut self) -> Result<(), String> {
        match self.read_to_close() {
            (left, Stop::Closed | Stop::Reset) if left.is_empty() => Ok(()),
            (left, stop) => Err(format!("{stop:?} after unread bytes {:?}", show(&left))),
        }
    }

    /// Sends a plain request and reads its answer.
    pub fn request(&mut self, method: &str, path: &str) -> Result<Response, Stop> {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        self.response(method)
    }

    /// A `GET` on this connection.
    pub fn get(&mut self, path: &str) -> Result<Response, Stop> {
        self.request("GET", path)
    }

    /// Everything received so far (the first 256 KiB), read or not.
    pub fn received(&self) -> Vec<u8> {
        self.wire.log.lock().unwrap().clone()
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.wire.stream
    }
}
