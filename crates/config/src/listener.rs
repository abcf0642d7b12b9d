//! `listeners:`

use crate::address::ListenAddress;
use crate::name::Name;
use crate::not_built::SENTENCE;
use crate::text::{shown_as_written, written_as_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
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
    /// The networks of proxies in front of Tollgate whose `X-Forwarded-*` and `Forwarded` headers are believed.
    /// Default: none.
    #[serde(default)]
    pub trusted_proxies: Vec<Cidr>,
    /// What a client may use. All limits have safe defaults.
    #[serde(default)]
    pub limits: Limits,
}

/// What a listener or a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP.
    #[default]
    Http,
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

/// Why a text is not a [`Protocol`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// It works in a later version.
    #[error("the protocol `{0}` {SENTENCE}")]
    NotBuilt(String),
    /// It is none.
    #[error("expected `http`, found `{0}`")]
    Unknown(String),
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        match text {
            "http" => Ok(Self::Http),
            "tcp" | "tls-passthrough" | "https" | "h2c" | "grpc" | "grpcs" => {
                Err(ProtocolError::NotBuilt(text.to_owned()))
            }
            _ => Err(ProtocolError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("http")
    }
}

written_as_text!(Protocol, "`http`", { "description": "What is spoken.", "enum": ["http"] });
shown_as_written!(Protocol);
