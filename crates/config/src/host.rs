//! Patterns for the host of a request.

use crate::text::written_as_text;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A host, in lower case, or all hosts below one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host only. An IPv6 address stands in brackets.
    Exact(String),
    /// `*.example.com`: any host that ends in `.example.com`. Without the star and the first dot.
    Wildcard(String),
}

/// Why a text is not a pattern for hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It is empty.
    #[error(
        "expected a host such as api.example.com, found an empty string\nhelp: leave out `hosts` to match any host"
    )]
    Empty,
    /// It is a star.
    #[error("expected a host such as api.example.com, found `*`\nhelp: leave out `hosts` to match any host")]
    Any,
    /// It has a star elsewhere than for the first label.
    #[error("`{0}` has a `*` that is not the whole first label\nhelp: a wildcard looks like *.example.com")]
    Star(String),
    /// It is a URL.
    #[error("expected a host such as api.example.com, found the URL `{found}`\nhelp: write the host alone: {host}")]
    Url {
        /// What was written.
        found: String,
        /// The host in it.
        host: String,
    },
    /// It has a port.
    #[error(
        "expected a host such as api.example.com, found `{found}` with a port\nhelp: write the host alone: {host}; use `listeners` to tell ports apart"
    )]
    Port {
        /// What was written.
        found: String,
        /// It without the port.
        host: String,
    },
    /// It has an underscore.
    #[error("`{0}` has a `_`, which host names can't have\nhelp: did you mean `{meant}`?", meant = .0.replace('_', "-"))]
    Underscore(String),
    /// It has letters beyond ASCII.
    #[error("`{0}` has letters beyond ASCII\nhelp: write it as clients send it, in its `xn--` form")]
    NotAscii(String),
    /// It is no host for another reason.
    #[error("expected a host such as api.example.com, found `{0}`")]
    Malformed(String),
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        match text {
            "" => return Err(HostError::Empty),
            "*" => return Err(HostError::Any),
            _ => {}
        }
        let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
            && let Ok(address) = address.parse::<Ipv6Addr>()
        {
            return Ok(Self::Exact(format!("[{address}]")));
        }
        let (wildcard, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host.as_str()),
        };
        if !name.is_empty() && name.len() <= 253 && name.split('.').all(is_label) {
            return Ok(if wildcard { Self::Wildcard(name.to_owned()) } else { Self::Exact(name.to_owned()) });
        }
        Err(diagnosed(text, name))
    }
}

fn is_label(label: &str) -> bool {
    let sound = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    sound && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
}

fn diagnosed(text: &str, name: &str) -> HostError {
    let found = text.to_owned();
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':', '?', '#']).next().unwrap_or(rest).to_owned();
        return HostError::Url { found, host };
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.parse::<u16>().is_ok()
        && (!host.contains(':') || host.ends_with(']'))
    {
        return HostError::Port { host: host.to_owned(), found };
    }
    if name.contains('*') {
        return HostError::Star(found);
    }
    if !text.is_ascii() {
        return HostError::NotAscii(found);
    }
    if name.contains('_') && name.replace('_', "-").split('.').all(is_label) {
        return HostError::Underscore(found);
    }
    HostError::Malformed(found)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

written_as_text!(HostPattern, "a host such as api.example.com or *.example.com", {
    "description": "A host, or `*.` and a host for all hosts below it.",
    "pattern": "^(\\*\\.)?[A-Za-z0-9.-]+$|^\\[[0-9A-Fa-f:.]+\\]$|\\$\\{",
    "examples": ["api.example.com", "*.example.com"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read() {
        for (text, shown) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com.", "api.example.com"),
            ("*.Example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("10.0.0.1", "10.0.0.1"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_says_why() {
        for (text, end) in [
            ("", "help: leave out `hosts` to match any host"),
            ("*", "help: leave out `hosts` to match any host"),
            ("a.*.com", "help: a wildcard looks like *.example.com"),
            ("*a.com", "help: a wildcard looks like *.example.com"),
            ("*.*.com", "help: a wildcard looks like *.example.com"),
            ("https://a.com:1/x", "help: write the host alone: a.com"),
            ("a.com:8080", "help: write the host alone: a.com; use `listeners` to tell ports apart"),
            ("[::1]:80", "help: write the host alone: [::1]; use `listeners` to tell ports apart"),
            ("my_api.com", "help: did you mean `my-api.com`?"),
            ("bücher.de", "in its `xn--` form"),
            ("a..b", "found `a..b`"),
            ("-a.com", "found `-a.com`"),
            ("a.com/x", "found `a.com/x`"),
            ("*.", "help: a wildcard looks like *.example.com"),
            ("::1", "found `::1`"),
        ] {
            let error = text.parse::<HostPattern>().unwrap_err().to_string();
            assert!(error.ends_with(end), "{text}: {error}");
        }
        assert!("a".repeat(64).parse::<HostPattern>().is_err());
        assert!("a.".repeat(130).parse::<HostPattern>().is_err());
    }
}
