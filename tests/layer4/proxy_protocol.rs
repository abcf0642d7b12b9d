//! `proxy_protocol: true`: whom a connection comes from by its PROXY header.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tollgate_testkit::{Gateway, Origin, PATIENCE};

use super::server::{Server, half_close};
use super::{LOGGED, Layer4, read_exact, read_until_closed, targets};
use crate::helpers::{log_stdout, plain};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n";
const REFUSED: &str = "tollgate_proxy_headers_refused_total";

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

/// From 192.0.2.7:4660, with an extra that is passed over.
fn v2_ipv4() -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80, 0xe0, 0, 2, 1, 2])
}

/// From 2001:db8::7.
fn v2_ipv6() -> Vec<u8> {
    let ip = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    v2(0x21, 0x21, &[&ip(7)[..], &ip(1), &[0x12, 0x34, 0, 80]].concat())
}

/// A gateway for HTTP behind a balancer that speaks the PROXY protocol, from these networks.
fn http(trusted: &str, limits: &str, origin: &Origin) -> Layer4 {
    let listener = format!("proxy_protocol: true, trusted_proxies: [{trusted}], limits: {{ {limits} }}");
    let service = format!("url: \"http://{}\"", origin.address());
    let routes = "routes:
  - { name: all, service: pool }
  - name: fenced
    paths: [/fenced]
    service: pool
    plugins: [{ name: ip-restriction, config: { deny: [192.0.2.0/24] } }]
access_log: { path: stdout }";
    Layer4::start(&listener, &service, routes, &[])
}

/// The status of the answer to a request behind a header.
fn status(stream: &mut TcpStream) -> String {
    String::from_utf8(read_exact(stream, 12)).unwrap()
}

fn request(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}Connection: close\r\n\r\n").into_bytes()
}

#[test]
fn the_address_of_the_header_is_the_clients() {
    let origin = Origin::ok();
    let gateway = http("127.0.0.1", "", &origin);
    let local = v2(0x20, 0, b"");
    for (index, (header, client)) in [
        (V1, "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (&v2_ipv4(), "192.0.2.7"),
        (&v2_ipv6(), "2001:db8::7"),
        (&local, "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = gateway.connect();
        stream.write_all(&[header, &request("/", "")].concat()).unwrap();
        assert_eq!(status(&mut stream), "HTTP/1.1 200", "{client}");
        let seen = &origin.wait_requests(index + 1, PATIENCE)[index];
        assert_eq!(seen.fields.get("x-forwarded-for"), Some(client));
        read_until_closed(&mut stream);
        assert_eq!(log_stdout(&gateway.gateway, index + 1)[index]["client"], client);
    }
    let mut stream = gateway.connect();
    stream.write_all(&[V1, &request("/fenced", "")].concat()).unwrap();
    assert_eq!(status(&mut stream), "HTTP/1.1 403");
}

#[test]
fn it_may_come_in_pieces() {
    let origin = Origin::ok();
    let gateway = http("127.0.0.1", "", &origin);
    for header in [V1.to_vec(), v2_ipv4()] {
        let mut stream = gateway.connect();
        stream.set_nodelay(true).unwrap();
        for byte in [header, request("/", "")].concat() {
            stream.write_all(&[byte]).unwrap();
            std::thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(status(&mut stream), "HTTP/1.1 200");
    }
    for request in origin.requests() {
        assert_eq!(request.fields.get("x-forwarded-for"), Some("192.0.2.7"));
    }
}

/// The balancer does not look at requests, so what a client says there is its own word.
#[test]
fn r34_a_client_behind_the_header_is_not_believed() {
    let origin = Origin::ok();
    let gateway = http("127.0.0.1, 203.0.113.0/24", "", &origin);
    let spoof = request("/", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n");
    let mut stream = gateway.connect();
    stream.write_all(&[V1, &spoof].concat()).unwrap();
    assert_eq!(status(&mut stream), "HTTP/1.1 200");
    // Unless it is a trusted proxy itself, as a CDN before the balancer is.
    let cdn = b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n";
    let mut stream = gateway.connect();
    stream.write_all(&[&cdn[..], &spoof].concat()).unwrap();
    assert_eq!(status(&mut stream), "HTTP/1.1 200");
    let requests = origin.wait_requests(2, PATIENCE);
    assert_eq!(requests[0].fields.get("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(requests[0].fields.get("x-forwarded-proto"), Some("http"));
    assert_eq!(requests[1].fields.get("x-forwarded-for"), Some("198.51.100.1, 203.0.113.9"));
}

#[test]
fn another_peer_is_turned_away_with_or_without_a_header() {
    let origin = Origin::ok();
    let gateway = http("10.0.0.0/8", "", &origin);
    for header in [V1, &v2_ipv4(), b""] {
        let mut stream = gateway.connect();
        let _ = stream.write_all(&[header, &request("/", "")].concat());
        assert_eq!(read_until_closed(&mut stream), b"");
    }
    assert!(origin.requests().is_empty());
    gateway.gateway.metrics_when("refusals", |metrics| metrics.get(REFUSED) == Some(3));
}

#[test]
fn what_is_no_header_is_turned_away() {
    let origin = Origin::ok();
    let gateway = http("127.0.0.1", "header_timeout: 400ms", &origin);
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat();
    let malformed = [
        &b""[..],
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4660\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 99999\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 4660 80\r\n",
        b"PROXY  TCP4 192.0.2.7 10.0.0.1 4660 80\r\n",
        b"proxy tcp4 192.0.2.7 10.0.0.1 4660 80\r\n",
        &long,
        &v2(0x31, 0x11, &[0; 12]),
        &v2(0x21, 0x11, &[0; 11]),
        &v2(0x21, 0x44, &[0; 12]),
        &v2(0x21, 0x11, &[0; 5000]),
        &v2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 2, 3, 0, 4, 0, 0, 0, 0]),
    ];
    for header in malformed {
        let mut stream = gateway.connect();
        let _ = stream.write_all(&[header, &request("/", "")].concat());
        assert_eq!(read_until_closed(&mut stream), b"", "{header:?}");
    }
    // One that breaks off, and one that does not go on.
    for ends in [true, false] {
        let mut stream = gateway.connect();
        stream.write_all(&V1[..20]).unwrap();
        if ends {
            half_close(&stream);
        }
        assert_eq!(read_until_closed(&mut stream), b"");
    }
    assert!(origin.requests().is_empty());
    let refused = u64::try_from(malformed.len()).unwrap() + 2;
    gateway.gateway.metrics_when("refusals", |metrics| metrics.get(REFUSED) == Some(refused));
    // A health check that only connects is no refusal.
    drop(gateway.connect());
    let mut stream = gateway.connect();
    stream.write_all(&[V1, &request("/", "")].concat()).unwrap();
    assert_eq!(status(&mut stream), "HTTP/1.1 200");
    assert_eq!(gateway.gateway.metrics().get(REFUSED), Some(refused));
}

#[test]
fn it_goes_before_what_is_passed_on() {
    let server = Server::echo("a");
    let proxy = "proxy_protocol: true, trusted_proxies: [127.0.0.1]";
    let tcp = Layer4::start(&format!("protocol: tcp, service: pool, {proxy}"), &targets(1), LOGGED, &[&server]);
    let tls = format!("protocol: tls-passthrough, service: pool, {proxy}");
    let tls = Layer4::start(&tls, &targets(1), LOGGED, &[&server]);
    // The end of a hello for nobody in particular.
    let hello = [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    for (gateway, bytes) in [(&tcp, &b"hello"[..]), (&tls, &hello)] {
        for (index, header) in [V1, &v2_ipv4()].into_iter().enumerate() {
            let mut stream = gateway.connect();
            stream.write_all(&[header, bytes].concat()).unwrap();
            half_close(&stream);
            // None of the header.
            assert_eq!(read_until_closed(&mut stream), [b"a", bytes].concat());
            let line = &log_stdout(&gateway.gateway, index + 1)[index];
            assert_eq!((&line["client"], &line["complete"]), (&"192.0.2.7".into(), &true.into()), "{line}");
        }
    }
}

#[test]
fn hashes_are_of_the_clients_address() {
    let servers = [Server::echo("a"), Server::echo("b"), Server::echo("c")];
    let service = format!("{}, load_balancing: {{ algorithm: consistent-hash, hash_on: ip }}", targets(3));
    let listener = "protocol: tcp, service: pool, proxy_protocol: true, trusted_proxies: [127.0.0.1]";
    let gateway = Layer4::start(listener, &service, "", &servers.each_ref());
    let mut met = std::collections::HashSet::new();
    for client in 1..40 {
        let name = |port: u16| {
            let mut stream = gateway.connect();
            stream.write_all(format!("PROXY TCP4 192.0.2.{client} 10.0.0.1 {port} 80\r\n").as_bytes()).unwrap();
            read_exact(&mut stream, 1)
        };
        let first = name(1);
        assert_eq!(name(2), first);
        met.insert(first);
    }
    assert_eq!(met.len(), 3);
}

#[test]
fn without_it_a_header_is_no_request() {
    let origin = Origin::ok();
    let gateway = Gateway::start(crate::configs::PLAIN, &[&origin]);
    let mut stream = plain(gateway.address());
    stream.write_all(&[V1, &request("/", "")].concat()).unwrap();
    assert_eq!(status(&mut stream), "HTTP/1.1 400");
    assert!(origin.requests().is_empty());
}

#[test]
fn who_only_connects_does_not_hold_up_the_end() {
    let origin = Origin::ok();
    let mut gateway = http("127.0.0.1", "", &origin);
    let mut idle = gateway.connect();
    let mut stream = gateway.connect();
    stream.write_all(&[V1, &request("/", "")].concat()).unwrap();
    assert_eq!(status(&mut stream), "HTTP/1.1 200");
    drop(stream);
    let started = Instant::now();
    gateway.gateway.sigterm();
    assert_eq!(read_until_closed(&mut idle), b"");
    assert!(gateway.gateway.wait_exit(PATIENCE).success());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}
