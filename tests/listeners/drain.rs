//! The end of a process: it drains, for so long and no longer, whoever holds on to it.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tollgate_testkit::{Gateway, Origin, PATIENCE, Stop, eventually};

use crate::configs::PLAIN;
use crate::helpers::answer;

/// An origin that answers `/slow` once it is told to.
fn holding() -> (Origin, mpsc::Sender<()>) {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        if exchange.request.target == "/slow" {
            let _ = wait.lock().unwrap().recv_timeout(4 * PATIENCE);
        }
        exchange.send(answer("ok"));
    });
    (origin, release)
}

/// Waits until the gateway says that it drains.
fn draining(gateway: &Gateway) {
    let said = eventually(PATIENCE, || gateway.stderr().contains("draining").then_some(()));
    assert!(said.is_some(), "{}", gateway.stderr());
}

/// A connection that never sent a request, one that sent some, and an open socket that sent half a line.
#[test]
fn idle_connections_do_not_hold_up_the_end() {
    for end in [Gateway::sigterm, Gateway::sigint] {
        let origin = Origin::ok();
        let mut gateway = Gateway::start(PLAIN, &[&origin]);
        let mut never = gateway.connect();
        let mut once = gateway.connect();
        assert_eq!(once.get("/").expect("an answer").status, 200);
        let started = Instant::now();
        end(&gateway);
        assert_eq!(never.closes(), Ok(()));
        assert_eq!(once.closes(), Ok(()));
        assert!(gateway.wait_exit(PATIENCE).success());
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        assert!(std::net::TcpStream::connect(gateway.address()).is_err());
    }
}

#[test]
fn an_answer_under_way_says_that_the_connection_ends() {
    let (origin, release) = holding();
    let mut gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    gateway.sigterm();
    draining(&gateway);
    release.send(()).unwrap();
    let answer = client.response("GET").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(client.closes(), Ok(()));
    assert!(gateway.wait_exit(PATIENCE).success());
}

/// A request whose head was coming in is served, not lost.
#[test]
fn half_a_head_may_still_become_a_request() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    client.send("GET /half HTTP/1.1\r\nHo");
    // It is read once the next connection was served by the one worker.
    assert_eq!(gateway.connect().get("/").expect("an answer").status, 200);
    gateway.sigterm();
    draining(&gateway);
    client.send("st: a.test\r\n\r\n");
    let answer = client.response("GET").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(answer.fields.get("connection").map(str::to_ascii_lowercase).as_deref(), Some("close"));
    assert_eq!(client.closes(), Ok(()));
    assert!(gateway.wait_exit(PATIENCE).success());
}

#[test]
fn an_upload_under_way_is_finished() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\nabc");
    origin.wait_requests(1, PATIENCE);
    gateway.sigterm();
    draining(&gateway);
    client.send("def");
    assert_eq!(client.response("POST").expect("an answer").status, 200);
    assert_eq!(origin.requests()[0].body.bytes, b"abcdef");
    assert!(gateway.wait_exit(PATIENCE).success());
}

#[test]
fn the_drain_has_a_limit() {
    let (origin, _release) = holding();
    let mut gateway = Gateway::builder(PLAIN).origin(&origin).arg("--drain").arg("600ms").start();
    let mut client = gateway.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    let started = Instant::now();
    gateway.sigterm();
    let status = gateway.wait_exit(PATIENCE);
    let took = started.elapsed();
    assert!((Duration::from_millis(550)..Duration::from_secs(4)).contains(&took), "{took:?}");
    assert!(status.success(), "told to end, it ended: {status}");
    let said = eventually(PATIENCE, || gateway.stderr().contains("warning").then_some(()));
    assert!(said.is_some(), "it says that requests were cut: {}", gateway.stderr());
    let stop = client.response("GET").expect_err("no answer");
    assert!(matches!(stop, Stop::Closed | Stop::Reset), "{stop:?}");
}

/// A person who presses Ctrl-C twice does not want to wait.
#[test]
fn a_second_interrupt_ends_it_at_once() {
    let (origin, _release) = holding();
    let mut gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    gateway.sigint();
    draining(&gateway);
    let started = Instant::now();
    gateway.sigint();
    gateway.wait_exit(PATIENCE);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// A tunnel goes on while others drain, to the limit.
#[test]
fn a_tunnel_lives_until_the_limit_of_the_drain() {
    let origin = Origin::start(|exchange| {
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Ok(bytes) = exchange.read_exact(4) {
            exchange.send(bytes);
        }
        exchange.close();
    });
    let mut gateway = Gateway::builder(PLAIN).origin(&origin).arg("--drain").arg("1s").start();
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response("GET").expect("an answer").status, 101);
    let started = Instant::now();
    gateway.sigterm();
    draining(&gateway);
    client.send("ping");
    assert_eq!(client.read_exact(4).expect("an echo"), b"ping");
    gateway.wait_exit(PATIENCE);
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    // And when it ends before, so does the process.
    let mut gateway = Gateway::builder(PLAIN).origin(&origin).arg("--drain").arg("30s").start();
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response("GET").expect("an answer").status, 101);
    gateway.sigterm();
    draining(&gateway);
    drop(client);
    assert!(gateway.wait_exit(PATIENCE).success());
}
