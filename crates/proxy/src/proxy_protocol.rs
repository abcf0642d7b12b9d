//! The PROXY protocol (HAProxy's `proxy-protocol.txt`, versions 1 and 2): a proxy that passes connections on says in a
//! header before the first byte whom each comes from.
//!
//! Towards clients `proxy_protocol` asks for it, and `peer` reads it; towards services it is written with `send_proxy`, by
//! `write::header`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

pub(crate) mod header;
pub(crate) mod write;

pub use write::Version;

use crate::snapshot::Listener;
use crate::stream::Stream;
use crate::timer::{Deadline, Wait};
use crate::worker::Worker;
use header::{HeaderError, Source};

/// What a header of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part of a header of version 2 that is always there: signature, command, family, length.
const V2_FIXED: usize = SIGNATURE.len() + 4;

/// Why a connection is closed before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Nothing came, and nothing was lost: a health check that only connects, or the end of the gateway.
    Silent,
    /// The listener does not trust the peer to name others.
    Untrusted,
    /// The header is not acceptable.
    Header(HeaderError),
    /// It did not come in time, or broke off.
    Incomplete,
}

/// Whom the connection comes from by its header, of which nothing is left to be read; `None` if it has to be closed.
pub(crate) async fn peer(
    worker: &Worker,
    stream: &Stream,
    listener: &Listener,
    peer: Option<SocketAddr>,
) -> Option<SocketAddr> {
    let refusal = match (stream, peer) {
        (Stream::Tcp(socket), Some(peer)) if listener.trusts(peer) => match read(worker, socket, listener).await {
            Ok(Source::Client(client)) => return Some(client),
            Ok(Source::Peer) => return Some(peer),
            Err(refusal) => refusal,
        },
        _ => Refusal::Untrusted,
    };
    if refusal != Refusal::Silent {
        worker.count(|count| count.proxy_headers_refused.add(1));
    }
    None
}

/// Reads the header and not a byte more, so that whoever comes next need not know of it.
async fn read(worker: &Worker, socket: &TcpStream, listener: &Listener) -> Result<Source, Refusal> {
    let deadline = Deadline::new(&worker.timers);
    let mut bytes = vec![0; header::MAX];
    let mut read = 0;
    poll_fn(|cx| {
        loop {
            let mut room = ReadBuf::new(bytes.get_mut(read..).unwrap_or_default());
            match socket.poll_peek(cx, &mut room) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    if let Some(source) = take(socket, &mut bytes, &mut read, n)? {
                        return Poll::Ready(Ok(source));
                    }
                }
                Poll::Ready(_) if read == 0 => return Poll::Ready(Err(Refusal::Silent)),
                Poll::Ready(_) => return Poll::Ready(Err(Refusal::Incomplete)),
                Poll::Pending if read == 0 && worker.shared.is_draining() => {
                    return Poll::Ready(Err(Refusal::Silent));
                }
                Poll::Pending if overdue(&deadline, listener.limits.header_timeout, cx) => {
                    return Poll::Ready(Err(Refusal::Incomplete));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

fn overdue(deadline: &Deadline, limit: Duration, cx: &mut std::task::Context<'_>) -> bool {
    deadline.overdue(Wait::ClientRead, limit, cx)
}

/// Of `peeked` bytes behind those that were read, takes what belongs to the header.
fn take(socket: &TcpStream, bytes: &mut [u8], read: &mut usize, peeked: usize) -> Result<Option<Source>, Refusal> {
    let seen = bytes.get(..*read + peeked).unwrap_or_default();
    let parsed = header::parse(seen).map_err(Refusal::Header)?;
    let end = parsed.map_or(*read + peeked, |(_, length)| length);
    let wanted = bytes.get_mut(*read..end).unwrap_or_default();
    // They are there, so this neither waits nor gets less.
    if socket.try_read(wanted).ok() != Some(end - *read) {
        return Err(Refusal::Incomplete);
    }
    *read = end;
    Ok(parsed.map(|(source, _)| source))
}
