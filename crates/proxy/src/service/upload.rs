//! A request on its way to a target: its head, then its body as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tollgate_core::{Body, BodyError, BodyStream, Request};

use crate::buffer;
use crate::http1::write::{self, Coding};
use crate::stream::Stream;

/// How much of a body joins the head in the first write, or becomes one chunk.
const TOGETHER: usize = buffer::SMALL;

/// Why a request could not be sent to its end.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The client's side failed.
    Client(BodyError),
    /// The target does not take it; its connection says why, if anything does.
    Target,
}

/// What an upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The client, for more of the body.
    Client,
    /// The target, for room.
    Target,
}

/// The state of a request's sending.
pub(crate) struct Upload {
    out: Vec<u8>,
    written: usize,
    head: usize,
    /// The length of the body, if it is known.
    length: Option<u64>,
    coding: Coding,
    body: Option<Box<dyn BodyStream>>,
    /// All that was sent so far is still in `out`.
    whole: bool,
    waiting: Waiting,
    failed: bool,
}

impl Drop for Upload {
    fn drop(&mut self) {
        buffer::give(std::mem::take(&mut self.out));
    }
}

impl Upload {
    /// Prepares to send `request`, whose body it takes.
    pub(crate) fn new(request: &mut Request, base: &str) -> Self {
        let mut out = buffer::take();
        let length = request.body.length();
        let coding = write::request(&mut out, request, base, length);
        let head = out.len();
        let body = match std::mem::take(&mut request.body) {
            Body::Empty => None,
            Body::Bytes(bytes) => {
                out.extend_from_slice(&bytes);
                None
            }
            Body::Stream(stream) => Some(stream),
        };
        Self { out, written: 0, head, length, coding, body, whole: true, waiting: Waiting::Target, failed: false }
    }

    /// True once all of the request was written.
    pub(crate) fn is_done(&self) -> bool {
        self.body.is_none() && self.written == self.out.len() && !self.failed
    }

    /// True if the request can be sent again from its beginning.
    pub(crate) const fn can_restart(&self) -> bool {
        self.whole && self.body.is_none()
    }

    /// True if not a byte went out yet.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.whole && self.written == 0
    }

    /// True if the target stopped taking the request.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) const fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Begins again, with the head of `request` for another target.
    pub(crate) fn restart(&mut self, request: &Request, base: &str) {
        let mut out = buffer::take();
        write::request(&mut out, request, base, self.length);
        let head = out.len();
        out.extend_from_slice(self.out.get(self.head..).unwrap_or_default());
        buffer::give(std::mem::replace(&mut self.out, out));
        self.head = head;
        self.written = 0;
        self.failed = false;
    }

    /// Begins again with the same bytes.
    pub(crate) const fn rewind(&mut self) {
        self.written = 0;
        self.failed = false;
    }

    /// Sends as much as both sides allow now; ready when all was sent.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, target: &mut Stream) -> Poll<Result<(), UploadError>> {
        loop {
            if self.failed {
                return Poll::Pending;
            }
            // The first bytes of the body join the head in one write.
            if self.body.is_some() && self.out.len() < TOGETHER && self.is_untouched() && self.poll_join(cx)? {
                continue;
            }
            if self.written < self.out.len() {
                self.waiting = Waiting::Target;
                ready!(self.poll_write(cx, target))?;
                continue;
            }
            self.waiting = Waiting::Target;
            if ready!(Pin::new(&mut *target).poll_flush(cx)).is_err() {
                return self.fail();
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
            self.waiting = Waiting::Client;
            let more = ready!(body.poll_fill(cx)).map_err(UploadError::Client)?;
            self.whole = false;
            self.out.clear();
            self.written = 0;
            if !more {
                self.end();
            } else if self.coding == Coding::Chunked {
                write::chunk(&mut self.out, body.data());
                let taken = body.data().len();
                body.consume(taken);
                // What else is at hand joins it in one write.
                while self.out.len() < TOGETHER && self.poll_join(cx)? {}
            } else {
                self.waiting = Waiting::Target;
                match ready!(Pin::new(&mut *target).poll_write(cx, body.data())) {
                    Ok(n) if n > 0 => body.consume(n),
                    _ => return self.fail(),
                }
            }
        }
    }

    /// Takes what the body has at hand into `out`; false if that is nothing more.
    fn poll_join(&mut self, cx: &mut Context<'_>) -> Result<bool, UploadError> {
        let Some(body) = &mut self.body else { return Ok(false) };
        match body.poll_fill(cx) {
            Poll::Ready(Ok(true)) => {
                let data = body.data();
                let room = TOGETHER.saturating_sub(self.out.len());
                let data = data.get(..room).unwrap_or(data);
                let taken = data.len();
                if self.coding == Coding::Chunked {
                    write::chunk(&mut self.out, data);
                } else {
                    self.out.extend_from_slice(data);
                }
                body.consume(taken);
                Ok(true)
            }
            Poll::Ready(Ok(false)) => {
                self.end();
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(UploadError::Client(error)),
            Poll::Pending => Ok(false),
        }
    }

    /// The body has ended.
    fn end(&mut self) {
        if let Some(mut body) = self.body.take()
            && self.coding == Coding::Chunked
        {
            write::last_chunk(&mut self.out, body.trailers().as_ref());
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, target: &mut Stream) -> Poll<Result<(), UploadError>> {
        let rest = self.out.get(self.written..).unwrap_or_default();
        match ready!(Pin::new(target).poll_write(cx, rest)) {
            Ok(n) if n > 0 => {
                self.written += n;
                Poll::Ready(Ok(()))
            }
            _ => self.fail(),
        }
    }

    const fn fail(&mut self) -> Poll<Result<(), UploadError>> {
        self.failed = true;
        Poll::Ready(Err(UploadError::Target))
    }
}
