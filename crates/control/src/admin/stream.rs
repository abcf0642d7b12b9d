//! Big answers, made on a helper thread and sent as they are made: ten thousand routes' metrics never lie in memory
//! whole, and a client that reads slowly holds up a helper for a bounded time, never the listener.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};

use super::answer::Problem;

/// The bytes of a chunk. A shorter answer goes out whole, with its length.
const CHUNK: usize = 64 * 1024;

/// Chunks made ahead of the client.
const AHEAD: usize = 2;

/// Runs the makers of answers, a few at a time.
#[derive(Clone)]
pub(super) struct Renderer {
    slots: Arc<Semaphore>,
    within: Duration,
}

enum Message {
    Chunk(Bytes),
    /// The last one: without it, the answer was cut short.
    Last(Bytes),
}

impl Renderer {
    /// One that runs so many at once, each from request to end within this time.
    pub(super) fn new(slots: usize, within: Duration) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)), within }
    }

    /// Answers with what the job writes.
    pub(super) async fn render<J>(&self, content_type: &'static str, job: J) -> Response
    where
        J: FnOnce(&mut Chunks) -> io::Result<()> + Send + 'static,
    {
        let deadline = Instant::now() + self.within;
        let Ok(Ok(slot)) = timeout_at(deadline, self.slots.clone().acquire_owned()).await else { return too_late() };
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        let mut chunks = Chunks { buffer: Vec::with_capacity(CHUNK), sender, deadline, runtime: Handle::current() };
        // Its outcome shows in the channel: an end without the last message is a failure, by error or by panic.
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            if job(&mut chunks).is_ok() {
                let last = Message::Last(std::mem::take(&mut chunks.buffer).into());
                let _ = chunks.send(last);
            }
        });
        let body = match timeout_at(deadline, receiver.recv()).await {
            Ok(Some(Message::Last(bytes))) => Body::from(bytes),
            Ok(Some(Message::Chunk(first))) => Body::new(Rest { first: Some(first), receiver: Some(receiver) }),
            Ok(None) => {
                let detail = "The answer could not be made.";
                return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response();
            }
            Err(_) => return too_late(),
        };
        ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
    }
}

fn too_late() -> Response {
    let detail = "The answer was not ready in time; others are being made.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_field(RETRY_AFTER, "5").into_response()
}

/// Where a job writes to.
pub(super) struct Chunks {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Message>,
    deadline: Instant,
    runtime: Handle,
}

impl Chunks {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < CHUNK {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK + CHUNK / 16));
        self.send(Message::Chunk(chunk.into()))
    }

    /// Waits for the client to take the chunks before this one; fails when it has gone, or at the deadline.
    fn send(&self, message: Message) -> io::Result<()> {
        match self.runtime.block_on(timeout_at(self.deadline, self.sender.send(message))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Chunks {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// The body of an answer that was begun. If its maker fails, so does the body, and the client sees it cut short.
struct Rest {
    first: Option<Bytes>,
    receiver: Option<mpsc::Receiver<Message>>,
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        if let Some(first) = body.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(receiver) = &mut body.receiver else { return Poll::Ready(None) };
        match receiver.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Message::Chunk(bytes))) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Poll::Ready(Some(Message::Last(bytes))) => {
                body.receiver = None;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(None) => {
                body.receiver = None;
                Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn rendered(job: impl FnOnce(&mut Chunks) -> io::Result<()> + Send + 'static) -> (StatusCode, Option<usize>) {
        let renderer = Renderer::new(1, Duration::from_secs(10));
        let response = renderer.render("text/plain", job).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        (status, body.ok().map(|bytes| bytes.len()))
    }

    #[tokio::test]
    async fn a_job_that_fails_never_looks_like_one_that_succeeds() {
        assert_eq!(rendered(|out| out.write_all(b"abc")).await, (StatusCode::OK, Some(3)));
        let big = vec![b'x'; 5 * CHUNK + 7];
        let length = big.len();
        assert_eq!(
            rendered(move |out| big.chunks(1000).try_for_each(|part| out.write_all(part))).await,
            (StatusCode::OK, Some(length))
        );

        let early = rendered(|_| Err(io::ErrorKind::Other.into())).await;
        assert_eq!(early.0, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(rendered(|_| panic!("as tests do")).await.0, StatusCode::INTERNAL_SERVER_ERROR);
        let late = |out: &mut Chunks| {
            out.write_all(&[b'x'; CHUNK])?;
            Err(io::ErrorKind::Other.into())
        };
        assert_eq!(rendered(late).await, (StatusCode::OK, None));
    }
}
