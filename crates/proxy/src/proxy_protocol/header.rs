//! Reads a PROXY header of version 1 or 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{SIGNATURE, V2_FIXED};

/// The longest line of version 1, its CRLF included.
const MAX_LINE: usize = 107;

/// The most that a header may take. Addresses and the TLVs in use need some hundred bytes.
pub(crate) const MAX: usize = 4096;

/// Whom the connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The client that the proxy speaks for.
    Client(SocketAddr),
    /// The proxy itself, or it does not say: a health check for example.
    Peer,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// There is none.
    Missing,
    /// It breaks the specification.
    Malformed,
    /// It is longer than any that is sensible.
    TooLong,
}

/// Reads a header from the bytes that came so far: what it says and its length; `None` if it is not complete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Source, usize)>, HeaderError> {
    let agrees = |expected: &[u8]| bytes.iter().zip(expected).all(|(byte, expected)| byte == expected);
    if agrees(SIGNATURE) {
        return version2(bytes);
    }
    if agrees(b"PROXY ") {
        return version1(bytes);
    }
    Err(HeaderError::Missing)
}

fn version1(bytes: &[u8]) -> Result<Option<(Source, usize)>, HeaderError> {
    let Some(end) = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() >= MAX_LINE { Err(HeaderError::Malformed) } else { Ok(None) };
    };
    let line = bytes.get(..end).and_then(|line| std::str::from_utf8(line.strip_suffix(b"\r")?).ok());
    let source = line.and_then(source_in_line).ok_or(HeaderError::Malformed)?;
    Ok(Some((source, end + 1)))
}

fn source_in_line(line: &str) -> Option<Source> {
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let is_v4 = match words.next()? {
        "TCP4" => true,
        "TCP6" => false,
        // Whatever follows means nothing.
        "UNKNOWN" => return Some(Source::Peer),
        _ => return None,
    };
    let mut address = || {
        let text = words.next()?;
        if is_v4 {
            text.parse::<Ipv4Addr>().ok().map(IpAddr::from)
        } else {
            text.parse::<Ipv6Addr>().ok().map(IpAddr::from)
        }
    };
    let (source, _destination) = (address()?, address()?);
    let (port, _port) = (self::port(words.next()?)?, self::port(words.next()?)?);
    words.next().is_none().then_some(Source::Client(SocketAddr::new(source, port)))
}

/// Digits without a needless zero in front.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn version2(bytes: &[u8]) -> Result<Option<(Source, usize)>, HeaderError> {
    let fixed = bytes.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk);
    let Some((&[command, family, high, low], rest)) = fixed else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let end = V2_FIXED + length;
    if end > MAX {
        return Err(HeaderError::TooLong);
    }
    if !matches!(command, 0x20 | 0x21) {
        return Err(HeaderError::Malformed);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    // LOCAL: whatever else it says is to be ignored.
    let source = match command {
        0x20 => Some(Source::Peer),
        _ => source_in_body(family, body),
    };
    let header = bytes.get(..end).unwrap_or_default();
    match source {
        Some(source) if command == 0x20 || family == 0 || extras(family, header) => Ok(Some((source, end))),
        _ => Err(HeaderError::Malformed),
    }
}

/// The bytes of both addresses and ports in a family of version 2, for streams and datagrams.
const fn addresses_length(family: u8) -> Option<usize> {
    match family {
        0x00 => Some(0),
        0x11 | 0x12 => Some(12),
        0x21 | 0x22 => Some(36),
        0x31 | 0x32 => Some(216),
        _ => None,
    }
}

fn source_in_body(family: u8, body: &[u8]) -> Option<Source> {
    let addresses = body.get(..addresses_length(family)?)?;
    match (family, addresses) {
        (0x11, &[a, b, c, d, _, _, _, _, high, low, ..]) => {
            let port = u16::from_be_bytes([high, low]);
            Some(Source::Client(SocketAddr::from(([a, b, c, d], port))))
        }
        (0x21, addresses) => {
            let (ip, rest) = addresses.split_first_chunk::<16>()?;
            let port = rest.get(16..)?.first_chunk()?;
            Some(Source::Client(SocketAddr::from((*ip, u16::from_be_bytes(*port)))))
        }
        // Unix sockets, datagrams and nothing have no address to go by here.
        _ => Some(Source::Peer),
    }
}

/// True if what follows the addresses, type-length-value triples, is well formed; a checksum among them must be right.
fn extras(family: u8, header: &[u8]) -> bool {
    const CRC32C: u8 = 3;
    let mut at = V2_FIXED + addresses_length(family).unwrap_or_default();
    while let Some((&[kind, high, low], rest)) = header.get(at..).and_then(<[u8]>::split_first_chunk) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(value) = rest.get(..length) else { return false };
        if kind == CRC32C && !checksum_is(header, at + 3, value) {
            return false;
        }
        at += 3 + length;
    }
    at == header.len()
}

/// True if `expected`, which stands at `at`, is the checksum of the header with zeros in its place.
fn checksum_is(header: &[u8], at: usize, expected: &[u8]) -> bool {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let Ok(expected) = <[u8; 4]>::try_from(expected) else { return false };
    let mut crc = u32::MAX;
    for (index, byte) in header.iter().enumerate() {
        let byte = if (at..at + 4).contains(&index) { 0 } else { *byte };
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
        }
    }
    !crc == u32::from_be_bytes(expected)
}

#[cfg(test)]
mod tests;
