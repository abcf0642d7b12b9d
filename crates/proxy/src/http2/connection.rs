//! A client's connection in HTTP/2 from its preface to its end.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Method;
use tollgate_core::{Body, Reject, Response};

use super::answer;
use super::body::StreamBody;
use super::caller::Stream as Caller;
use super::guard::{Guard, Watch};
use super::request::{self, Refused};
use crate::buffer::Buffer;
use crate::caller::Peer;
use crate::record;
use crate::run;
use crate::stream::Stream;
use crate::timer::{Deadline, Wait, exact_now};
use crate::worker::Worker;

/// What a client may send of a body before a window opens, for each stream and for the connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What may wait in a stream for its client to read.
const SEND_BUFFER: usize = 32 * 1024;
/// Streams that were reset and are remembered for a while: frames for them may still be on their way.
const RESET_STREAMS: usize = 64;
/// How long a connection that is to end may take to send what is left.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves a connection until either side ends it; `first` is what was read of it already.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: Stream, first: Buffer, peer: Peer) {
    let serving = Serving {
        worker,
        local: stream.local_address(),
        deadline: Deadline::new(&worker.timers),
        watch: Rc::default(),
        in_block: Cell::default(),
        open: Rc::default(),
        peer: Rc::new(peer),
    };
    let limits = &serving.peer.listener.limits;
    let handshake = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .handshake(Guard::new(stream, first, serving.watch.clone()));
    let mut handshake = std::pin::pin!(handshake);
    let shaken = poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Pending if serving.watch.cut().is_some() || worker.shared.is_draining() => Poll::Ready(None),
        Poll::Pending if serving.deadline.overdue(Wait::ClientRead, limits.header_timeout, cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
        Poll::Ready(shaken) => Poll::Ready(shaken.ok()),
    });
    if let Some(connection) = shaken.await {
        serving.deadline.done(Wait::ClientRead);
        serving.run(connection).await;
    }
}

/// A request that came, and where its answer goes.
type Accepted = (http::Request<RecvStream>, SendResponse<Bytes>);

/// A connection that is being served.
struct Serving<'a> {
    worker: &'a Rc<Worker>,
    peer: Rc<Peer>,
    local: Option<SocketAddr>,
    deadline: Deadline,
    watch: Rc<Watch>,
    /// What is waited for is the rest of a field block.
    in_block: Cell<bool>,
    /// Streams whose requests run.
    open: Rc<Cell<usize>>,
}

impl Serving<'_> {
    /// Begins with each request that comes, until the connection ends.
    async fn run(&self, mut connection: Connection<Guard, Bytes>) {
        let mut leaving = false;
        loop {
            let accepted = poll_fn(|cx| self.poll_accept(cx, &mut connection, &mut leaving)).await;
            match accepted {
                Some(Ok((head, respond))) => self.begin(head, respond),
                Some(Err(error)) => {
                    // `h2` has bounds of its own: empty DATA, CONTINUATION, the size of a header list.
                    if error.is_library() {
                        self.count_flood(error.reason());
                    }
                    return;
                }
                None => return,
            }
        }
    }

    /// Counts a connection that is ended for this, if that is a flood.
    fn count_flood(&self, reason: Option<Reason>) {
        if reason == Some(Reason::ENHANCE_YOUR_CALM) {
            self.worker.count(|count| count.h2_floods.add(1));
        }
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        connection: &mut Connection<Guard, Bytes>,
        leaving: &mut bool,
    ) -> Poll<Option<Result<Accepted, h2::Error>>> {
        if let ready @ Poll::Ready(_) = connection.poll_accept(cx) {
            self.deadline.done(Wait::ClientRead);
            return ready;
        }
        if let Some(reason) = self.watch.cut() {
            self.count_flood(Some(reason));
            connection.abrupt_shutdown(reason);
            // One more turn sends what can be sent.
            let _ = connection.poll_closed(cx);
            return Poll::Ready(None);
        }
        if self.poll_patience(cx, leaving) {
            if *leaving && self.open.get() == 0 && self.deadline.is_over(Wait::Service) {
                return Poll::Ready(None);
            }
            if !*leaving {
                *leaving = true;
                self.deadline.done(Wait::ClientRead);
                connection.graceful_shutdown();
                return self.poll_accept(cx, connection, leaving);
            }
        }
        Poll::Pending
    }

    /// Nothing new comes: true if the connection is to end.
    fn poll_patience(&self, cx: &mut Context<'_>, leaving: &mut bool) -> bool {
        let limits = &self.peer.listener.limits;
        if *leaving {
            // Requests that run have their own time-outs.
            if self.open.get() > 0 {
                self.deadline.done(Wait::Service);
            }
            let limit = if self.open.get() > 0 { Duration::ZERO } else { FAREWELL };
            return self.deadline.overdue(Wait::Service, limit, cx);
        }
        let in_block = self.watch.is_in_block();
        if self.in_block.replace(in_block) != in_block {
            // Each of the two has its own time.
            self.deadline.done(Wait::ClientRead);
        }
        let limit = match (in_block, self.open.get()) {
            (true, _) => limits.header_timeout,
            (false, 0) => limits.idle_timeout,
            (false, _) => {
                self.deadline.done(Wait::ClientRead);
                Duration::ZERO
            }
        };
        self.deadline.overdue(Wait::ClientRead, limit, cx) || self.worker.shared.is_draining()
    }

    /// Begins with a request, in a task of its own.
    fn begin(&self, head: http::Request<RecvStream>, respond: SendResponse<Bytes>) {
        let caller = Caller::new(self.peer.clone(), self.local, &self.worker.timers, respond);
        let worker = self.worker.clone();
        let open = Open::new(&self.open);
        tokio::task::spawn_local(async move {
            let _open = open;
            serve_stream(&worker, caller, head).await;
        });
    }
}

/// Counts a stream for as long as its request runs.
struct Open(Rc<Cell<usize>>);

impl Open {
    fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Serves one request.
async fn serve_stream(worker: &Rc<Worker>, stream: Rc<Caller>, request: http::Request<RecvStream>) {
    let started = exact_now();
    let (head, body) = request.into_parts();
    let asks_for_head = head.method == Method::HEAD;
    let peer = crate::caller::Caller::peer(&*stream);
    let (mut request, length) = match request::request(&head, peer) {
        Ok(request) => request,
        Err(Refused::Malformed) => return stream.reset(Reason::PROTOCOL_ERROR),
        Err(Refused::Reject(reject)) => return refuse(worker, &stream, &reject, asks_for_head).await,
    };
    if !body.is_end_stream() {
        let max = peer.listener.limits.max_body_bytes;
        request.body = Body::Stream(Box::new(StreamBody::new(stream.clone(), body, length, max)));
    } else {
        request.expects_continue = false;
    }
    let caller: Rc<dyn crate::caller::Caller> = stream.clone();
    let reply = async |response: &mut Response| answer::answer(worker, &stream, response, asks_for_head).await;
    run::run(worker, &caller, request, started, reply).await;
}

/// Answers a request that is not taken.
async fn refuse(worker: &Rc<Worker>, stream: &Rc<Caller>, reject: &Reject, head: bool) {
    let started = exact_now();
    let mut response = reject.to_response("");
    let status = response.status;
    let sent = answer::answer(worker, stream, &mut response, head).await;
    record::refused(worker, crate::caller::Caller::peer(&**stream), reject, status, sent, started);
}
