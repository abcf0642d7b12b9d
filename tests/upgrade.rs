//! WebSocket through the gateway, frame by frame.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use tollgate_testkit::{Client, Exchange, Gateway, Origin, PATIENCE, Stop};

use crate::configs::{PLAIN, plain_with};

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A text frame as clients send it, masked with zeros.
fn masked(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0][..], text.as_bytes()].concat()
}

/// A text frame as servers send it.
fn plain(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, length][..], text.as_bytes()].concat()
}

fn switch(client: &mut Client) {
    client.send(HANDSHAKE);
    let answer = client.response("GET").expect("an answer");
    assert_eq!(answer.status, 101);
    assert_eq!(answer.fields.get("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"));
}

/// Answers each frame of five letters with `echo`.
fn echo(exchange: &mut Exchange<'_>) {
    exchange.send(SWITCH);
    while exchange.read_exact(11).is_ok() {
        exchange.send(plain("echo"));
    }
    exchange.close();
}

#[test]
fn frames_pass_both_ways() {
    let origin = Origin::start(echo);
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    switch(&mut client);
    for _ in 0..3 {
        client.send(masked("hello"));
        assert_eq!(client.read_exact(6).expect("a frame"), plain("echo"));
    }
    let request = &origin.requests()[0];
    assert_eq!(request.fields.get("sec-websocket-version"), Some("13"));
    assert_eq!(request.fields.get("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn a_frame_that_comes_with_the_101_is_not_lost() {
    let origin = Origin::start(|exchange| {
        exchange.send([SWITCH.as_bytes(), &plain("first")].concat());
        let (_, stop) = exchange.read_to_close(PATIENCE);
        assert_ne!(stop, Stop::TimedOut);
        exchange.close();
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    switch(&mut client);
    assert_eq!(client.read_exact(7).expect("a frame"), plain("first"));
}

#[test]
fn a_frame_that_comes_with_the_handshake_reaches_the_origin_after_it() {
    let origin = Origin::start(echo);
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send([HANDSHAKE.as_bytes(), &masked("early")].concat());
    assert_eq!(client.response("GET").expect("an answer").status, 101);
    assert_eq!(client.read_exact(6).expect("a frame"), plain("echo"));
}

#[test]
fn the_client_may_end_its_direction_first() {
    let (sent, got) = mpsc::channel();
    let sent = Mutex::new(sent);
    let origin = Origin::start(move |exchange| {
        exchange.send(SWITCH);
        let end = exchange.read_to_close(PATIENCE);
        sent.lock().unwrap().send(end).unwrap();
        exchange.send(plain("last words"));
        exchange.close();
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    switch(&mut client);
    client.send(masked("bye"));
    client.half_close();
    assert_eq!(got.recv_timeout(PATIENCE).expect("the origin sees the end"), (masked("bye"), Stop::Closed));
    assert_eq!(client.read_to_close(), (plain("last words"), Stop::Closed));
}

#[test]
fn the_origin_may_end_its_direction_first() {
    let (sent, got) = mpsc::channel();
    let sent = Mutex::new(sent);
    let origin = Origin::start(move |exchange| {
        exchange.send(SWITCH);
        exchange.half_close();
        let end = exchange.read_to_close(PATIENCE);
        sent.lock().unwrap().send(end).unwrap();
        exchange.close();
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    switch(&mut client);
    assert_eq!(client.read_to_close(), (Vec::new(), Stop::Closed));
    client.send(masked("still here"));
    client.half_close();
    assert_eq!(got.recv_timeout(PATIENCE).expect("the origin sees it"), (masked("still here"), Stop::Closed));
}

#[test]
fn a_tunnel_outlives_the_timeouts_of_requests() {
    let origin = Origin::start(echo);
    let limits = "header_timeout: 200ms, body_timeout: 200ms";
    let gateway = Gateway::start(&plain_with(limits, "first_byte: 200ms"), &[&origin]);
    let mut client = gateway.connect();
    switch(&mut client);
    client.patience(Duration::from_millis(600));
    assert_eq!(client.read_exact(1).expect_err("nothing comes, and the tunnel stays"), Stop::TimedOut);
    client.patience(PATIENCE);
    client.send(masked("hello"));
    assert_eq!(client.read_exact(6).expect("a frame"), plain("echo"));
}

#[test]
fn a_tunnel_survives_a_reload() {
    let origin = Origin::start(echo);
    let mut gateway = Gateway::start(&crate::configs::routing_only("/chat"), &[&origin]);
    let mut client = gateway.connect();
    switch(&mut client);
    gateway.reload(PLAIN);
    crate::reload::until(&gateway, "/new", |status| status != 404);
    client.send(masked("hello"));
    assert_eq!(client.read_exact(6).expect("a frame"), plain("echo"));
}
