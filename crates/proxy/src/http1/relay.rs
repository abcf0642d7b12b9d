//! Sends an answer to the client: head and first bytes in one write, then the body as it comes, at the client's pace.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tollgate_core::{Body, BodyStream, Response};

use super::client::Client;
use super::connection::can_continue_unread;
use super::write::{self, Coding, Exchange};
use crate::buffer;
use crate::record::Sent;
use crate::service::tunnel;
use crate::worker::Worker;

/// How much of a body joins its head, or becomes one chunk, before it is written.
const TOGETHER: usize = buffer::SMALL;

/// Sends `response` whole, or as far as both sides let it come.
pub(crate) async fn answer(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    response: &mut Response,
    mut exchange: Exchange,
) -> Sent {
    exchange.keep_alive &= can_continue_unread(client);
    let mut out = buffer::take();
    let (coding, keep_alive) = {
        let date = worker.date_for(response);
        write::response(&mut out, response, exchange, date.as_bytes())
    };
    let status = response.status;
    let silent = exchange.head || matches!(status.as_u16(), 204 | 304);
    let mut relay = Relay { client, out, written: 0, coding, bytes: 0 };
    if let Some(tunnel) = response.tunnel.take() {
        let complete = relay.flush().await;
        let head = relay.bytes;
        drop(relay);
        let bytes = if complete { Box::pin(tunnel::run(worker, client, tunnel)).await } else { 0 };
        return Sent { status, bytes: head + bytes, complete, keep_alive: false };
    }
    let complete = match &mut response.body {
        Body::Stream(stream) if !silent => relay.stream(&mut **stream).await,
        body => {
            if let (Body::Bytes(bytes), false) = (body, silent) {
                relay.out.extend_from_slice(bytes);
            }
            relay.flush().await
        }
    };
    if !complete && coding == Coding::UntilClose {
        // Its end could not be told from a proper one.
        client.stream.borrow().reset_on_close();
    }
    Sent { status, bytes: relay.bytes, complete, keep_alive }
}

struct Relay<'a> {
    client: &'a Client,
    /// Bytes to be sent before anything else.
    out: Vec<u8>,
    written: usize,
    coding: Coding,
    /// How many bytes went to the client.
    bytes: u64,
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        buffer::give(std::mem::take(&mut self.out));
    }
}

impl Relay<'_> {
    async fn flush(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends what is in `out`; false if the client is gone.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(self.client.poll_send(cx, rest)) {
                Ok(n) if n > 0 => {
                    self.written += n;
                    self.bytes += n as u64;
                }
                _ => return Poll::Ready(false),
            }
        }
        if !ready!(self.client.poll_flush(cx)) {
            return Poll::Ready(false);
        }
        // A body that goes straight through, or is long in coming, needs no vector meanwhile.
        self.written = 0;
        buffer::give(std::mem::take(&mut self.out));
        Poll::Ready(true)
    }

    /// Where bytes are gathered before they are sent.
    fn gather(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = buffer::take();
        }
        &mut self.out
    }

    /// Sends the body; false if it could not be sent to its end.
    async fn stream(&mut self, body: &mut dyn BodyStream) -> bool {
        let mut ended = false;
        let mut failed = false;
        std::future::poll_fn(|cx| {
            loop {
                // Cut short: what came is sent, and the missing end shows that it was not all.
                if failed {
                    let _ = ready!(self.poll_flush(cx));
                    return Poll::Ready(false);
                }
                // Whoever cannot send still lets the rest of the exchange go on.
                if ended || self.out.len() >= TOGETHER {
                    if !ready!(self.poll_flush_beside(cx, body)) {
                        return Poll::Ready(false);
                    }
                    if ended {
                        return Poll::Ready(true);
                    }
                }
                match body.poll_fill(cx) {
                    Poll::Ready(Ok(true)) => {
                        if !ready!(self.poll_take(cx, body)) {
                            return Poll::Ready(false);
                        }
                    }
                    Poll::Ready(Ok(false)) => {
                        ended = true;
                        if self.coding == Coding::Chunked {
                            write::last_chunk(self.gather(), body.trailers().as_ref());
                        }
                    }
                    Poll::Ready(Err(_)) => failed = true,
                    // Nothing more at hand: what there is must not wait.
                    Poll::Pending => {
                        if !ready!(self.poll_flush_beside(cx, body)) {
                            return Poll::Ready(false);
                        }
                        return Poll::Pending;
                    }
                }
            }
        })
        .await
    }

    fn poll_flush_beside(&mut self, cx: &mut Context<'_>, body: &mut dyn BodyStream) -> Poll<bool> {
        let flushed = self.poll_flush(cx);
        if flushed.is_pending() {
            body.poll_background(cx);
        }
        flushed
    }

    /// Takes the bytes that `body` has at hand: into `out` if they are few or chunked, straight to the client if not.
    fn poll_take(&mut self, cx: &mut Context<'_>, body: &mut dyn BodyStream) -> Poll<bool> {
        let data = body.data();
        let n = data.len();
        if self.coding == Coding::Chunked {
            write::chunk(self.gather(), data);
            body.consume(n);
            return Poll::Ready(true);
        }
        if self.out.len() + n <= TOGETHER {
            self.gather().extend_from_slice(data);
            body.consume(n);
            return Poll::Ready(true);
        }
        if !ready!(self.poll_flush_beside(cx, body)) {
            return Poll::Ready(false);
        }
        match self.client.poll_send(cx, body.data()) {
            Poll::Ready(Ok(n)) if n > 0 => {
                self.bytes += n as u64;
                body.consume(n);
                Poll::Ready(true)
            }
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending => {
                body.poll_background(cx);
                Poll::Pending
            }
        }
    }
}
