//! The sample services: what stands behind the gateway. Each is an HTTP server on a loopback port of its own; one
//! thread runs them all.
//!
//! Like many a service they tell more than they should: see [`tell`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use serde_json::json;
use tokio::sync::oneshot;

use super::{catalog, orders, users};

/// Where the services listen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) orders: SocketAddr,
    pub(crate) users: SocketAddr,
    /// Two instances.
    pub(crate) catalog: [SocketAddr; 2],
}

/// The running services; they end when this is dropped.
pub(crate) struct Services {
    pub(crate) addresses: Addresses,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Services {
    /// Starts all services, each on a free port.
    ///
    /// # Errors
    /// If there is no free port, or no thread.
    pub(crate) fn start() -> io::Result<Self> {
        let mut servers = Vec::new();
        let mut serve = |name, router: &dyn Fn(SocketAddr) -> Router| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let told = map_response_with_state(HeaderValue::from_static(name), tell);
            servers.push((listener, router(address).fallback(not_found).layer(told)));
            io::Result::Ok(address)
        };
        let addresses = Addresses {
            orders: serve("orders-1", &orders::router)?,
            users: serve("users-1", &|_| users::router())?,
            catalog: [
                serve("catalog-1", &|_| catalog::router("catalog-1"))?,
                serve("catalog-2", &|_| catalog::router("catalog-2"))?,
            ],
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                for (listener, router) in servers {
                    tokio::spawn(serve_one(listener, router));
                }
                // The other end is gone: the same as being told.
                let _ = stopped.await;
            });
        };
        let thread = std::thread::Builder::new().name("demo-services".into()).spawn(run)?;
        Ok(Self { addresses, thread: Some(thread), stop: Some(stop) })
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // The thread ends as its end of the channel hears of this; what it was doing is cut off.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve_one(listener: TcpListener, router: Router) -> io::Result<()> {
    // Head and content are written one after the other; neither shall wait for the other to be acknowledged.
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
        // Only a connection that is gone already refuses this.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

/// Adds what a service should keep to itself.
async fn tell(State(instance): State<HeaderValue>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("server", HeaderValue::from_static("ShopServer/1.4.2"));
    headers.insert("x-powered-by", HeaderValue::from_static("axum"));
    headers.insert("x-internal-instance", instance);
    response
}

async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "nothing here")
}

/// An error, as the services write it.
pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "error": message }))).into_response()
}
