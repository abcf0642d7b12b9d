//! Limits and time-outs as clients feel them.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tollgate_testkit::{Gateway, Origin, PATIENCE, Stop, closed_port};

use crate::configs::{PLAIN, plain_with};
use crate::helpers::plain;

/// A slow loris: a byte now and then keeps no connection past `header_timeout`.
#[test]
fn a_head_that_drips_is_answered_408() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&plain_with("header_timeout: 500ms", "first_byte: 5s"), &[&origin]);
    let mut client = gateway.connect();
    let started = Instant::now();
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n");
    client.patience(Duration::from_millis(100));
    let answer = loop {
        // Each time-out of this read is a beat of the drip.
        match client.response("GET") {
            Err(Stop::TimedOut) => {}
            other => break other,
        }
        assert!(started.elapsed() < PATIENCE, "the drip goes on and on");
        // Once it has answered it may refuse more.
        let _ = client.try_send(b"X-A: b\r\n");
    };
    assert_eq!(answer.expect("an answer").status, 408);
    assert!(started.elapsed() >= Duration::from_millis(400), "it was patient");
    assert!(origin.requests().is_empty());
}

#[test]
fn a_body_that_drips_steadily_is_no_timeout() {
    let origin = Origin::ok();
    let gateway =
        Gateway::start(&plain_with("body_timeout: 400ms, header_timeout: 400ms", "first_byte: 5s"), &[&origin]);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8\r\n\r\n");
    client.patience(Duration::from_millis(100));
    for _ in 0..8 {
        assert_eq!(client.response("POST").expect_err("no answer yet"), Stop::TimedOut);
        client.send(b"x");
    }
    client.patience(PATIENCE);
    assert_eq!(client.response("POST").expect("an answer").status, 200);
    assert_eq!(origin.requests()[0].body.bytes, b"xxxxxxxx");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&plain_with("idle_timeout: 300ms", "first_byte: 5s"), &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    assert_eq!(client.closes(), Ok(()));
}

/// How often the gateway's threads slept and woke so far.
fn wakes(gateway: &Gateway) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("the gateway runs");
    let slept = |path: PathBuf| -> u64 {
        // A thread may end meanwhile.
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.map_or(0, |count| count.trim().parse().expect("a count"))
    };
    tasks.map(|task| slept(task.expect("a thread").path())).sum()
}

/// A deadline of the exchange before is over with it: it neither hides that of the idle connection nor wakes anybody.
#[test]
fn what_bounded_an_exchange_does_not_outlive_it() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        if exchange.request.target == "/silent" {
            let _ = exchange.read_to_close(PATIENCE);
            return exchange.close();
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    for (path, timeouts, status) in [("/", "total: 300ms", 200), ("/silent", "first_byte: 300ms", 504)] {
        let gateway = Gateway::start(&plain_with("idle_timeout: 1s", timeouts), &[&origin]);
        let mut client = gateway.connect();
        assert_eq!(client.get(path).expect("an answer").status, status);
        let before = (wakes(&gateway), Instant::now());
        assert_eq!(client.closes(), Ok(()), "{path}");
        let (woken, took) = (wakes(&gateway) - before.0, before.1.elapsed());
        assert!((900..3000).contains(&took.as_millis()), "{path}: {took:?}");
        assert!(woken < 60, "{path}: an idle connection woke the gateway {woken} times");
    }
}

/// Who never lets the gateway wait must not make the others wait for it.
#[test]
fn a_client_that_pipelines_without_end_does_not_stop_the_clock() {
    let yaml = plain_with("header_timeout: 500ms", "first_byte: 5s")
        .replace("paths: [/]", "paths: [/]\n    plugins: [{ name: request-termination, config: { status: 204 } }]");
    let origin = Origin::ok();
    let gateway = Gateway::start(&yaml, &[&origin]);
    let stream = plain(gateway.address());
    let (mut sending, mut reading) = (stream.try_clone().expect("a socket"), stream);
    let writer = thread::spawn(move || {
        let requests = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(2000);
        while sending.write_all(requests.as_bytes()).is_ok() {}
    });
    let mut answers = vec![0; 1024 * 1024];
    reading.read_exact(&mut answers).expect("answers");
    let reader = reading.try_clone().expect("a socket");
    let reader = thread::spawn(move || {
        let mut reader = reader;
        let mut all = 0;
        while let Ok(read @ 1..) = reader.read(&mut answers) {
            all += read;
        }
        all
    });
    let mut client = gateway.connect();
    client.patience(Duration::from_millis(2500));
    let started = Instant::now();
    client.send("GET / HTTP/1.1\r\nHos");
    let answer = client.response("GET");
    let took = started.elapsed();
    let goes_on = !writer.is_finished() && !reader.is_finished();
    // The end of both.
    let _ = reading.shutdown(Shutdown::Both);
    writer.join().expect("the writer ends");
    assert!(reader.join().expect("the reader ends") > 100_000);
    assert!(goes_on, "the other client was cut off");
    assert_eq!(answer.expect("an answer in spite of the other client").status, 408);
    assert!((400..1500).contains(&took.as_millis()), "{took:?}");
}

/// Empty lines between requests (RFC 9112 2.2) are none yet, so that nobody waits for the answer to one.
#[test]
fn an_empty_line_after_an_answer_is_no_request() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&plain_with("header_timeout: 300ms, idle_timeout: 60s", "first_byte: 5s"), &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    client.send("\r\n");
    assert_eq!(client.closes(), Ok(()), "closed, and without a 408 that a later request would take for its answer");
    let mut client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    client.send("\r\n");
    assert_eq!(client.get("/").expect("an answer").status, 200, "in time it serves on");
}

#[test]
fn an_origin_that_says_nothing_is_answered_504() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        // Until the gateway gives up.
        let (_, stop) = exchange.read_to_close(PATIENCE);
        assert_ne!(stop, Stop::TimedOut, "the gateway keeps the connection");
        exchange.close();
    });
    let gateway = Gateway::start(&plain_with("idle_timeout: 60s", "first_byte: 300ms"), &[&origin]);
    let mut client = gateway.connect();
    let answer = client.get("/").expect("an answer");
    assert_eq!(answer.status, 504);
    assert_eq!(answer.fields.get("content-type"), Some("application/problem+json"));
    assert!(!answer.text().contains("127.0.0.1"), "R2: {}", answer.text());
    // The client did nothing wrong: its connection goes on.
    assert_eq!(client.get("/").expect("an answer").status, 504);
}

#[test]
fn r2_a_refused_connection_is_answered_502_and_names_no_target() {
    let port = closed_port();
    let gateway = Gateway::builder(PLAIN).var("origin", format!("127.0.0.1:{port}")).start();
    let mut client = gateway.connect();
    let answer = client.get("/").expect("an answer");
    assert_eq!(answer.status, 502);
    assert_eq!(answer.fields.get("content-type"), Some("application/problem+json"));
    let all = String::from_utf8_lossy(&client.received()).into_owned();
    assert!(!all.contains(&port.to_string()) && !all.contains("127.0.0.1"), "{all}");
    assert!(!all.to_ascii_lowercase().contains("os error"), "{all}");
    for member in ["type", "title", "status", "detail", "request_id"] {
        assert!(all.contains(&format!("\"{member}\"")), "config.md promises {member}: {all}");
    }
}

#[test]
fn http_1_0_is_kept_alive_on_demand_only() {
    let origin = Origin::ok();
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut kept = gateway.connect();
    for _ in 0..2 {
        kept.send(b"GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
        let answer = kept.response("GET").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        let says = answer.fields.get("connection").unwrap_or_default().to_ascii_lowercase();
        assert_eq!(says, "keep-alive", "RFC 9112 9.3: an HTTP/1.0 client must be told");
    }
    let mut once = gateway.connect();
    once.send(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    assert_eq!(once.response("GET").expect("an answer").status, 200);
    assert_eq!(once.closes(), Ok(()));
}

#[test]
fn connections_past_the_limit_wait_in_the_backlog() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&plain_with("max_connections: 2", "first_byte: 5s"), &[&origin]);
    let mut first = gateway.connect();
    assert_eq!(first.get("/").expect("an answer").status, 200);
    let mut second = gateway.connect();
    assert_eq!(second.get("/").expect("an answer").status, 200);
    let mut third = gateway.connect();
    third.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    third.patience(Duration::from_millis(300));
    assert_eq!(third.response("GET").expect_err("no answer yet"), Stop::TimedOut);
    drop(first);
    third.patience(PATIENCE);
    assert_eq!(third.response("GET").expect("an answer once there is room").status, 200);
}

/// Closed by the origin while it lay in the pool: nothing was done, so a GET goes out again on a new connection.
#[test]
fn r97_a_stale_pooled_connection_is_retried_for_get() {
    let (origin, gateway) = closing_after_one();
    let mut client = gateway.connect();
    for _ in 0..5 {
        assert_eq!(client.get("/").expect("an answer").status, 200);
    }
    assert!(origin.requests().iter().all(|request| request.method == "GET"));
}

/// A POST whose bytes were sent may have been carried out: it is never sent twice.
#[test]
fn r97_a_post_is_never_sent_twice() {
    // The second request of each connection is read, then the connection closed without a word.
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        if exchange.request.method == "POST" {
            return exchange.close();
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.response("POST").expect("an answer").status, 502);
    assert_eq!(origin.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

/// The same failure for a GET is tried again, once.
#[test]
fn r97_a_get_is_sent_twice_where_a_reused_connection_closes() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        // The first connection serves one request and closes on the second without a word.
        let second = exchange.request.target == "/second" && exchange.request.connection == 0;
        if second {
            return exchange.close();
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/first").expect("an answer").status, 200);
    assert_eq!(client.get("/second").expect("an answer").status, 200);
    let connections: Vec<usize> = origin.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

/// An origin that closes each connection after its answer, without having said so.
fn closing_after_one() -> (Origin, Gateway) {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        exchange.close();
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    (origin, gateway)
}
