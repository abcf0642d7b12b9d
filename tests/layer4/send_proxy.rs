//! `send_proxy`: what a target is told of the client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};

use tollgate_testkit::{PATIENCE, eventually};

use super::server::{Server, half_close};
use super::{Layer4, read_exact, read_to_end, targets, yaml};

/// The header that a target gets for a client at `client` who connected to `local`, both of IPv4.
fn header(version: &str, client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    if version == "v1" {
        let ends = format!("{} {} {} {}", client.ip(), local.ip(), client.port(), local.port());
        return format!("PROXY TCP4 {ends}\r\n").into_bytes();
    }
    let ip = |address: SocketAddr| match address {
        SocketAddr::V4(address) => address.ip().octets(),
        SocketAddr::V6(_) => panic!("an address of IPv4"),
    };
    let ports = [client.port().to_be_bytes(), local.port().to_be_bytes()].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &ip(client)[..], &ip(local), &ports].concat()
}

#[test]
fn a_connection_begins_with_the_header_of_its_client() {
    let (server, got) = Server::recording();
    for version in ["v1", "v2"] {
        let gateway = Layer4::tcp(&format!("{}, send_proxy: {version}", targets(1)), &[&server]);
        let mut stream = gateway.connect();
        let client = stream.local_addr().unwrap();
        stream.write_all(b"hello").unwrap();
        half_close(&stream);
        let expected = [&*header(version, client, gateway.address), b"hello"].concat();
        assert_eq!(got.recv_timeout(PATIENCE).expect("a connection"), expected, "{version}");
        assert_eq!(read_to_end(&mut stream), b"last words");
    }
}

#[test]
fn the_source_of_a_header_that_came_is_passed_on() {
    let (server, got) = Server::recording();
    let listener = "protocol: tcp, service: pool, proxy_protocol: true, trusted_proxies: [127.0.0.1]";
    let gateway = Layer4::start(listener, &format!("{}, send_proxy: v2", targets(1)), "", &[&server]);
    let mut stream = gateway.connect();
    stream.write_all(b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\nhello").unwrap();
    half_close(&stream);
    let expected = header("v2", "192.0.2.7:4660".parse().unwrap(), gateway.address);
    assert_eq!(got.recv_timeout(PATIENCE).expect("a connection"), [&*expected, b"hello"].concat());
}

/// Another target is tried with a header of its own.
#[test]
fn a_target_that_is_down_gets_nothing_and_the_next_one_all() {
    let down = Server::down();
    let (server, got) = Server::recording();
    let gateway = Layer4::tcp(&format!("{}, send_proxy: v1", targets(2)), &[&down, &server]);
    for _ in 0..2 {
        let stream = gateway.connect();
        let client = stream.local_addr().unwrap();
        half_close(&stream);
        let expected = header("v1", client, gateway.address);
        assert_eq!(got.recv_timeout(PATIENCE).expect("a connection"), expected);
    }
}

/// A server for HTTP that keeps connections, and gives the first line of each when its first request came.
fn keeping() -> (Server, Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start(move |mut stream| {
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut part) {
            bytes.extend_from_slice(&part[..read]);
            if bytes.ends_with(b"\r\n\r\n") {
                let text = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
                sender.lock().unwrap().send(text.lines().next().unwrap_or_default().to_owned()).unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        }
    });
    (server, receiver)
}

const ANSWER: usize = 2;

fn get(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.extend(read_exact(stream, 1));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(read_exact(stream, ANSWER), b"ok");
}

#[test]
fn requests_share_no_connection_that_names_a_client() {
    let (server, got) = keeping();
    let service = |inside: &str| format!("{}{inside}", targets(1));
    let routes = "routes: [{ name: all, service: pool }]";
    let mut gateway = Layer4::start("protocol: http", &service(""), routes, &[&server]);
    let next = || got.recv_timeout(PATIENCE).expect("a request");
    let (mut one, mut two) = (gateway.connect(), gateway.connect());
    get(&mut one);
    get(&mut two);
    assert_eq!((next(), next(), server.accepted()), ("GET / HTTP/1.1".to_owned(), "GET / HTTP/1.1".to_owned(), 1));
    // The connection that is kept names nobody, so it is of no use any more.
    gateway.gateway.reload(&yaml("protocol: http", &service(", send_proxy: v1"), routes));
    let named = eventually(PATIENCE, || {
        get(&mut one);
        Some(next()).filter(|line| line.starts_with("PROXY "))
    });
    let line = |stream: &TcpStream| {
        let (client, local) = (stream.local_addr().unwrap(), gateway.address);
        format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}", client.port(), local.port())
    };
    assert_eq!(named, Some(line(&one)));
    let before = server.accepted();
    for stream in [&mut two, &mut one] {
        get(stream);
        assert_eq!(next(), line(stream));
    }
    assert_eq!(server.accepted(), before + 2);
    // And the other way round: a connection that names a client is not for all.
    gateway.gateway.reload(&yaml("protocol: http", &service(""), routes));
    let plain = eventually(PATIENCE, || {
        get(&mut one);
        (next() == "GET / HTTP/1.1").then_some(())
    });
    assert!(plain.is_some());
}
