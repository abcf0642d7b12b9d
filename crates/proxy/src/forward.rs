//! What the gateway tells the service about the client: `X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via` (RFC 9110
//! §7.6.3); and what it believes of what a trusted proxy in front of it says.

use std::net::IpAddr;

use http::Version;
use ipnet::IpNet;
use smallvec::SmallVec;
use tollgate_core::{Context, Known, Request, Scheme};

use crate::http1::client::Client;

type Bytes = SmallVec<[u8; 128]>;

/// Sets the client's address and scheme in the context, and the forwarding fields of the request. From a peer that is
/// not trusted none came this far; from a trusted one they are continued.
pub(crate) fn apply(cx: &mut Context<'_>, request: &mut Request, client: &Client) {
    if client.info.peer_trusted {
        believe(cx, request, &client.listener.trusted_proxies);
        continue_fields(request, client);
    } else {
        fresh_fields(request, client);
    }
    via(request);
}

fn fresh_fields(request: &mut Request, client: &Client) {
    let host = Bytes::from_slice(request.authority().as_bytes());
    let peer = client.peer_text.as_bytes();
    let scheme = client.info.scheme.as_str().as_bytes();
    let mut port = itoa::Buffer::new();
    let fields = &mut request.headers;
    fields.add_line(Known::XForwardedFor, "X-Forwarded-For", &[peer]);
    fields.add_line(Known::XForwardedProto, "X-Forwarded-Proto", &[scheme]);
    if !host.is_empty() {
        fields.add_line(Known::XForwardedHost, "X-Forwarded-Host", &[&host]);
    }
    fields.add_line(Known::XForwardedPort, "X-Forwarded-Port", &[port.format(client.info.port).as_bytes()]);
    let element = element(client, &host);
    fields.add_line(Known::Forwarded, "Forwarded", &[&element]);
}

/// One element of `Forwarded`: `for=1.2.3.4;host=example.com;proto=http`.
fn element(client: &Client, host: &[u8]) -> Bytes {
    let mut element = Bytes::new();
    element.extend_from_slice(b"for=");
    // An IPv6 address is bracketed and quoted (RFC 7239 §6).
    if client.peer_text.contains(':') {
        element.extend_from_slice(b"\"[");
        element.extend_from_slice(client.peer_text.as_bytes());
        element.extend_from_slice(b"]\"");
    } else {
        element.extend_from_slice(client.peer_text.as_bytes());
    }
    if !host.is_empty() {
        // A port or brackets make it no token (RFC 7239 §4).
        let quote: &[u8] = if host.iter().any(|byte| matches!(byte, b':' | b'[')) { b"\"" } else { b"" };
        for part in [&b";host="[..], quote, host, quote] {
            element.extend_from_slice(part);
        }
    }
    element.extend_from_slice(b";proto=");
    element.extend_from_slice(client.info.scheme.as_str().as_bytes());
    element
}

fn continue_fields(request: &mut Request, client: &Client) {
    let host = Bytes::from_slice(request.authority().as_bytes());
    append(request, Known::XForwardedFor, "X-Forwarded-For", client.peer_text.as_bytes());
    append(request, Known::Forwarded, "Forwarded", &element(client, &host));
    let mut port = itoa::Buffer::new();
    let scheme = client.info.scheme.as_str().as_bytes();
    for (known, name, value) in [
        (Known::XForwardedProto, "X-Forwarded-Proto", scheme),
        (Known::XForwardedHost, "X-Forwarded-Host", &host[..]),
        (Known::XForwardedPort, "X-Forwarded-Port", port.format(client.info.port).as_bytes()),
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

fn via(request: &mut Request) {
    let entry: &[u8] = if request.version == Version::HTTP_10 { b"1.0 tollgate" } else { b"1.1 tollgate" };
    if request.headers.has(Known::Via) {
        append(request, Known::Via, "Via", entry);
    } else {
        request.headers.add_line(Known::Via, "Via", &[entry]);
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
    let proto = request.headers.known(Known::XForwardedProto).last();
    if let Some(proto) = proto.and_then(|list| list.rsplit(|byte| *byte == b',').next()) {
        if proto.trim_ascii().eq_ignore_ascii_case(b"https") {
            cx.scheme = Scheme::Https;
        } else if proto.trim_ascii().eq_ignore_ascii_case(b"http") {
            cx.scheme = Scheme::Http;
        }
    }
}

/// The `for=` of each element of `Forwarded`.
fn forwarded_hops(request: &Request, hops: &mut SmallVec<[IpAddr; 4]>, broken: &mut bool) {
    for element in request.headers.known(Known::Forwarded).flat_map(|list| list.split(|byte| *byte == b',')) {
        let node = element
            .split(|byte| *byte == b';')
            .map(<[u8]>::trim_ascii)
            .find(|pair| pair.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"for=")))
            .and_then(|pair| pair.get(4..));
        match node.and_then(address) {
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
