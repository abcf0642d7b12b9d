//! Connections to one target, kept by one worker: idle ones of HTTP/1, and those of HTTP/2, which requests share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;

use super::Keepalive;
use crate::stream::Stream;

/// A connection in HTTP/2, which requests share.
struct Shared {
    sender: SendRequest<Bytes>,
    /// When it was last taken.
    taken: Instant,
    streams: Rc<Cell<usize>>,
}

impl Shared {
    fn take(&mut self, now: Instant) -> (SendRequest<Bytes>, Occupied) {
        self.taken = now;
        self.streams.set(self.streams.get() + 1);
        (self.sender.clone(), Occupied(self.streams.clone()))
    }
}

/// A stream of a shared connection, counted for as long as it lives.
pub(crate) struct Occupied(Rc<Cell<usize>>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The most recently used is taken first, so that those not needed grow old and go.
pub(crate) struct Pool {
    target_id: u64,
    idle: RefCell<Vec<(Stream, Instant)>>,
    http2: RefCell<Vec<Shared>>,
    max_idle: Cell<usize>,
    idle_timeout: Cell<Duration>,
}

impl Pool {
    pub(crate) fn new(target_id: u64, keepalive: &Keepalive) -> Rc<Self> {
        Rc::new(Self {
            target_id,
            idle: RefCell::default(),
            http2: RefCell::default(),
            max_idle: Cell::new(keepalive.max_idle),
            idle_timeout: Cell::new(keepalive.idle_timeout),
        })
    }

    pub(crate) fn target_id(&self) -> u64 {
        self.target_id
    }

    pub(crate) fn configure(&self, keepalive: &Keepalive) {
        self.max_idle.set(keepalive.max_idle);
        self.idle_timeout.set(keepalive.idle_timeout);
    }

    /// The target is gone from the config: nothing is kept any more.
    pub(crate) fn retire(&self) {
        self.max_idle.set(0);
        self.idle.borrow_mut().clear();
        self.http2.borrow_mut().clear();
    }

    /// A connection that seems alive: nothing came on it while it was idle. With `verify` the kernel is asked, which
    /// costs a system call and leaves only the moment between that and the next write.
    pub(crate) fn take(&self, verify: bool) -> Option<Stream> {
        loop {
            let (mut stream, _) = self.idle.borrow_mut().pop()?;
            let stale = if verify { stream.is_stale_by_kernel() } else { stream.is_stale() };
            if !stale {
                return Some(stream);
            }
        }
    }

    /// A connection in HTTP/2 that takes another stream.
    pub(crate) fn take_http2(&self, now: Instant) -> Option<(SendRequest<Bytes>, Occupied)> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut kept = self.http2.borrow_mut();
        // What has ended says so.
        kept.retain_mut(|shared| !matches!(shared.sender.poll_ready(&mut cx), Poll::Ready(Err(_))));
        let has_room = |shared: &&mut Shared| shared.streams.get() < shared.sender.current_max_send_streams();
        kept.iter_mut().find(has_room).map(|shared| shared.take(now))
    }

    /// Keeps a new connection in HTTP/2, for others to share, and takes its first stream.
    pub(crate) fn put_http2(&self, sender: SendRequest<Bytes>, now: Instant) -> (SendRequest<Bytes>, Occupied) {
        let mut shared = Shared { sender, taken: now, streams: Rc::default() };
        let taken = shared.take(now);
        // A pool that keeps nothing has connections that serve one request each.
        if self.max_idle.get() > 0 {
            self.http2.borrow_mut().push(shared);
        }
        taken
    }

    /// Keeps a connection whose last exchange is complete to the byte.
    pub(crate) fn put(&self, stream: Stream, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.max_idle.get() {
            idle.push((stream, now));
        }
    }

    /// Closes what is too old or was closed by the target.
    pub(crate) fn sweep(&self) {
        let limit = self.idle_timeout.get();
        let is_young = |since: &Instant| limit.is_zero() || since.elapsed() < limit;
        self.http2.borrow_mut().retain(|shared| shared.streams.get() > 0 || is_young(&shared.taken));
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            return;
        }
        idle.retain_mut(|(stream, since)| is_young(since) && !stream.is_stale());
        if idle.is_empty() {
            idle.shrink_to_fit();
        }
    }
}
