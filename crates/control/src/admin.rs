//! The admin API: health, metrics, statistics and the running config, on a listener and a thread of its own.
//!
//! Nothing a client does here reaches the data path: the runtime has one thread and few helpers, connections and big
//! answers are bounded in number, and every wait has an end. `docs/admin.md` shows each answer.

mod answer;
mod guard;
mod serve;
mod stats;
mod stream;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;
use tollgate_core::control::{Control, Readiness};

use crate::metrics::{self, Format};
use answer::Problem;
use guard::Guard;
use serve::Limits;
use stats::Stats;
use stream::Renderer;

/// What a shut-down is given on top of the time it was allowed, to end the thread.
const GRACE: Duration = Duration::from_millis(250);

/// Helper threads for big answers; two may be rendered at once.
const HELPERS: usize = 2;

/// Why the admin API could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Others than this machine could reach it, and it would ask them for nothing.
    #[error("the admin listener on {0} is not on loopback and needs a token (`admin.token`)")]
    TokenRequired(SocketAddr),
    /// An empty token is none.
    #[error("the admin token is empty (`admin.token`)")]
    EmptyToken,
    /// The listener, the thread or its runtime failed.
    #[error("cannot start the admin listener: {0}")]
    Io(#[from] std::io::Error),
}

/// The running admin API. Dropping it stops it without waiting; [`Admin::shutdown`] waits.
pub struct Admin {
    address: SocketAddr,
    stop: watch::Sender<Option<Duration>>,
    done: Receiver<()>,
}

impl Admin {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections, finishes the requests that run, and ends. `false`: it could not end in time, and the
    /// thread was left behind.
    pub fn shutdown(self, within: Duration) -> bool {
        self.stop.send_replace(Some(within));
        !matches!(self.done.recv_timeout(within + GRACE), Err(RecvTimeoutError::Timeout))
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.send_if_modified(|stop| stop.is_none() && stop.replace(Duration::ZERO).is_none());
    }
}

/// Serves the admin API on a bound listener.
///
/// # Errors
/// When the listener is not on loopback and there is no token, the token is empty, or the thread cannot be started.
pub fn start(listener: TcpListener, token: Option<String>, control: Arc<dyn Control>) -> Result<Admin, AdminError> {
    start_with(listener, token, control, Limits::default())
}

fn start_with(
    listener: TcpListener,
    token: Option<String>,
    control: Arc<dyn Control>,
    limits: Limits,
) -> Result<Admin, AdminError> {
    let address = listener.local_addr()?;
    let loopback = address.ip().to_canonical().is_loopback();
    match &token {
        None if !loopback => return Err(AdminError::TokenRequired(address)),
        Some(token) if token.is_empty() => return Err(AdminError::EmptyToken),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(HELPERS)
        .thread_name("admin-helper")
        .build()?;
    listener.set_nonblocking(true)?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let router = router(Api { control, renderer: Renderer::new(HELPERS, limits.answer) }, Guard::new(token, loopback));
    let (stop, stopped) = watch::channel(None);
    let (finished, done) = sync_channel(1);
    thread::Builder::new().name("admin".into()).spawn(move || {
        runtime.block_on(serve::serve(listener, router, limits, stopped));
        runtime.shutdown_background();
        // Nobody may be waiting for it.
        let _ = finished.send(());
    })?;
    Ok(Admin { address, stop, done })
}

/// What the handlers share.
#[derive(Clone)]
struct Api {
    control: Arc<dyn Control>,
    renderer: Renderer,
}

fn router(api: Api, guard: Guard) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .route("/stats", get(stats))
        .route("/config", get(config))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This path has other methods.")
        })
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "The admin API has no such path."))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guarded))
        .with_state(api)
}

/// Turns away what may not ask, before the path is even looked at.
async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: middleware::Next) -> Response {
    let response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    };
    answer::sealed(response)
}

async fn healthz() -> Response {
    answer::json(StatusCode::OK, r#"{"status":"ok"}"#)
}

async fn readyz(State(api): State<Api>) -> Response {
    match api.control.readiness() {
        Readiness::Ready => answer::json(StatusCode::OK, r#"{"status":"ready"}"#),
        Readiness::Draining => answer::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#),
    }
}

async fn metrics_text(State(api): State<Api>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::accepted(&accept.collect::<Vec<_>>().join(","));
    let control = api.control;
    let job = move |out: &mut stream::Chunks| metrics::write(&*control, format, out).map_err(std::io::Error::other);
    api.renderer.render(format.content_type(), job).await
}

async fn stats(State(api): State<Api>) -> Response {
    let control = api.control;
    let job = move |out: &mut stream::Chunks| Ok(serde_json::to_writer(out, &Stats::read(&*control))?);
    api.renderer.render(answer::JSON, job).await
}

async fn config(State(api): State<Api>) -> Response {
    let control = api.control;
    let job = move |out: &mut stream::Chunks| Ok(serde_json::to_writer(out, &control.config())?);
    api.renderer.render(answer::JSON, job).await
}

#[cfg(test)]
mod tests;
