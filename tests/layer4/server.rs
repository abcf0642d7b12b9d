//! A TCP server that does as it is told with each connection, on a thread of its own.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use tollgate_testkit::PATIENCE;

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    accepted: AtomicUsize,
}

pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(super) fn start(handler: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (accepting, handler) = (shared.clone(), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stopped.load(Ordering::Acquire) {
                    return;
                }
                accepting.accepted.fetch_add(1, Ordering::AcqRel);
                stream.set_read_timeout(Some(4 * PATIENCE)).expect("a time-out");
                let handler = handler.clone();
                thread::spawn(move || handler(stream));
            }
        });
        Self { address, shared }
    }

    /// Sends its name, then everything back until the end.
    pub(super) fn echo(name: &'static str) -> Self {
        Self::start(move |mut stream| {
            let mut part = [0; 16 * 1024];
            let mut read = name.len();
            part[..read].copy_from_slice(name.as_bytes());
            while stream.write_all(&part[..read]).is_ok() {
                read = stream.read(&mut part).unwrap_or(0);
                if read == 0 {
                    return;
                }
            }
        })
    }

    /// Gives what each connection brought up to its end, then answers `last words` and closes.
    pub(super) fn recording() -> (Self, Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::channel();
        let server = Self::start(move |mut stream| {
            let mut bytes = Vec::new();
            // What came before a reset counts too.
            let _ = stream.read_to_end(&mut bytes);
            let _ = sender.send(bytes);
            let _ = stream.write_all(b"last words");
        });
        (server, receiver)
    }

    /// An address that refuses connections, for as long as nobody else takes it.
    pub(super) fn down() -> Self {
        let server = Self::start(|_| {});
        server.stop();
        server
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections came so far.
    pub(super) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    fn stop(&self) {
        if !self.shared.stopped.swap(true, Ordering::AcqRel) {
            // Wakes the accepting thread, whose socket then closes.
            if let Ok(mut stream) = TcpStream::connect(self.address) {
                let _ = stream.read(&mut [0]);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends the sending direction.
pub(super) fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("an open connection");
}

/// Makes the close of a connection a reset.
pub(super) fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).expect("SO_LINGER can be set");
    drop(stream);
}
