//! The access log.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tollgate_testkit::{Client, Gateway, Metrics, Origin, PATIENCE, closed_port, eventually};

use crate::configs::PLAIN;
use crate::helpers::{answer, ask, get, log_file, log_lines, log_stdout, plain, resetting};

const YAML: &str = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
services:
  - { name: origin, url: "http://{origin}" }
  - { name: dead, targets: [{ address: "127.0.0.1:{dead}" }, { address: "127.0.0.1:{dead2}" }] }
  - { name: broken, url: "http://{origin2}" }
routes:
  - { name: everything, service: origin }
  - { name: dead, paths: [/dead], service: dead }
  - { name: broken, paths: [/broken], service: broken }
  - { name: get-only, paths: [/get], methods: [GET], hosts: [only.test], service: origin }
access_log: { path: {log} }
"#;

fn start(log: &str, origin: &Origin, broken: &Origin) -> Gateway {
    Gateway::builder(YAML)
        .origin(origin)
        .origin(broken)
        .var("dead", closed_port().to_string())
        .var("dead2", closed_port().to_string())
        .var("log", log)
        .start()
}

/// RFC 3339 in UTC with milliseconds.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

fn is(line: &Value, expected: &[(&str, Value)]) {
    for (key, value) in expected {
        assert_eq!(line[*key], *value, "{key}: {line}");
    }
}

#[test]
fn r95_a_line_says_what_happened() {
    let origin = Origin::answering(|_| answer("hello").into_bytes());
    let broken = resetting();
    let gateway = start("stdout", &origin, &broken);
    let mut client = gateway.connect();
    let fields = "User-Agent: curl/8 \"quoted\" \\ \u{7e}\r\nAuthorization: Bearer hidden\r\nCookie: hidden=1\r\n";
    let first = ask(&mut client, "GET /a/%20b?token=hidden", fields);
    assert_eq!(ask(&mut client, "GET /dead/x", "").status, 502);
    assert_eq!(ask(&mut client, "GET /broken", "").status, 502);
    client.send("POST /a HTTP/1.1\r\nHost: OTHER.test:99\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.response("POST").expect("an answer").status, 200);
    client.send("HEAD /a HTTP/1.0\r\n\r\n");
    assert_eq!(client.response("HEAD").expect("an answer").status, 200);
    let mut bad = gateway.connect();
    bad.send("GET / HTTP/1.1\r\nHost: a.test\r\nBad Header: 1\r\n\r\n");
    assert_eq!(bad.response("GET").expect("an answer").status, 400);
    let lines = log_stdout(&gateway, 6);
    for line in &lines {
        assert!(is_time(line["time"].as_str().unwrap_or_default()), "{line}");
        let duration = line["duration_ms"].as_f64().expect("a number");
        assert!((0.0..5000.0).contains(&duration), "{line}");
        is(line, &[("client", "127.0.0.1".into()), ("listener", "web".into()), ("scheme", "http".into())]);
        is(line, &[("complete", true.into())]);
        assert!(line["bytes_sent"].as_u64().is_some_and(|bytes| bytes > 30), "{line}");
    }
    let target = origin.address().to_string();
    is(
        &lines[0],
        &[
            ("method", "GET".into()),
            ("host", "a.test".into()),
            ("path", "/a/%20b".into()),
            ("protocol", "HTTP/1.1".into()),
            ("status", 200.into()),
            ("route", "everything".into()),
            ("service", "origin".into()),
            ("target", target.into()),
            ("tries", 1.into()),
            ("user_agent", "curl/8 \"quoted\" \\ ~".into()),
            ("request_id", first.fields.get("x-request-id").expect("an id").into()),
        ],
    );
    assert!(lines[0].get("reject").is_none() && lines[0].get("plugin").is_none(), "{}", lines[0]);
    is(&lines[1], &[("status", 502.into()), ("reject", "connect-failed".into()), ("side", "service".into())]);
    is(&lines[1], &[("route", "dead".into()), ("service", "dead".into()), ("tries", 2.into())]);
    assert!(lines[1]["cause"].as_str().is_some_and(|cause| cause.contains("refused")), "{}", lines[1]);
    is(&lines[2], &[("status", 502.into()), ("reject", "service-closed".into()), ("side", "service".into())]);
    is(&lines[3], &[("method", "POST".into()), ("path", "/a".into())]);
    assert!(lines[3]["host"].as_str().is_some_and(|host| host.eq_ignore_ascii_case("other.test")), "{}", lines[3]);
    is(&lines[4], &[("method", "HEAD".into()), ("protocol", "HTTP/1.0".into()), ("status", 200.into())]);
    is(&lines[5], &[("status", 400.into()), ("reject", "bad-request".into()), ("side", "client".into())]);
    assert!(!gateway.stdout().contains("hidden"), "queries and credentials stay out: {}", gateway.stdout());
}

#[test]
fn r95_the_duration_is_that_of_the_whole_answer() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
        std::thread::sleep(Duration::from_millis(120));
        exchange.send("half");
    });
    let broken = Origin::ok();
    let gateway = start("stdout", &origin, &broken);
    assert_eq!(get(&gateway, "/").text(), "halfhalf");
    let line = &log_stdout(&gateway, 1)[0];
    let duration = line["duration_ms"].as_f64().expect("a number");
    assert!((115.0..5000.0).contains(&duration), "{line}");
}

/// A client that leaves before it has all is no success, whatever the status.
#[test]
fn r95_an_answer_that_was_not_taken_is_not_complete() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        let part = [b'x'; 65536];
        while exchange.send(part) {}
        exchange.close();
    });
    let broken = Origin::ok();
    let gateway = start("stdout", &origin, &broken);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.head().expect("a head").0, 200);
    client.reset();
    let line = &log_stdout(&gateway, 1)[0];
    is(line, &[("status", 200.into()), ("complete", false.into())]);
    assert!(line["bytes_sent"].as_u64().is_some_and(|bytes| bytes < 100_000_000), "{line}");
}

/// Who leaves before the answer did nothing wrong: the log and the counts say that it left.
#[test]
fn a_client_that_left_is_a_kind_of_its_own() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        let _ = exchange.read_to_close(PATIENCE);
        exchange.close();
    });
    let yaml = format!("{PLAIN}access_log: {{ path: stdout }}\nadmin: {{ address: \"{{admin}}\" }}\n");
    let gateway = Gateway::start(&yaml, &[&origin]);
    let mut client = gateway.connect();
    client.send("GET /left HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    client.reset();
    let line = &log_stdout(&gateway, 1)[0];
    is(line, &[("path", "/left".into()), ("reject", "client-gone".into()), ("side", "client".into())]);
    is(line, &[("complete", false.into())]);
    let count = |metrics: &Metrics, kind: &str| metrics.get(&format!("tollgate_rejects_total{{kind=\"{kind}\"}}"));
    let metrics = gateway.metrics_when("its count", |metrics| count(metrics, "client-gone") == Some(1));
    assert_eq!(count(&metrics, "bad-request"), Some(0));
}

/// Whatever a client writes, a line is one line and JSON.
#[test]
fn r95_odd_requests_make_no_odd_lines() {
    let origin = Origin::ok();
    let broken = Origin::ok();
    let gateway = start("stdout", &origin, &broken);
    let odd = [
        "GET /\"}{\"a\":\"b HTTP/1.1\r\nHost: a.test\r\n\r\n".as_bytes(),
        b"GET /%0a%00 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: \xff\xfe\x80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nUser-Agent: \xc3\xa9\t\"\\\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n",
    ];
    for bytes in odd {
        let mut client = gateway.connect();
        client.send(bytes);
        assert!(client.response("GET").is_ok_and(|answer| answer.status < 500), "{bytes:?}");
    }
    let lines = log_stdout(&gateway, odd.len());
    assert_eq!(lines.len(), odd.len());
}

/// The file is moved away and SIGHUP says so: no line is lost, and none is written twice.
#[test]
fn r48_the_log_is_rotated_on_sighup() {
    let origin = Origin::ok();
    let broken = Origin::ok();
    let gateway = start("access.log", &origin, &broken);
    let (log, old) = (gateway.dir().join("access.log"), gateway.dir().join("access.log.1"));
    let mut client = gateway.connect();
    for turn in 0..20 {
        assert_eq!(client.get(&format!("/before/{turn}")).expect("an answer").status, 200);
    }
    log_file(&log, 20);
    fs::rename(&log, &old).expect("a file can be renamed");
    gateway.sighup();
    for turn in 0..20 {
        assert_eq!(client.get(&format!("/after/{turn}")).expect("an answer").status, 200);
    }
    // The file is opened anew once there is something to write, or at once.
    let made = eventually(PATIENCE, || log.exists().then_some(()));
    if made.is_none() {
        assert_eq!(client.get("/after/last").expect("an answer").status, 200);
    }
    let both = || [read(&old), read(&log)].concat();
    let lines = eventually(PATIENCE, || Some(both()).filter(|lines| lines.len() >= 40)).unwrap_or_else(&both);
    let mut paths: Vec<&str> = lines.iter().filter_map(|line| line["path"].as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!((lines.len(), paths.len()), (40, 40));
    assert!(!read(&log).is_empty(), "the new file is written");
    assert!(read(&old).iter().any(|line| line["path"] == "/before/0"));
}

fn read(path: &Path) -> Vec<Value> {
    log_lines(&fs::read_to_string(path).unwrap_or_default())
}

#[test]
fn r48_a_file_is_appended_to() {
    let origin = Origin::ok();
    let dir = tollgate_testkit::Workplace::new();
    dir.file("access.log", "{\"earlier\":true}\n");
    let path = dir.path().join("access.log");
    let broken = Origin::ok();
    let mut gateway = start(&path.display().to_string(), &origin, &broken);
    assert_eq!(get(&gateway, "/").status, 200);
    gateway.sigterm();
    gateway.wait_exit(PATIENCE);
    let lines = read(&path);
    assert_eq!((lines.len(), &lines[0]["earlier"]), (2, &true.into()));
}

/// All lines are written before the process ends.
#[test]
fn r48_the_end_of_the_process_loses_no_line() {
    let origin = Origin::ok();
    let broken = Origin::ok();
    let mut gateway = start("access.log", &origin, &broken);
    let mut client = gateway.connect();
    for _ in 0..50 {
        assert_eq!(client.get("/").expect("an answer").status, 200);
    }
    gateway.sigterm();
    assert!(gateway.wait_exit(PATIENCE).success());
    assert_eq!(read(&gateway.dir().join("access.log")).len(), 50);
}

fn sampled(sample: &str, count: usize) -> Gateway {
    let origin = Origin::ok();
    let yaml =
        format!("{PLAIN}access_log: {{ path: access.log, sample: {sample} }}\nadmin: {{ address: \"{{admin}}\" }}\n");
    let gateway = Gateway::start(&yaml, &[&origin]);
    let mut client = gateway.connect();
    for _ in 0..count {
        assert_eq!(client.get("/").expect("an answer").status, 200);
    }
    let sample = "tollgate_requests_total{route=\"everything\",status=\"2xx\"}";
    gateway.metrics_when("all counts", |metrics| metrics.get(sample) == Some(count as u64));
    gateway
}

fn ended(mut gateway: Gateway) -> usize {
    gateway.sigterm();
    assert!(gateway.wait_exit(PATIENCE).success());
    read(&gateway.dir().join("access.log")).len()
}

#[test]
fn r48_a_share_of_the_requests_is_logged_and_all_are_counted() {
    assert_eq!(ended(sampled("0", 50)), 0);
    assert_eq!(ended(sampled("1", 50)), 50);
    // Seven standard deviations: once in 10^11 runs it fails by chance.
    let half = ended(sampled("0.5", 400));
    assert!((130..=270).contains(&half), "{half} of 400 for a half");
}

#[test]
fn without_access_log_there_is_none() {
    let origin = Origin::ok();
    let gateway = Gateway::start(PLAIN, &[&origin]);
    assert_eq!(get(&gateway, "/").status, 200);
    assert_eq!(gateway.stdout(), "");
}

/// A connection on which nothing was asked makes no line.
#[test]
fn a_connection_without_a_request_is_not_logged() {
    let (origin, broken) = (Origin::ok(), Origin::ok());
    let gateway = start("stdout", &origin, &broken);
    drop(plain(gateway.address()));
    let mut client: Client = gateway.connect();
    assert_eq!(client.get("/").expect("an answer").status, 200);
    assert_eq!(log_stdout(&gateway, 1).len(), 1);
}
