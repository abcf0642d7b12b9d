//! Unix sockets, IPv6, several listeners, and addresses that are taken.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use tollgate_testkit::{Client, Gateway, Origin, PATIENCE, Stop, Workplace, free_port};

use crate::helpers::{get, named};

/// A listener at `{listen}` and another, which is first, so that it listens once `{listen}` does.
fn with_second(address: &str, more: &str, routes: &str) -> String {
    format!(
        "workers: 1
listeners:
  - {{ name: second, address: \"{address}\"{more} }}
  - {{ name: web, address: \"{{listen}}\" }}
services: [{{ name: origin, url: \"http://{{origin}}\" }}]
routes: [{routes}]
"
    )
}

const ALL: &str = "{ name: all, service: origin }";

#[test]
fn r115_a_unix_socket_is_a_listener() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&with_second("unix:{dir}/gate.sock", "", ALL), &[&origin]);
    let path = gateway.dir().join("gate.sock");
    let mut client = Client::connect_unix(&path);
    for _ in 0..2 {
        client.send("GET /a HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
        assert_eq!(client.response("GET").expect("an answer").status, 200);
    }
    let request = &origin.requests()[0];
    let forwarded = request.fields.get("x-forwarded-for").unwrap_or_default();
    assert!(!forwarded.contains("203.0.113.9"), "R34: nobody vouches for {forwarded}");
    assert_eq!(request.fields.get("x-forwarded-proto"), Some("http"));
    // A body both ways.
    client.send("POST /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response("POST").expect("an answer").text(), "ok");
    assert_eq!(origin.requests()[2].body.bytes, b"hello");
}

#[test]
fn a_socket_file_left_behind_is_replaced() {
    let (origin, place) = (Origin::ok(), Workplace::new());
    let path = place.path().join("gate.sock");
    drop(UnixListener::bind(&path).expect("a fresh path"));
    assert!(fs::symlink_metadata(&path).expect("it stays").file_type().is_socket());
    let yaml = with_second(&format!("unix:{}", path.display()), "", ALL);
    let gateway = Gateway::start(&yaml, &[&origin]);
    assert_eq!(Client::connect_unix(&path).get("/").expect("an answer").status, 200);
    drop(gateway);
    // And the next start finds what this one left.
    let _gateway = Gateway::start(&yaml, &[&origin]);
    assert_eq!(Client::connect_unix(&path).get("/").expect("an answer").status, 200);
}

#[test]
fn a_socket_in_use_or_another_file_is_never_replaced() {
    let (origin, place) = (Origin::ok(), Workplace::new());
    let path = place.path().join("gate.sock");
    let used = UnixListener::bind(&path).expect("a fresh path");
    let yaml = with_second(&format!("unix:{}", path.display()), "", ALL);
    let refused = |yaml: &str| {
        let error = Gateway::builder(yaml).origin(&origin).try_start().err().expect("it does not start");
        assert_eq!(error.status.and_then(|status| status.code()), Some(1), "{}", error.stderr);
        assert!(error.stderr.contains("gate.sock"), "{}", error.stderr);
    };
    refused(&yaml);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok(), "whose it is still listens");
    drop(used);
    fs::remove_file(&path).expect("it is ours");
    fs::write(&path, "precious").expect("a file can be written");
    refused(&yaml);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
}

#[test]
fn r23_an_ipv6_listener_tells_ipv6_clients() {
    let port = free_port();
    if TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_err() {
        // This machine has no IPv6.
        return;
    }
    let origin = Origin::ok();
    let gateway = Gateway::start(&with_second(&format!("[::1]:{port}"), "", ALL), &[&origin]);
    let mut client = Client::connect(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port));
    client.send(format!("GET / HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n"));
    assert_eq!(client.response("GET").expect("an answer").status, 200);
    let request = &origin.requests()[0];
    assert_eq!(request.fields.get("x-forwarded-for"), Some("::1"));
    assert_eq!(request.fields.get("x-forwarded-port"), Some(&*port.to_string()));
    let forwarded = request.fields.get("forwarded").expect("RFC 7239");
    assert!(forwarded.contains("for=\"[::1]\""), "RFC 7239 6: {forwarded}");
    assert!(forwarded.contains(&format!("host=\"[::1]:{port}\"")), "{forwarded}");
    assert_eq!(get(&gateway, "/").status, 200);
}

/// A client that comes by IPv4 to a socket for both is an IPv4 client.
#[test]
fn r20_ipv4_clients_of_an_ipv6_socket_count_as_ipv4() {
    let port = free_port();
    let Ok(probe) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) else { return };
    let both = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    drop(probe);
    if !both {
        return;
    }
    let origin = Origin::ok();
    let limited = "{ name: all, service: origin, plugins: [{ name: ip-restriction, config: { allow: [127.0.0.1] } }] }";
    let _gateway = Gateway::start(&with_second(&format!("[::]:{port}"), "", limited), &[&origin]);
    let mut client = Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    assert_eq!(client.get("/").expect("an answer").status, 200);
    assert_eq!(origin.requests()[0].fields.get("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn r29_a_route_may_be_bound_to_listeners() {
    let origin = Origin::ok();
    let port = free_port();
    let routes = "{ name: both, paths: [/both], service: origin }, \
                  { name: inner, paths: [/inner], listeners: [second], service: origin }, \
                  { name: outer, paths: [/outer], listeners: [web], service: origin }, \
                  { name: listed, paths: [/listed], listeners: [web, second], service: origin }";
    let gateway = Gateway::start(&with_second(&format!("127.0.0.1:{port}"), "", routes), &[&origin]);
    let second = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for (path, on_web, on_second) in
        [("/both", 200, 200), ("/inner", 404, 200), ("/outer", 200, 404), ("/listed", 200, 200)]
    {
        assert_eq!(get(&gateway, path).status, on_web, "{path}");
        assert_eq!(Client::connect(second).get(path).expect("an answer").status, on_second, "{path}");
    }
}

/// Waiting, not refused; each listener has its own bound; and the one that waits is served within a moment.
#[test]
fn connections_past_the_limit_of_one_listener_do_not_hold_up_another() {
    let origin = named("x");
    let port = free_port();
    let yaml = with_second(&format!("127.0.0.1:{port}"), ", limits: { max_connections: 3 }", ALL);
    let gateway = Gateway::start(&yaml, &[&origin]);
    let second = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut inside: Vec<Client> = (0..3).map(|_| Client::connect(second)).collect();
    for client in &mut inside {
        assert_eq!(client.get("/").expect("an answer").status, 200);
    }
    let mut waiting: Vec<Client> = (0..3).map(|_| Client::connect(second)).collect();
    for client in &mut waiting {
        client.send("GET /waiting HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    waiting[0].patience(Duration::from_millis(200));
    assert_eq!(waiting[0].response("GET").expect_err("there is no room"), Stop::TimedOut);
    for _ in 0..5 {
        assert_eq!(get(&gateway, "/").status, 200, "the other listener has room");
    }
    drop(inside);
    for client in &mut waiting {
        client.patience(PATIENCE);
        assert_eq!(client.response("GET").expect("an answer once there is room").status, 200);
    }
}

#[test]
fn a_taken_port_stops_the_start_at_once() {
    let origin = Origin::ok();
    let running = Gateway::start(&with_second("127.0.0.1:0", "", ALL), &[&origin]);
    let started = Instant::now();
    let yaml = with_second(&running.address().to_string(), "", ALL);
    let error = Gateway::builder(&yaml).origin(&origin).try_start().err().expect("it does not start");
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(error.status.and_then(|status| status.code()), Some(1), "{}", error.stderr);
    let address = running.address().to_string();
    for part in [address.as_str(), "in use", "stop it or choose another port"] {
        assert!(error.stderr.contains(part), "{part}: {}", error.stderr);
    }
    assert_eq!(get(&running, "/").status, 200, "the first one is not disturbed");
}

/// A connection on which nothing ever comes is closed after the time for a head, without a word.
#[test]
fn a_connection_that_never_asks_is_closed_silently() {
    let origin = Origin::ok();
    let yaml = with_second("127.0.0.1:0", "", ALL).replace(
        "address: \"{listen}\"",
        "address: \"{listen}\", limits: { header_timeout: 300ms, idle_timeout: 60s }",
    );
    let gateway = Gateway::start(&yaml, &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.closes(), Ok(()));
    assert!(client.received().is_empty());
}

/// A body of which nothing comes any more is a 408, and the service learns that it is not whole.
#[test]
fn a_body_that_stops_is_answered_408() {
    let origin = Origin::ok();
    let yaml = with_second("127.0.0.1:0", "", ALL)
        .replace("address: \"{listen}\"", "address: \"{listen}\", limits: { body_timeout: 300ms }");
    let gateway = Gateway::start(&yaml, &[&origin]);
    for body in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = gateway.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{body}"));
        assert_eq!(client.response("POST").expect("an answer").status, 408, "{body}");
        assert_eq!(client.closes(), Ok(()), "{body}");
    }
    assert!(origin.requests().iter().all(|request| !request.body.is_complete()), "half a body never counts for whole");
}

/// The bound is the listener's, not each worker's.
#[test]
fn the_limit_of_connections_holds_over_all_workers() {
    let origin = Origin::ok();
    let yaml = with_second("127.0.0.1:0", "", ALL)
        .replace("workers: 1", "workers: 4")
        .replace("address: \"{listen}\"", "address: \"{listen}\", limits: { max_connections: 1 }");
    let gateway = Gateway::start(&yaml, &[&origin]);
    // Until every worker waits for connections, which it tells nobody.
    std::thread::sleep(Duration::from_millis(100));
    let mut clients: Vec<Client> = (0..24).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        // Those that wait in the backlog are not read from, but their sockets take it.
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        client.patience(Duration::from_millis(2));
    }
    let mut served = 0;
    // Waiting is an absence, which only time shows.
    for _ in 0..10 {
        served += clients.iter_mut().filter_map(|client| client.response("GET").ok()).count();
    }
    assert_eq!(served, 1, "{served} of {} connections were served at a time", clients.len());
}
