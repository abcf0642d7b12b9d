//! The admin API: probes, the token, the format of what it answers.

use std::sync::Mutex;
use std::sync::mpsc;

use tollgate_testkit::{Client, Gateway, Origin, PATIENCE, eventually};

use crate::configs::PLAIN;
use crate::helpers::{admin_json, answer};

fn yaml(token: &str) -> String {
    format!("{PLAIN}admin: {{ address: \"{{admin}}\"{token} }}\n")
}

#[test]
fn r136_probes() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        let _ = wait.lock().unwrap().recv_timeout(4 * PATIENCE);
        exchange.send(answer("ok"));
    });
    let mut gateway = Gateway::start(&yaml(""), &[&origin]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.admin_get(path).status, 200, "{path}");
    }
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    gateway.sigterm();
    let draining = eventually(PATIENCE, || Some(gateway.admin_get("/readyz")).filter(|answer| answer.status == 503));
    assert_eq!(draining.expect("it says so").text(), r#"{"status":"draining"}"#);
    assert_eq!(gateway.admin_get("/healthz").status, 200, "it is alive");
    assert_eq!(gateway.admin_get("/metrics").status, 200, "and still tells");
    release.send(()).unwrap();
    assert_eq!(client.response("GET").expect("an answer").status, 200);
    assert!(gateway.wait_exit(PATIENCE).success());
}

#[test]
fn a_token_is_required_where_one_is_set() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&yaml(", token: \"tok-123\""), &[&origin]);
    for path in ["/metrics", "/stats", "/config", "/nowhere"] {
        for (fields, status) in [
            ("", 401),
            ("Authorization: Bearer wrong\r\n", 401),
            ("Authorization: Bearer tok-12\r\n", 401),
            ("Authorization: Bearer tok-1234\r\n", 401),
            ("Authorization: Basic tok-123\r\n", 401),
            ("Authorization: tok-123\r\n", 401),
            ("Authorization: Bearer tok-123\r\nAuthorization: Bearer x\r\n", 401),
            ("Authorization: Bearer tok-123\r\n", if path == "/nowhere" { 404 } else { 200 }),
            ("authorization: bearer tok-123\r\n", if path == "/nowhere" { 404 } else { 200 }),
        ] {
            let answer = gateway.admin_get_with(path, fields);
            assert_eq!(answer.status, status, "{path} {fields}");
            if status == 401 {
                assert!(answer.fields.get("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
                assert_eq!(answer.fields.get("content-type"), Some("application/problem+json"));
            }
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.admin_get(path).status, 200, "{path} is for probes");
    }
}

/// DNS rebinding: a page whose name was made to mean 127.0.0.1 cannot read anything.
#[test]
fn on_loopback_a_host_must_be_an_address() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&yaml(""), &[&origin]);
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ] {
        let mut client = Client::connect(gateway.admin());
        client.send(format!("GET /config HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response("GET").expect("an answer").status, status, "{host}");
    }
}

#[test]
fn r68_the_running_configuration_is_shown() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&yaml(", token: \"tok-123\""), &[&origin]);
    let answer = gateway.admin_get_with("/config", "Authorization: Bearer tok-123\r\n");
    let config: serde_json::Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
    assert_eq!(config["services"][0]["url"], format!("http://{}", origin.address()));
    assert_eq!(config["admin"]["token"], "***");
    assert_eq!(answer.fields.get("cache-control"), Some("no-store"));
    assert_eq!(answer.fields.get("content-type"), Some("application/json"));
}

#[test]
fn r48_metrics_come_in_both_formats() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&yaml(""), &[&origin]);
    let text = gateway.admin_get("/metrics");
    assert!(text.fields.get("content-type").is_some_and(|value| value.starts_with("text/plain; version=0.0.4")));
    let open = gateway.admin_get_with("/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(open.fields.get("content-type").is_some_and(|value| value.starts_with("application/openmetrics-text")));
    assert!(open.text().ends_with("# EOF\n"));
    // Every sample belongs to a family that is described before it.
    let body = text.text();
    let described: Vec<&str> =
        body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let known = |family: &&&str| {
            name.strip_prefix(**family).is_some_and(|rest| ["", "_bucket", "_sum", "_count", "_total"].contains(&rest))
        };
        assert!(described.iter().any(|family| known(&family)), "{line}");
        assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
    }
}

#[test]
fn without_admin_there_is_none() {
    let origin = Origin::ok();
    let gateway = Gateway::start(PLAIN, &[&origin]);
    assert!(std::net::TcpStream::connect(gateway.admin()).is_err());
    // And the data plane is no way in.
    for path in ["/metrics", "/stats", "/config"] {
        let mut client = gateway.connect();
        assert_eq!(client.get(path).expect("an answer").text(), "ok", "{path} is the service's");
    }
}

#[test]
fn other_methods_and_paths_are_refused() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&yaml(""), &[&origin]);
    for (line, status) in
        [("POST /stats", 405), ("DELETE /metrics", 405), ("GET /nowhere", 404), ("GET /../config", 404)]
    {
        let mut client = Client::connect(gateway.admin());
        client.send(format!("{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"));
        let answer = client.response("GET").expect("an answer");
        assert_eq!(answer.status, status, "{line}");
        assert_eq!(answer.fields.get("content-type"), Some("application/problem+json"), "{line}");
    }
    let mut client = Client::connect(gateway.admin());
    client.send("HEAD /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(client.response("HEAD").expect("an answer").status, 200);
    assert_eq!(admin_json(&gateway, "/stats")["totals"]["workers"], 1);
}
