//! The first message of a TLS client (RFC 8446 §4.1.2), read for the host and the protocols it asks for, and for nothing
//! else.
//!
//! It comes in one record or in several (§5.1). Cipher suites, extensions and protocols of GREASE (RFC 8701) and of the
//! future are passed over, but every length has to add up: what a lax reader sees in a hello may be another host than the
//! one that the service sees.

use std::borrow::Cow;

/// Bytes that a hello may take on the wire, its records' headers included.
pub(crate) const MAX: usize = 16 * 1024;

/// The most that a record carries (RFC 8446 §5.1).
const MAX_FRAGMENT: usize = 1 << 14;

/// Content type of a record, type of a message, types of extensions.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// What the route depends on, and the log tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientHello {
    /// The host it is for, in lower case (SNI, RFC 6066 §3).
    pub(crate) host: Option<String>,
    /// The protocols it offers (ALPN, RFC 7301), without GREASE and what else is no text.
    pub(crate) protocols: Vec<String>,
}

/// Why a client is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("what came is not TLS")]
    NotTls,
    #[error("the client hello is malformed")]
    Malformed,
    #[error("the client hello is longer than {MAX} bytes")]
    TooLong,
}

/// Reads a hello from the bytes that came so far; `None` if it is not complete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<ClientHello>, HelloError> {
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut rest = bytes;
    while let Some((fragment, behind)) = record(rest)? {
        rest = behind;
        if message.is_empty() {
            message = Cow::Borrowed(fragment);
        } else {
            message.to_mut().extend_from_slice(fragment);
        }
        let Some((&[kind, high, middle, low], body)) = message.split_first_chunk() else { continue };
        let length = (usize::from(high) << 16) | (usize::from(middle) << 8) | usize::from(low);
        if kind != CLIENT_HELLO {
            return Err(HelloError::Malformed);
        }
        if length > MAX {
            return Err(HelloError::TooLong);
        }
        if let Some(body) = body.get(..length) {
            return hello(body).map(Some).ok_or(HelloError::Malformed);
        }
    }
    if bytes.len() >= MAX { Err(HelloError::TooLong) } else { Ok(None) }
}

/// What a record carries, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// Splits the first record off; `None` if it is not complete.
fn record(bytes: &[u8]) -> Result<Option<Split<'_>>, HelloError> {
    // What is no TLS at all shows in its first bytes, and need not be waited for.
    if bytes.iter().zip(&[HANDSHAKE, 3]).any(|(byte, expected)| byte != expected) {
        return Err(HelloError::NotTls);
    }
    let Some((&[_, _, _, high, low], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length == 0 || length > MAX_FRAGMENT {
        return Err(HelloError::Malformed);
    }
    Ok(rest.split_at_checked(length))
}

/// Reads the message without its header.
fn hello(body: &[u8]) -> Option<ClientHello> {
    let mut body = Reader(body);
    let version = body.u16()?;
    let _random = body.take(32)?;
    let session = body.vector8()?;
    let suites = body.vector16()?;
    let compressions = body.vector8()?;
    let is_sound = version >> 8 == 3
        && session.len() <= 32
        && suites.len() >= 2
        && suites.len().is_multiple_of(2)
        && !compressions.is_empty();
    if !is_sound {
        return None;
    }
    // A client of old may have no extensions at all.
    if body.is_empty() {
        return Some(ClientHello::default());
    }
    let extensions = body.vector16()?;
    if body.is_empty() { self::extensions(extensions) } else { None }
}

/// Reads the extensions that matter, neither of which may be there twice (RFC 8446 §4.2).
fn extensions(extensions: &[u8]) -> Option<ClientHello> {
    let mut extensions = Reader(extensions);
    let (mut host, mut protocols) = (None, None);
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vector16()?;
        match kind {
            SERVER_NAME if host.is_none() => host = Some(server_name(data)?),
            ALPN if protocols.is_none() => protocols = Some(self::protocols(data)?),
            SERVER_NAME | ALPN => return None,
            _ => {}
        }
    }
    Some(ClientHello { host, protocols: protocols.unwrap_or_default() })
}

/// The one host name of the list; other types of names never came to be.
fn server_name(data: &[u8]) -> Option<String> {
    const HOST_NAME: u8 = 0;
    let mut data = Reader(data);
    let mut names = Reader(data.vector16()?);
    let kind = names.u8()?;
    let name = names.vector16()?;
    let is_alone = kind == HOST_NAME && names.is_empty() && data.is_empty();
    if is_alone && is_host(name) { Some(String::from_utf8(name.to_ascii_lowercase()).ok()?) } else { None }
}

/// Labels without a dot at the end (RFC 6066 §3), which is how routes know hosts.
fn is_host(name: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        let sound = label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        sound && !label.is_empty() && label.len() <= 63
    };
    name.len() <= 253 && name.split(|byte| *byte == b'.').all(is_label)
}

fn protocols(data: &[u8]) -> Option<Vec<String>> {
    let mut data = Reader(data);
    let mut list = Reader(data.vector16()?);
    if list.is_empty() || !data.is_empty() {
        return None;
    }
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let protocol = list.vector8()?;
        if protocol.is_empty() {
            return None;
        }
        // GREASE is two bytes alike that end in `a`, some of which are text by chance (RFC 8701 §2).
        let is_grease = matches!(protocol, [first, second] if first == second && first & 0x0f == 0x0a);
        if !is_grease && protocol.iter().all(u8::is_ascii_graphic) {
            protocols.extend(String::from_utf8(protocol.to_vec()).ok());
        }
    }
    Some(protocols)
}

/// Takes fields off the front of bytes, as RFC 8446 §3 writes them.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    /// A vector with its length in one byte before it.
    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A vector with its length in two bytes before it.
    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests;
