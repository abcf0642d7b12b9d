//! What else a reload changes: the log, whom listeners believe, limits, targets.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use tollgate_testkit::{Gateway, Origin, PATIENCE, Stop, eventually};

use crate::helpers::{admin_json, answer, ask, get, log_file, named, stats_when};

/// A listener with this inside, one service, and more at the end.
fn yaml(listener: &str, service: &str, more: &str) -> String {
    format!(
        "workers: 1
listeners: [{{ name: web, address: \"{{listen}}\"{listener} }}]
services: [{{ name: origin, {service} }}]
routes: [{{ name: all, service: origin }}]
admin: {{ address: \"{{admin}}\" }}
{more}
"
    )
}

const ORIGIN: &str = "url: \"http://{origin}\"";

fn apply(gateway: &mut Gateway, yaml: &str) {
    let applied = |stats: &serde_json::Value| stats["config"]["applied"].as_u64().unwrap_or_default();
    let before = applied(&admin_json(gateway, "/stats"));
    gateway.reload(yaml);
    stats_when(gateway, "the new configuration", |stats| applied(stats) == before + 1);
}

#[test]
fn r69_the_access_log_moves_comes_and_goes() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&yaml("", ORIGIN, "access_log: { path: one.log }"), &[&origin]);
    let mut client = gateway.connect();
    for path in ["/one/1", "/one/2"] {
        assert_eq!(client.get(path).expect("an answer").status, 200);
    }
    apply(&mut gateway, &yaml("", ORIGIN, "access_log: { path: two.log }"));
    assert_eq!(client.get("/two/1").expect("an answer").status, 200);
    let (one, two) = (gateway.dir().join("one.log"), gateway.dir().join("two.log"));
    let paths = |lines: Vec<serde_json::Value>| -> Vec<String> {
        lines.iter().filter_map(|line| line["path"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(paths(log_file(&one, 2)), ["/one/1", "/one/2"]);
    assert_eq!(paths(log_file(&two, 1)), ["/two/1"]);
    apply(&mut gateway, &yaml("", ORIGIN, ""));
    assert_eq!(client.get("/none").expect("an answer").status, 200);
    apply(&mut gateway, &yaml("", ORIGIN, "access_log: { path: two.log }"));
    assert_eq!(client.get("/two/2").expect("an answer").status, 200);
    assert_eq!(paths(log_file(&two, 2)), ["/two/1", "/two/2"]);
}

/// A request that is under way when the log moves is logged, wherever, but once.
#[test]
fn r48_a_request_under_way_is_logged_though_the_log_moves() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        if exchange.request.target == "/slow" {
            let _ = wait.lock().unwrap().recv_timeout(4 * PATIENCE);
        }
        exchange.send(answer("ok"));
    });
    let mut gateway = Gateway::start(&yaml("", ORIGIN, "access_log: { path: one.log }"), &[&origin]);
    let mut client = gateway.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    apply(&mut gateway, &yaml("", ORIGIN, "access_log: { path: two.log }"));
    release.send(()).unwrap();
    assert_eq!(client.response("GET").expect("an answer").status, 200);
    assert_eq!(get(&gateway, "/after").status, 200);
    log_file(&gateway.dir().join("two.log"), 1);
    let both = ["one.log", "two.log"].map(|name| std::fs::read_to_string(gateway.dir().join(name)).unwrap_or_default());
    let slow = both.concat().matches("\"path\":\"/slow\"").count();
    assert_eq!(slow, 1, "{both:?}");
}

/// New connections are believed by the new list, old ones as before.
#[test]
fn r34_trusted_proxies_change_for_new_connections() {
    let origin = Origin::ok();
    let forged = "X-Forwarded-For: 203.0.113.7\r\n";
    let mut gateway = Gateway::start(&yaml("", ORIGIN, ""), &[&origin]);
    let seen = || origin.requests().pop().and_then(|request| request.fields.get("x-forwarded-for").map(str::to_owned));
    assert_eq!(ask(&mut gateway.connect(), "GET /", forged).status, 200);
    assert_eq!(seen().as_deref(), Some("127.0.0.1"));
    apply(&mut gateway, &yaml(", trusted_proxies: [127.0.0.1]", ORIGIN, ""));
    let believed = eventually(PATIENCE, || {
        assert_eq!(ask(&mut gateway.connect(), "GET /", forged).status, 200);
        (seen().as_deref() == Some("203.0.113.7, 127.0.0.1")).then_some(())
    });
    assert!(believed.is_some(), "{:?}", seen());
    apply(&mut gateway, &yaml("", ORIGIN, ""));
    let forgotten = eventually(PATIENCE, || {
        assert_eq!(ask(&mut gateway.connect(), "GET /", forged).status, 200);
        (seen().as_deref() == Some("127.0.0.1")).then_some(())
    });
    assert!(forgotten.is_some(), "{:?}", seen());
}

#[test]
fn r69_limits_change_for_new_connections() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&yaml("", ORIGIN, ""), &[&origin]);
    let long = format!("X-Long: {}\r\n", "x".repeat(3000));
    let mut old = gateway.connect();
    assert_eq!(ask(&mut old, "GET /", &long).status, 200);
    apply(&mut gateway, &yaml(", limits: { max_header_bytes: 1KiB, max_body_bytes: 10 }", ORIGIN, ""));
    let strict = eventually(PATIENCE, || (ask(&mut gateway.connect(), "GET /", &long).status == 431).then_some(()));
    assert!(strict.is_some(), "the new limit does not hold");
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\n\r\nhello world");
    assert_eq!(client.response("POST").expect("an answer").status, 413);
    assert_eq!(ask(&mut old, "GET /", &long).status, 200, "a connection keeps what it came under");
    apply(&mut gateway, &yaml(", limits: { max_connections: 1 }", ORIGIN, ""));
    // `old` is one already.
    let mut waits = gateway.connect();
    waits.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    waits.patience(Duration::from_millis(200));
    let first = waits.response("GET");
    let mut next = gateway.connect();
    next.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    next.patience(Duration::from_millis(200));
    let second = next.response("GET");
    assert!(
        matches!(second, Err(Stop::TimedOut)),
        "one that was being accepted may pass, no more: {first:?} {second:?}"
    );
    drop((old, client, waits));
    next.patience(PATIENCE);
    assert_eq!(next.response("GET").expect("an answer once there is room").status, 200);
}

/// Old connections finish with the old target; what is idle there is closed; new requests go to the new one.
#[test]
fn r69_targets_are_replaced() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (closed, ended) = mpsc::channel::<Stop>();
    let closed = Mutex::new(closed);
    let old = Origin::start(move |exchange| {
        exchange.read_body();
        if exchange.request.target == "/slow" {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
            let _ = wait.lock().unwrap().recv_timeout(4 * PATIENCE);
            exchange.send("half");
            return;
        }
        exchange.send(answer("old"));
        if exchange.request.target == "/idle" {
            let (_, stop) = exchange.read_to_close(2 * PATIENCE);
            let _ = closed.lock().unwrap().send(stop);
            exchange.close();
        }
    });
    let new = named("new");
    let mut gateway = Gateway::start(&yaml("", ORIGIN, ""), &[&old, &new]);
    let mut slow = gateway.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(slow.head().expect("a head").0, 200);
    let mut client = gateway.connect();
    assert_eq!(client.get("/idle").expect("an answer").text(), "old");
    apply(&mut gateway, &yaml("", "url: \"http://{origin2}\"", ""));
    for _ in 0..5 {
        assert_eq!(client.get("/").expect("an answer").text(), "new");
        assert_eq!(get(&gateway, "/").text(), "new");
    }
    assert_eq!(ended.recv_timeout(2 * PATIENCE).expect("the idle connection ends"), Stop::Closed);
    release.send(()).unwrap();
    assert_eq!(slow.read_exact(8).expect("the rest of the answer"), b"halfhalf");
    assert_eq!(slow.get("/").expect("an answer").text(), "new");
    let text = gateway.metrics().text().to_owned();
    assert!(!text.contains(&old.address().to_string()) && text.contains(&new.address().to_string()), "{text}");
}

/// A target that stays keeps its connections.
#[test]
fn r69_targets_that_stay_keep_their_connections() {
    let (stays, comes) = (named("stays"), named("comes"));
    let mut gateway = Gateway::start(&yaml("", "targets: [{ address: \"{origin}\" }]", ""), &[&stays, &comes]);
    assert_eq!(get(&gateway, "/").text(), "stays");
    let both = "targets: [{ address: \"{origin}\" }, { address: \"{origin2}\" }], timeouts: { first_byte: 9s }";
    apply(&mut gateway, &yaml("", both, ""));
    for _ in 0..6 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    assert_eq!((stays.requests().len(), stays.connections()), (4, 1));
    assert_eq!((comes.requests().len(), comes.connections()), (3, 1));
}

/// The settings of a service take effect for the requests that follow.
#[test]
fn r69_timeouts_change() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        let (_, _) = exchange.read_to_close(Duration::from_millis(600));
        exchange.send(answer("late"));
        exchange.close();
    });
    let mut gateway = Gateway::start(&yaml("", ORIGIN, ""), &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    apply(&mut gateway, &yaml("", &format!("{ORIGIN}, timeouts: {{ first_byte: 100ms }}"), ""));
    assert_eq!(client.get("/").expect("an answer").status, 504);
}
