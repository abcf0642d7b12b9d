//! A switched connection: bytes both ways until both sides have closed, or none came for too long.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tollgate_core::response::Tunnel;

use super::exchange::Line;
use super::send::Lease;
use crate::buffer::Buffer;
use crate::http1::client::Client;
use crate::stream::Stream;
use crate::timer::{Deadline, Wait};
use crate::worker::Worker;

/// The service's end of a tunnel.
pub(crate) struct ServiceEnd {
    line: Line,
    idle: Duration,
    _lease: Lease,
}

impl ServiceEnd {
    pub(crate) const fn new(line: Line, idle: Duration, lease: Lease) -> Self {
        Self { line, idle, _lease: lease }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut Stream> {
        Pin::new(&mut self.get_mut().line.stream)
    }
}

impl Tunnel for ServiceEnd {
    fn idle_timeout(&self) -> Duration {
        self.idle
    }
}

impl AsyncRead for ServiceEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        // Bytes that came together with the answer's head.
        let line = &mut self.get_mut().line;
        if !line.buffer.is_empty() {
            let n = line.buffer.data().len().min(room.remaining());
            room.put_slice(line.buffer.data().get(..n).unwrap_or_default());
            line.buffer.consume(n);
            line.buffer.release();
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut line.stream).poll_read(cx, room)
    }
}

impl AsyncWrite for ServiceEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stream().poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// Copies both ways until both are closed; gives how many bytes went to the client.
pub(crate) async fn run(worker: &Rc<Worker>, client: &Client, mut service: Box<dyn Tunnel>) -> u64 {
    let _open = Counted::new(worker);
    let idle = service.idle_timeout();
    let mut flows = Flows::new(client.take_pending());
    client.deadline.done(Wait::Service);
    client.deadline.done(Wait::Total);
    std::future::poll_fn(|cx| {
        let mut stream = client.stream.borrow_mut();
        flows.poll(cx, &mut *stream, &mut *service, &client.deadline, idle)
    })
    .await;
    flows.down.moved
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both sides closed, and each got all that the other sent.
    Closed,
    /// A side broke.
    Broken,
    /// Nothing moved for too long.
    Idle,
}

/// Both directions between a client and a service.
pub(crate) struct Flows {
    up: Flow,
    down: Flow,
}

impl Flows {
    /// Flows of which `pending` came from the client already.
    pub(crate) fn new(pending: Buffer) -> Self {
        Self { up: Flow::new(pending), down: Flow::new(Buffer::default()) }
    }

    /// How many bytes went to the service and to the client.
    pub(crate) const fn moved(&self) -> (u64, u64) {
        (self.up.moved, self.down.moved)
    }

    /// Moves what can be moved, until both are closed or nothing moved for `idle`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
        service: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
        deadline: &Deadline,
        idle: Duration,
    ) -> Poll<Ending> {
        let before = self.moved();
        let both = [self.up.poll(cx, client, service), self.down.poll(cx, service, client)];
        if self.moved() != before {
            deadline.done(Wait::Service);
        }
        match both {
            // A broken side ends both; a closed one only its own direction.
            [Poll::Ready(false), _] | [_, Poll::Ready(false)] => Poll::Ready(Ending::Broken),
            [Poll::Ready(true), Poll::Ready(true)] => Poll::Ready(Ending::Closed),
            _ if deadline.overdue(Wait::Service, idle, cx) => Poll::Ready(Ending::Idle),
            _ => Poll::Pending,
        }
    }
}

/// Reads in a row that fill their room before a larger one is taken: most of what is said in a tunnel is short.
const FULL_READS: u8 = 4;

/// One direction of a tunnel.
struct Flow {
    buffer: Buffer,
    moved: u64,
    /// Reads in a row that filled their room.
    full_reads: u8,
    ended: bool,
    closed: bool,
}

impl Flow {
    const fn new(buffer: Buffer) -> Self {
        Self { buffer, moved: 0, full_reads: 0, ended: false, closed: false }
    }

    /// Moves what can be moved; ready with true when the end was passed on, with false when a side broke.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin + ?Sized),
        to: &mut (impl AsyncWrite + Unpin + ?Sized),
    ) -> Poll<bool> {
        loop {
            if self.closed {
                return Poll::Ready(true);
            }
            while !self.buffer.is_empty() {
                match ready!(Pin::new(&mut *to).poll_write(cx, self.buffer.data())) {
                    Ok(n) if n > 0 => {
                        self.buffer.consume(n);
                        self.moved += n as u64;
                    }
                    _ => return Poll::Ready(false),
                }
            }
            if self.ended {
                self.closed = ready!(Pin::new(&mut *to).poll_shutdown(cx)).is_ok();
                return Poll::Ready(self.closed);
            }
            let room = self.buffer.room(self.full_reads >= FULL_READS);
            let space = room.capacity() - room.len();
            match tokio_util::io::poll_read_buf(Pin::new(&mut *from), cx, room) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(n)) => {
                    self.full_reads = if n == space { self.full_reads.saturating_add(1) } else { 0 };
                }
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => {
                    self.buffer.release();
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Counts a tunnel for as long as it is open.
struct Counted<'a>(&'a Worker);

impl<'a> Counted<'a> {
    fn new(worker: &'a Worker) -> Self {
        worker.count(|count| count.tunnels_open.add(1));
        Self(worker)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.count(|count| count.tunnels_open.sub(1));
    }
}
