//! What is known about an exchange while it runs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::reject::Reject;

/// The scheme by which a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What holds for every request of a client's connection.
#[derive(Debug)]
pub struct Connection {
    /// Who is at the other end of the socket; `None` for a unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether the listener trusts that peer to speak for its clients.
    pub peer_trusted: bool,
    /// The scheme of the listener.
    pub scheme: Scheme,
    /// The listener's port; 0 for a unix socket.
    pub port: u16,
    /// The listener's name.
    pub listener: Arc<str>,
}

impl Connection {
    /// The peer's address; the unspecified address for a unix socket.
    #[must_use]
    pub fn peer_ip(&self) -> IpAddr {
        self.peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical())
    }
}

/// The names a route is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteInfo {
    /// The route's name.
    pub name: String,
    /// Its service's name, if it has one.
    pub service: Option<String>,
}

/// What a path template or regex captured: names and percent-encoded text.
pub type Captures = Vec<(Box<str>, Box<str>)>;

/// The exchange so far. One is made for each request and goes through the whole chain.
#[derive(Debug)]
pub struct Context<'c> {
    /// The client's connection.
    pub connection: &'c Connection,
    /// The route that won.
    pub route: &'c RouteInfo,
    /// When the head of the request was complete.
    pub started: Instant,
    /// The client, from trusted proxies only; its peer's address otherwise.
    pub client_ip: IpAddr,
    /// The scheme the client used, likewise.
    pub scheme: Scheme,
    /// The id of the request; empty until the `request-id` plugin ran.
    pub request_id: String,
    /// What the route's path captured, if the route uses it: see [`crate::Plugin::uses_captures`].
    pub captures: Captures,
    /// The request is one of gRPC: what refuses it speaks that.
    pub grpc: bool,
    /// The plugin that answered in place of the service.
    pub answered_by: Option<&'static str>,
    /// Why the request was turned away, for the log.
    pub rejected: Option<Box<Reject>>,
    /// What the service's side noted, for the log.
    pub upstream: Upstream,
}

/// How the exchange with the service went.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// The target's address, if one was picked. Never shown to a client.
    pub target: Option<Arc<str>>,
    /// How many times the request was sent or tried to be sent.
    pub tries: u32,
}

impl<'c> Context<'c> {
    /// A fresh context for one request.
    #[must_use]
    pub fn new(connection: &'c Connection, route: &'c RouteInfo, started: Instant) -> Self {
        Self {
            connection,
            route,
            started,
            client_ip: connection.peer_ip(),
            scheme: connection.scheme,
            request_id: String::new(),
            captures: Captures::new(),
            grpc: false,
            answered_by: None,
            rejected: None,
            upstream: Upstream::default(),
        }
    }
}
