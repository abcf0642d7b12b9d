//! The bodies of an exchange with a service in HTTP/2: that of the request on its way, and that of the answer.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tollgate_core::{Body, BodyError, BodyStream, Headers, Known};

use super::pool::Occupied;
use super::send::Lease;
use crate::caller::Caller;
use crate::http1::framing::forbidden_in_trailers;
use crate::http2::fields;
use crate::timer::Wait;

/// How much of a body is handed to `h2` at once.
const PIECE: usize = 16 * 1024;

/// The body of a request on its way.
pub(super) struct Upload {
    stream: SendStream<Bytes>,
    body: Body,
    waits_for_client: bool,
}

impl Upload {
    pub(super) fn new(stream: SendStream<Bytes>, body: Body) -> Self {
        Self { stream, body, waits_for_client: false }
    }

    /// True if it is the client's turn, to send more.
    pub(super) const fn waits_for_client(&self) -> bool {
        self.waits_for_client
    }

    /// Sends what both sides allow now. Ready when all is sent, or the service takes no more: its answer says why; with an
    /// error when the client's side failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            let left = match &mut self.body {
                Body::Empty => return Poll::Ready(Ok(())),
                Body::Bytes(bytes) => bytes.len(),
                Body::Stream(body) => {
                    self.waits_for_client = true;
                    match ready!(body.poll_fill(cx)) {
                        Ok(true) => {}
                        Ok(false) => return Poll::Ready(self.end()),
                        Err(error) => {
                            self.stream.send_reset(Reason::CANCEL);
                            return Poll::Ready(Err(error));
                        }
                    }
                    self.waits_for_client = false;
                    body.data().len()
                }
            };
            let Some(room) = ready!(self.poll_room(cx, left.min(PIECE))) else { return Poll::Ready(Ok(())) };
            let (piece, end) = self.take(room);
            if self.stream.send_data(piece, end).is_err() || end {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Option<usize>> {
        self.stream.reserve_capacity(wanted);
        loop {
            if self.stream.capacity() > 0 {
                return Poll::Ready(Some(self.stream.capacity().min(wanted)));
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                _ => return Poll::Ready(None),
            }
        }
    }

    /// Takes so many of the bytes at hand; whether they are the last.
    fn take(&mut self, n: usize) -> (Bytes, bool) {
        match &mut self.body {
            Body::Empty => (Bytes::new(), true),
            Body::Bytes(bytes) => {
                let piece = bytes.split_to(n.min(bytes.len()));
                (piece, bytes.is_empty())
            }
            Body::Stream(body) => {
                let data = body.data();
                let piece = Bytes::copy_from_slice(data.get(..n).unwrap_or(data));
                body.consume(piece.len());
                (piece, false)
            }
        }
    }

    fn end(&mut self) -> Result<(), BodyError> {
        let trailers = match &mut self.body {
            Body::Stream(body) => body.trailers().filter(|trailers| !trailers.is_empty()),
            _ => None,
        };
        // If this fails the service is gone or has answered.
        let _ = match trailers {
            Some(trailers) => self.stream.send_trailers(fields::to_map(&trailers)),
            None => self.stream.send_data(Bytes::new(), true),
        };
        Ok(())
    }
}

/// The body of an answer. The service's window opens as the client takes the bytes.
pub(super) struct Answer {
    client: Rc<dyn Caller>,
    stream: RecvStream,
    data: Bytes,
    length: Option<u64>,
    /// The rest of the request, if the answer came before its end.
    upload: Option<Upload>,
    idle: Duration,
    trailers: Option<Headers>,
    ended: bool,
    /// End the counts of the exchange and of the stream when the body ends.
    _held: (Lease, Occupied),
}

impl Answer {
    pub(super) fn new(
        client: Rc<dyn Caller>,
        stream: RecvStream,
        length: Option<u64>,
        upload: Option<Upload>,
        idle: Duration,
        held: (Lease, Occupied),
    ) -> Self {
        let (data, trailers, ended) = (Bytes::new(), None, false);
        Self { client, stream, data, length, upload, idle, trailers, ended, _held: held }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        loop {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    self.data = data;
                    return Poll::Ready(Ok(true));
                }
                // An early answer may end with a reset that means no harm (RFC 9113 §8.1).
                Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => break,
                Some(Err(_)) => return Poll::Ready(Err(BodyError::Truncated)),
                None => break,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx)).unwrap_or_default();
        self.ended = true;
        self.trailers = trailers.map(|map| {
            let mut trailers = fields::from_map(&map, |_| true);
            trailers.retain(|name, _| !forbidden_in_trailers(Known::of(name), name));
            trailers
        });
        Poll::Ready(Ok(false))
    }

    fn is_over_time(&self, cx: &mut Context<'_>) -> bool {
        let deadline = self.client.deadline();
        let mut limit = self.idle;
        match &self.upload {
            Some(upload) if upload.waits_for_client() => {
                deadline.done(Wait::Service);
                limit = Duration::ZERO;
            }
            Some(_) => {}
            None if self.client.poll_gone(cx) => return true,
            None => {}
        }
        deadline.overdue(Wait::Service, limit, cx)
    }
}

impl BodyStream for Answer {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        if self.client.deadline().is_over(Wait::Total) {
            return Poll::Ready(Err(BodyError::TimedOut));
        }
        self.poll_background(cx);
        if !self.data.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let polled = self.poll_piece(cx);
        if polled.is_ready() {
            self.client.deadline().done(Wait::Service);
        } else if self.is_over_time(cx) {
            return Poll::Ready(Err(BodyError::TimedOut));
        }
        polled
    }

    fn data(&self) -> &[u8] {
        &self.data
    }

    fn consume(&mut self, n: usize) {
        self.data.advance(n.min(self.data.len()));
        // It fails only if more is released than came.
        let _ = self.stream.flow_control().release_capacity(n);
    }

    fn length(&self) -> Option<u64> {
        self.length
    }

    fn trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    fn poll_background(&mut self, cx: &mut Context<'_>) {
        if let Some(upload) = &mut self.upload
            && upload.poll(cx).is_ready()
        {
            self.upload = None;
        }
    }
}
