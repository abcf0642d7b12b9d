//! Addresses: to listen on, and to connect to.

use crate::text::written_as_text;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen: `0.0.0.0:8080`, `[::]:8080` or `unix:/run/tollgate.sock`. Port 0 takes a free one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Where to connect to: `127.0.0.1:9001`, `[::1]:9001` or `orders.internal:9001`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetAddress {
    /// An address, without brackets, or a name for DNS.
    pub host: String,
    /// The port, not 0.
    pub port: u16,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It can't be listened on.
    #[error("expected an address such as 0.0.0.0:8080, [::]:8080 or unix:/run/tollgate.sock, found `{0}`")]
    Listen(String),
    /// It can't be listened on, but it is plain what was meant.
    #[error(
        "expected an address such as 0.0.0.0:8080, [::]:8080 or unix:/run/tollgate.sock, found `{found}`\n\
         help: write {meant}"
    )]
    ListenMeant {
        /// What was written.
        found: String,
        /// What could be written.
        meant: String,
    },
    /// It can't be connected to.
    #[error("expected HOST:PORT such as 127.0.0.1:9001 or orders.internal:9001, found `{0}`")]
    Target(String),
    /// It can't be connected to, for a reason.
    #[error("expected HOST:PORT such as 127.0.0.1:9001 or orders.internal:9001, found `{found}`\nhelp: {help}")]
    TargetHelp {
        /// What was written.
        found: String,
        /// What is wrong with it.
        help: &'static str,
    },
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            let found = text.to_owned();
            match meant(text) {
                Some(meant) => AddressError::ListenMeant { found, meant },
                None => AddressError::Listen(found),
            }
        })
    }
}

fn meant(text: &str) -> Option<String> {
    match text.parse() {
        Ok(IpAddr::V4(ip)) => return Some(format!("{ip}:8080, with the port")),
        Ok(IpAddr::V6(ip)) => return Some(format!("[{ip}]:8080, with brackets and the port")),
        Err(_) => {}
    }
    if text.starts_with('/') {
        return Some(format!("unix:{text}"));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port: u16 = port.parse().ok()?;
    match host {
        "" | "*" => Some(format!("0.0.0.0:{port}, or [::]:{port} for IPv6 too")),
        "localhost" => Some(format!("127.0.0.1:{port}")),
        _ if host.parse::<Ipv6Addr>().is_ok() => Some(format!("[{host}]:{port}")),
        _ if host.contains("://") => None,
        _ => Some("an IP address: names are not resolved here".to_owned()),
    }
}

impl FromStr for TargetAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fails = |help| Err(AddressError::TargetHelp { found: text.to_owned(), help });
        if text.contains("://") {
            return fails("write the host and the port alone, or use `url:` instead of `targets:`");
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return fails("an IPv6 address stands in brackets, and the port follows: [::1]:9001");
        }
        let Some((host, port)) = text.rsplit_once(':') else { return fails("the port is missing") };
        let port = match port.parse() {
            Ok(0) => return fails("port 0 can't be connected to"),
            Ok(port) => port,
            Err(_) => return Err(AddressError::Target(text.to_owned())),
        };
        match parse_host(host) {
            Some(host) => Ok(Self { host, port }),
            None => Err(AddressError::Target(text.to_owned())),
        }
    }
}

/// A name for DNS or an address, the latter without its brackets.
pub(crate) fn parse_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse().ok().map(|ip: Ipv6Addr| ip.to_string());
    }
    // Underscores have no place in host names, but in names of containers and of services they are common.
    let label = |label: &str| {
        let sound = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        sound && !label.is_empty() && label.len() <= 63
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    (name.len() <= 253 && name.split('.').all(label)).then(|| host.to_owned())
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

written_as_text!(ListenAddress, "an address such as 0.0.0.0:8080, [::]:8080 or unix:/run/tollgate.sock", {
    "description": "Where to listen: an IP address and a port, or `unix:` and a path.",
    "pattern": "^(unix:.+|.+:[0-9]{1,5}|\\$\\{.+)$",
    "examples": ["0.0.0.0:8080", "[::]:8080", "unix:/run/tollgate.sock"],
});

written_as_text!(TargetAddress, "HOST:PORT such as 127.0.0.1:9001 or orders.internal:9001", {
    "description": "Where to connect to: an IP address or a host name, and a port.",
    "pattern": "^(.+:[0-9]{1,5}|.*\\$\\{.+)$",
    "examples": ["127.0.0.1:9001", "orders.internal:9001"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        for text in ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:0", "unix:/run/x.sock", "unix:relative"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for (text, help) in [
            (":8080", "0.0.0.0:8080, or [::]:8080 for IPv6 too"),
            ("*:8080", "0.0.0.0:8080, or [::]:8080 for IPv6 too"),
            ("8080", "0.0.0.0:8080, or [::]:8080 for IPv6 too"),
            ("localhost:80", "127.0.0.1:80"),
            ("10.0.0.1", "10.0.0.1:8080, with the port"),
            ("::1", "[::1]:8080, with brackets and the port"),
            ("/run/x.sock", "unix:/run/x.sock"),
            ("example.com:80", "an IP address: names are not resolved here"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("\nhelp: write {help}")), "{error}");
        }
        for text in ["", "unix:", "0.0.0.0:99999", "http://0.0.0.0:80", "0.0.0.0:80 "] {
            assert!(matches!(text.parse::<ListenAddress>(), Err(AddressError::Listen(_))), "{text}");
        }
        for (text, local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("unix:/x", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn addresses_to_connect_to() {
        for text in ["127.0.0.1:9001", "[::1]:9001", "orders.internal:9001", "my_service:1", "localhost:65535"] {
            assert_eq!(text.parse::<TargetAddress>().unwrap().to_string(), text);
        }
        for text in ["", ":80", "a", "a:0", "a:99999", "a:b", "::1", "http://a:1", "a b:1", "a..b:1", "[::1:1", "[x]:1"]
        {
            assert!(text.parse::<TargetAddress>().is_err(), "{text}");
        }
    }
}
