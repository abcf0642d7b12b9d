//! The compiled config: listeners → routes → chains → services. Immutable, shared by all workers, swapped whole.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ipnet::IpNet;
use tollgate_core::metrics::Series;
use tollgate_core::{Chain, RouteInfo};
use tollgate_tls::ServerTls;

use crate::log::LogSink;
use crate::route::Router;
use crate::service::Service;

/// All that the data plane knows of the config.
pub struct Snapshot {
    /// Finds an index into `routes`.
    pub router: Router<usize>,
    /// Finds an index into `routes` by the host that a TLS client names, for listeners that pass TLS through.
    pub tls_router: Router<usize>,
    /// The service of each listener that has one of its own, by the listener's id, as an index into `services`.
    pub listener_services: HashMap<u16, usize>,
    /// The routes.
    pub routes: Vec<Route>,
    /// What a request runs through that no route takes: the global plugins, and no service.
    pub unrouted: Route,
    /// The services.
    pub services: Vec<Service>,
    /// Where the access log goes, if there is one.
    pub access_log: Option<AccessLog>,
}

/// A route, compiled.
pub struct Route {
    /// Its names.
    pub info: RouteInfo,
    /// Its plugins in order.
    pub chain: Chain,
    /// Its service as an index into [`Snapshot::services`].
    pub service: Option<usize>,
    /// Removes what a prefix matched from the path.
    pub strip_path: bool,
    /// Gives the path a new form.
    pub rewrite_path: Option<Vec<PathPart>>,
    /// Its path rewriting or one of its plugins reads what its paths capture.
    pub uses_captures: bool,
    /// Sends the client's `Host` on; the target's own otherwise.
    pub preserve_host: bool,
    /// Its counts.
    pub series: Arc<Series>,
}

/// A part of a rewritten path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// Text.
    Literal(String),
    /// What the route's path captured under this name (`id`, or `1` for a regex group).
    Capture(String),
}

/// Where access-log lines go.
pub struct AccessLog {
    /// The writer.
    pub sink: Arc<dyn LogSink>,
    /// The share of requests that is logged, 0 to 1.
    pub sample: f64,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    Http,
    /// Anything: its bytes are passed on.
    Tcp,
    /// TLS that is passed on as it is, by the host that the client names.
    TlsPassthrough,
}

impl Protocol {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::TlsPassthrough => "tls-passthrough",
        }
    }
}

/// A listener, compiled. A connection keeps the one it was accepted with.
#[derive(Debug)]
pub struct Listener {
    /// Stays the same for an address over all reloads.
    pub id: u16,
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// What is spoken there.
    pub protocol: Protocol,
    /// TLS, if it is spoken.
    pub tls: Option<Arc<ServerTls>>,
    /// Each connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// Peers whose word about their clients is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What its clients may do.
    pub limits: Limits,
    /// How many connections it has, over all workers and reloads.
    pub open: Arc<AtomicUsize>,
}

impl Listener {
    /// True if this peer's word about its clients is believed.
    #[must_use]
    pub fn trusts(&self, peer: SocketAddr) -> bool {
        let ip = peer.ip().to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&ip))
    }
}

/// The limits of a listener (`limits` in the config).
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is the key of its name, described there")]
pub struct Limits {
    pub max_connections: usize,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    pub body_timeout: Duration,
    pub max_header_bytes: usize,
    pub max_headers: usize,
    pub max_uri_bytes: usize,
    pub max_body_bytes: u64,
    pub max_streams: u32,
}
