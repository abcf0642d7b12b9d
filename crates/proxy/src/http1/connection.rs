//! A client's connection from its first byte to its last.
//!
//! While it is idle its task holds a few hundred bytes: buffers and the future that serves requests exist only while
//! there is a request.

use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::{Method, Version};
use tollgate_core::{Body, Kind, Reject, Request, Response};

use super::client::Client;
use super::fields;
use super::framing::{Decoder, Framing, Step};
use super::relay;
use super::request::{self, Head, HeadLimits};
use super::write::Exchange;
use crate::caller::Caller;
use crate::http2::{self, guard::PREFACE};
use crate::record::{self, Sent};
use crate::run;
use crate::timer::{self, Wait};
use crate::worker::Worker;

/// What becomes of a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    KeepAlive,
    /// There was none after all.
    Nothing,
    /// The connection speaks HTTP/2.
    Http2,
    Close,
}

/// An unread body up to this long is read away, so that the connection can go on.
const WORTH_DRAINING: u64 = 256 * 1024;

/// Serves a connection until either side ends it.
pub(crate) async fn serve(worker: &Rc<Worker>, client: Rc<Client>) {
    // The first request has to come as fast as a head; later ones may take the idle time.
    let mut patience = client.peer.listener.limits.header_timeout;
    loop {
        if !client.has_pending() {
            let stop = || worker.shared.is_draining();
            if !client.wait_for_request(patience, stop).await {
                return;
            }
        }
        match Box::pin(serve_burst(worker, &client)).await {
            After::Close => return,
            After::Http2 => {
                // Nothing else shares the connection: it had no request yet.
                if let Some((stream, first, peer)) = Rc::into_inner(client).map(Client::into_parts) {
                    Box::pin(http2::connection::serve(worker, stream, first, peer)).await;
                }
                return;
            }
            After::KeepAlive => patience = client.peer.listener.limits.idle_timeout,
            After::Nothing => {}
        }
    }
}

/// Serves requests for as long as there are bytes of them at hand.
async fn serve_burst(worker: &Rc<Worker>, client: &Rc<Client>) -> After {
    loop {
        let came = read_head(client).await;
        let after = match begin(worker, client, came) {
            Begun::Request(request, exchange, started) => {
                let caller: Rc<dyn Caller> = client.clone();
                let reply = async |response: &mut Response| relay::answer(worker, client, response, exchange).await;
                let sent = run::run(worker, &caller, request, started, reply).await;
                client.deadline.reset();
                finish(client, sent).await
            }
            Begun::Refused(reject, head) => Box::pin(refuse(worker, client, reject, head)).await,
            Begun::Over(after) => after,
        };
        if after != After::KeepAlive || !client.has_pending() {
            return after;
        }
    }
}

/// What came of reading a head.
enum Came {
    Head(Head),
    /// The preface of HTTP/2, still to be read by whoever serves that.
    Http2,
    /// Not a byte: the socket was readable by mistake, as new ones are taken to be.
    Nothing,
    /// The client left.
    End,
}

/// Reads the head of a request.
async fn read_head(client: &Client) -> Result<Came, Reject> {
    let limits = &client.peer.listener.limits;
    let head_limits =
        HeadLimits { bytes: limits.max_header_bytes, fields: limits.max_headers, uri: limits.max_uri_bytes };
    let mut buffer = client.take_pending();
    let mut seen = 0;
    if !buffer.is_empty() {
        client.deadline.done(Wait::ClientRead);
    }
    let outcome = std::future::poll_fn(|cx| {
        loop {
            let bytes = buffer.data();
            // Prior knowledge (RFC 9113 §3.3): only a whole preface, and only at the beginning of a connection.
            let mut may_be_preface = false;
            if !client.has_begun() && bytes.starts_with(b"PRI ") {
                if bytes.starts_with(PREFACE) {
                    return Poll::Ready(Ok(Came::Http2));
                }
                may_be_preface = PREFACE.starts_with(bytes);
            }
            // A head that came in part is not parsed again until it may be complete or too long.
            let worth_parsing = seen == 0 || bytes.len() > head_limits.uri || fields::may_be_complete(bytes, seen);
            if !bytes.is_empty() && worth_parsing && !may_be_preface {
                match request::parse(
                    bytes,
                    &head_limits,
                    client.peer.info.peer_trusted,
                    &mut client.peer.host.borrow_mut(),
                ) {
                    Ok(None) => {}
                    Ok(Some(head)) => return Poll::Ready(Ok(Came::Head(head))),
                    Err(reject) => return Poll::Ready(Err(reject)),
                }
            }
            seen = bytes.len();
            match client.stream.borrow_mut().poll_fill(cx, buffer.room(false)) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    // The first byte ends the wait for a request and begins that for its head.
                    if seen == 0 {
                        client.deadline.done(Wait::ClientRead);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Ok(Came::End)),
                Poll::Pending if buffer.is_empty() => return Poll::Ready(Ok(Came::Nothing)),
                Poll::Pending if client.deadline.overdue(Wait::ClientRead, limits.header_timeout, cx) => {
                    // An empty line after a request is no beginning of another.
                    if buffer.data() == b"\r\n" {
                        return Poll::Ready(Ok(Came::End));
                    }
                    let detail = "The head of the request took too long.";
                    return Poll::Ready(Err(Reject::new(Kind::RequestTimeout, detail)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    if let Ok(Came::Head(head)) = &outcome {
        client.deadline.done(Wait::ClientRead);
        buffer.consume(head.length);
    }
    client.put_pending(buffer);
    outcome
}

/// What is to be done next.
enum Begun {
    /// A request is to be served, in this way, since then.
    Request(Request, Exchange, Instant),
    /// What came is to be refused; it asked for a head alone.
    Refused(Box<Reject>, bool),
    /// Nothing.
    Over(After),
}

/// Begins with what came. No future of its own: what it holds would make that of every request larger.
fn begin(worker: &Worker, client: &Rc<Client>, came: Result<Came, Reject>) -> Begun {
    let Head { mut request, framing, keep_alive, .. } = match came {
        Ok(Came::Head(head)) => head,
        Ok(Came::Nothing) => return Begun::Over(After::Nothing),
        Ok(Came::Http2) => return Begun::Over(After::Http2),
        Ok(Came::End) => return Begun::Over(After::Close),
        Err(reject) => return Begun::Refused(Box::new(reject), client.asks_for_head()),
    };
    let started = timer::exact_now();
    client.begin();
    let exchange = Exchange {
        version: request.version,
        head: request.method == Method::HEAD,
        keep_alive: keep_alive && !worker.shared.is_draining(),
    };
    if let Framing::Length(length) = framing
        && length > client.peer.listener.limits.max_body_bytes
    {
        let reject = Reject::new(Kind::BodyTooLarge, "The body is longer than this listener takes.");
        return Begun::Refused(Box::new(reject), exchange.head);
    }
    if !matches!(framing, Framing::None | Framing::Length(0)) {
        request.body = Body::Stream(Box::new(client.body(framing, request.expects_continue)));
    }
    Begun::Request(request, exchange, started)
}

/// Brings the connection into the state for its next request, if there can be one.
async fn finish(client: &Client, sent: Sent) -> After {
    let unread = client.take_unread();
    if !sent.complete {
        return After::Close;
    }
    let readable = match unread {
        None => sent.keep_alive,
        Some(mut decoder) => sent.keep_alive && drain(client, &mut decoder).await,
    };
    if readable {
        return After::KeepAlive;
    }
    client.linger().await;
    After::Close
}

/// Reads a body that nobody wants to its end, if that is near.
async fn drain(client: &Client, decoder: &mut Decoder) -> bool {
    let mut buffer = client.take_pending();
    let mut left = WORTH_DRAINING;
    client.deadline.start(Wait::ClientRead, client.peer.listener.limits.body_timeout);
    let drained = std::future::poll_fn(|cx| {
        loop {
            let Ok((skipped, step)) = decoder.advance(buffer.data()) else { return Poll::Ready(false) };
            buffer.consume(skipped);
            match step {
                Step::End => return Poll::Ready(true),
                Step::Data(n) if n as u64 > left => return Poll::Ready(false),
                Step::Data(n) => {
                    left -= n as u64;
                    decoder.consumed(n);
                    buffer.consume(n);
                }
                Step::More => match client.stream.borrow_mut().poll_fill(cx, buffer.room(false)) {
                    Poll::Ready(Ok(n)) if n > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending => {
                        let limit = client.peer.listener.limits.body_timeout;
                        return if client.deadline.overdue(Wait::ClientRead, limit, cx) {
                            Poll::Ready(false)
                        } else {
                            Poll::Pending
                        };
                    }
                },
            }
        }
    })
    .await;
    client.deadline.done(Wait::ClientRead);
    client.put_pending(buffer);
    drained
}

/// True if the connection can go on after an answer that is given before the request's body was read.
pub(crate) fn can_continue_unread(client: &Client) -> bool {
    match client.unread_length() {
        // Its body is read, or is being read by the exchange.
        None => !(client.is_reading() && client.is_holding_back()),
        Some(length) => !client.is_holding_back() && length.is_some_and(|length| length <= WORTH_DRAINING),
    }
}

/// Answers a request that was not understood, and closes: what follows on the connection cannot be trusted.
async fn refuse(worker: &Rc<Worker>, client: &Rc<Client>, reject: Box<Reject>, head: bool) -> After {
    let started = timer::exact_now();
    let mut response = reject.to_response("");
    let exchange = Exchange { version: Version::HTTP_11, head, keep_alive: false };
    let status = response.status;
    let sent = relay::answer(worker, client, &mut response, exchange).await;
    record::refused(worker, &client.peer, &reject, status, sent, started);
    if sent.complete {
        client.linger().await;
    }
    After::Close
}
