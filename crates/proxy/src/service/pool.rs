//! Idle connections to one target, kept by one worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Keepalive;
use crate::stream::Stream;

/// The most recently used is taken first, so that those not needed grow old and go.
pub(crate) struct Pool {
    target_id: u64,
    idle: RefCell<Vec<(Stream, Instant)>>,
    max_idle: Cell<usize>,
    idle_timeout: Cell<Duration>,
}

impl Pool {
    pub(crate) fn new(target_id: u64, keepalive: &Keepalive) -> Rc<Self> {
        Rc::new(Self {
            target_id,
            idle: RefCell::default(),
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

    /// Keeps a connection whose last exchange is complete to the byte.
    pub(crate) fn put(&self, stream: Stream, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.max_idle.get() {
            idle.push((stream, now));
        }
    }

    /// Closes what is too old or was closed by the target.
    pub(crate) fn sweep(&self) {
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            return;
        }
        let limit = self.idle_timeout.get();
        idle.retain_mut(|(stream, since)| (limit.is_zero() || since.elapsed() < limit) && !stream.is_stale());
        if idle.is_empty() {
            idle.shrink_to_fit();
        }
    }
}
