//! A socket, whatever its kind, read and written by polling.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// A connected socket.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// TLS over one of the others. Boxed: every connection would carry its size.
    Tls(Box<TlsStream<Stream>>),
}

impl Stream {
    /// Reads into the spare capacity of `room`; 0 at the end of the stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, room: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        tokio_util::io::poll_read_buf(Pin::new(self), cx, room)
    }

    /// True if the peer sent something or closed, as far as the runtime has heard. Of what came, it may take some.
    pub(crate) fn is_stale(&mut self) -> bool {
        let mut probe = [0];
        let read = match self {
            Self::Tcp(socket) => socket.try_read(&mut probe),
            Self::Unix(socket) => socket.try_read(&mut probe),
            // What came may be no more than a ticket, which is read and kept.
            Self::Tls(stream) => {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                return Pin::new(&mut **stream).poll_read(&mut cx, &mut ReadBuf::new(&mut probe)).is_ready();
            }
        };
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Asks the kernel whether the peer sent something or closed; takes nothing from it.
    pub(crate) fn is_stale_by_kernel(&mut self) -> bool {
        if let Self::Tls(_) = self {
            return self.is_stale();
        }
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
            Self::Tls(stream) => stream.get_ref().0.peek(),
        }
    }

    /// The address of this end; `None` for a unix socket.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.get_ref().0.local_address(),
        }
    }

    /// Makes the end of the connection a reset, where an end like any other would hide that something is missing.
    pub(crate) fn reset_on_close(&self) {
        match self {
            Self::Tcp(socket) => {
                // If this fails the socket is gone already.
                let _ = SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
            }
            Self::Unix(_) => {}
            Self::Tls(stream) => stream.get_ref().0.reset_on_close(),
        }
    }

    /// Waits until there is something to read (or the end of the stream).
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
            Self::Tls(stream) => match stream.get_ref() {
                // Something was decrypted and not taken yet, or the end came.
                (_, session) if !session.wants_read() => Poll::Ready(Ok(())),
                (socket, _) => socket.poll_readable(cx),
            },
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        }
    }

    /// Sends what TLS still holds back; the others hold nothing.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
