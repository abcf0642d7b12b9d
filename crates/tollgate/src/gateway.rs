//! The running gateway: workers, listeners and the config they serve; and how one config takes the other's place.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tollgate_config::{Config, Loaded};
use tollgate_control::access_log::{AccessLog, Destination, LogSender};
use tollgate_control::admin::{self, Admin};
use tollgate_core::control::{Control, Readiness, ReloadState};
use tollgate_core::document::{Node, Value, masked_json};
use tollgate_core::metrics::Metrics;
use tollgate_proxy::accept;
use tollgate_proxy::log::LogSink;
use tollgate_proxy::snapshot::{self, Address, Listener, Snapshot};
use tollgate_proxy::worker::{self, Command, ListenSocket, Shared};

use crate::allocator;
use crate::compile::{Before, Compiled};

/// Lines that may wait for the access log's writer.
const LOG_QUEUE: usize = 65_536;

/// Why a config cannot take effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Bind { address: String, source: io::Error },
    #[error("cannot serve the admin API on {address}: {source}{}", hint(&**.source))]
    Admin { address: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error(transparent)]
    AccessLog(#[from] tollgate_control::access_log::AccessLogError),
    #[error("cannot start a worker: {0}")]
    Worker(#[source] io::Error),
}

/// What to do about the usual causes.
fn hint(error: &(dyn std::error::Error + 'static)) -> &'static str {
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::AddrInUse) => "; another process listens there: stop it or choose another port",
        Some(io::ErrorKind::PermissionDenied) => "; ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        Some(io::ErrorKind::AddrNotAvailable) => "; no interface of this machine has that address",
        _ => "",
    }
}

/// A worker's thread; it ends when its worker has drained.
pub(crate) type WorkerThread = JoinHandle<io::Result<()>>;

/// A listener and its sockets, one for each worker.
type Bound = (Arc<Listener>, Vec<ListenSocket>);

/// The running gateway.
pub(crate) struct Gateway {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    workers: Vec<UnboundedSender<Command>>,
    state: Mutex<State>,
}

/// What changes with the config.
struct State {
    listeners: Vec<Arc<Listener>>,
    config: serde_json::Value,
    reloads: ReloadState,
    access_log: Option<Log>,
    admin: Option<RunningAdmin>,
    /// Snapshots that workers may still use: they are freed here, not on a worker.
    retired: Vec<Arc<Snapshot>>,
}

/// An access log, as written and as running.
type Log = (tollgate_config::AccessLog, AccessLog);

/// The admin API, as written and as running.
struct RunningAdmin {
    written: tollgate_config::Admin,
    admin: Admin,
    /// Its socket, for a successor on the same address.
    listener: TcpListener,
}

/// The admin API as written, and its socket.
type BoundAdmin = (tollgate_config::Admin, TcpListener);

/// What a new config does to a part of the gateway.
enum Change<T> {
    Keep,
    To(Option<T>),
}

/// A config that is ready to take effect.
pub(crate) struct Ready {
    pub(crate) loaded: Loaded,
    pub(crate) compiled: Compiled,
}

impl Gateway {
    /// Starts `count` workers that serve `ready`, and the admin API if it has one.
    ///
    /// # Errors
    /// If an address cannot be bound, the access log not be opened, or a thread not be started.
    pub(crate) fn start(
        ready: Ready,
        count: usize,
        metrics: Arc<Metrics>,
    ) -> Result<(Arc<Self>, Vec<WorkerThread>), ApplyError> {
        let Ready { loaded, compiled } = ready;
        let Compiled { mut snapshot, listeners } = compiled;
        let sockets = bind_all(&listeners, count, &[])?;
        let access_log = open_log(loaded.config.as_ref(), &metrics)?;
        snapshot.access_log = access_log.as_ref().map(|(written, log)| sink(written, log));
        let shared = Shared::new(snapshot, metrics.clone());
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for index in 0..count {
            let (commands, receiver) = tokio::sync::mpsc::unbounded_channel();
            let shared = shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    allocator::keep_blocks();
                    worker::run(index, shared, receiver)
                })
                .map_err(ApplyError::Worker)?;
            workers.push(commands);
            threads.push(thread);
        }
        let state = State {
            listeners,
            config: masked(&loaded.tree),
            reloads: ReloadState { applied: 1, applied_at: now(), ..ReloadState::default() },
            access_log,
            admin: None,
            retired: Vec::new(),
        };
        let gateway = Arc::new(Self { shared, metrics, workers, state: Mutex::new(state) });
        let admin = gateway.bind_admin(loaded.config.as_ref())?;
        gateway.set_admin(gateway.start_admin(admin)?);
        for (listener, sockets) in sockets {
            gateway.open(&listener, sockets);
        }
        Ok((gateway, threads))
    }

    /// What the next config takes over from this one.
    pub(crate) fn before(&self) -> Before {
        let snapshot = self.shared.current();
        let targets = snapshot.services.iter().flat_map(|service| {
            service.targets.iter().map(|target| ((service.name.clone(), target.label.clone()), target.clone()))
        });
        Before { targets: targets.collect(), listeners: self.state.lock().listeners.clone() }
    }

    /// Serves `ready` in place of what is served now: all of it, or nothing of it.
    ///
    /// # Errors
    /// See [`Gateway::start`]; nothing has changed then.
    pub(crate) fn apply(self: &Arc<Self>, ready: Ready) -> Result<(), ApplyError> {
        let Ready { loaded, compiled } = ready;
        let Compiled { mut snapshot, listeners } = compiled;
        let old = self.state.lock().listeners.clone();
        let is_open = |listener: &Arc<Listener>| old.iter().any(|old| old.id == listener.id);
        let (kept, fresh): (Vec<_>, Vec<_>) = listeners.iter().cloned().partition(is_open);
        // Whatever can fail comes first, and changes nothing.
        let own: Vec<_> = old.iter().map(|listener| &listener.address).collect();
        let sockets = bind_all(&fresh, self.workers.len(), &own)?;
        let admin = self.bind_admin(loaded.config.as_ref())?;
        let access_log = self.prepare_log(loaded.config.as_ref())?;
        let admin = self.start_admin(admin)?;
        self.set_log(access_log);
        self.set_admin(admin);
        snapshot.access_log = self.state.lock().access_log.as_ref().map(|(written, log)| sink(written, log));
        self.forget_unused(&snapshot);
        let before = self.shared.current();
        self.shared.publish(snapshot);
        for listener in kept {
            self.tell(|| Command::Update(listener.clone()));
        }
        for (listener, sockets) in sockets {
            self.open(&listener, sockets);
        }
        for gone in old.iter().filter(|old| listeners.iter().all(|listener| listener.id != old.id)) {
            self.tell(|| Command::Close(gone.id));
        }
        let mut state = self.state.lock();
        state.listeners = listeners;
        state.config = masked(&loaded.tree);
        state.reloads.applied += 1;
        state.reloads.applied_at = now();
        state.reloads.last_error = None;
        state.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        state.retired.push(before);
        Ok(())
    }

    /// A config was rejected: the running one stays, and says why.
    pub(crate) fn reject(&self, why: String) {
        // What was compiled of it may have begun to be counted.
        self.forget_unused(&self.shared.current());
        let mut state = self.state.lock();
        state.reloads.rejected += 1;
        state.reloads.last_error = Some(why);
    }

    /// Opens the access log's file anew, after a log rotation.
    pub(crate) fn reopen_log(&self) {
        if let Some((_, log)) = &self.state.lock().access_log {
            log.reopen();
        }
    }

    /// Stops accepting; what runs finishes.
    pub(crate) fn drain(&self) {
        self.shared.drain();
        self.tell(|| Command::Drain);
    }

    /// Writes what is left of the access log and ends the admin API.
    pub(crate) fn finish(&self, within: Duration) {
        let mut state = self.state.lock();
        if let Some((_, log)) = state.access_log.take() {
            // Lines that cannot be written in time are lost; they were counted as taken, and the process ends.
            let _ = log.shutdown(within);
        }
        if let Some(running) = state.admin.take() {
            running.admin.shutdown(within);
        }
    }

    /// Where the gateway listens, by listener.
    pub(crate) fn listeners(&self) -> Vec<Arc<Listener>> {
        self.state.lock().listeners.clone()
    }

    /// Where the admin API listens.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.state.lock().admin.as_ref().map(|running| running.admin.address())
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for worker in &self.workers {
            // A worker that is gone has nothing to be told.
            let _ = worker.send(command());
        }
    }

    fn open(&self, listener: &Arc<Listener>, sockets: Vec<ListenSocket>) {
        for (worker, socket) in self.workers.iter().zip(sockets) {
            let _ = worker.send(Command::Listen(listener.clone(), socket));
        }
    }

    /// Series of routes and targets that are gone are not shown any more.
    fn forget_unused(&self, snapshot: &Snapshot) {
        let routes: std::collections::HashSet<&str> =
            snapshot.routes.iter().map(|route| route.info.name.as_str()).chain([""]).collect();
        let targets: std::collections::HashSet<(&str, &str)> = snapshot
            .services
            .iter()
            .flat_map(|service| service.targets.iter().map(|target| (service.name.as_str(), &*target.label)))
            .collect();
        self.metrics.retain(|name| routes.contains(name), |service, target| targets.contains(&(service, target)));
    }

    /// Opens the access log that the config wants, if it is another than the running one.
    fn prepare_log(&self, config: Option<&Config>) -> Result<Change<Log>, ApplyError> {
        let wanted = config.and_then(|config| config.access_log.as_ref());
        if self.state.lock().access_log.as_ref().map(|(written, _)| written) == wanted {
            return Ok(Change::Keep);
        }
        Ok(Change::To(open_log(config, &self.metrics)?))
    }

    fn set_log(&self, change: Change<Log>) {
        if let Change::To(log) = change {
            // The old writer ends by itself once it has written what it took.
            self.state.lock().access_log = log;
        }
    }

    /// Binds the address of the admin API that the config wants, if it is another than the running one.
    fn bind_admin(&self, config: Option<&Config>) -> Result<Change<BoundAdmin>, ApplyError> {
        let wanted = config.and_then(|config| config.admin.as_ref()).map(|admin| admin.value.clone());
        let state = self.state.lock();
        if state.admin.as_ref().map(|running| &running.written) == wanted.as_ref() {
            return Ok(Change::Keep);
        }
        let Some(written) = wanted else { return Ok(Change::To(None)) };
        // On the same address the new one takes the socket over: it need not be bound again.
        let same = state.admin.as_ref().filter(|running| running.written.address == written.address);
        let bound = match (&written.address, same) {
            (_, Some(running)) => running.listener.try_clone(),
            (tollgate_config::ListenAddress::Tcp(address), None) => TcpListener::bind(address),
            (tollgate_config::ListenAddress::Unix(_), None) => Err(io::Error::other("it is served over TCP only")),
        };
        match bound {
            Ok(listener) => Ok(Change::To(Some((written, listener)))),
            Err(error) => Err(ApplyError::Admin { address: written.address.to_string(), source: error.into() }),
        }
    }

    /// Starts the admin API on its bound socket.
    fn start_admin(self: &Arc<Self>, bound: Change<BoundAdmin>) -> Result<Change<RunningAdmin>, ApplyError> {
        let (written, listener) = match bound {
            Change::Keep => return Ok(Change::Keep),
            Change::To(None) => return Ok(Change::To(None)),
            Change::To(Some(bound)) => bound,
        };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ApplyError::Admin {
            address: written.address.to_string(),
            source,
        };
        let serving = listener.try_clone().map_err(|error| failed(error.into()))?;
        let token = written.token.as_ref().map(|token| token.expose().to_owned());
        let admin = admin::start(serving, token, self.clone()).map_err(|error| failed(error.into()))?;
        Ok(Change::To(Some(RunningAdmin { written, admin, listener })))
    }

    fn set_admin(&self, change: Change<RunningAdmin>) {
        if let Change::To(admin) = change {
            let old = std::mem::replace(&mut self.state.lock().admin, admin);
            if let Some(old) = old {
                old.admin.shutdown(Duration::from_secs(1));
            }
        }
    }
}

impl Control for Gateway {
    fn readiness(&self) -> Readiness {
        if self.shared.is_draining() { Readiness::Draining } else { Readiness::Ready }
    }

    fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    fn config(&self) -> serde_json::Value {
        self.state.lock().config.clone()
    }

    fn reloads(&self) -> ReloadState {
        self.state.lock().reloads.clone()
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// Takes the data plane's lines to the writer.
struct Sink(LogSender);

impl LogSink for Sink {
    fn try_send(&self, line: Vec<u8>) -> bool {
        self.0.try_send(line)
    }
}

fn sink(written: &tollgate_config::AccessLog, log: &AccessLog) -> snapshot::AccessLog {
    snapshot::AccessLog { sink: Arc::new(Sink(log.sender())), sample: written.sample }
}

fn open_log(config: Option<&Config>, metrics: &Arc<Metrics>) -> Result<Option<Log>, ApplyError> {
    let Some(written) = config.and_then(|config| config.access_log.clone()) else { return Ok(None) };
    let destination = match &written.path {
        tollgate_config::LogTarget::Stdout => Destination::Stdout,
        tollgate_config::LogTarget::Stderr => Destination::Stderr,
        tollgate_config::LogTarget::File(path) => Destination::File(path.clone()),
    };
    let log = AccessLog::start(destination, LOG_QUEUE, metrics.clone())?;
    Ok(Some((written, log)))
}

fn masked(tree: &Node) -> serde_json::Value {
    // A document that could not be read shows as nothing, never as something unmasked.
    if matches!(tree.value, Value::Map(_)) { masked_json(tree) } else { serde_json::Value::Null }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn bind_all(listeners: &[Arc<Listener>], workers: usize, own: &[&Address]) -> Result<Vec<Bound>, ApplyError> {
    listeners
        .iter()
        .map(|listener| match accept::bind(&listener.address, workers, own) {
            Ok(sockets) => Ok((listener.clone(), sockets)),
            Err(source) => Err(ApplyError::Bind { address: listener.address.to_string(), source }),
        })
        .collect()
}
