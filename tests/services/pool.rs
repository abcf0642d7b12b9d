//! `keepalive`: connections to targets are kept, as many and as long as the configuration says.

use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::{Duration, Instant};

use tollgate_testkit::{Client, Gateway, Origin, PATIENCE, Stop};

use super::with_service;
use crate::helpers::{answer, get, named};

#[test]
fn one_connection_serves_request_after_request() {
    let origin = named("x");
    let gateway = with_service("url: \"http://{origin}\"", &[&origin]);
    for _ in 0..20 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert_eq!(origin.connections(), 1);
    let metrics = gateway.metrics();
    assert_eq!(metrics.get("tollgate_upstream_connects_total"), Some(1));
    assert_eq!(metrics.get("tollgate_upstream_reuses_total"), Some(19));
}

/// Answers so many requests at once, none before all are there.
fn together(count: usize) -> Origin {
    let barrier = Arc::new(Barrier::new(count));
    Origin::start(move |exchange| {
        exchange.read_body();
        barrier.wait();
        exchange.send(answer("x"));
    })
}

fn burst(gateway: &Gateway, count: usize) {
    let mut clients: Vec<Client> = (0..count).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").expect("an answer").status, 200);
    }
}

#[test]
fn at_most_max_idle_are_kept() {
    let origin = together(6);
    let gateway = with_service("url: \"http://{origin}\", keepalive: { max_idle: 2 }", &[&origin]);
    burst(&gateway, 6);
    assert_eq!(origin.connections(), 6);
    burst(&gateway, 6);
    assert_eq!(origin.connections(), 10, "two of the first six are used again");
}

#[test]
fn without_max_idle_none_is_kept() {
    let origin = named("x");
    let gateway = with_service("url: \"http://{origin}\", keepalive: { max_idle: 0 }", &[&origin]);
    for _ in 0..5 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let (sent, got) = mpsc::channel();
    let sent = Mutex::new(sent);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        exchange.send(answer("x"));
        let began = Instant::now();
        let (bytes, stop) = exchange.read_to_close(2 * PATIENCE);
        let _ = sent.lock().unwrap().send((bytes, stop, began.elapsed()));
        exchange.close();
    });
    let gateway = with_service("url: \"http://{origin}\", keepalive: { idle_timeout: 400ms }", &[&origin]);
    assert_eq!(get(&gateway, "/").status, 200);
    let (bytes, stop, after) = got.recv_timeout(3 * PATIENCE).expect("the origin sees an end");
    assert_eq!((bytes, stop), (Vec::new(), Stop::Closed));
    assert!((Duration::from_millis(350)..Duration::from_secs(4)).contains(&after), "{after:?}");
}

#[test]
fn an_answer_that_says_close_ends_its_connection() {
    let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx".to_vec());
    let gateway = with_service("url: \"http://{origin}\"", &[&origin]);
    let mut client = gateway.connect();
    for _ in 0..4 {
        let answer = client.get("/").expect("an answer");
        assert_eq!(answer.status, 200);
        assert_ne!(answer.fields.get("connection"), Some("close"), "that is between the gateway and the target");
    }
    assert_eq!(origin.connections(), 4);
}

/// A connection that the origin closed while idle is not handed to a POST.
#[test]
fn r97_a_post_meets_no_connection_that_was_closed() {
    let origin = named("x");
    let gateway = with_service("url: \"http://{origin}\"", &[&origin]);
    let mut client = gateway.connect();
    for turn in 0..10 {
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(client.response("POST").expect("an answer").status, 200, "turn {turn}");
        origin.close_connections();
    }
    assert_eq!(origin.requests().len(), 10);
}

/// A request of one client never meets what is left of another's answer.
#[test]
fn a_connection_with_bytes_left_over_is_not_used_again() {
    let origin = Origin::answering(|request| {
        let left = if request.target == "/extra" { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong" } else { "" };
        format!("{}{left}", answer("right")).into_bytes()
    });
    let gateway = with_service("url: \"http://{origin}\"", &[&origin]);
    let mut client = gateway.connect();
    for path in ["/extra", "/a", "/extra", "/b", "/c"] {
        assert_eq!(client.get(path).expect("an answer").text(), "right", "{path}");
    }
}

/// A client that leaves in the middle of its answer leaves no half-read connection behind.
#[test]
fn an_unfinished_answer_is_not_continued_for_the_next_client() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        if exchange.request.target != "/big" {
            exchange.send(answer("right"));
            return;
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
        let part = [b'w'; 65536];
        while exchange.send(part) {}
        exchange.close();
    });
    let gateway = with_service("url: \"http://{origin}\"", &[&origin]);
    for _ in 0..3 {
        let mut client = gateway.connect();
        client.send("GET /big HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.head().expect("a head").0, 200);
        client.reset();
        assert_eq!(get(&gateway, "/").text(), "right");
    }
}
