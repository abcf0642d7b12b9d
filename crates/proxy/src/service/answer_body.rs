//! The body of a service's answer, read from its connection; the connection goes back to its pool at the end.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tollgate_core::{BodyError, BodyStream, Headers};

use super::exchange::Line;
use super::send::Lease;
use super::upload::{Upload, Waiting};
use crate::caller::Caller;
use crate::http1::framing::{Decoder, Framing, Step};
use crate::timer::Wait;

/// Reads in a row that fill their room before a larger one is taken: a body shorter than that needs none.
const FULL_READS: u8 = 4;

pub(crate) struct AnswerBody {
    client: Rc<dyn Caller>,
    line: Option<Line>,
    decoder: Decoder,
    length: Option<u64>,
    ready: usize,
    /// The connection can serve another request afterwards.
    keep_alive: bool,
    /// The rest of the request, if the answer came before its end.
    upload: Option<Upload>,
    idle: Duration,
    /// Reads in a row that filled their room.
    full_reads: u8,
    /// Ends the count of the exchange when the body ends.
    _lease: Lease,
}

impl AnswerBody {
    pub(crate) fn new(
        client: Rc<dyn Caller>,
        line: Line,
        framing: Framing,
        keep_alive: bool,
        upload: Option<Upload>,
        idle: Duration,
        lease: Lease,
    ) -> Self {
        let length = match framing {
            Framing::Length(length) => Some(length),
            _ => None,
        };
        let decoder = Decoder::new(framing, u64::MAX);
        Self {
            client,
            line: Some(line),
            decoder,
            length,
            ready: 0,
            keep_alive,
            upload,
            idle,
            full_reads: 0,
            _lease: lease,
        }
    }

    /// All of the answer came: the connection is free, if the request went out whole as well.
    fn end(&mut self) {
        self.ready = 0;
        self.client.deadline().done(Wait::Service);
        if let Some(line) = self.line.take() {
            let sent = self.upload.take().is_none_or(|upload| upload.is_done());
            if sent && self.keep_alive {
                line.release();
            }
        }
    }

    /// Goes on with sending the request. If that fails the answer may still come, but is the last on its connection.
    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        if let (Some(upload), Some(line)) = (&mut self.upload, &mut self.line)
            && upload.poll(cx, &mut line.stream).is_ready()
        {
            self.keep_alive &= upload.is_done();
            self.upload = None;
        }
    }

    /// Nothing comes: true if that has been so for too long. While the client is sending, it is its turn.
    fn poll_patience(&self, cx: &mut Context<'_>) -> bool {
        let deadline = self.client.deadline();
        let mut limit = self.idle;
        match &self.upload {
            Some(upload) if upload.waiting() == Waiting::Client => {
                deadline.done(Wait::Service);
                limit = Duration::ZERO;
            }
            Some(_) => {}
            // Nothing else would say that it left.
            None if self.client.poll_gone(cx) => return true,
            None => {}
        }
        deadline.overdue(Wait::Service, limit, cx) || deadline.is_over(Wait::Total)
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, BodyError>> {
        let Some(line) = &mut self.line else { return Poll::Ready(Err(BodyError::Truncated)) };
        let room = line.buffer.room(self.full_reads >= FULL_READS);
        let space = room.capacity() - room.len();
        match line.stream.poll_fill(cx, room) {
            Poll::Ready(Ok(n)) => {
                self.client.deadline().done(Wait::Service);
                self.full_reads = if n == space { self.full_reads.saturating_add(1) } else { 0 };
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(BodyError::Truncated)),
            Poll::Pending => {
                line.buffer.release();
                if self.poll_patience(cx) { Poll::Ready(Err(BodyError::TimedOut)) } else { Poll::Pending }
            }
        }
    }
}

impl BodyStream for AnswerBody {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        if self.client.deadline().is_over(Wait::Total) {
            return Poll::Ready(Err(BodyError::TimedOut));
        }
        if self.upload.is_some() {
            self.poll_upload(cx);
        }
        loop {
            let Some(line) = &mut self.line else { return Poll::Ready(Ok(false)) };
            let (skipped, step) = self.decoder.advance(line.buffer.data())?;
            line.buffer.consume(skipped);
            match step {
                Step::Data(n) => {
                    self.ready = n;
                    return Poll::Ready(Ok(true));
                }
                Step::End => {
                    self.end();
                    return Poll::Ready(Ok(false));
                }
                Step::More => match ready!(self.poll_more(cx))? {
                    0 if self.decoder.ends_with_connection() => {
                        self.keep_alive = false;
                        self.end();
                        return Poll::Ready(Ok(false));
                    }
                    0 => return Poll::Ready(Err(BodyError::Truncated)),
                    _ => {}
                },
            }
        }
    }

    fn data(&self) -> &[u8] {
        self.line.as_ref().and_then(|line| line.buffer.data().get(..self.ready)).unwrap_or_default()
    }

    fn consume(&mut self, n: usize) {
        self.decoder.consumed(n);
        if let Some(line) = &mut self.line {
            line.buffer.consume(n);
        }
        self.ready -= n.min(self.ready);
        // The last byte frees the connection, before the client has it.
        if self.decoder.is_done() && self.ready == 0 {
            self.end();
        }
    }

    fn length(&self) -> Option<u64> {
        self.length
    }

    fn trailers(&mut self) -> Option<Headers> {
        self.decoder.take_trailers()
    }

    fn poll_background(&mut self, cx: &mut Context<'_>) {
        // Whoever calls this cannot send what is at hand: large reads only fill memory.
        self.full_reads = 0;
        self.poll_upload(cx);
    }
}
