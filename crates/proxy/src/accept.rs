//! Listening and accepting: one socket a worker, a bound on connections, and nothing that a client can do to stop it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::AbortHandle;
use tollgate_tls::ServerTls;

use crate::buffer::Buffer;
use crate::caller::Peer;
use crate::handshake;
use crate::http1::client::Client;
use crate::http1::connection;
use crate::http2;
use crate::layer4;
use crate::proxy_protocol;
use crate::snapshot::{Address, Listener, Protocol};
use crate::stream::Stream;
use crate::worker::{ListenSocket, Worker};

/// Connections that the kernel completes before anybody accepted them.
const BACKLOG: i32 = 4096;

/// How long accepting rests when the process is out of file descriptors or at its bound of connections.
const REST: Duration = Duration::from_millis(10);

/// Binds a listener's address once for each of `workers`.
///
/// # Errors
/// If the address is in use, also by another instance that would share the port, or cannot be bound. `own` are the
/// addresses that this gateway listens on already.
pub fn bind(address: &Address, workers: usize, own: &[&Address]) -> io::Result<Vec<ListenSocket>> {
    match address {
        Address::Tcp(address) => {
            // With SO_REUSEPORT a second gateway would silently share the port; without it, on this trial, it fails. So
            // would a wider or narrower address on a port of our own.
            let same_port = |own: &&Address| matches!(own, Address::Tcp(own) if own.port() == address.port());
            if !own.iter().any(same_port) {
                tcp_socket(*address, false)?.bind(&SockAddr::from(*address))?;
            }
            bind_tcp(*address, workers)
        }
        Address::Unix(path) => bind_unix(path, workers),
    }
}

fn bind_tcp(address: SocketAddr, workers: usize) -> io::Result<Vec<ListenSocket>> {
    let mut address = address;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = tcp_socket(address, true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        let listener: std::net::TcpListener = socket.into();
        // Port 0 is resolved by the first socket; the others join it.
        address = listener.local_addr()?;
        sockets.push(ListenSocket::Tcp(listener));
    }
    Ok(sockets)
}

fn tcp_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_unix(path: &std::path::Path, workers: usize) -> io::Result<Vec<ListenSocket>> {
    use std::os::unix::fs::FileTypeExt;
    // A socket file left behind by an earlier run is removed, if nobody listens on it.
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    (0..workers).map(|_| listener.try_clone().map(ListenSocket::Unix)).collect()
}

/// A bound socket's address, the port resolved.
#[must_use]
pub fn local_address(socket: &ListenSocket) -> Option<SocketAddr> {
    match socket {
        ListenSocket::Tcp(listener) => listener.local_addr().ok(),
        ListenSocket::Unix(_) => None,
    }
}

/// A worker's listeners.
#[derive(Default)]
pub(crate) struct Acceptors(Vec<Acceptor>);

struct Acceptor {
    id: u16,
    listener: Rc<RefCell<Arc<Listener>>>,
    task: AbortHandle,
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Acceptors {
    /// Accepts on `socket`, in place of one that the listener had before.
    pub(crate) fn open(
        &mut self,
        worker: &Rc<Worker>,
        listener: Arc<Listener>,
        socket: ListenSocket,
    ) -> io::Result<()> {
        self.close(listener.id);
        let id = listener.id;
        let current = Rc::new(RefCell::new(listener));
        let task = match socket {
            ListenSocket::Tcp(socket) => {
                let socket = TcpListener::from_std(socket)?;
                tokio::task::spawn_local(accept_tcp(worker.clone(), current.clone(), socket))
            }
            ListenSocket::Unix(socket) => {
                let socket = UnixListener::from_std(socket)?;
                tokio::task::spawn_local(accept_unix(worker.clone(), current.clone(), socket))
            }
        };
        self.0.push(Acceptor { id, listener: current, task: task.abort_handle() });
        Ok(())
    }

    /// New connections get the listener's new config.
    pub(crate) fn update(&mut self, listener: &Arc<Listener>) {
        for acceptor in self.0.iter().filter(|acceptor| acceptor.id == listener.id) {
            *acceptor.listener.borrow_mut() = listener.clone();
        }
    }

    /// Stops accepting for the listener of this id.
    pub(crate) fn close(&mut self, id: u16) {
        self.0.retain(|acceptor| acceptor.id != id);
    }
}

async fn accept_tcp(worker: Rc<Worker>, listener: Rc<RefCell<Arc<Listener>>>, socket: TcpListener) {
    loop {
        wait_for_room(&listener).await;
        match socket.accept().await {
            Ok((stream, peer)) => {
                // Only a socket that is gone already refuses this, and then the first read says so.
                let _ = stream.set_nodelay(true);
                start(&worker, &listener, Stream::Tcp(stream), Some(peer)).await;
            }
            Err(error) => rest(&error).await,
        }
    }
}

async fn accept_unix(worker: Rc<Worker>, listener: Rc<RefCell<Arc<Listener>>>, socket: UnixListener) {
    loop {
        wait_for_room(&listener).await;
        match socket.accept().await {
            Ok((stream, _)) => start(&worker, &listener, Stream::Unix(stream), None).await,
            Err(error) => rest(&error).await,
        }
    }
}

/// Past the listener's bound, connections wait in the backlog.
async fn wait_for_room(listener: &RefCell<Arc<Listener>>) {
    loop {
        let (open, max) = {
            let listener = listener.borrow();
            (listener.open.load(Ordering::Relaxed), listener.limits.max_connections)
        };
        if open < max {
            return;
        }
        tokio::time::sleep(REST).await;
    }
}

/// A client that left before it was accepted costs nothing; anything else (no descriptors, no memory) needs a rest.
async fn rest(error: &io::Error) {
    if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    ) {
        tokio::time::sleep(REST).await;
    }
}

async fn start(worker: &Rc<Worker>, listener: &RefCell<Arc<Listener>>, stream: Stream, peer: Option<SocketAddr>) {
    // Another worker may have taken the last place meanwhile; then this connection waits for the next, unserved.
    let (listener, guard) = loop {
        let current = listener.borrow().clone();
        match Open::new(worker, &current) {
            Some(guard) => break (current, guard),
            None => tokio::time::sleep(REST).await,
        }
    };
    let beginning = begin(worker, stream, listener, peer);
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        let _guard = guard;
        match beginning {
            Beginning::Http(client) => connection::serve(&worker, client).await,
            Beginning::Other(connection) => connection.await,
        }
    });
}

/// What a connection begins with. Only what most do stands in the future of each: all else is boxed.
enum Beginning {
    /// HTTP in clear text.
    Http(Rc<Client>),
    /// A PROXY header, TLS, or what is passed on.
    Other(Pin<Box<dyn Future<Output = ()>>>),
}

fn begin(worker: &Rc<Worker>, stream: Stream, listener: Arc<Listener>, peer: Option<SocketAddr>) -> Beginning {
    if listener.proxy_protocol || listener.tls.is_some() || listener.protocol != Protocol::Http {
        return Beginning::Other(Box::pin(serve(worker.clone(), stream, listener, peer)));
    }
    Beginning::Http(Client::new(stream, Peer::new(listener, peer, None), &worker.timers))
}

/// The PROXY header if there is one, and then the listener's protocol.
async fn serve(worker: Rc<Worker>, stream: Stream, listener: Arc<Listener>, mut peer: Option<SocketAddr>) {
    if listener.proxy_protocol {
        peer = Box::pin(proxy_protocol::peer(&worker, &stream, &listener, peer)).await;
        if peer.is_none() {
            return;
        }
    }
    match (listener.protocol, listener.tls.clone()) {
        (Protocol::Http, None) => {
            let client = Client::new(stream, Peer::new(listener, peer, None), &worker.timers);
            connection::serve(&worker, client).await;
        }
        (Protocol::Http, Some(tls)) => serve_tls(&worker, stream, listener, tls, peer).await,
        (Protocol::Tcp | Protocol::TlsPassthrough, _) => {
            Box::pin(layer4::serve(&worker, stream, listener, peer)).await;
        }
    }
}

/// TLS first, and then the version of HTTP that the client chose by it.
async fn serve_tls(
    worker: &Rc<Worker>,
    stream: Stream,
    listener: Arc<Listener>,
    tls: Arc<ServerTls>,
    peer: Option<SocketAddr>,
) {
    // Boxed on its own: it is over before the rest begins.
    let Some(secured) = Box::pin(handshake::accept(worker, stream, &listener, &tls)).await else { return };
    let peer = Peer::new(listener, peer, Some(secured.session));
    if secured.http2 {
        // Boxed: connections that speak HTTP/1 would carry its size.
        Box::pin(http2::connection::serve(worker, secured.stream, Buffer::default(), peer)).await;
    } else {
        connection::serve(worker, Client::new(secured.stream, peer, &worker.timers)).await;
    }
}

/// Counts a connection for as long as it lives, however it ends.
struct Open {
    worker: Rc<Worker>,
    open: Arc<AtomicUsize>,
}

impl Open {
    /// Takes one of the listener's places, if there is one.
    fn new(worker: &Rc<Worker>, listener: &Listener) -> Option<Self> {
        let max = listener.limits.max_connections;
        let taken =
            listener.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < max).then_some(open + 1));
        taken.ok()?;
        worker.connections.set(worker.connections.get() + 1);
        worker.count(|count| {
            count.connections_accepted.add(1);
            count.connections_open.add(1);
        });
        Some(Self { worker: worker.clone(), open: listener.open.clone() })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.worker.connections.set(self.worker.connections.get() - 1);
        self.worker.count(|count| {
            count.connections_open.sub(1);
            if std::thread::panicking() {
                count.panics.add(1);
            }
        });
        self.worker.closed.notify_one();
    }
}
