//! Services: a request goes to one of a service's targets and comes back as an answer.
//!
//! [`send`] is the way of a request through here: [`balance`] picks a target, [`pool`] has a connection or [`connect`]
//! makes one, [`upload`] sends the request while [`exchange`] waits for the answer, [`rewrite`] hides the target in it.

pub(crate) mod answer_body;
pub mod balance;
pub(crate) mod connect;
pub(crate) mod exchange;
mod http2;
mod http2_body;
pub(crate) mod pool;
pub(crate) mod rewrite;
pub(crate) mod send;
pub(crate) mod tunnel;
pub(crate) mod upload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use balance::{Balancer, TargetLoad};
use tollgate_core::metrics::Series;

use crate::proxy_protocol;
use crate::timer::coarse_now;
use tollgate_tls::{ClientTls, ServerName};

/// A service, compiled.
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where its requests go.
    pub targets: Vec<Arc<Target>>,
    /// Chooses among them.
    pub balancer: Balancer,
    /// The balancer looks at what targets are doing.
    pub tracks_load: bool,
    /// What a consistent hash is made of.
    pub hash_on: Option<HashOn>,
    /// Prepended to every path; empty, or with a slash in front and none at the end.
    pub base_path: String,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// What is kept of its connections.
    pub keepalive: Keepalive,
    /// How often a request that could not be sent is tried again.
    pub retries: u32,
    /// It is spoken to in HTTP/2.
    pub http2: bool,
    /// The index of its first target's pool in a worker's view.
    pub first_pool: usize,
}

impl Service {
    /// The target for a request or a connection with this hash that `tried` targets could not be given to. When all were
    /// tried, each may be tried once more, for as long as tries are left.
    pub(crate) fn pick(&self, key: Option<u64>, tried: &[usize]) -> Option<(usize, &Arc<Target>)> {
        let again = || if tried.is_empty() { None } else { self.pick_but(key, &[]) };
        let index = self.pick_but(key, tried).or_else(again)?;
        Some((index, self.targets.get(index)?))
    }

    fn pick_but(&self, key: Option<u64>, tried: &[usize]) -> Option<usize> {
        if self.targets.len() == 1 && tried.is_empty() {
            return Some(0);
        }
        let load = |index: usize| self.targets.get(index).map(|target| &target.load);
        self.balancer.pick(&load, &|index| !tried.contains(&index), key, coarse_now())
    }
}

/// Where a service runs.
pub struct Target {
    /// Distinguishes it from all targets there ever were.
    pub id: u64,
    /// Where to connect to.
    pub address: TargetAddress,
    /// What `Host` says if the client's is not preserved.
    pub authority: String,
    /// How it is spoken to over TLS, if it is.
    pub tls: Option<TargetTls>,
    /// The PROXY header that each connection begins with; such connections serve one client each.
    pub send_proxy: Option<proxy_protocol::Version>,
    /// Its name in logs and metrics.
    pub label: Arc<str>,
    /// Its counts.
    pub series: Arc<Series>,
    /// What it is doing.
    pub load: TargetLoad,
}

impl Target {
    /// What a connection for a client begins with: `peer` at the other end of a connection whose end here is `local`.
    pub(crate) fn opening(&self, peer: Option<SocketAddr>, local: impl FnOnce() -> Option<SocketAddr>) -> Vec<u8> {
        let write = |version| proxy_protocol::write::header(version, peer, local());
        self.send_proxy.map(write).unwrap_or_default()
    }
}

/// How a target is spoken to over TLS.
pub struct TargetTls {
    /// Whom to trust, and what to show.
    pub tls: Arc<ClientTls>,
    /// The name that its certificate must have.
    pub name: ServerName<'static>,
}

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetAddress {
    /// Known.
    Ip(SocketAddr),
    /// To be resolved for each connection by the system's resolver.
    Name(String, u16),
    /// A unix socket.
    Unix(std::path::PathBuf),
}

/// What a consistent hash is made of (`hash_on`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// The client's address.
    Ip,
    /// The request's path.
    Path,
    /// A field's first value.
    Header(String),
    /// A cookie's value.
    Cookie(String),
    /// A query parameter's value, as it is encoded.
    Query(String),
}

/// How long a service may take; zero means no limit.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// From the end of the request to the end of the answer's head.
    pub first_byte: Duration,
    /// Between two bytes of the answer, or of the request if it takes none.
    pub idle: Duration,
    /// For all of it.
    pub total: Duration,
    /// Between two bytes of a tunnel, either way.
    pub tunnel: Duration,
}

/// What is kept of connections that fall idle, in each worker and for each target.
#[derive(Clone, Debug)]
pub struct Keepalive {
    /// How many.
    pub max_idle: usize,
    /// For how long.
    pub idle_timeout: Duration,
}
