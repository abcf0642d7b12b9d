//! One try: a request over one connection, until the head of its final answer.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, StatusCode, Version};
use tollgate_core::{BodyError, Request, Upgrade};

use super::Timeouts;
use super::pool::Pool;
use super::upload::{Upload, UploadError, Waiting};
use crate::buffer::Buffer;
use crate::caller::Caller;
use crate::http1::answer::{self, AnswerError, Head};
use crate::stream::Stream;
use crate::timer::{Wait, coarse_now};

/// A connection to a target, while it is in use.
pub(crate) struct Line {
    pub(crate) stream: Stream,
    pub(crate) buffer: Buffer,
    pub(crate) pool: Rc<Pool>,
    /// It served a request before.
    pub(crate) reused: bool,
}

impl Line {
    /// Gives the connection back for the next request, if nothing is left on it.
    pub(crate) fn release(mut self) {
        self.buffer.release();
        if self.buffer.is_empty() {
            self.pool.put(self.stream, coarse_now());
        }
    }
}

/// Why a try brought no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client's body failed.
    Client(BodyError),
    /// The client is gone.
    ClientGone,
    /// The target closed, or failed, before the first byte of an answer.
    Silent(Option<std::io::Error>),
    /// It closed within the head of its answer.
    Truncated,
    /// Its answer is not acceptable.
    Answer(AnswerError),
    /// It sent interim answers without end.
    Interim,
    /// Nothing came in time.
    Timeout(Duration),
}

/// Interim answers that a service may send before its final one.
const MAX_INTERIM: u32 = 32;

/// What the answer depends on.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) upgrade: Option<Upgrade>,
    /// The client understands interim answers.
    pub(crate) interim: bool,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        Self { method: request.method.clone(), upgrade: request.upgrade, interim: request.version != Version::HTTP_10 }
    }
}

/// Sends what `upload` holds and waits for the final answer; interim ones are passed on.
pub(crate) async fn run(
    line: &mut Line,
    upload: &mut Upload,
    asked: &Asked,
    client: &dyn Caller,
    timeouts: &Timeouts,
) -> Result<Head, Failure> {
    let mut got_any = false;
    let mut asleep = false;
    for _ in 0..MAX_INTERIM {
        let head = std::future::poll_fn(|cx| match poll_head(line, upload, asked, client, &mut got_any, cx) {
            Poll::Pending => poll_time(upload, client, timeouts, &mut asleep, cx),
            ready @ Poll::Ready(_) => ready,
        })
        .await;
        let head = head?;
        line.buffer.consume(head.length);
        got_any = true;
        let status = head.response.status;
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            client.deadline().done(Wait::Service);
            return Ok(head);
        }
        if asked.interim && !client.send_interim(status, &head.response.headers).await {
            return Err(Failure::ClientGone);
        }
    }
    Err(Failure::Interim)
}

fn poll_head(
    line: &mut Line,
    upload: &mut Upload,
    asked: &Asked,
    client: &dyn Caller,
    got_any: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Head, Failure>> {
    let before = upload.is_done();
    match upload.poll(cx, &mut line.stream) {
        Poll::Ready(Err(UploadError::Client(error))) => return Poll::Ready(Err(Failure::Client(error))),
        // A target that stops taking the request may have answered already: what it says is worth reading.
        Poll::Ready(Err(UploadError::Target) | Ok(())) | Poll::Pending => {}
    }
    if !before && upload.is_done() {
        client.deadline().done(Wait::Service);
    }
    loop {
        if !line.buffer.is_empty() {
            match answer::parse(line.buffer.data(), &asked.method, asked.upgrade) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Failure::Answer(error))),
            }
        }
        match line.stream.poll_fill(cx, line.buffer.room(false)) {
            Poll::Ready(Ok(n)) if n > 0 => *got_any = true,
            Poll::Ready(_) if *got_any => return Poll::Ready(Err(Failure::Truncated)),
            Poll::Ready(outcome) => return Poll::Ready(Err(Failure::Silent(outcome.err()))),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Nothing moves: whose turn is it, and for how long? `asleep` says whether it was so before.
fn poll_time(
    upload: &Upload,
    client: &dyn Caller,
    timeouts: &Timeouts,
    asleep: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Head, Failure>> {
    let sending = !upload.is_done() && !upload.has_failed();
    let limit = match upload.waiting() {
        // The body's own time-out runs.
        Waiting::Client if sending => {
            client.deadline().done(Wait::Service);
            Duration::ZERO
        }
        Waiting::Target if sending => timeouts.idle,
        _ => timeouts.first_byte,
    };
    let first = !std::mem::replace(asleep, true);
    if client.deadline().overdue(Wait::Service, limit, cx) {
        return Poll::Ready(Err(Failure::Timeout(limit)));
    }
    // Most answers come before it is worth looking whether the client is still there.
    if sending || first {
        client.deadline().glance();
    } else if client.poll_gone(cx) {
        return Poll::Ready(Err(Failure::ClientGone));
    }
    if client.deadline().is_over(Wait::Total) {
        return Poll::Ready(Err(Failure::Timeout(timeouts.total)));
    }
    Poll::Pending
}
