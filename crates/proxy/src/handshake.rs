//! TLS with clients (RFC 8446, RFC 5246): the handshake, and what it says about the connection.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio_rustls::{TlsAcceptor, TlsStream};
use tollgate_tls::{ACME_TLS_ALPN, ServerTls};

use crate::snapshot::Listener;
use crate::stream::Stream;
use crate::timer::{Deadline, Wait};
use crate::worker::Worker;

/// What a client's handshake came to.
pub(crate) struct Secured {
    pub(crate) stream: Stream,
    pub(crate) session: Session,
    /// The client chose HTTP/2.
    pub(crate) http2: bool,
}

/// What is known of a connection's TLS.
pub(crate) struct Session {
    tls: Arc<ServerTls>,
    /// The name that the client asked for.
    sni: Option<Box<str>>,
}

impl Session {
    /// Whether the certificate that the client got is for this host as well; see [`ServerTls::covers`].
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.tls.covers(self.sni.as_deref(), host)
    }
}

/// Shakes hands within the listener's time for a head; `None` if that comes to nothing: the client was told why by an
/// alert.
pub(crate) async fn accept(
    worker: &Rc<Worker>,
    stream: Stream,
    listener: &Listener,
    tls: &Arc<ServerTls>,
) -> Option<Secured> {
    let deadline = Deadline::new(&worker.timers);
    let mut handshake = std::pin::pin!(TlsAcceptor::from(tls.config()).accept(stream));
    let shaken = poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(shaken) => Poll::Ready(shaken.ok()),
        Poll::Pending if worker.shared.is_draining() => Poll::Ready(None),
        Poll::Pending if deadline.overdue(Wait::ClientRead, listener.limits.header_timeout, cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    let Some(shaken) = shaken.await else {
        worker.count(|count| count.handshakes_failed.add(1));
        return None;
    };
    worker.count(|count| count.handshakes.add(1));
    let (_, connection) = shaken.get_ref();
    let sni = connection.server_name().map(Box::from);
    let protocol = connection.alpn_protocol();
    // An authority that came to see a challenge has seen it: nothing is said on that connection (RFC 8737 §3).
    if protocol == Some(ACME_TLS_ALPN) {
        return None;
    }
    let http2 = protocol == Some(b"h2");
    let session = Session { tls: tls.clone(), sni };
    Some(Secured { stream: Stream::Tls(Box::new(TlsStream::from(shaken))), session, http2 })
}
