//! The client's side of an exchange, as all that is behind it sees it, whatever version of HTTP the client speaks.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use http::StatusCode;
use tollgate_core::{Connection, Headers, Scheme};

use crate::forward::Forwarding;
use crate::handshake::Session;
use crate::last_host::LastHost;
use crate::snapshot::{Address, Listener};
use crate::timer::Deadline;

/// Whoever waits for an answer.
pub(crate) trait Caller {
    /// Its connection.
    fn peer(&self) -> &Peer;

    /// The deadlines of the exchange; its task is woken when one is due.
    fn deadline(&self) -> &Deadline;

    /// The address of our end of its connection; `None` for a unix socket.
    fn local_address(&self) -> Option<SocketAddr>;

    /// True if it went away while an answer is on its way. A client that only closed its own direction still gets the
    /// answer (RFC 9112 §9.6).
    fn poll_gone(&self, cx: &mut Context<'_>) -> bool;

    /// Passes an interim answer on (RFC 9110 §15.2); false if the client is gone.
    fn send_interim<'a>(&'a self, status: StatusCode, headers: &'a Headers)
    -> Pin<Box<dyn Future<Output = bool> + 'a>>;
}

/// A client's connection: what holds for all its requests.
pub(crate) struct Peer {
    pub(crate) listener: Arc<Listener>,
    /// What plugins may know of it.
    pub(crate) info: Connection,
    /// What is known of its TLS, if it speaks that.
    session: Option<Session>,
    /// Its address as text, for the forwarding fields.
    pub(crate) text: Box<str>,
    /// The host its last request asked for.
    pub(crate) host: RefCell<LastHost>,
    /// The forwarding fields of its last request: the next one mostly has the same.
    pub(crate) forwarding: RefCell<Forwarding>,
}

impl Peer {
    pub(crate) fn new(listener: Arc<Listener>, peer: Option<SocketAddr>, session: Option<Session>) -> Self {
        let ip = peer.map(|peer| peer.ip().to_canonical());
        let port = match &listener.address {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) => 0,
        };
        let peer_trusted = peer.is_some_and(|peer| listener.trusts(peer));
        let scheme = if session.is_some() { Scheme::Https } else { Scheme::Http };
        let info = Connection { peer, peer_trusted, scheme, port, listener: listener.name.clone() };
        let text: Box<str> = ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()).into();
        Self { listener, info, session, text, host: RefCell::default(), forwarding: RefCell::default() }
    }

    /// Whether requests for this host may come by the connection.
    pub(crate) fn serves(&self, host: &str) -> bool {
        let Some(session) = &self.session else { return true };
        self.host.borrow_mut().is_covered(host, |host| session.covers(host))
    }
}
