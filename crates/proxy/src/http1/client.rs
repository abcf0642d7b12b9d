//! A client's connection, as the rest of the data plane sees it, and the body that comes from it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::AsyncWrite;
use tollgate_core::{BodyError, BodyStream, Headers};

use super::framing::{Decoder, Framing, Step};
use super::write;
use crate::buffer::Buffer;
use crate::caller::{Caller, Peer};
use crate::stream::Stream;
use crate::timer::{Deadline, Timers, Wait};

/// One client connection. The connection's task and the request's body share it; neither holds a borrow over a wait.
pub(crate) struct Client {
    pub(crate) stream: RefCell<Stream>,
    pub(crate) deadline: Deadline,
    pub(crate) peer: Peer,
    /// Bytes that came and were not used yet.
    pending: Cell<Buffer>,
    /// The body of the running request, if nobody reads it any more though it has not ended.
    unread: Cell<Option<Box<Decoder>>>,
    /// The body of the running request has not ended.
    reading: Cell<bool>,
    /// The client may hold its body back until it gets a 100, and got none.
    holding_back: Cell<bool>,
    /// Something came, or the client closed, while it waits for an answer.
    heard_more: Cell<bool>,
    /// It had a request.
    begun: Cell<bool>,
}

impl Client {
    pub(crate) fn new(stream: Stream, peer: Peer, timers: &Rc<Timers>) -> Rc<Self> {
        Rc::new(Self {
            stream: RefCell::new(stream),
            deadline: Deadline::new(timers),
            peer,
            pending: Cell::default(),
            unread: Cell::default(),
            reading: Cell::new(false),
            holding_back: Cell::new(false),
            heard_more: Cell::new(false),
            begun: Cell::new(false),
        })
    }

    /// Takes the bytes that came and were not used yet; they must be put back.
    pub(crate) fn take_pending(&self) -> Buffer {
        self.pending.take()
    }

    /// Puts bytes back; an empty buffer goes to the worker at once.
    pub(crate) fn put_pending(&self, mut buffer: Buffer) {
        buffer.release();
        self.pending.set(buffer);
    }

    /// True if bytes came that were not used yet.
    pub(crate) fn has_pending(&self) -> bool {
        let buffer = self.pending.take();
        let some = !buffer.is_empty();
        self.pending.set(buffer);
        some
    }

    /// True if the bytes that came begin a request for a head alone, however it goes on.
    pub(crate) fn asks_for_head(&self) -> bool {
        let buffer = self.pending.take();
        let asks = buffer.data().strip_prefix(b"\r\n").unwrap_or(buffer.data()).starts_with(b"HEAD ");
        self.pending.set(buffer);
        asks
    }

    /// Waits until the client may have sent something (true) or closes, fails, or is over its time (false); holds no
    /// buffer meanwhile. `stop` ends the wait early. The time runs on until something came.
    pub(crate) async fn wait_for_request(&self, limit: std::time::Duration, stop: impl Fn() -> bool) -> bool {
        let mut asleep = false;
        poll_fn(|cx| {
            // Who woke it shows when it reads; asking before that would cost as much again.
            if asleep && !stop() && !self.deadline.is_over(Wait::ClientRead) {
                return Poll::Ready(true);
            }
            asleep = true;
            match self.stream.borrow().poll_readable(cx) {
                Poll::Ready(result) => Poll::Ready(result.is_ok()),
                Poll::Pending if stop() || self.deadline.overdue(Wait::ClientRead, limit, cx) => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// True if it had a request already.
    pub(crate) const fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// What it consists of, and the bytes that were not used yet, for whoever serves it in another protocol.
    pub(crate) fn into_parts(self) -> (Stream, Buffer, Peer) {
        (self.stream.into_inner(), self.pending.into_inner(), self.peer)
    }

    /// A request begins.
    pub(crate) fn begin(&self) {
        self.begun.set(true);
        self.heard_more.set(false);
        self.reading.set(false);
        self.holding_back.set(false);
    }

    /// The body of a request that begins with the pending bytes.
    pub(crate) fn body(self: &Rc<Self>, framing: Framing, expects_continue: bool) -> ClientBody {
        self.reading.set(true);
        self.holding_back.set(expects_continue);
        let length = match framing {
            Framing::Length(length) => Some(length),
            _ => None,
        };
        let decoder = Decoder::new(framing, self.peer.listener.limits.max_body_bytes);
        ClientBody { client: self.clone(), buffer: self.take_pending(), decoder, length, ready: 0, large: false }
    }

    /// True if the running request's body has not ended, whoever reads it.
    pub(crate) const fn is_reading(&self) -> bool {
        self.reading.get()
    }

    /// True if the client may be waiting for a 100 with its body.
    pub(crate) const fn is_holding_back(&self) -> bool {
        self.holding_back.get()
    }

    /// The unread rest of the running request's body.
    pub(crate) fn take_unread(&self) -> Option<Box<Decoder>> {
        self.unread.take()
    }

    /// How much of the body nobody reads any more, if that is so: `None` within is "not known".
    pub(crate) fn unread_length(&self) -> Option<Option<u64>> {
        let decoder = self.unread.take();
        let length = decoder.as_ref().map(|decoder| decoder.remaining());
        self.unread.set(decoder);
        length
    }

    /// Sends all of `bytes`; false if the client is gone or takes too long.
    pub(crate) async fn send(&self, bytes: &[u8]) -> bool {
        let mut sent = 0;
        poll_fn(|cx| {
            while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
                match ready!(self.poll_send(cx, rest)) {
                    Ok(n) if n > 0 => sent += n,
                    _ => return Poll::Ready(false),
                }
            }
            self.poll_flush(cx)
        })
        .await
    }

    /// Sends what the stream still holds back; false if the client is gone or takes too long.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<bool> {
        match Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
            Poll::Pending if self.is_write_overdue(cx) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_write_overdue(&self, cx: &mut Context<'_>) -> bool {
        let limit = self.peer.listener.limits.idle_timeout;
        self.deadline.overdue(Wait::ClientWrite, limit, cx) || self.deadline.is_over(Wait::Total)
    }

    /// Sends some of `bytes`. A client that takes nothing for as long as an idle one may be silent is given up, and so is
    /// one that takes nothing when the time for the whole exchange is over.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes) {
            Poll::Pending => {
                if self.is_write_overdue(cx) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending
            }
            ready => {
                self.deadline.done(Wait::ClientWrite);
                ready
            }
        }
    }

    /// Ends the connection so that a client that is still sending gets to read the answer: closing at once with unread
    /// bytes would reset it (RFC 9112 §9.6).
    pub(crate) async fn linger(&self) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
        const MOST: usize = 1 << 20;
        let mut scrap = self.take_pending();
        let mut read = 0;
        self.deadline.start(Wait::ClientRead, PATIENCE);
        poll_fn(|cx| {
            if ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            loop {
                let all = scrap.data().len();
                scrap.consume(all);
                match self.stream.borrow_mut().poll_fill(cx, scrap.room(false)) {
                    Poll::Ready(Ok(n)) if n > 0 && read < MOST => read += n,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if self.deadline.overdue(Wait::ClientRead, PATIENCE, cx) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }
}

impl Caller for Client {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.stream.borrow().local_address()
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> bool {
        if self.heard_more.get() || self.stream.borrow().poll_readable(cx).is_pending() {
            return false;
        }
        // Bytes of the next request or the end of the stream stay readable: it is not asked twice.
        self.heard_more.set(true);
        self.stream.borrow().is_reset()
    }

    fn send_interim<'a>(
        &'a self,
        status: StatusCode,
        headers: &'a Headers,
    ) -> Pin<Box<dyn Future<Output = bool> + 'a>> {
        if status == StatusCode::CONTINUE {
            self.holding_back.set(false);
        }
        Box::pin(async move {
            let mut out = Vec::with_capacity(64);
            write::interim(&mut out, status, headers);
            self.send(&out).await
        })
    }
}

/// The body of a client's request. While it lives it owns the connection's unused bytes; it gives them back.
pub(crate) struct ClientBody {
    client: Rc<Client>,
    buffer: Buffer,
    decoder: Decoder,
    length: Option<u64>,
    ready: usize,
    /// The last read filled its room: the next may be larger.
    large: bool,
}

impl ClientBody {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let room = self.buffer.room(self.large);
        let space = room.capacity() - room.len();
        match self.client.stream.borrow_mut().poll_fill(cx, room) {
            Poll::Ready(Ok(n)) if n > 0 => {
                self.client.deadline.done(Wait::ClientRead);
                self.client.holding_back.set(false);
                self.large = n == space;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Err(BodyError::Truncated)),
            Poll::Pending
                if self.client.deadline.overdue(
                    Wait::ClientRead,
                    self.client.peer.listener.limits.body_timeout,
                    cx,
                ) =>
            {
                Poll::Ready(Err(BodyError::TimedOut))
            }
            Poll::Pending => {
                self.buffer.release();
                Poll::Pending
            }
        }
    }
}

impl BodyStream for ClientBody {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        loop {
            let (skipped, step) = self.decoder.advance(self.buffer.data())?;
            self.buffer.consume(skipped);
            match step {
                Step::Data(n) => {
                    self.ready = n;
                    return Poll::Ready(Ok(true));
                }
                Step::End => {
                    self.ready = 0;
                    self.client.reading.set(false);
                    return Poll::Ready(Ok(false));
                }
                Step::More => {
                    self.ready = 0;
                    ready!(self.poll_more(cx))?;
                }
            }
        }
    }

    fn data(&self) -> &[u8] {
        self.buffer.data().get(..self.ready).unwrap_or_default()
    }

    fn consume(&mut self, n: usize) {
        self.decoder.consumed(n);
        self.buffer.consume(n);
        self.ready -= n.min(self.ready);
        if self.decoder.is_done() {
            self.client.reading.set(false);
        }
    }

    fn length(&self) -> Option<u64> {
        self.length
    }

    fn trailers(&mut self) -> Option<Headers> {
        self.decoder.take_trailers()
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        self.client.put_pending(std::mem::take(&mut self.buffer));
        self.client.deadline.done(Wait::ClientRead);
        if !self.decoder.is_done() {
            let decoder = std::mem::replace(&mut self.decoder, Decoder::new(Framing::None, 0));
            self.client.unread.set(Some(Box::new(decoder)));
        }
    }
}
