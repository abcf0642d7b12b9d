//! The bodies of an exchange with a service in HTTP/2: that of the request on its way, and that of the answer.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use tollgate_core::{Body, BodyError, BodyStream, Headers};

use super::pool::Occupied;
use super::send::Lease;
use crate::caller::Caller;
use crate::http2::fields;
use crate::http2::incoming::Incoming;
use crate::http2::outgoing;
use crate::timer::Wait;

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
            let Some(room) = ready!(outgoing::poll_room(&mut self.stream, cx, left)) else {
                return Poll::Ready(Ok(()));
            };
            let (piece, end) = self.take(room);
            if self.stream.send_data(piece, end).is_err() || end {
                return Poll::Ready(Ok(()));
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
    incoming: Incoming,
    length: Option<u64>,
    /// Bytes that came.
    came: u64,
    /// The rest of the request, if the answer came before its end.
    upload: Option<Upload>,
    idle: Duration,
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
        Self { client, incoming: Incoming::new(stream), length, came: 0, upload, idle, _held: held }
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
        let polled = self.incoming.poll_fill(cx, |_| true);
        if polled.is_ready() {
            self.client.deadline().done(Wait::Service);
        } else if self.is_over_time(cx) {
            return Poll::Ready(Err(BodyError::TimedOut));
        }
        match ready!(polled) {
            Ok(at_hand) => {
                self.came += at_hand.unwrap_or(0) as u64;
                Poll::Ready(Ok(at_hand.is_some()))
            }
            // An early answer may be followed by a reset that means no harm (RFC 9113 §8.1). Whether it was whole shows only by
            // its length.
            Err(error) if error.reason() == Some(Reason::NO_ERROR) && self.length == Some(self.came) => {
                Poll::Ready(Ok(false))
            }
            Err(_) => Poll::Ready(Err(BodyError::Truncated)),
        }
    }

    fn data(&self) -> &[u8] {
        self.incoming.data()
    }

    fn consume(&mut self, n: usize) {
        self.incoming.consume(n);
    }

    fn length(&self) -> Option<u64> {
        self.length
    }

    fn trailers(&mut self) -> Option<Headers> {
        self.incoming.trailers()
    }

    fn poll_background(&mut self, cx: &mut Context<'_>) {
        if let Some(upload) = &mut self.upload
            && upload.poll(cx).is_ready()
        {
            self.upload = None;
        }
    }
}
