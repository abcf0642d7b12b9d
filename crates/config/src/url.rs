//! The URL of a service: `http://127.0.0.1:9001/base`.

use crate::address::{TargetAddress, parse_host};
use crate::path::canonical;
use crate::service_protocol::ServiceProtocol;
use crate::text::written_as_text;
use std::fmt;
use std::str::FromStr;

/// Where a service is: one target, and the path that goes before each request's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceUrl {
    /// What is spoken there.
    pub scheme: ServiceProtocol,
    /// The target.
    pub address: TargetAddress,
    /// What is put before the path of each request: empty, or `/base` without a slash at the end.
    pub base_path: String,
}

/// Why a text is not the URL of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is not a URL.
    #[error("expected a URL such as http://127.0.0.1:9001, found `{0}`")]
    Malformed(String),
    /// It has no scheme.
    #[error("expected a URL such as http://127.0.0.1:9001, found `{0}`\nhelp: put the scheme before it: http://{0}")]
    NoScheme(String),
    /// It has a scheme that services don't have.
    #[error("the scheme `{0}` is not one of http, https, h2c, grpc and grpcs")]
    Scheme(String),
    /// It has a user and a password.
    #[error("the URL of a service can't have a user or a password in it")]
    Userinfo,
    /// It has `?` or `#`.
    #[error("the URL of a service can't have `{0}` in it: only a path that goes before the request's")]
    QueryOrFragment(char),
    /// Its path is not sound.
    #[error("the path of the URL is not valid: {0}")]
    Path(String),
}

impl FromStr for ServiceUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| UrlError::NoScheme(text.to_owned()))?;
        let lower = scheme.to_ascii_lowercase();
        let scheme: ServiceProtocol = lower.parse().map_err(|_| UrlError::Scheme(scheme.to_owned()))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::Userinfo);
        }
        if let Some(sign) = path.chars().find(|c| matches!(c, '?' | '#')) {
            return Err(UrlError::QueryOrFragment(sign));
        }
        let address = match authority.parse() {
            Ok(address) => address,
            Err(_) => TargetAddress { host: parse_host(authority).ok_or_else(malformed)?, port: scheme.default_port() },
        };
        let base_path = match path.trim_end_matches('/') {
            "" => String::new(),
            path => canonical(path).map_err(|error| UrlError::Path(error.to_string()))?,
        };
        Ok(Self { scheme, address, base_path })
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.address, self.base_path)
    }
}

written_as_text!(ServiceUrl, "a URL such as http://127.0.0.1:9001", {
    "description": "Where the service is: a scheme (http, https, h2c, grpc or grpcs), a host, a port (default 80, or 443 over TLS), and a path that goes before each request's.",
    "pattern": "^((https?|h2c|grpcs?)://.+|.*\\$\\{.+)$",
    "examples": ["http://127.0.0.1:9001", "http://orders.internal:9001/base"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for (text, shown) in [
            ("http://127.0.0.1:9001/base", "http://127.0.0.1:9001/base"),
            ("http://127.0.0.1:9001/", "http://127.0.0.1:9001"),
            ("http://orders", "http://orders:80"),
            ("HTTP://orders:1/a/b/", "http://orders:1/a/b"),
            ("http://[::1]/x", "http://[::1]:80/x"),
            ("https://orders/x", "https://orders:443/x"),
            ("grpcs://orders:50051", "grpcs://orders:50051"),
            ("h2c://orders", "h2c://orders:80"),
        ] {
            assert_eq!(text.parse::<ServiceUrl>().unwrap().to_string(), shown, "{text}");
        }
        for (text, message) in [
            ("", "expected a URL such as http://127.0.0.1:9001, found ``\nhelp: put the scheme before it: http://"),
            ("http://", "expected a URL such as http://127.0.0.1:9001, found `http://`"),
            ("http://a:99999", "expected a URL such as http://127.0.0.1:9001, found `http://a:99999`"),
            ("ftp://a", "the scheme `ftp` is not one of http, https, h2c, grpc and grpcs"),
            ("http://u:p@a", "the URL of a service can't have a user or a password in it"),
            ("http://a/?x", "the URL of a service can't have `?` in it: only a path that goes before the request's"),
            ("http://a#x", "the URL of a service can't have `#` in it: only a path that goes before the request's"),
        ] {
            assert_eq!(text.parse::<ServiceUrl>().unwrap_err().to_string(), message);
        }
        assert!(matches!("http://a/../b".parse::<ServiceUrl>(), Err(UrlError::Path(_))));
    }
}
