//! The body of a request that comes in HTTP/2.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::RecvStream;
use tollgate_core::{BodyError, BodyStream, Headers, Known};

use super::caller::Stream;
use super::incoming::Incoming;
use crate::caller::Caller;
use crate::timer::Wait;

/// See the module.
pub(crate) struct StreamBody {
    caller: Rc<Stream>,
    incoming: Incoming,
    length: Option<u64>,
    /// Bytes that may still come.
    left: u64,
}

impl StreamBody {
    /// `max` is what the listener lets a body have.
    pub(crate) fn new(caller: Rc<Stream>, stream: RecvStream, length: Option<u64>, max: u64) -> Self {
        Self { caller, incoming: Incoming::new(stream), length, left: max }
    }
}

fn broken(error: &h2::Error) -> BodyError {
    if error.is_reset() || error.is_io() { BodyError::Truncated } else { BodyError::Malformed }
}

impl BodyStream for StreamBody {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        let polled = self.incoming.poll_fill(cx, |known| known != Known::Identity);
        let deadline = self.caller.deadline();
        if polled.is_ready() {
            deadline.done(Wait::ClientRead);
        } else if deadline.overdue(Wait::ClientRead, self.caller.peer().listener.limits.body_timeout, cx) {
            return Poll::Ready(Err(BodyError::TimedOut));
        }
        let Some(new) = ready!(polled).map_err(|error| broken(&error))? else { return Poll::Ready(Ok(false)) };
        self.left = self.left.checked_sub(new as u64).ok_or(BodyError::TooLarge)?;
        Poll::Ready(Ok(true))
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
}
