//! `host[:port]`, as in the Host field, `:authority` and absolute-form targets (RFC 3986 §3.2, RFC 9110 §7.2).

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A canonical authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host: a lower-case name without a trailing dot, an IPv4 address, or an IPv6 address in brackets (RFC 5952).
    pub host: Cow<'a, str>,
    /// The port, if one was written.
    pub port: Option<u16>,
}

/// Why an authority is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityError {
    /// The whole is empty. An empty `Host:` is legal in HTTP (RFC 9112 §3.2); what it means is the caller's matter.
    Empty,
    /// There is a port, but no host before it.
    NoHost,
    /// It holds a user name (`user@host`), which no request may send (RFC 9110 §4.2.4).
    UserInfo,
    /// A byte that no host name may hold.
    BadByte(u8),
    /// A name with an empty label (`a..b`, `.a`), or longer than 255 bytes.
    BadName,
    /// Neither a valid IPv4 address nor a name: its last label is a number (`1.2.3`, `256.0.0.1`).
    BadIpv4,
    /// Not an IPv6 address in brackets, or one with a zone.
    BadIpv6,
    /// The port is not a number from 1 to 65535.
    BadPort,
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthorityError::Empty => "the host is empty",
            AuthorityError::NoHost => "there is a port but no host",
            AuthorityError::UserInfo => "the host carries a user name",
            AuthorityError::BadByte(byte) => return write!(f, "the byte 0x{byte:02X} must not appear in a host"),
            AuthorityError::BadName => "the host has an empty label or is too long",
            AuthorityError::BadIpv4 => "the host ends in a number but is no IPv4 address",
            AuthorityError::BadIpv6 => "the host is no IPv6 address",
            AuthorityError::BadPort => "the port is not a number from 1 to 65535",
        })
    }
}

impl std::error::Error for AuthorityError {}

/// Longest registered name (RFC 3986 §3.2.2), in bytes.
const MAX_NAME: usize = 255;

/// The canonical form of `host[:port]`.
///
/// Names are letters, digits, `-`, `.`, `_` and `~`; percent-encodings and other characters which RFC 3986 would allow in
/// a registered name, but DNS does not, are refused: no host needs them and two parsers rarely agree on them. A name is
/// lower-cased and loses one trailing dot. An IPv6 address is written as in RFC 5952.
///
/// # Errors
/// The first defect found.
pub fn authority(raw: &[u8]) -> Result<Authority<'_>, AuthorityError> {
    match std::str::from_utf8(raw) {
        Ok(text) => authority_text(text),
        Err(error) => Err(AuthorityError::BadByte(raw.get(error.valid_up_to()).copied().unwrap_or_default())),
    }
}

/// [`authority`] of what is known to be text.
///
/// # Errors
/// The first defect found.
pub fn authority_text(text: &str) -> Result<Authority<'_>, AuthorityError> {
    let raw = text.as_bytes();
    if raw.is_empty() {
        return Err(AuthorityError::Empty);
    }
    if raw.first() == Some(&b'[') {
        return bracketed(raw);
    }
    let mut end = raw.len();
    let mut upper = false;
    let mut last_dot = None;
    for (at, &byte) in raw.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {}
            b'A'..=b'Z' => upper = true,
            // An empty label, also at the start.
            b'.' if last_dot.map_or(0, |dot| dot + 1) == at => return Err(AuthorityError::BadName),
            b'.' => last_dot = Some(at),
            b':' => {
                end = at;
                break;
            }
            b'@' => return Err(AuthorityError::UserInfo),
            other => return Err(AuthorityError::BadByte(other)),
        }
    }
    let (name, after) = text.split_at_checked(end).unwrap_or((text, ""));
    let after = after.as_bytes();
    if after.contains(&b'@') {
        return Err(AuthorityError::UserInfo);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(AuthorityError::NoHost);
    }
    if name.len() > MAX_NAME {
        return Err(AuthorityError::BadName);
    }
    // RFC 3986 would let `256.1.1.1` pass as a name. No top-level domain is a number (RFC 3696 §2), and resolvers
    // read such names as addresses in their own ways.
    if name.ends_with(|last: char| last.is_ascii_digit())
        && let Some((_, last)) = name.rsplit_once('.')
        && last.bytes().all(|byte| byte.is_ascii_digit())
        && name.parse::<Ipv4Addr>().is_err()
    {
        return Err(AuthorityError::BadIpv4);
    }
    let host = if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
    Ok(Authority { host, port: port(after)? })
}

/// `[IPv6][:port]`.
fn bracketed(raw: &[u8]) -> Result<Authority<'_>, AuthorityError> {
    let close = memchr::memchr(b']', raw).ok_or(AuthorityError::BadIpv6)?;
    let (host, after) = raw.split_at_checked(close + 1).ok_or(AuthorityError::BadIpv6)?;
    let host = std::str::from_utf8(host).map_err(|_| AuthorityError::BadIpv6)?;
    let inner = host.get(1..close).ok_or(AuthorityError::BadIpv6)?;
    let address: Ipv6Addr = inner.parse().map_err(|_| AuthorityError::BadIpv6)?;
    let canonical = format!("[{address}]");
    let host = if canonical == host { Cow::Borrowed(host) } else { Cow::Owned(canonical) };
    Ok(Authority { host, port: port(after)? })
}

/// What follows the host: nothing, `:`, or `:port` (RFC 3986 §3.2.3).
fn port(after: &[u8]) -> Result<Option<u16>, AuthorityError> {
    let digits = match after {
        [] | [b':'] => return Ok(None),
        [b':', digits @ ..] if digits.len() <= 5 => digits,
        _ => return Err(AuthorityError::BadPort),
    };
    let mut value = 0u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(AuthorityError::BadPort);
        }
        value = value * 10 + u32::from(digit - b'0');
    }
    match u16::try_from(value) {
        Ok(0) | Err(_) => Err(AuthorityError::BadPort),
        Ok(value) => Ok(Some(value)),
    }
}
