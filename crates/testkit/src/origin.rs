//! A scripted back end that records every byte it gets.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::fields::{Fields, is_token};
use crate::text::latin1;
use crate::wire::{Body, End, Framing, Stop, Wire, framing};

/// A request as the origin read it, strictly.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which connection it came on, from 0 in the order of accepting.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The target as written.
    pub target: String,
    /// `HTTP/1.1`, or what stood there.
    pub version: String,
    /// The header fields.
    pub fields: Fields,
    /// What was read of the body; `end` is `Cut` until all of it was.
    pub body: Body,
    /// What in the head breaks RFC 9112.
    pub fault: Option<String>,
}

impl Request {
    /// The request line.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.method, self.target, self.version)
    }

    /// Whether head and body came whole and well formed.
    pub fn is_complete(&self) -> bool {
        self.fault.is_none() && self.body.is_complete()
    }
}

#[derive(Default)]
struct Record {
    requests: Vec<Request>,
    raw: Vec<Arc<Mutex<Vec<u8>>>>,
    streams: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    record: Mutex<Record>,
    changed: Condvar,
    stopped: AtomicBool,
}

/// A listening back end: a thread for each connection, one handler for all requests.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Origin {
    /// Starts one on a free port. The handler runs for each request once its head is read; it reads the body when it
    /// wants to (what it leaves is read after it returns) and sends what it likes.
    pub fn start(handler: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self::start_on(0, handler)
    }

    /// Starts one on a given port.
    pub fn start_on(port: u16, handler: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), handler)
    }

    /// Starts one at a given address.
    pub fn start_at(address: SocketAddr, handler: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static) -> Self {
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("an origin cannot listen on {address}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared::default());
        let handler = Arc::new(handler);
        let accepting = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stopped.load(Ordering::Acquire) {
                    return;
                }
                let (shared, handler) = (Arc::clone(&accepting), Arc::clone(&handler));
                let (id, log) = shared.accepted(&stream);
                thread::spawn(move || serve(&shared, id, Wire::new(stream, log), &*handler));
            }
        });
        Origin { address, shared, accepting: Some(accepting) }
    }

    /// Starts one that answers whole requests with the bytes a function gives.
    pub fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |exchange| {
            exchange.read_body();
            let bytes = answer(&exchange.request);
            exchange.send(bytes);
        })
    }

    /// Starts one that answers `200` and `ok` to everything.
    pub fn ok() -> Self {
        Self::answering(|request| if request.method == "HEAD" { OK_HEAD.into() } else { OK.into() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far, in the order of their heads.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.record.lock().unwrap().requests.clone()
    }

    /// Waits until there are so many requests; panics after `limit`.
    pub fn wait_requests(&self, count: usize, limit: Duration) -> Vec<Request> {
        self.shared.wait(limit, &format!("{count} requests"), |record| {
            (record.requests.len() >= count).then(|| record.requests.clone())
        })
    }

    /// Waits until a request's head and body satisfy `wanted`; panics after `limit`.
    pub fn wait_for(&self, limit: Duration, what: &str, wanted: impl Fn(&Request) -> bool) -> Request {
        self.shared.wait(limit, what, |record| record.requests.iter().find(|r| wanted(r)).cloned())
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.record.lock().unwrap().raw.len()
    }

    /// Every byte of each connection (the first 256 KiB).
    pub fn received(&self) -> Vec<Vec<u8>> {
        let record = self.shared.record.lock().unwrap();
        record.raw.iter().map(|raw| raw.lock().unwrap().clone()).collect()
    }

    /// Closes every connection, as a server does that has waited too long.
    pub fn close_connections(&self) {
        for stream in &self.shared.record.lock().unwrap().streams {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the accepting thread.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(accepting) = self.accepting.take().filter(|_| woken) {
            // The port is free again once this returns.
            let _ = accepting.join();
        }
        self.close_connections();
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

impl Shared {
    fn accepted(&self, stream: &TcpStream) -> (usize, Arc<Mutex<Vec<u8>>>) {
        // Both may fail only when the peer has gone already.
        let _ = stream.set_nodelay(true);
        let mut record = self.record.lock().unwrap();
        record.streams.extend(stream.try_clone());
        let log = Arc::new(Mutex::new(Vec::new()));
        record.raw.push(Arc::clone(&log));
        (record.raw.len() - 1, log)
    }

    fn update(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait<T>(&self, limit: Duration, what: &str, probe: impl Fn(&Record) -> Option<T>) -> T {
        let deadline = Instant::now() + limit;
        let mut record = self.record.lock().unwrap();
        loop {
            if let Some(value) = probe(&record) {
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen: Vec<String> = record.requests.iter().map(Request::line).collect();
                drop(record);
                panic!("the origin waited {limit:?} for {what}; it saw {seen:?}");
            }
            (record, _) = self.changed.wait_timeout(record, left).unwrap();
        }
    }
}

/// One request in the hands of a handler.
pub struct Exchange<'a> {
    /// The request; its body is empty until it was read.
    pub request: Request,
    wire: &'a mut Wire,
    shared: &'a Shared,
    index: usize,
    open: bool,
}

impl Exchange<'_> {
    /// Reads the body to its end, once, and gives it.
    pub fn read_body(&mut self) -> &Body {
        if self.request.body.end == End::Cut(Stop::TimedOut) {
            self.request.body = match framing(&self.request.fields, Framing::None) {
                Ok(how) => self.wire.body(how),
                Err(fault) => Body { end: End::Cut(Stop::Malformed(fault)), ..Body::none() },
            };
            let (index, body) = (self.index, self.request.body.clone());
            self.shared.update(|record| {
                if let Some(request) = record.requests.get_mut(index) {
                    request.body = body;
                }
            });
        }
        &self.request.body
    }

    /// Sends bytes; `false` when the gateway takes no more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Closes the connection, at the end of the answer.
    pub fn close(&mut self) {
        self.open = false;
        let _ = self.wire.stream.shutdown(Shutdown::Both);
    }

    /// Ends the sending direction only.
    pub fn half_close(&mut self) {
        let _ = self.wire.stream.shutdown(Shutdown::Write);
    }

    /// Resets the connection.
    pub fn reset(&mut self) {
        self.open = false;
        let linger = rustix::net::sockopt::set_socket_linger(&self.wire.stream, Some(Duration::ZERO));
        linger.expect("SO_LINGER can be set");
        self.shared.update(|record| {
            // A duplicate of the descriptor would keep the socket open.
            let port = self.wire.stream.peer_addr().ok();
            record.streams.retain(|stream| stream.peer_addr().ok() != port);
        });
    }

    /// Waits until the gateway closes its side (or for `limit`), and gives what came before.
    pub fn read_to_close(&mut self, limit: Duration) -> (Vec<u8>, Stop) {
        self.wire.within(limit);
        loop {
            if let Err(stop) = self.wire.fill() {
                return (std::mem::take(&mut self.wire.buffer), stop);
            }
        }
    }

    /// Exactly so many bytes, for what is no longer HTTP.
    pub fn read_exact(&mut self, length: usize) -> Result<Vec<u8>, Stop> {
        let mut out = Vec::new();
        self.wire.take(length, &mut out).map(|()| out)
    }
}

fn serve(shared: &Shared, id: usize, mut wire: Wire, handler: &dyn Fn(&mut Exchange<'_>)) {
    loop {
        let request = match wire.head() {
            Ok((line, fields)) => parse(id, &line, fields),
            Err(Stop::Malformed(fault)) => broken(id, fault),
            Err(Stop::Closed) if !wire.buffer.is_empty() => broken(id, "the head ends early".into()),
            Err(_) => return,
        };
        let mut index = 0;
        shared.update(|record| {
            index = record.requests.len();
            record.requests.push(request.clone());
        });
        if request.fault.is_some() {
            let _ = wire.stream.shutdown(Shutdown::Both);
            return;
        }
        let mut exchange = Exchange { request, wire: &mut wire, shared, index, open: true };
        handler(&mut exchange);
        if exchange.open {
            exchange.read_body();
        }
        if !(exchange.open && exchange.request.body.is_complete()) {
            return;
        }
    }
}

fn broken(connection: usize, fault: String) -> Request {
    let (method, target, version) = (String::new(), String::new(), String::new());
    let (fields, body) = (Fields::default(), Body::none());
    Request { connection, method, target, version, fields, body, fault: Some(fault) }
}

fn parse(connection: usize, line: &[u8], fields: Fields) -> Request {
    let line = latin1(line);
    let words: Vec<&str> = line.split(' ').collect();
    let &[method, target, version] = words.as_slice() else {
        return broken(connection, format!("not a request line: {line:?}"));
    };
    let fault = if method.is_empty() || !method.bytes().all(is_token) {
        Some(format!("not a method: {method:?}"))
    } else if target.is_empty() || !target.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        Some(format!("not a target: {target:?}"))
    } else if version != "HTTP/1.1" {
        Some(format!("version {version:?}"))
    } else if fields.count("host") != 1 {
        Some(format!("{} Host fields", fields.count("host")))
    } else {
        framing(&fields, Framing::None).err()
    };
    let (method, target, version) = (method.to_owned(), target.to_owned(), version.to_owned());
    // Not read yet: `Exchange::read_body` replaces it.
    let body = Body { end: End::Cut(Stop::TimedOut), ..Body::none() };
    Request { connection, method, target, version, fields, body, fault }
}
