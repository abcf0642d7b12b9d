//! The admin API over real sockets, byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::{Value, json};
use tollgate_core::control::ReloadState;
use tollgate_core::reject::Kind;

use super::*;
use crate::testing::Fake;

const PATIENCE: Duration = Duration::from_secs(10);

fn bind(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

fn served(fake: &Arc<Fake>, token: Option<&str>, limits: Limits) -> Admin {
    start_with(bind("127.0.0.1:0"), token.map(str::to_owned), fake.clone(), limits).unwrap()
}

fn open(fake: &Arc<Fake>) -> Admin {
    served(fake, None, Limits::default())
}

fn connect(admin: &Admin) -> TcpStream {
    let stream = TcpStream::connect(admin.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes back for these bytes until the server closes.
fn exchange(admin: &Admin, request: &str) -> String {
    let mut stream = connect(admin);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// An answer in parts.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        let chunked = head.contains("transfer-encoding: chunked");
        let body = if chunked { unchunked(body).expect("cut short") } else { body.to_owned() };
        Self { status: head[9..12].parse().unwrap(), head, body }
    }

    fn json(&self) -> Value {
        assert!(self.head.contains("json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }

    fn problem(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        assert_eq!(self.json()["status"], status);
        self
    }
}

/// The body that the chunks make, if the last is there.
fn unchunked(mut text: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = text.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        text = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// Sends a request line's first two words and further fields.
fn ask(admin: &Admin, line: &str, fields: &str) -> Answer {
    let request = format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}\r\n", admin.address());
    Answer::parse(&exchange(admin, &request))
}

#[test]
fn health_says_that_it_runs_and_readiness_that_it_drains() {
    let fake = Fake::new(1);
    let admin = open(&fake);
    assert_eq!(ask(&admin, "GET /readyz", "").json(), json!({"status": "ready"}));
    fake.draining.store(true, Ordering::Relaxed);
    let answer = ask(&admin, "GET /readyz", "");
    assert_eq!((answer.status, answer.json()), (503, json!({"status": "draining"})));
    let answer = ask(&admin, "GET /healthz", "");
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})));
    for field in ["cache-control: no-store", "x-content-type-options: nosniff", "content-type: application/json"] {
        assert!(answer.head.contains(field), "{}", answer.head);
    }
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let fake = Fake::new(1);
    fake.answer("orders", 0, 2, 100);
    let admin = open(&fake);
    let line = "tollgate_requests_total{route=\"orders\",status=\"2xx\"} 1\n";
    let text = ask(&admin, "GET /metrics", "");
    assert!(text.head.contains("content-type: text/plain; version=0.0.4"), "{}", text.head);
    assert!(text.body.contains(line) && !text.body.contains("# EOF"), "{}", text.body);
    let open = ask(&admin, "GET /metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.body.contains(line) && open.body.ends_with("# EOF\n"), "{}", open.body);
}

#[test]
fn stats_are_those_of_what_was_counted() {
    let fake = Fake::new(2);
    for number in 1..=1000 {
        fake.answer("orders", number % 2, 2, number as u64 * 1000);
    }
    fake.answer("orders", 0, 5, 1_000_000);
    fake.answer("users", 1, 0, 1_000_000);
    fake.metrics.route("users").shard(0).unwrap().in_flight.add(2);
    let target = fake.metrics.target("db", "10.0.0.1:80");
    target.shard(0).unwrap().answers[3].add(1);
    fake.metrics.worker(1).unwrap().rejects[Kind::NoRoute as usize].add(4);
    fake.metrics.worker(0).unwrap().retries.add(6);
    let error = Some("line 3: unknown key".to_owned());
    *fake.reloads.lock() = ReloadState { applied: 2, rejected: 1, applied_at: 7, last_error: error };
    let admin = open(&fake);

    let stats = ask(&admin, "GET /stats", "").json();
    assert_eq!(stats["version"], "1.2.3");
    assert_eq!(
        stats["config"],
        json!({"applied": 2, "rejected": 1, "applied_at": 7, "last_error": "line 3: unknown key"})
    );
    let orders = &stats["routes"][0];
    assert_eq!((&orders["route"], &orders["requests"], &orders["errors"]), (&json!("orders"), &json!(1001), &json!(1)));
    assert_eq!(orders["answers"], json!({"none": 0, "1xx": 0, "2xx": 1000, "3xx": 0, "4xx": 0, "5xx": 1}));
    for (name, expected) in [("mean", 501.0), ("p50", 500.0), ("p90", 900.0), ("p99", 990.0), ("p999", 999.0)] {
        let found = orders["latency_ms"][name].as_f64().unwrap();
        assert!((found - expected).abs() < expected * 0.02, "{name} is {found}");
    }
    assert_eq!(stats["routes"][1]["in_flight"], 2);
    let target = &stats["targets"][0];
    assert_eq!((&target["service"], &target["target"]), (&json!("db"), &json!("10.0.0.1:80")));
    assert_eq!((&target["requests"], &target["latency_ms"]), (&json!(1), &Value::Null));
    let totals = &stats["totals"];
    assert_eq!((&totals["requests"], &totals["errors"], &totals["in_flight"]), (&json!(1002), &json!(1), &json!(2)));
    assert_eq!((&totals["retries"], &totals["rejects"]), (&json!(6), &json!({"no-route": 4})));
    assert!(totals["latency_ms"]["p50"].is_number());
}

#[test]
fn the_config_is_what_the_gateway_gives() {
    let fake = Fake::new(1);
    *fake.config.lock() = json!({"admin": {"token": "***"}});
    let admin = open(&fake);
    let answer = ask(&admin, "GET /config", "");
    assert_eq!((answer.status, answer.json()), (200, json!({"admin": {"token": "***"}})));
    // A short answer has its length.
    assert!(answer.head.contains("content-length: 25"), "{}", answer.head);
}

#[test]
fn what_is_not_there_is_a_problem() {
    let fake = Fake::new(1);
    let admin = open(&fake);
    let answer = ask(&admin, "GET /nothing", "");
    answer.problem(404);
    assert_eq!(answer.json()["title"], "Not Found");
    let answer = ask(&admin, "POST /stats", "Content-Length: 0\r\n");
    assert!(answer.problem(405).head.contains("allow: get,head"), "{}", answer.head);
    let answer = ask(&admin, "HEAD /stats", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    ask(&admin, "GET /healthz", "Content-Length: 65537\r\n").problem(413);
}

#[test]
fn the_token_is_asked_for_everywhere_but_of_probes() {
    let fake = Fake::new(1);
    let admin = served(&fake, Some("s3cret"), Limits::default());
    for line in ["GET /metrics", "GET /stats", "GET /config", "GET /nothing", "POST /config", "GET /healthz/"] {
        let answer = ask(&admin, line, "");
        assert!(
            answer.problem(401).head.contains("www-authenticate: bearer realm=\"tollgate\"\r\n"),
            "{}",
            answer.head
        );
    }
    for line in ["GET /healthz", "GET /readyz"] {
        assert_eq!(ask(&admin, line, "").status, 200);
    }
    for given in ["Bearer s3cret", "bearer  s3cret "] {
        assert_eq!(ask(&admin, "GET /stats", &format!("Authorization: {given}\r\n")).status, 200, "{given}");
    }
    for given in ["Bearer s3cre", "Bearer s3cret1", "Bearer", "Bearer ", "Basic s3cret", "s3cret", "Bearer S3CRET"] {
        let answer = ask(&admin, "GET /stats", &format!("Authorization: {given}\r\n"));
        assert!(answer.problem(401).head.contains("error=\"invalid_token\""), "{given}: {}", answer.head);
    }
    let twice = "Authorization: Bearer s3cret\r\nAuthorization: Bearer s3cret\r\n";
    ask(&admin, "GET /stats", twice).problem(401);
}

#[test]
fn a_name_that_was_rebound_to_loopback_gets_nothing() {
    let fake = Fake::new(1);
    let admin = open(&fake);
    let hosted = |target: &str, version: &str, hosts: &str| {
        let request = format!("GET {target} HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        Answer::parse(&exchange(&admin, &request))
    };
    for host in ["127.0.0.1", "127.0.0.1:9901", "localhost", "LocalHost:80", "[::1]:9901", "10.1.2.3"] {
        assert_eq!(hosted("/stats", "1.1", &format!("Host: {host}\r\n")).status, 200, "{host}");
    }
    let names = ["evil.example", "evil.example:9901", "localhost.evil.example", "127.0.0.1.evil.example", "2130706433"];
    let odd = ["[::1].evil", "[::1]evil:80", "localhost:evil", "x@localhost", "::1", "a b", "", "[localhost]"];
    for host in names.iter().chain(&odd) {
        hosted("/stats", "1.1", &format!("Host: {host}\r\n")).problem(403);
    }
    hosted("/healthz", "1.1", "Host: evil.example\r\n").problem(403);
    hosted("http://evil.example/stats", "1.1", "Host: localhost\r\n").problem(403);
    for hosts in ["", "Host: localhost\r\nHost: localhost\r\n"] {
        hosted("/stats", "1.1", hosts).problem(400);
    }
    // An old client on the machine; no browser asks like this.
    assert_eq!(hosted("/stats", "1.0", "").status, 200);
}

#[test]
fn off_loopback_a_token_is_required_and_names_are_welcome() {
    let fake = Fake::new(1);
    let error = start(bind("0.0.0.0:0"), None, fake.clone()).err().unwrap();
    assert!(matches!(error, AdminError::TokenRequired(_)), "{error}");
    let error = start(bind("127.0.0.1:0"), Some(String::new()), fake.clone()).err().unwrap();
    assert!(matches!(error, AdminError::EmptyToken), "{error}");

    let admin = start(bind("0.0.0.0:0"), Some("t".into()), fake).unwrap();
    let request =
        "GET /stats HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\nAuthorization: Bearer t\r\n\r\n";
    assert_eq!(Answer::parse(&exchange(&admin, request)).status, 200);
}

#[test]
fn a_big_answer_arrives_whole() {
    let fake = Fake::new(1);
    for number in 0..2000 {
        fake.answer(&format!("route-{number:04}"), 0, 2, 100);
    }
    let admin = open(&fake);
    let stats = ask(&admin, "GET /stats", "");
    assert!(stats.head.contains("transfer-encoding: chunked"), "{}", stats.head);
    assert_eq!(stats.json()["routes"].as_array().unwrap().len(), 2000);
    let metrics = ask(&admin, "GET /metrics", "Accept: application/openmetrics-text\r\n").body;
    assert!(metrics.ends_with("# EOF\n"));
    assert!(metrics.contains("tollgate_requests_total{route=\"route-1999\",status=\"2xx\"} 1\n"));
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_holds_nobody_up() {
    let fake = Fake::new(1);
    for number in 0..10_000 {
        let _ = fake.metrics.route(&format!("route-{number:0200}"));
    }
    let limits = Limits {
        answer: Duration::from_millis(200),
        connection: Duration::from_millis(300),
        drain: Duration::from_millis(50),
        ..Limits::default()
    };
    let admin = served(&fake, None, limits);
    let mut lazy: Vec<_> = (0..HELPERS + 1).map(|_| connect(&admin)).collect();
    for stream in &mut lazy {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    assert_eq!(ask(&admin, "GET /healthz", "").status, 200);
    // All helpers are held until the deadline, then free again.
    let started = Instant::now();
    loop {
        let answer = ask(&admin, "GET /config", "");
        if answer.status == 200 {
            break;
        }
        assert!(answer.problem(503).head.contains("retry-after: 5") && started.elapsed() < PATIENCE);
    }
    for stream in &mut lazy {
        let mut answer = Vec::new();
        // A reset is a cut as well.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.ends_with(b"\r\n0\r\n\r\n"));
    }
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let limits = Limits { header: Duration::from_millis(50), ..Limits::default() };
    let admin = served(&Fake::new(1), None, limits);
    for start in ["", "GET /healthz HTTP/1.1\r\nHost: loc"] {
        assert!(!exchange(&admin, start).contains("200"));
    }
    let long = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(serve::MAX_HEAD));
    assert!(exchange(&admin, &long).starts_with("HTTP/1.1 431"));
}

#[test]
fn connections_past_the_limit_wait() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let admin = served(&Fake::new(1), None, limits);
    let mut first = connect(&admin);
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).unwrap();

    let mut second = connect(&admin);
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    second.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(second.read_exact(&mut byte).is_err());
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    second.read_exact(&mut byte).unwrap();
}

#[test]
fn a_shutdown_closes_idle_connections_and_ends() {
    let admin = open(&Fake::new(1));
    let address = admin.address();
    let mut idle = connect(&admin);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    let started = Instant::now();
    assert!(admin.shutdown(PATIENCE));
    assert!(started.elapsed() < PATIENCE);
    idle.read_to_end(&mut Vec::new()).unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_dropped_admin_stops_listening() {
    let admin = open(&Fake::new(1));
    let address = admin.address();
    drop(admin);
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < end);
        thread::yield_now();
    }
}
