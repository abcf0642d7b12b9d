//! `services:`

use crate::address::TargetAddress;
use crate::name::{HeaderName, Name};
use crate::plugin::PluginUse;
use crate::service_protocol::ServiceProtocol;
use crate::text::written_as_text;
use crate::tls::ServiceTls;
use crate::url::ServiceUrl;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tollgate_core::document::Duration;

/// Where requests are sent: one back end, by its `url` or by its `targets`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name, by which routes refer to it.
    pub name: Name,
    /// The one target, with a path that goes before each request's: `http://127.0.0.1:9001/base`.
    #[serde(default)]
    pub url: Option<ServiceUrl>,
    /// What the targets speak. Default: `http`; with `url` its scheme says it. [`Service::speaks`] is what holds.
    #[serde(default)]
    pub protocol: Option<ServiceProtocol>,
    /// The targets, instead of `url`.
    #[serde(default)]
    pub targets: Option<Vec<Target>>,
    /// How it is spoken to over TLS, by the protocols `https` and `grpcs`. Default: the system's authorities are
    /// trusted, and no certificate is shown.
    #[serde(default)]
    pub tls: Option<ServiceTls>,
    /// The PROXY header that each connection to a target begins with, which says whom it is for. Such connections are
    /// not kept. Default: none.
    #[serde(default)]
    pub send_proxy: Option<SendProxy>,
    /// How a target is picked.
    #[serde(default)]
    pub load_balancing: LoadBalancing,
    /// How long to wait for a target. Each answers 504.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Connections that are kept for further requests.
    #[serde(default)]
    pub keepalive: Keepalive,
    /// When a request is tried again.
    #[serde(default)]
    pub retries: Retries,
    /// Plugins for all routes to this service.
    #[serde(default)]
    pub plugins: Vec<PluginUse>,
}

impl Service {
    /// What the service speaks: by the scheme of its `url`, or else by its `protocol`.
    #[must_use]
    pub fn speaks(&self) -> ServiceProtocol {
        self.url.as_ref().map(|url| url.scheme).or(self.protocol).unwrap_or_default()
    }
}

/// A version of the PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SendProxy {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// One of the places where a service runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// An IP address or a host name, and a port.
    pub address: TargetAddress,
    /// Its share of the requests, next to the weights of the others; 0: none. Default: 100.
    #[serde(default = "Target::default_weight")]
    pub weight: u16,
}

impl Target {
    fn default_weight() -> u16 {
        100
    }
}

/// How a target is picked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoadBalancing {
    /// Default: `round-robin`.
    pub algorithm: Algorithm,
    /// For `consistent-hash`, what is hashed: `ip`, `consumer`, `path`, `header:NAME`, `cookie:NAME` or
    /// `query:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_on: Option<HashOn>,
}

/// A way of picking a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// One after the other, by weight.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way, by weight.
    LeastRequests,
    /// Of two at random, the one with fewer requests under way.
    RandomTwoChoices,
    /// The one with the least latency, as a decaying peak, times the requests under way.
    PeakEwma,
    /// Always the same one for the same value of `hash_on`.
    ConsistentHash,
}

/// What is hashed to pick a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// The client's address.
    Ip,
    /// The consumer.
    Consumer,
    /// The path.
    Path,
    /// A header.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    Query(String),
}

/// How long to wait for a target. 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection. Default: 5s.
    pub connect: Duration,
    /// For the first byte of the answer. Default: 60s.
    pub first_byte: Duration,
    /// Between two bytes of the answer. Default: 60s.
    pub idle: Duration,
    /// For the request as a whole, retries among it. Default: 0, no limit.
    pub total: Duration,
    /// How long nothing may move either way on a connection that was upgraded, to WebSocket say, or that came by a
    /// listener for `tcp` or `tls-passthrough`. Default: 1h.
    pub tunnel: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: Duration::ZERO,
            tunnel: Duration::from_secs(3600),
        }
    }
}

/// Connections to targets that are kept for further requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keepalive {
    /// How many each worker keeps for each target; 0: none. Default: 256.
    pub max_idle: u32,
    /// How long they are kept. Default: 60s.
    pub idle_timeout: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { max_idle: 256, idle_timeout: Duration::from_secs(60) }
    }
}

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Further tries, when no connection could be made or when one that was kept closed before a byte came back.
    /// 0: none; at most 10. Default: 1.
    pub attempts: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1 }
    }
}

/// Why a text is not a [`HashOn`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashOnError {
    /// It is none of them.
    #[error("expected `ip`, `consumer`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`, found `{0}`")]
    Unknown(String),
    /// The name is missing or has characters it can't have.
    #[error("expected a name after `{0}:`")]
    Name(String),
}

impl FromStr for HashOn {
    type Err = HashOnError;

    fn from_str(text: &str) -> Result<Self, HashOnError> {
        let unknown = || HashOnError::Unknown(text.to_owned());
        match text {
            "ip" => return Ok(Self::Ip),
            "consumer" => return Ok(Self::Consumer),
            "path" => return Ok(Self::Path),
            _ => {}
        }
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        let bad_name = || HashOnError::Name(kind.to_owned());
        let token: Result<HeaderName, _> = name.parse();
        match kind {
            "header" => token.map(Self::Header).map_err(|_| bad_name()),
            "cookie" => token.map(|name| Self::Cookie(name.to_string())).map_err(|_| bad_name()),
            "query" if name.is_empty() => Err(bad_name()),
            "query" => Ok(Self::Query(name.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for HashOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip => f.write_str("ip"),
            Self::Consumer => f.write_str("consumer"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

written_as_text!(HashOn, "`ip`, `consumer`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`", {
    "description": "What is hashed to pick a target.",
    "pattern": "^(ip|consumer|path|(header|cookie|query):.+)$",
    "examples": ["ip", "header:X-User-Id"],
});
crate::text::shown_as_written!(HashOn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed() {
        for text in ["ip", "consumer", "path", "header:X-User-Id", "cookie:sid", "query:user id"] {
            assert_eq!(text.parse::<HashOn>().unwrap().to_string(), text);
        }
        for text in ["", "IP", "header", "header:", "header:a b", "cookie:", "query:", "claim:sub"] {
            assert!(text.parse::<HashOn>().is_err(), "{text}");
        }
    }
}
