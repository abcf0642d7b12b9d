//! What the gateway tells the service about the client: `X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via` (RFC 9110
//! §7.6.3); and what it believes of what a trusted proxy in front of it says.

use std::net::IpAddr;

use http::Version;
use ipnet::IpNet;
use smallvec::SmallVec;
use tollgate_core::headers::Lines;
use tollgate_core::{Context, Known, Request, Scheme};

use crate::caller::Peer;

type Bytes = SmallVec<[u8; 128]>;

/// The forwarding fields of a connection's requests, for as long as they ask for the same host in the same version.
#[derive(Default)]
pub(crate) struct Forwarding {
    authority: Box<str>,
    version: Option<Version>,
    lines: Lines,
}

/// Sets the client's address and scheme in the context, and the forwarding fields of the request. From a peer that is
/// not trusted none came this far; from a trusted one they are continued.
pub(crate) fn apply(cx: &mut Context<'_>, request: &mut Request, peer: &Peer) {
    if peer.info.peer_trusted {
        believe(cx, request, &peer.listener.trusted_proxies);
        continue_fields(cx, request, peer);
        let entry = via_entry(request.version);
        request.headers.add_line(Known::Via, "Via", &[entry]);
        return;
    }
    let mut forwarding = peer.forwarding.borrow_mut();
    if forwarding.version != Some(request.version) || *forwarding.authority != *request.authority() {
        *forwarding = fresh(request, peer);
    }
    // Our entry of `Via` comes last, as a line of its own: the lines of a list field are one list (RFC 9110 §5.3).
    request.headers.add_lines(&forwarding.lines);
}

fn fresh(request: &Request, peer: &Peer) -> Forwarding {
    let host = request.authority().as_bytes();
    let port = peer.info.port.to_string();
    let forwarded = element(&peer.text, peer.info.scheme, host).concat();
    let mut fields: SmallVec<[(&str, &[u8]); 6]> = SmallVec::new();
    fields.push(("X-Forwarded-For", peer.text.as_bytes()));
    fields.push(("X-Forwarded-Proto", peer.info.scheme.as_str().as_bytes()));
    if !host.is_empty() {
        fields.push(("X-Forwarded-Host", host));
    }
    // A unix socket has none.
    if peer.info.port != 0 {
        fields.push(("X-Forwarded-Port", port.as_bytes()));
    }
    fields.push(("Forwarded", &forwarded));
    fields.push(("Via", via_entry(request.version)));
    Forwarding { authority: request.authority().into(), version: Some(request.version), lines: Lines::new(&fields) }
}

/// One element of `Forwarded`: `for=1.2.3.4;host=example.com;proto=http`, in parts.
fn element<'a>(address: &'a str, scheme: Scheme, host: &'a [u8]) -> [&'a [u8]; 7] {
    // An IPv6 address is bracketed and quoted (RFC 7239 §6).
    let (open, close): (&[u8], &[u8]) = if address.contains(':') { (b"for=\"[", b"]\"") } else { (b"for=", b"") };
    // A port or brackets make a host no token (RFC 7239 §4).
    let quoted = host.iter().any(|byte| matches!(byte, b':' | b'['));
    let (before, after): (&[u8], &[u8]) = match (host.is_empty(), quoted) {
        (true, _) => (b"", b";proto="),
        (false, true) => (b";host=\"", b"\";proto="),
        (false, false) => (b";host=", b";proto="),
    };
    [open, address.as_bytes(), close, before, host, after, scheme.as_str().as_bytes()]
}

fn continue_fields(cx: &Context<'_>, request: &mut Request, peer: &Peer) {
    let host = Bytes::from_slice(request.authority().as_bytes());
    let headers = &request.headers;
    let (has_list, has_forwarded) = (headers.has(Known::XForwardedFor), headers.has(Known::Forwarded));
    let names_origin = has_forwarded || headers.has(Known::XForwardedProto) || headers.has(Known::XForwardedHost);
    // Where the proxy speaks in one of the two ways only, the other begins with what it said: they must not differ.
    let client_text = cx.client_ip.to_string();
    if has_forwarded && !has_list && client_text != *peer.text {
        append(request, Known::XForwardedFor, "X-Forwarded-For", client_text.as_bytes());
    }
    if has_list && !has_forwarded && client_text != *peer.text {
        append(request, Known::Forwarded, "Forwarded", &element(&client_text, cx.scheme, &host).concat());
    }
    append(request, Known::XForwardedFor, "X-Forwarded-For", peer.text.as_bytes());
    append(request, Known::Forwarded, "Forwarded", &element(&peer.text, peer.info.scheme, &host).concat());
    let mut port = itoa::Buffer::new();
    // Our port belongs to our scheme and host, not to those that the proxy names.
    let port = if names_origin { "" } else { port.format(peer.info.port) };
    let scheme = cx.scheme.as_str().as_bytes();
    for (known, name, value) in [
        (Known::XForwardedProto, "X-Forwarded-Proto", scheme),
        (Known::XForwardedHost, "X-Forwarded-Host", &host[..]),
        (Known::XForwardedPort, "X-Forwarded-Port", port.as_bytes()),
    ] {
        if !request.headers.has(known) && !value.is_empty() {
            request.headers.add_line(known, name, &[value]);
        }
    }
}

/// Appends to the list in a field, which becomes one line.
fn append(request: &mut Request, known: Known, name: &str, value: &[u8]) {
    let mut list = Bytes::new();
    for line in request.headers.known(known) {
        if !line.is_empty() {
            list.extend_from_slice(line);
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(value);
    request.headers.remove_known(known);
    request.headers.add_line(known, name, &[&list]);
}

fn via_entry(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"1.0 tollgate",
        Version::HTTP_2 => b"2.0 tollgate",
        _ => b"1.1 tollgate",
    }
}

/// The client is the last address in the list that is not a trusted proxy's own; the scheme is what the proxy says.
fn believe(cx: &mut Context<'_>, request: &Request, trusted: &[IpNet]) {
    let mut hops: SmallVec<[IpAddr; 4]> = SmallVec::new();
    let mut broken = false;
    let lists = request.headers.known(Known::XForwardedFor).collect::<SmallVec<[_; 2]>>();
    if lists.is_empty() {
        forwarded_hops(request, &mut hops, &mut broken);
    }
    for hop in lists.iter().flat_map(|list| list.split(|byte| *byte == b',')) {
        match address(hop) {
            Some(ip) => hops.push(ip),
            // What stands before an unreadable hop cannot be trusted: the list begins anew behind it.
            None => {
                hops.clear();
                broken = true;
            }
        }
    }
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
    if let Some(client) = hops.iter().rev().find(|ip| !is_trusted(ip)) {
        cx.client_ip = *client;
    } else if let (Some(first), false) = (hops.first(), broken) {
        cx.client_ip = *first;
    }
    // The nearest proxy, which is the one that is trusted, speaks last.
    let last = |known| request.headers.known(known).last().and_then(|list| list.rsplit(|byte| *byte == b',').next());
    let proto = last(Known::XForwardedProto).or_else(|| parameter(last(Known::Forwarded)?, b"proto="));
    match proto.map(|proto| proto.trim_ascii().to_ascii_lowercase()).as_deref() {
        Some(b"https" | b"\"https\"") => cx.scheme = Scheme::Https,
        Some(b"http" | b"\"http\"") => cx.scheme = Scheme::Http,
        _ => {}
    }
}

/// The value of a parameter of an element of `Forwarded`; `name` ends in `=`.
fn parameter<'e>(element: &'e [u8], name: &[u8]) -> Option<&'e [u8]> {
    let mut pairs = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let pair = pairs.find(|pair| pair.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))?;
    pair.get(name.len()..)
}

/// The `for=` of each element of `Forwarded`.
fn forwarded_hops(request: &Request, hops: &mut SmallVec<[IpAddr; 4]>, broken: &mut bool) {
    for element in request.headers.known(Known::Forwarded).flat_map(|list| list.split(|byte| *byte == b',')) {
        match parameter(element, b"for=").and_then(address) {
            Some(ip) => hops.push(ip),
            None => {
                hops.clear();
                *broken = true;
            }
        }
    }
}

/// An address in the spellings in use: bare, quoted, bracketed, with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim().trim_matches('"');
    let ip = if let Some(rest) = text.strip_prefix('[') {
        rest.split(']').next()?.parse().ok()?
    } else if let Ok(ip) = text.parse::<IpAddr>() {
        ip
    } else {
        text.rsplit_once(':')?.0.parse().ok()?
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_the_spellings_in_use() {
        for (text, ip) in [
            ("1.2.3.4", "1.2.3.4"),
            (" 1.2.3.4:80 ", "1.2.3.4"),
            ("\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
        ] {
            assert_eq!(address(text.as_bytes()), Some(ip.parse().unwrap()), "{text}");
        }
        for text in ["", "unknown", "_hidden", "1.2.3", "a:80"] {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
    }
}
