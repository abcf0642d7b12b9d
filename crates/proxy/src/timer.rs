//! Time-outs that cost a store.
//!
//! A timer wheel is paid for at every start and stop; here nearly every deadline is replaced long before it is due. So
//! a worker keeps one dense array with the nearest deadline of each exchange, and one task that sleeps until the
//! earliest of them and then looks through the array: some 25 µs for 100,000 connections, a few times a minute.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Milliseconds since the worker started.
type Millis = u64;

const NONE: Millis = u64::MAX;

/// The array is looked through at most so often: time-outs fire up to this much late.
const RESOLUTION: Millis = 5;

thread_local! {
    /// What the clock last said, once this worker runs.
    static TURN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Reads the clock. To be called whenever the worker wakes, and where the time matters: a worker that has always
/// something to do never sleeps.
pub(crate) fn exact_now() -> Instant {
    let now = Instant::now();
    TURN.set(Some(now));
    now
}

/// The time when the clock was last read, microseconds to a few milliseconds ago; exact outside of a worker.
pub(crate) fn coarse_now() -> Instant {
    TURN.get().unwrap_or_else(Instant::now)
}

/// A worker's deadlines.
pub(crate) struct Timers {
    origin: Instant,
    /// The clock as last read, and the same in milliseconds.
    turn: Cell<(Instant, Millis)>,
    /// The nearest deadline of each slot.
    due: RefCell<Vec<Millis>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    /// When the array will be looked through next.
    next_look: Cell<Millis>,
    earlier: Notify,
}

impl Timers {
    pub(crate) fn new() -> Rc<Self> {
        let origin = Instant::now();
        Rc::new(Self {
            origin,
            turn: Cell::new((origin, 0)),
            due: RefCell::default(),
            wakers: RefCell::default(),
            free: RefCell::default(),
            next_look: Cell::new(NONE),
            earlier: Notify::new(),
        })
    }

    /// The time by the clock as last read; see [`exact_now`].
    fn now(&self) -> Millis {
        let (turn, known) = self.turn.get();
        let now = coarse_now();
        if turn == now {
            return known;
        }
        let millis = self.millis(now);
        self.turn.set((now, millis));
        millis
    }

    #[allow(clippy::cast_possible_truncation, reason = "2^64 ms are 584 million years")]
    fn millis(&self, at: Instant) -> Millis {
        at.saturating_duration_since(self.origin).as_millis() as Millis
    }

    fn arm(&self, slot: usize, at: Millis) {
        if let Some(due) = self.due.borrow_mut().get_mut(slot) {
            *due = at;
        }
        if at < self.next_look.get() {
            self.next_look.set(at);
            self.earlier.notify_one();
        }
    }

    /// Wakes every exchange, so that it notices a change of the worker's state.
    pub(crate) fn wake_all(&self) {
        for waker in self.wakers.borrow().iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Looks after the deadlines for as long as the worker runs.
    pub(crate) async fn run(self: Rc<Self>) {
        loop {
            let next = self.next_look.get();
            if next == NONE {
                self.earlier.notified().await;
                continue;
            }
            let at = self.origin + Duration::from_millis(next.max(self.now() + RESOLUTION));
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {
                    exact_now();
                    self.look();
                }
                () = self.earlier.notified() => {}
            }
        }
    }

    fn look(&self) {
        let now = self.now();
        let mut next = NONE;
        for (slot, due) in self.due.borrow_mut().iter_mut().enumerate() {
            if *due <= now {
                *due = NONE;
                if let Some(waker) = self.wakers.borrow().get(slot).and_then(Option::as_ref) {
                    waker.wake_by_ref();
                }
            } else {
                next = next.min(*due);
            }
        }
        self.next_look.set(next);
    }
}

/// What an exchange waits for. Each wait has its own deadline, so that several can run side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Bytes from the client.
    ClientRead,
    /// Room to send to the client.
    ClientWrite,
    /// The service: a connection, bytes, or room to send.
    Service,
    /// The whole exchange with the service.
    Total,
}

/// The deadlines of one exchange; its task is woken when one is due.
pub(crate) struct Deadline {
    timers: Rc<Timers>,
    slot: usize,
    at: [Cell<Millis>; 4],
}

impl Deadline {
    pub(crate) fn new(timers: &Rc<Timers>) -> Self {
        let slot = timers.free.borrow_mut().pop().unwrap_or_else(|| {
            timers.due.borrow_mut().push(NONE);
            timers.wakers.borrow_mut().push(None);
            timers.due.borrow().len() - 1
        });
        Self { timers: timers.clone(), slot, at: [const { Cell::new(NONE) }; 4] }
    }

    fn cell(&self, wait: Wait) -> &Cell<Millis> {
        let [client_read, client_write, service, total] = &self.at;
        match wait {
            Wait::ClientRead => client_read,
            Wait::ClientWrite => client_write,
            Wait::Service => service,
            Wait::Total => total,
        }
    }

    /// To be called when a poll is about to be pending: true if it has waited for longer than `limit`. The first call
    /// after [`Deadline::done`] starts the time; zero means no limit, but other waits that run still wake the task.
    #[allow(clippy::cast_possible_truncation, reason = "2^64 ms are 584 million years")]
    pub(crate) fn overdue(&self, wait: Wait, limit: Duration, cx: &mut Context<'_>) -> bool {
        let cell = self.cell(wait);
        let now = self.timers.now();
        if cell.get() == NONE && !limit.is_zero() {
            cell.set(now.saturating_add(limit.as_millis() as Millis));
        }
        if cell.get() <= now {
            return true;
        }
        self.listen(cx);
        let nearest = self.at.iter().map(Cell::get).min().unwrap_or(NONE);
        if nearest != NONE {
            // One that is over is told again and again, though not faster than the array is looked through, until whoever
            // waits for it is polled.
            self.timers.arm(self.slot, nearest.max(now + 1));
        }
        false
    }

    /// Has the task polled again within a second, whatever is due.
    pub(crate) fn glance(&self) {
        const SOON: Millis = 1000;
        let nearest = self.at.iter().map(Cell::get).min().unwrap_or(NONE);
        self.timers.arm(self.slot, nearest.min(self.timers.now() + SOON));
    }

    /// Starts the time of `wait` now, whatever has been waited before.
    #[allow(clippy::cast_possible_truncation, reason = "2^64 ms are 584 million years")]
    pub(crate) fn start(&self, wait: Wait, limit: Duration) {
        let at = if limit.is_zero() { NONE } else { self.timers.now().saturating_add(limit.as_millis() as Millis) };
        self.cell(wait).set(at);
    }

    /// True if the time started by [`Deadline::start`] is over.
    pub(crate) fn is_over(&self, wait: Wait) -> bool {
        let at = self.cell(wait).get();
        at != NONE && at <= self.timers.now()
    }

    /// The wait is over: something came.
    pub(crate) fn done(&self, wait: Wait) {
        self.cell(wait).set(NONE);
    }

    /// The exchange is over: nothing waits any more.
    pub(crate) fn reset(&self) {
        self.at.iter().for_each(|at| at.set(NONE));
    }

    fn listen(&self, cx: &Context<'_>) {
        if let Some(waker) = self.timers.wakers.borrow_mut().get_mut(self.slot)
            && waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(due) = self.timers.due.borrow_mut().get_mut(self.slot) {
            *due = NONE;
        }
        let waker = self.timers.wakers.borrow_mut().get_mut(self.slot).and_then(Option::take);
        drop(waker);
        self.timers.free.borrow_mut().push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap()
            .block_on(test);
    }

    async fn expire(deadline: &Deadline, wait: Wait, limit: Duration) {
        poll_fn(|cx| if deadline.overdue(wait, limit, cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    #[test]
    fn a_wait_is_over_after_its_time_and_not_before() {
        run(async {
            let timers = Timers::new();
            tokio::task::spawn_local(timers.clone().run());
            let deadline = Deadline::new(&timers);
            let start = Instant::now();
            expire(&deadline, Wait::Service, Duration::from_millis(40)).await;
            assert!(start.elapsed() >= Duration::from_millis(40));
            // An earlier deadline than the one slept for is noticed.
            let late = Deadline::new(&timers);
            let start = Instant::now();
            tokio::task::spawn_local(async move { expire(&late, Wait::Service, Duration::from_secs(60)).await });
            tokio::task::yield_now().await;
            deadline.done(Wait::Service);
            expire(&deadline, Wait::Service, Duration::from_millis(20)).await;
            assert!(start.elapsed() < Duration::from_secs(10));
        });
    }

    #[test]
    fn time_goes_on_for_a_worker_that_never_sleeps() {
        run(async {
            exact_now();
            let timers = Timers::new();
            tokio::task::spawn_local(timers.clone().run());
            let busy = tokio::task::spawn_local(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
            expire(&Deadline::new(&timers), Wait::Service, Duration::from_millis(30)).await;
            busy.abort();
        });
    }

    #[test]
    fn waits_do_not_disturb_each_other() {
        run(async {
            let timers = Timers::new();
            tokio::task::spawn_local(timers.clone().run());
            let deadline = Deadline::new(&timers);
            poll_fn(|cx| {
                assert!(!deadline.overdue(Wait::ClientRead, Duration::from_secs(9), cx));
                if deadline.overdue(Wait::Service, Duration::from_millis(10), cx) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            assert!(!deadline.is_over(Wait::ClientRead));
        });
    }

    #[test]
    fn slots_are_used_again() {
        let timers = Timers::new();
        let slot = Deadline::new(&timers).slot;
        assert_eq!(Deadline::new(&timers).slot, slot);
    }
}
