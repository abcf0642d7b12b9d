//! `listeners:`

use crate::address::ListenAddress;
use crate::name::Name;
use crate::tls::ListenerTls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_core::document::{Cidr, Duration, Size};

/// An address that clients connect to. HTTP/1.1, HTTP/1.0 and the upgrade to WebSocket are always spoken.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Its name, by which routes refer to it.
    pub name: Name,
    /// Where to listen: `0.0.0.0:8080`, `[::]:8080` or `unix:/run/tollgate.sock`.
    pub address: ListenAddress,
    /// What is spoken there. Default: `http`.
    #[serde(default)]
    pub protocol: Protocol,
    /// Where the connections of a listener for `tcp` go; for `tls-passthrough`, those that no route takes.
    #[serde(default)]
    pub service: Option<Name>,
    /// Whether each connection begins with a PROXY header, of version 1 or 2, that says whom it comes from. It is taken
    /// from `trusted_proxies` only; other peers are turned away. Default: false.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Its certificates, and how it speaks TLS. Default: clear text.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// The networks of proxies in front of Tollgate whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed.
    /// Default: none.
    #[serde(default)]
    pub trusted_proxies: Vec<Cidr>,
    /// What a client may use. All limits have safe defaults.
    #[serde(default)]
    pub limits: Limits,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP.
    #[default]
    Http,
    /// Anything: the bytes are passed on to the listener's service.
    Tcp,
    /// TLS, passed on as it is to the route of the host that the client names.
    TlsPassthrough,
}

/// What a client of a listener may use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time. Past it new ones wait in the backlog. Default: 100000.
    pub max_connections: u32,
    /// How long a client may take to send the head of a request; then 408. Default: 10s. 0: no limit.
    pub header_timeout: Duration,
    /// How long a connection may stay open between requests. Default: 75s. 0: no limit.
    pub idle_timeout: Duration,
    /// How long no byte of a body may come; then 408. Default: 30s. 0: no limit.
    pub body_timeout: Duration,
    /// Bytes of the head of a request, request line included; past it 431. Default: 32KiB, at most 1MiB.
    pub max_header_bytes: Size,
    /// Header lines of a request; past it 431. Default: 100.
    pub max_headers: u32,
    /// Bytes of the request's URI; past it 414. Default: 8KiB.
    pub max_uri_bytes: Size,
    /// Bytes of a body; past it 413. A route's `request-size-limiting` can only lower it. Default: 100MiB.
    pub max_body_bytes: Size,
    /// Requests at a time on one HTTP/2 connection. Default: 100.
    pub max_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            max_header_bytes: Size::from_kib(32),
            max_headers: 100,
            max_uri_bytes: Size::from_kib(8),
            max_body_bytes: Size::from_mib(100),
            max_streams: 100,
        }
    }
}
