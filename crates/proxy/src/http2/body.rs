//! The body of a request that comes in HTTP/2.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use tollgate_core::{BodyError, BodyStream, Headers, Known};

use super::caller::Stream;
use super::fields;
use crate::caller::Caller;
use crate::http1::framing::forbidden_in_trailers;
use crate::timer::Wait;

/// See the module. The client's window opens as the bytes are used, so that a slow service holds the client back.
pub(crate) struct StreamBody {
    caller: Rc<Stream>,
    stream: RecvStream,
    data: Bytes,
    length: Option<u64>,
    /// Bytes that may still come.
    left: u64,
    trailers: Option<Headers>,
    ended: bool,
}

impl StreamBody {
    /// `max` is what the listener lets a body have.
    pub(crate) fn new(caller: Rc<Stream>, stream: RecvStream, length: Option<u64>, max: u64) -> Self {
        Self { caller, stream, data: Bytes::new(), length, left: max, trailers: None, ended: false }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        loop {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    self.left = self.left.checked_sub(data.len() as u64).ok_or(BodyError::TooLarge)?;
                    self.data = data;
                    return Poll::Ready(Ok(true));
                }
                Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                None => return self.poll_end(cx),
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        if !self.ended {
            let trailers = ready!(self.stream.poll_trailers(cx)).map_err(|error| broken(&error))?;
            self.ended = true;
            self.trailers = trailers.map(|map| {
                let mut trailers = fields::from_map(&map, |known| known != Known::Identity);
                trailers.retain(|name, _| !forbidden_in_trailers(Known::of(name), name));
                trailers
            });
        }
        Poll::Ready(Ok(false))
    }
}

fn broken(error: &h2::Error) -> BodyError {
    if error.is_reset() || error.is_io() { BodyError::Truncated } else { BodyError::Malformed }
}

impl BodyStream for StreamBody {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        if !self.data.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let polled = self.poll_piece(cx);
        let deadline = self.caller.deadline();
        if polled.is_ready() {
            deadline.done(Wait::ClientRead);
        } else if deadline.overdue(Wait::ClientRead, self.caller.peer().listener.limits.body_timeout, cx) {
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
}
