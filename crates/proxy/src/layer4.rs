//! Layer 4: a connection is given to a target whole, its bytes pass both ways as they are.
//!
//! Where a listener passes TLS through, the [`client_hello`] says which route the connection takes; otherwise it goes to
//! the listener's service. [`target`] makes the connection to a target, [`record`] writes down what became of it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tollgate_core::{Kind, Reject};

mod client_hello;
mod record;
mod target;

use crate::buffer::Buffer;
use crate::route::{FieldLookup, Found, Query};
use crate::service::Service;
use crate::service::tunnel::{Ending, Flows};
use crate::snapshot::{Listener, Protocol, Route, Snapshot};
use crate::stream::Stream;
use crate::timer::{Deadline, Wait};
use crate::worker::Worker;
use client_hello::{ClientHello, HelloError};
use record::Record;
use target::Line;

/// The client's end of a connection.
struct Client {
    stream: Stream,
    deadline: Deadline,
    peer: Option<SocketAddr>,
    /// Bytes that came and were not passed on yet.
    pending: Buffer,
}

/// Serves a connection until either side ends it.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: Stream, listener: Arc<Listener>, peer: Option<SocketAddr>) {
    let deadline = Deadline::new(&worker.timers);
    let mut client = Client { stream, deadline, peer, pending: Buffer::default() };
    let mut record = Record::start(&listener, peer);
    let line = connect(worker, &listener, &mut client, &mut record).await;
    let outcome = match line {
        Ok(Some(line)) => Ok(pass(client, line, &mut record).await),
        // Nobody came after all.
        Ok(None) => return,
        Err(reject) => {
            if let Some(alert) = alert(&reject) {
                refuse(&mut client, alert).await;
            }
            Err(reject)
        }
    };
    record.finish(worker, &outcome);
}

/// Finds the way of a connection and makes its other half; `None` if the client left without a word.
async fn connect(
    worker: &Rc<Worker>,
    listener: &Listener,
    client: &mut Client,
    record: &mut Record,
) -> Result<Option<Line>, Reject> {
    if listener.protocol == Protocol::TlsPassthrough {
        match read_hello(worker, listener, client).await? {
            Some(hello) => record.hello = hello,
            None => return Ok(None),
        }
    }
    // A connection goes on with the targets it began with, though it does not hold on to the snapshot.
    let view = worker.view();
    let (route, service) = way(&view.snapshot, listener, record.hello.host.as_deref())?;
    record.route = route.map(|route| route.info.name.clone());
    record.service = Some(service.name.clone());
    target::connect(worker, service, client, record).await.map(Some)
}

/// The route and the service of a connection.
fn way<'s>(
    snapshot: &'s Snapshot,
    listener: &Listener,
    host: Option<&str>,
) -> Result<(Option<&'s Route>, &'s Service), Reject> {
    let route = match listener.protocol {
        Protocol::TlsPassthrough => route(snapshot, listener.id, host),
        Protocol::Http | Protocol::Tcp => None,
    };
    let index = route.map_or_else(|| snapshot.listener_services.get(&listener.id).copied(), |route| route.service);
    let service = index.and_then(|index| snapshot.services.get(index));
    service.map(|service| (route, service)).ok_or_else(|| Reject::new(Kind::NoRoute, "No route takes this connection."))
}

/// The route for a host that a TLS client names: as for requests, were they all for `/`.
fn route<'s>(snapshot: &'s Snapshot, listener: u16, host: Option<&str>) -> Option<&'s Route> {
    let query = Query { host, path: "/", method: "", listener, headers: &NoFields, query: "", preflight_method: None };
    match snapshot.tls_router.find(&query) {
        Found::Route(found) => snapshot.routes.get(*found.value),
        Found::MethodNotAllowed(_) | Found::NotFound => None,
    }
}

/// A connection has no fields.
struct NoFields;

impl FieldLookup for NoFields {
    fn any(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

/// Reads the hello, which stays pending; `None` if the client left, or the gateway ends, before a byte of it came.
async fn read_hello(worker: &Worker, listener: &Listener, client: &mut Client) -> Result<Option<ClientHello>, Reject> {
    let Client { stream, deadline, pending, .. } = client;
    let limit = listener.limits.header_timeout;
    let outcome = poll_fn(|cx| {
        loop {
            if !pending.is_empty()
                && let Some(hello) = client_hello::parse(pending.data()).map_err(|error| not_understood(&error))?
            {
                return Poll::Ready(Ok(Some(hello)));
            }
            match stream.poll_fill(cx, pending.room(false)) {
                Poll::Ready(Ok(n)) if n > 0 => {}
                Poll::Ready(_) if pending.is_empty() => return Poll::Ready(Ok(None)),
                Poll::Ready(_) => {
                    return Poll::Ready(Err(Reject::new(Kind::ClientGone, "The client left within its hello.")));
                }
                Poll::Pending if pending.is_empty() && worker.shared.is_draining() => return Poll::Ready(Ok(None)),
                Poll::Pending if deadline.overdue(Wait::ClientRead, limit, cx) => {
                    return Poll::Ready(Err(Reject::new(Kind::RequestTimeout, "The client hello took too long.")));
                }
                Poll::Pending => {
                    pending.release();
                    return Poll::Pending;
                }
            }
        }
    })
    .await;
    deadline.reset();
    outcome
}

fn not_understood(error: &HelloError) -> Reject {
    let detail = match error {
        HelloError::NotTls => "What came is not TLS.",
        HelloError::Malformed => "The client hello is malformed.",
        HelloError::TooLong => "The client hello is too long.",
    };
    Reject::new(Kind::BadRequest, detail)
}

/// What a TLS client is told, where that helps it: `unrecognized_name` (RFC 6066 §3) if no route has its host.
fn alert(reject: &Reject) -> Option<u8> {
    const UNRECOGNIZED_NAME: u8 = 112;
    (reject.kind == Kind::NoRoute).then_some(UNRECOGNIZED_NAME)
}

/// Sends a fatal alert (RFC 8446 §6). A client that does not take seven bytes at once need not get them.
async fn refuse(client: &mut Client, alert: u8) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let record = [21, 3, 3, 0, 2, 2, alert];
    let _ = tokio::time::timeout(PATIENCE, async {
        client.stream.write_all(&record).await?;
        client.stream.shutdown().await
    })
    .await;
}

/// Passes bytes both ways until both sides have closed, one breaks, or none came for too long.
async fn pass(client: Client, line: Line, record: &mut Record) -> Ending {
    let Client { mut stream, deadline, pending, .. } = client;
    let Line { stream: mut service, idle, held } = line;
    let mut flows = Flows::new(pending);
    let ending = poll_fn(|cx| {
        let ending = flows.poll(cx, &mut stream, &mut service, &deadline, idle);
        held.count(flows.moved());
        ending
    })
    .await;
    if ending == Ending::Broken {
        // Whoever is left must not take what came for all.
        stream.reset_on_close();
        service.reset_on_close();
    }
    record.moved = flows.moved();
    ending
}
