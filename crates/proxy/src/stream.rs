//! A socket, whatever its kind, read and written by polling.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected socket.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Reads into the spare capacity of `room`; 0 at the end of the stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, room: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        tokio_util::io::poll_read_buf(Pin::new(self), cx, room)
    }

    /// True if the peer sent something or closed, as far as the runtime has heard. Of what came, it may take some.
    pub(crate) fn is_stale(&self) -> bool {
        let mut probe = [0];
        let read = match self {
            Self::Tcp(socket) => socket.try_read(&mut probe),
            Self::Unix(socket) => socket.try_read(&mut probe),
        };
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Asks the kernel whether the peer sent something or closed; takes nothing from it.
    pub(crate) fn is_stale_by_kernel(&self) -> bool {
        !matches!(self.peek(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Asks the kernel whether the peer reset the connection; takes nothing from it.
    pub(crate) fn is_reset(&self) -> bool {
        matches!(self.peek(), Err(error) if error.kind() != io::ErrorKind::WouldBlock)
    }

    fn peek(&self) -> io::Result<usize> {
        let mut probe = [std::mem::MaybeUninit::uninit()];
        match self {
            Self::Tcp(socket) => SockRef::from(socket).peek(&mut probe),
            Self::Unix(socket) => SockRef::from(socket).peek(&mut probe),
        }
    }

    /// Waits until there is something to read (or the end of the stream).
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
