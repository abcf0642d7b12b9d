//! Listeners that come, go and move by a reload.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use tollgate_testkit::{Client, Gateway, Origin, PATIENCE, eventually, free_port};

use crate::helpers::{get, stats_when};

/// `listeners:` with some, each of them a flow mapping, then the web listener, and routes. Once that one listens, all do.
fn yaml(listeners: &[&str], routes: &str) -> String {
    let more: String = listeners.iter().map(|listener| format!("{listener}, ")).collect();
    format!(
        "workers: 2
listeners: [{more}{{ name: web, address: \"{{listen}}\" }}]
services: [{{ name: origin, url: \"http://{{origin}}\" }}]
routes: [{routes}]
admin: {{ address: \"{{admin}}\" }}
"
    )
}

const ALL: &str = "{ name: all, service: origin }";

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn at(name: &str, port: u16) -> String {
    format!("{{ name: {name}, address: \"127.0.0.1:{port}\" }}")
}

/// Puts new YAML in place and waits until it is applied.
fn apply(gateway: &mut Gateway, yaml: &str) {
    let applied = |stats: &serde_json::Value| stats["config"]["applied"].as_u64().unwrap_or_default();
    let before = applied(&crate::helpers::admin_json(gateway, "/stats"));
    gateway.reload(yaml);
    stats_when(gateway, "the new configuration", |stats| applied(stats) == before + 1);
}

fn closed(port: u16) {
    let refused = eventually(PATIENCE, || TcpStream::connect(local(port)).is_err().then_some(()));
    assert!(refused.is_some(), "port {port} still accepts");
}

fn opened(port: u16) -> Client {
    let open = eventually(PATIENCE, || TcpStream::connect(local(port)).ok());
    assert!(open.is_some(), "port {port} accepts nobody");
    Client::connect(local(port))
}

#[test]
fn r69_a_listener_comes_and_goes() {
    let origin = Origin::ok();
    let port = free_port();
    let mut gateway = Gateway::start(&yaml(&[], ALL), &[&origin]);
    assert!(TcpStream::connect(local(port)).is_err());
    for _ in 0..3 {
        apply(&mut gateway, &yaml(&[&at("second", port)], ALL));
        let mut client = opened(port);
        assert_eq!(client.get("/").expect("an answer").status, 200);
        apply(&mut gateway, &yaml(&[], ALL));
        closed(port);
        // Who was there finishes.
        assert_eq!(client.get("/").expect("an answer").status, 200);
    }
    assert_eq!(get(&gateway, "/").status, 200);
}

#[test]
fn r69_a_listener_moves() {
    let origin = Origin::ok();
    let (old, new) = (free_port(), free_port());
    let routes = "{ name: bound, listeners: [second], service: origin }";
    let mut gateway = Gateway::start(&yaml(&[&at("second", old)], routes), &[&origin]);
    let mut before = Client::connect(local(old));
    assert_eq!(before.get("/").expect("an answer").status, 200);
    apply(&mut gateway, &yaml(&[&at("second", new)], routes));
    assert_eq!(opened(new).get("/").expect("an answer").status, 200, "its routes move with it");
    closed(old);
    // And back.
    apply(&mut gateway, &yaml(&[&at("second", old)], routes));
    assert_eq!(opened(old).get("/").expect("an answer").status, 200);
    closed(new);
}

/// Two listeners change places: the routes go by name, not by socket.
#[test]
fn r69_listeners_swap_their_names() {
    let origin = Origin::ok();
    let (one, two) = (free_port(), free_port());
    let routes = "{ name: inner, paths: [/inner], listeners: [inner], service: origin }";
    let mut gateway = Gateway::start(&yaml(&[&at("inner", one), &at("outer", two)], routes), &[&origin]);
    let asks = |port: u16| Client::connect(local(port)).get("/inner").expect("an answer").status;
    assert_eq!((asks(one), asks(two)), (200, 404));
    apply(&mut gateway, &yaml(&[&at("inner", two), &at("outer", one)], routes));
    let swapped = eventually(PATIENCE, || ((asks(one), asks(two)) == (404, 200)).then_some(()));
    assert!(swapped.is_some(), "{:?}", (asks(one), asks(two)));
}

/// From one address to all of them, and back: the usual change of somebody who lets others in.
#[test]
fn r69_a_listener_opens_to_all_addresses_on_its_port() {
    let origin = Origin::ok();
    let port = free_port();
    let all = format!("{{ name: second, address: \"0.0.0.0:{port}\" }}");
    let mut gateway = Gateway::start(&yaml(&[&at("second", port)], ALL), &[&origin]);
    assert_eq!(Client::connect(local(port)).get("/").expect("an answer").status, 200);
    gateway.reload(&yaml(&[&all], ALL));
    let stats =
        stats_when(&gateway, "a verdict", |stats| stats["config"]["applied"] == 2 || stats["config"]["rejected"] == 1);
    assert_eq!(stats["config"]["applied"], 2, "{}", stats["config"]["last_error"]);
    // The socket before may still take a connection as it is closed, and that one is lost.
    let served = eventually(PATIENCE, || opened(port).get("/").ok());
    assert_eq!(served.expect("an answer").status, 200);
}

/// A connection of a listener that is gone must never count as one of another: routes bound to an inner listener would
/// be open to whoever came by an outer one.
#[test]
fn r29_a_connection_of_a_listener_that_went_is_no_other_listeners() {
    let origin = Origin::ok();
    let (outer, inner) = (free_port(), free_port());
    let public = "{ name: public, paths: [/public], service: origin }";
    let secret = format!("{public}, {{ name: secret, paths: [/secret], listeners: [inner], service: origin }}");
    let mut gateway = Gateway::start(&yaml(&[&at("outer", outer)], public), &[&origin]);
    let mut client = Client::connect(local(outer));
    assert_eq!(client.get("/secret").expect("an answer").status, 404);
    apply(&mut gateway, &yaml(&[], public));
    apply(&mut gateway, &yaml(&[&at("inner", inner)], &secret));
    assert_eq!(opened(inner).get("/secret").expect("an answer").status, 200);
    // It may have been closed, which is as good.
    if let Ok(answer) = client.get("/secret") {
        assert_eq!(answer.status, 404, "a connection that came by `outer` got in by `inner`'s route");
    }
}

#[test]
fn r69_a_taken_port_rejects_the_whole() {
    let origin = Origin::ok();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let other = free_port();
    let mut gateway = Gateway::start(&yaml(&[], ALL), &[&origin]);
    let renamed = "{ name: renamed, paths: [/renamed], service: origin }";
    gateway.reload(&yaml(&[&at("fresh", other), &at("second", port)], renamed));
    let stats = stats_when(&gateway, "a verdict", |stats| stats["config"]["rejected"] == 1);
    let why = stats["config"]["last_error"].as_str().unwrap_or_default();
    assert!(why.contains(&port.to_string()) && why.contains("choose another port"), "{why}");
    assert_eq!(get(&gateway, "/anything").status, 200, "the routes before hold");
    assert!(TcpStream::connect(local(other)).is_err(), "nor does the sound one of the two listen");
    // Once it is free, the same file is taken on demand.
    drop(taken);
    gateway.sighup();
    stats_when(&gateway, "the new configuration", |stats| stats["config"]["applied"] == 2);
    assert_eq!(opened(port).get("/renamed").expect("an answer").status, 200);
    assert_eq!(opened(other).get("/renamed").expect("an answer").status, 200);
}
