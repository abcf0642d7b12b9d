//! What a service speaks: `protocol:` and the scheme of its `url:`.

use crate::text::{shown_as_written, written_as_text};
use std::fmt;
use std::str::FromStr;

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ServiceProtocol {
    /// HTTP/1.1 over clear text.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
    /// HTTP/2 over clear text.
    H2c,
    /// gRPC over clear text, which is HTTP/2.
    Grpc,
    /// gRPC over TLS.
    Grpcs,
}

impl ServiceProtocol {
    const ALL: [Self; 5] = [Self::Http, Self::Https, Self::H2c, Self::Grpc, Self::Grpcs];

    /// Its name, which is the scheme of a URL as well.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
        }
    }

    /// Whether it goes over TLS.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }

    /// Whether it is HTTP/2 and nothing else.
    #[must_use]
    pub fn is_http2(self) -> bool {
        matches!(self, Self::H2c | Self::Grpc | Self::Grpcs)
    }

    /// The port of a URL that has none.
    #[must_use]
    pub fn default_port(self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }
}

/// Why a text is not a [`ServiceProtocol`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `http`, `https`, `h2c`, `grpc` or `grpcs`, found `{0}`")]
pub struct ServiceProtocolError(String);

impl FromStr for ServiceProtocol {
    type Err = ServiceProtocolError;

    fn from_str(text: &str) -> Result<Self, ServiceProtocolError> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.name() == text);
        found.ok_or_else(|| ServiceProtocolError(text.to_owned()))
    }
}

impl fmt::Display for ServiceProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

written_as_text!(ServiceProtocol, "`http`, `https`, `h2c`, `grpc` or `grpcs`", {
    "description": "What a service speaks.",
    "enum": ["http", "https", "h2c", "grpc", "grpcs"],
});
shown_as_written!(ServiceProtocol);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_written_by_its_name() {
        for protocol in ServiceProtocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert!("HTTP".parse::<ServiceProtocol>().is_err());
        assert!("tcp".parse::<ServiceProtocol>().is_err());
    }
}
