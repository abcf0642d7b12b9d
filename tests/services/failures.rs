//! R97: what is tried again, and what the client hears when nothing helps.

use std::time::{Duration, Instant};

use tollgate_testkit::{Gateway, Origin, PATIENCE, closed_port};

use super::{service_yaml, with_service};
use crate::helpers::{answer, black_hole, get, named, problem};

/// A gateway whose service has a dead target before or after each live one.
fn with_dead(dead: &[u16], more: &str, origins: &[&Origin]) -> Gateway {
    let mut list: Vec<String> = dead.iter().map(|port| format!("{{ address: \"127.0.0.1:{port}\" }}")).collect();
    list.extend(
        (1..=origins.len())
            .map(|n| format!("{{ address: \"{{origin{}}}\" }}", if n == 1 { String::new() } else { n.to_string() })),
    );
    with_service(&format!("targets: [{}]{more}", list.join(", ")), origins)
}

#[test]
fn r97_where_no_connection_can_be_made_the_next_target_is_tried() {
    let origin = named("alive");
    let gateway = with_dead(&[closed_port()], "", &[&origin]);
    let mut client = gateway.connect();
    for turn in 0..10 {
        assert_eq!(client.get("/").expect("an answer").text(), "alive", "turn {turn}");
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(
            client.response("POST").expect("an answer").text(),
            "alive",
            "nothing was sent, so a POST may go on"
        );
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(client.response("POST").expect("an answer").text(), "alive", "turn {turn}");
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 30);
    for request in requests.iter().filter(|request| request.method == "POST") {
        assert_eq!((request.is_complete(), &request.body.bytes[..]), (true, &b"hello"[..]));
    }
    let metrics = gateway.metrics_when("all counts", |m| {
        m.get("tollgate_requests_total{route=\"everything\",status=\"2xx\"}") == Some(30)
    });
    let retries = metrics.get("tollgate_retries_total").expect("it is counted");
    assert!((10..=30).contains(&retries), "{retries} retries");
}

#[test]
fn r97_so_is_one_that_takes_too_long_to_connect() {
    let (hole, _queue, _listener) = black_hole();
    let origin = named("alive");
    let gateway = with_dead(&[hole.port()], ", timeouts: { connect: 200ms }", &[&origin]);
    for _ in 0..2 {
        assert_eq!(get(&gateway, "/").text(), "alive");
    }
}

#[test]
fn r97_attempts_bound_the_tries() {
    let origin = named("alive");
    // None: every other request meets the dead one.
    let gateway = with_dead(&[closed_port()], ", retries: { attempts: 0 }", &[&origin]);
    let mut statuses: Vec<u16> = (0..10).map(|_| get(&gateway, "/").status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 5], [502; 5]].concat());
    // Two: past both of the dead ones.
    let gateway = with_dead(&[closed_port(), closed_port()], ", retries: { attempts: 2 }", &[&origin]);
    for _ in 0..9 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
}

#[test]
fn r2_all_targets_dead_is_a_502_at_once() {
    let ports = [closed_port(), closed_port(), closed_port()];
    let gateway = with_dead(&ports, ", retries: { attempts: 10 }", &[]);
    let mut client = gateway.connect();
    for method in ["GET", "POST"] {
        let started = Instant::now();
        let answer = client.request(method, "/").expect("an answer");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(answer.status, 502);
        problem(&answer);
    }
    let all = String::from_utf8_lossy(&client.received()).into_owned();
    assert!(!all.contains("127.0.0.1") && ports.iter().all(|port| !all.contains(&port.to_string())), "{all}");
}

/// RFC 6761 6.4: no resolver has an answer for such a name.
#[test]
fn r2_a_name_that_does_not_resolve_is_a_502_that_does_not_tell_it() {
    for service in [
        "url: \"http://secretive.invalid:9001\", timeouts: { connect: 20s }",
        "targets: [{ address: \"secretive.invalid:9001\" }], timeouts: { connect: 20s }, retries: { attempts: 3 }",
    ] {
        let gateway = with_service(service, &[]);
        let mut client = gateway.connect();
        client.patience(Duration::from_secs(30));
        let answer = client.get("/").expect("an answer");
        assert_eq!(answer.status, 502, "{}", answer.text());
        problem(&answer);
        let all = String::from_utf8_lossy(&client.received()).to_ascii_lowercase();
        for part in ["invalid", "secretive", "9001", "resol", "lookup", "os error"] {
            assert!(!all.contains(part), "{part}: {all}");
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_visibly_cut() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        match exchange.request.target.as_str() {
            "/length" => exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
            "/chunked" => exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
            _ => exchange.send(answer("whole")),
        };
        if exchange.request.target != "/whole" {
            exchange.reset();
        }
    });
    let gateway = with_service("url: \"http://{origin}\"", &[&origin]);
    for path in ["/length", "/chunked"] {
        let mut client = gateway.connect();
        let cut = match client.get(path) {
            Ok(answer) => answer.status == 502 || !answer.body.is_complete(),
            Err(_) => true,
        };
        assert!(cut, "{path}: a client took half an answer for whole");
        if client.received().starts_with(b"HTTP/1.1 200") {
            assert_eq!(client.closes(), Ok(()), "{path}");
        }
    }
    assert_eq!(get(&gateway, "/whole").text(), "whole");
}

/// The targets come back: no state keeps them out.
#[test]
fn a_target_that_comes_back_is_used_again() {
    let port = closed_port();
    let gateway = Gateway::builder(&service_yaml(&format!("url: \"http://127.0.0.1:{port}\""))).start();
    let mut client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 502);
    let origin = Origin::start_on(port, |exchange| {
        exchange.read_body();
        exchange.send(answer("back"));
    });
    assert_eq!(client.get("/").expect("an answer").text(), "back");
    drop(origin);
    assert_eq!(client.get("/").expect("an answer").status, 502);
}

/// Retries never multiply what a client sends: a request that was answered badly is not sent again.
#[test]
fn r97_an_answer_of_5xx_is_passed_on_and_not_tried_again() {
    let origin = Origin::answering(|_| b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy".to_vec());
    let other = named("other");
    let gateway =
        with_service("targets: [{ address: \"{origin}\" }, { address: \"{origin2}\", weight: 0 }]", &[&origin, &other]);
    let answer = get(&gateway, "/");
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
    assert_eq!(origin.wait_requests(1, PATIENCE).len(), 1);
    assert!(other.requests().is_empty());
}
