//! Accepting connections and driving them, none of them for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// What bounds a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once; more wait in the backlog.
    pub(super) connections: u32,
    /// For the head of a request, the wait for it included: an idle connection is closed after it.
    pub(super) header: Duration,
    /// For a big answer, from its request to its end.
    pub(super) answer: Duration,
    /// For a connection, whatever it does. A client connects anew.
    pub(super) connection: Duration,
    /// For the request that is running when a connection's time is up.
    pub(super) drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            header: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            connection: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

/// The longest head of a request.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// How long to wait when no connection can be accepted, mostly because the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop, then at most for as long as that says.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let stopping = stop.clone();
    let accepting = async {
        // The semaphore is never closed.
        while let Ok(slot) = slots.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(stream, router.clone(), limits, stopping.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    };
    let within = tokio::select! {
        () = accepting => None,
        // The sender's end means the same as its word.
        word = stop.wait_for(Option::is_some) => word.ok().and_then(|within| *within),
    };
    drop(listener);
    // Once all slots are free, all connections are done. What is not by then goes with the runtime.
    let _ = timeout(within.unwrap_or_default(), slots.acquire_many(limits.connections)).await;
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, mut stop: watch::Receiver<Option<Duration>>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // Its errors are the client's: gone, slow, or no HTTP.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(Option::is_some) => {}
        () = sleep(limits.connection) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.drain, connection).await;
}
