//! Normal traffic: clients that ask again and again on connections they keep, and notice failures and waits.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tollgate_testkit::http2::{Block, Frame, Http2};
use tollgate_testkit::{Client, Gateway};

/// A client rests for so long after each request, so that the machine has room for the attack.
const REST: Duration = Duration::from_millis(4);
/// Requests on one connection of HTTP/2, whose client remembers all that it saw.
const ON_ONE: u32 = 200;

/// How requests fared.
pub(super) struct Traffic {
    pub(super) requests: usize,
    pub(super) failures: usize,
    /// What 99 of 100 took at most.
    pub(super) p99: Duration,
}

impl Traffic {
    /// How they fare while nothing else happens.
    pub(super) fn of(gateway: &Gateway, lasts: Duration) -> Self {
        let normal = Normal::start(gateway.address());
        thread::sleep(lasts);
        normal.stop()
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} failed, p99 {:?}", self.requests, self.failures, self.p99)
    }
}

/// Clients at work.
pub(super) struct Normal {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Option<Duration>>>>,
}

impl Normal {
    pub(super) fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let client = |run: fn(SocketAddr, &AtomicBool) -> Vec<Option<Duration>>| {
            let over = over.clone();
            thread::spawn(move || run(address, &over))
        };
        let clients = vec![client(http1), client(http1), client(http2)];
        Self { over, clients }
    }

    pub(super) fn stop(self) -> Traffic {
        self.over.store(true, Ordering::Release);
        let taken: Vec<_> = self.clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        let mut times: Vec<Duration> = taken.iter().flatten().copied().collect();
        times.sort_unstable();
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        Traffic { requests: times.len(), failures: taken.len() - times.len(), p99 }
    }
}

/// How long a request took; `None` if it failed.
fn timed(request: impl FnOnce() -> bool) -> Option<Duration> {
    let started = Instant::now();
    let taken = request().then(|| started.elapsed());
    thread::sleep(REST);
    taken
}

fn http1(address: SocketAddr, over: &AtomicBool) -> Vec<Option<Duration>> {
    let mut client = Client::connect(address);
    let mut taken = Vec::new();
    while !over.load(Ordering::Acquire) {
        taken.push(timed(|| client.get("/").is_ok_and(|answer| answer.status == 200 && answer.text() == "ok")));
    }
    taken
}

fn http2(address: SocketAddr, over: &AtomicBool) -> Vec<Option<Duration>> {
    let mut taken = Vec::new();
    while !over.load(Ordering::Acquire) {
        let mut client = Http2::connect(address);
        client.handshake(&[]).expect("HTTP/2");
        for stream in (1..ON_ONE * 2).step_by(2).take_while(|_| !over.load(Ordering::Acquire)) {
            taken.push(timed(|| {
                client.send([Frame::headers(stream, Block::get("/")).end()]);
                client.answer(stream).is_ok_and(|answer| answer.status == 200 && answer.body == b"ok")
            }));
        }
    }
    taken
}
