//! A worker: one thread, its own sockets, pools, buffers and clock; nothing of it is shared but the snapshot.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::UnboundedReceiver;
use tollgate_core::metrics::{Metrics, WorkerShard};
use tollgate_core::{Known, Response};

use crate::accept;
use crate::service::pool::Pool;
use crate::snapshot::{Listener, Snapshot};
use crate::timer::{self, Timers};

/// What all workers share.
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    /// Grows with each snapshot, so that a worker notices a new one by one load.
    generation: AtomicU64,
    draining: AtomicBool,
    /// All counts.
    pub metrics: Arc<Metrics>,
}

impl Shared {
    /// The state of a gateway that serves `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            generation: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            metrics,
        })
    }

    /// Serves `snapshot` from the next request on; requests that run finish with the one they began with.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The snapshot served now.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// True once the gateway finishes what runs and takes nothing new.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Begins to drain; workers must be told as well ([`Command::Drain`]).
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// A socket that listens, not yet part of a runtime.
#[derive(Debug)]
pub enum ListenSocket {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix socket.
    Unix(std::os::unix::net::UnixListener),
}

/// What the control plane tells a worker.
pub enum Command {
    /// Accept on this socket, in place of one with the same listener id.
    Listen(Arc<Listener>, ListenSocket),
    /// The listener goes on with the same socket and another config.
    Update(Arc<Listener>),
    /// Stop accepting on the listener of this id; its connections finish.
    Close(u16),
    /// Stop accepting, close idle connections, finish what runs, then end.
    Drain,
}

/// A snapshot as one worker sees it: with its pools, one a target.
pub(crate) struct View {
    /// Which snapshot this is; from 1 on.
    pub(crate) generation: u64,
    pub(crate) snapshot: Arc<Snapshot>,
    /// By [`crate::service::Service::first_pool`] and the target's index.
    pub(crate) pools: Vec<Rc<Pool>>,
}

impl View {
    /// Pools of targets that stay are carried over; the others close what is idle.
    fn new(generation: u64, snapshot: Arc<Snapshot>, before: Option<&Self>) -> Self {
        let old: std::collections::HashMap<u64, &Rc<Pool>> =
            before.map(|view| view.pools.iter().map(|pool| (pool.target_id(), pool)).collect()).unwrap_or_default();
        let mut pools = Vec::new();
        for service in &snapshot.services {
            for target in &service.targets {
                pools.push(match old.get(&target.id) {
                    Some(pool) => {
                        pool.configure(&service.keepalive);
                        (*pool).clone()
                    }
                    None => Pool::new(target.id, &service.keepalive),
                });
            }
        }
        let kept: std::collections::HashSet<u64> = pools.iter().map(|pool| pool.target_id()).collect();
        old.iter().filter(|(id, _)| !kept.contains(id)).for_each(|(_, pool)| pool.retire());
        Self { generation, snapshot, pools }
    }
}

/// One thread's data plane.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) timers: Rc<Timers>,
    view: RefCell<Rc<View>>,
    date: RefCell<(u64, Rc<str>)>,
    pub(crate) connections: Cell<usize>,
    pub(crate) closed: tokio::sync::Notify,
}

impl Worker {
    fn new(index: usize, shared: Arc<Shared>) -> Rc<Self> {
        let generation = shared.generation.load(Ordering::Acquire);
        let view = View::new(generation, shared.current(), None);
        Rc::new(Self {
            index,
            shared,
            timers: Timers::new(),
            view: RefCell::new(Rc::new(view)),
            date: RefCell::new((0, Rc::from(""))),
            connections: Cell::new(0),
            closed: tokio::sync::Notify::new(),
        })
    }

    /// The snapshot to serve the next request with.
    #[inline]
    pub(crate) fn view(&self) -> Rc<View> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if self.view.borrow().generation != generation {
            let view = View::new(generation, self.shared.current(), Some(&self.view.borrow()));
            *self.view.borrow_mut() = Rc::new(view);
        }
        self.view.borrow().clone()
    }

    /// This worker's counts.
    pub(crate) fn count(&self, counter: impl FnOnce(&WorkerShard)) {
        if let Some(shard) = self.shared.metrics.worker(self.index) {
            counter(shard);
        }
    }

    /// What `Date` has to say in an answer that has none: made once a second.
    pub(crate) fn date_for(&self, response: &Response) -> Rc<str> {
        if response.headers.has(Known::Date) {
            return self.date.borrow().1.clone();
        }
        let now = std::time::SystemTime::now();
        let second = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        if self.date.borrow().0 != second {
            *self.date.borrow_mut() = (second, httpdate::fmt_http_date(now).into());
        }
        self.date.borrow().1.clone()
    }

    /// Closes pooled connections that were idle for too long or that their target closed, once a second.
    async fn keep_house(self: Rc<Self>) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let view = self.view();
            view.pools.iter().for_each(|pool| pool.sweep());
        }
    }
}

/// Runs a worker on this thread until it has drained.
///
/// # Errors
/// If the runtime cannot be made.
pub fn run(index: usize, shared: Arc<Shared>, mut commands: UnboundedReceiver<Command>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(30))
        .on_thread_unpark(|| {
            timer::exact_now();
        })
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async move {
        let worker = Worker::new(index, shared);
        tokio::task::spawn_local(worker.timers.clone().run());
        tokio::task::spawn_local(worker.clone().keep_house());
        let mut acceptors = accept::Acceptors::default();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Listen(listener, socket) => acceptors.open(&worker, listener, socket)?,
                Command::Update(listener) => acceptors.update(&listener),
                Command::Close(id) => acceptors.close(id),
                Command::Drain => break,
            }
        }
        drop(acceptors);
        worker.shared.drain();
        worker.timers.wake_all();
        while worker.connections.get() > 0 {
            worker.closed.notified().await;
        }
        Ok(())
    })
}
