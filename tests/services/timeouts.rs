//! `timeouts`: 504, or a cut that the client sees where the answer has begun.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use tollgate_testkit::{End, Gateway, Origin, PATIENCE, Stop};

use super::with_service;
use crate::helpers::{answer, black_hole, get, plain, problem};

fn with_timeouts(timeouts: &str, origin: &Origin) -> Gateway {
    with_service(&format!("url: \"http://{{origin}}\", timeouts: {{ {timeouts} }}"), &[origin])
}

/// Asks, and says how long it took.
fn timed(gateway: &Gateway) -> (tollgate_testkit::Response, Duration) {
    let started = Instant::now();
    let answer = get(gateway, "/");
    (answer, started.elapsed())
}

fn about(limit: u64, took: Duration) {
    let (least, most) = (Duration::from_millis(limit - limit / 10), Duration::from_millis(limit + 2500));
    assert!((least..most).contains(&took), "{took:?} for a limit of {limit} ms");
}

/// Says nothing until the gateway gives up, which it must.
fn silent() -> Origin {
    Origin::start(|exchange| {
        exchange.read_body();
        let (_, stop) = exchange.read_to_close(2 * PATIENCE);
        assert_ne!(stop, Stop::TimedOut, "the gateway keeps the connection");
        exchange.close();
    })
}

#[test]
fn no_connection_in_time_is_a_504() {
    let (hole, _queue, _listener) = black_hole();
    let service = format!("url: \"http://{hole}\", timeouts: {{ connect: 300ms }}");
    let gateway = with_service(&service, &[]);
    let (answer, took) = timed(&gateway);
    assert_eq!(answer.status, 504);
    let problem = problem(&answer);
    assert!(!problem.to_string().contains("127.0.0.1"), "R2: {problem}");
    about(300, took);
}

#[test]
fn half_a_head_is_a_504() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Le");
        let _ = exchange.read_to_close(2 * PATIENCE);
        exchange.close();
    });
    let gateway = with_timeouts("first_byte: 300ms, idle: 300ms", &origin);
    let (answer, took) = timed(&gateway);
    assert_eq!(answer.status, 504);
    about(300, took);
}

/// The wait for the answer begins when the request was sent: a slow client uses none of it up.
#[test]
fn a_slow_upload_is_no_first_byte_timeout() {
    let origin = Origin::ok();
    let gateway = with_timeouts("first_byte: 250ms, idle: 250ms", &origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\n");
    client.patience(Duration::from_millis(100));
    for _ in 0..6 {
        assert_eq!(client.response("POST").expect_err("no answer yet"), Stop::TimedOut);
        client.send("x");
    }
    client.patience(PATIENCE);
    assert_eq!(client.response("POST").expect("an answer").status, 200);
}

#[test]
fn an_answer_that_stops_halfway_is_cut() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        let head = if exchange.request.target == "/chunked" {
            "Transfer-Encoding: chunked\r\n\r\n4\r\n"
        } else {
            "Content-Length: 9\r\n\r\n"
        };
        exchange.send(format!("HTTP/1.1 200 OK\r\n{head}half"));
        let (_, stop) = exchange.read_to_close(2 * PATIENCE);
        assert_ne!(stop, Stop::TimedOut, "the gateway keeps the connection");
        exchange.close();
    });
    let gateway = with_timeouts("idle: 300ms", &origin);
    for path in ["/length", "/chunked"] {
        let started = Instant::now();
        let mut client = gateway.connect();
        let answer = client.get(path).expect("a head");
        assert_eq!((answer.status, answer.text().as_str()), (200, "half"));
        assert!(matches!(answer.body.end, End::Cut(Stop::Closed | Stop::Reset)), "{path}: {:?}", answer.body.end);
        about(300, started.elapsed());
    }
}

#[test]
fn an_answer_that_drips_steadily_is_not_cut_unless_the_total_is_over() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for _ in 0..10 {
            // A beat shorter than the time-out.
            std::thread::sleep(Duration::from_millis(80));
            if !exchange.send("x") {
                return exchange.close();
            }
        }
    });
    let patient = with_timeouts("idle: 400ms, first_byte: 400ms", &origin);
    let (answer, took) = timed(&patient);
    assert_eq!(answer.text(), "xxxxxxxxxx");
    assert!(took >= Duration::from_millis(700), "{took:?}");
    let hasty = with_timeouts("idle: 400ms, total: 400ms", &origin);
    let (answer, took) = timed(&hasty);
    assert!(matches!(answer.body.end, End::Cut(Stop::Closed | Stop::Reset)), "{:?}", answer.body.end);
    assert!(answer.body.bytes.len() < 10);
    about(400, took);
}

/// Asks a service without `idle` for an answer without end, takes it in portions, and says when it was cut.
fn cut_after(total: u64, path: &str) -> Duration {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nsome");
        let part = [b'x'; 64 * 1024];
        while exchange.request.target == "/flows" && exchange.send(part) {}
        let _ = exchange.read_to_close(2 * PATIENCE);
        exchange.close();
    });
    let gateway = with_timeouts(&format!("idle: 0, total: {total}ms"), &origin);
    let mut stream = plain(gateway.address());
    let started = Instant::now();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes()).expect("it takes a request");
    let (mut part, mut bytes) = (vec![0; 64 * 1024], 0);
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => bytes += read,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{path}: {error} after {bytes} bytes"),
        }
        assert!(started.elapsed() < PATIENCE, "{path} goes on and on: {bytes} bytes");
        // The service is the faster one: the gateway has always something to send.
        thread::sleep(Duration::from_millis(2));
    }
    assert!(bytes > 100, "{path} began");
    started.elapsed()
}

/// Without `idle` nothing else looks at the clock: the total is over all the same, whether nothing moves or all does.
#[test]
fn the_total_bounds_an_answer_that_stops_without_idle() {
    about(1200, cut_after(1200, "/stops"));
}

#[test]
fn the_total_bounds_an_answer_that_flows_without_idle() {
    about(500, cut_after(500, "/flows"));
}

/// While the request flows the answer is not idle, however early it began.
#[test]
fn a_slow_upload_holds_an_early_answer_open() {
    let origin = Origin::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        exchange.read_body();
        exchange.send("4\r\ndone\r\n0\r\n\r\n");
    });
    let gateway = with_timeouts("idle: 500ms", &origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(client.head().expect("an early head").0, 200);
    client.patience(Duration::from_millis(200));
    for beat in 0..10 {
        assert_eq!(client.read_exact(1), Err(Stop::TimedOut), "cut after {beat} bytes of the upload");
        client.send("x");
    }
    client.patience(PATIENCE);
    assert_eq!(client.read_exact(14).as_deref(), Ok(&b"4\r\ndone\r\n0\r\n\r\n"[..]));
    assert_eq!(origin.requests()[0].body.bytes, b"xxxxxxxxxx");
    assert!(origin.requests()[0].is_complete());
}

#[test]
fn the_total_bounds_the_wait_for_an_answer() {
    let origin = silent();
    let gateway = with_timeouts("total: 300ms", &origin);
    let (answer, took) = timed(&gateway);
    assert_eq!(answer.status, 504);
    problem(&answer);
    about(300, took);
}

/// Tries count together.
#[test]
fn the_total_bounds_all_tries() {
    let (hole, _queue, _listener) = black_hole();
    let (other, _queue2, _listener2) = black_hole();
    let service = format!(
        "targets: [{{ address: \"{hole}\" }}, {{ address: \"{other}\" }}], retries: {{ attempts: 5 }}, \
         timeouts: {{ connect: 5s, total: 400ms }}"
    );
    let gateway = with_service(&service, &[]);
    let (answer, took) = timed(&gateway);
    assert_eq!(answer.status, 504);
    about(400, took);
}

#[test]
fn the_total_bounds_an_upload_too() {
    let origin = Origin::ok();
    let gateway = with_timeouts("total: 400ms", &origin);
    let started = Instant::now();
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\n");
    client.patience(Duration::from_millis(50));
    let answer = loop {
        match client.response("POST") {
            Err(Stop::TimedOut) => {}
            other => break other.expect("an answer"),
        }
        assert!(started.elapsed() < PATIENCE, "the upload goes on and on");
        // Once it has answered it may refuse more.
        let _ = client.stream().write_all(b"x");
    };
    assert_eq!(answer.status, 504);
    about(400, started.elapsed());
}

/// 0 is no limit, not none at all.
#[test]
fn zero_is_no_limit() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        std::thread::sleep(Duration::from_millis(150));
        exchange.send(answer("late"));
    });
    let gateway = with_timeouts("connect: 0, first_byte: 0, idle: 0, total: 0", &origin);
    assert_eq!(get(&gateway, "/").text(), "late");
}

/// After a 504 the client's connection serves on, and the target gets a new connection.
#[test]
fn a_timeout_spoils_nothing_for_the_next_request() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        if exchange.request.target == "/slow" {
            let _ = exchange.read_to_close(2 * PATIENCE);
            return exchange.close();
        }
        exchange.send(answer("quick"));
    });
    let gateway = with_timeouts("first_byte: 200ms", &origin);
    let mut client = gateway.connect();
    for path in ["/slow", "/quick", "/slow", "/quick"] {
        let answer = client.get(path).expect("an answer");
        assert_eq!(answer.status, if path == "/slow" { 504 } else { 200 }, "{path}");
    }
}
