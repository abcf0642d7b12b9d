//! R121: `/metrics` and `/stats` agree with what was sent.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tollgate_testkit::{Client, Exchange, Gateway, Metrics, Origin, PATIENCE, Stop, closed_port};

use crate::helpers::{admin_json, answer, ask, get, stats_when};

const YAML: &str = r#"
workers: 2
listeners: [{ name: web, address: "{listen}", limits: { max_header_bytes: 2KiB, max_uri_bytes: 1KiB, max_body_bytes: 1KiB } }]
services:
  - { name: orders, targets: [{ address: "{origin}" }, { address: "{origin2}" }] }
  - { name: dead, url: "http://127.0.0.1:{dead}" }
  - { name: slow, url: "http://{origin3}", timeouts: { first_byte: 100ms } }
routes:
  - { name: orders, paths: [/orders], methods: [GET, POST], service: orders }
  - { name: dead, paths: [/dead], service: dead }
  - { name: slow, paths: [/slow], service: slow }
  - { name: denied, paths: [/denied], service: orders, plugins: [{ name: ip-restriction, config: { deny: [127.0.0.1] } }] }
admin: { address: "{admin}" }
"#;

/// Answers with the status at the end of the path.
fn status_of_path() -> Origin {
    Origin::answering(|request| {
        let status = request.target.rsplit('/').next().unwrap_or_default();
        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes()
    })
}

fn start(origins: &[&Origin]) -> Gateway {
    let builder = Gateway::builder(YAML).var("dead", closed_port().to_string());
    origins.iter().fold(builder, |builder, origin| builder.origin(origin)).start()
}

fn requests(metrics: &Metrics, route: &str) -> [u64; 6] {
    ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
        metrics
            .get(&format!("tollgate_requests_total{{route=\"{route}\",status=\"{class}\"}}"))
            .expect("each class is there")
    })
}

#[test]
fn r121_counts_are_exact_by_route_target_class_and_kind() {
    let origins = [
        status_of_path(),
        status_of_path(),
        Origin::start(|exchange| {
            exchange.read_body();
            let _ = exchange.read_to_close(PATIENCE);
            exchange.close();
        }),
    ];
    let gateway = start(&origins.each_ref());
    for (path, count) in [
        ("/orders/200", 7),
        ("/orders/304", 3),
        ("/orders/404", 5),
        ("/orders/500", 2),
        ("/dead", 4),
        ("/slow", 2),
        ("/denied", 3),
        ("/nowhere", 6),
    ] {
        let mut client = gateway.connect();
        for _ in 0..count {
            client.get(path).expect("an answer");
        }
    }
    assert_eq!(ask(&mut gateway.connect(), "DELETE /orders/1", "").status, 405);
    let send = |bytes: String, status: u16| {
        let mut client = gateway.connect();
        client.send(bytes);
        assert_eq!(client.response("GET").expect("an answer").status, status);
    };
    send("GET / HTTP/1.1\r\n\r\n".into(), 400);
    send(format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "a".repeat(1100)), 414);
    send(format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "a".repeat(3000)), 431);
    send("POST /orders/200 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2000\r\n\r\n".into(), 413);
    send("GET / HTTP/2.5\r\nHost: a.test\r\n\r\n".into(), 505);

    // The last ones are counted after their answers went out.
    let all =
        |m: &Metrics| requests(m, "").iter().sum::<u64>() == 12 && requests(m, "orders").iter().sum::<u64>() == 17;
    let metrics =
        gateway.metrics_when("all counts", |m| all(m) && requests(m, "slow")[5] == 2 && requests(m, "denied")[4] == 3);
    assert_eq!(requests(&metrics, "orders"), [0, 0, 7, 3, 5, 2]);
    assert_eq!(requests(&metrics, "dead"), [0, 0, 0, 0, 0, 4]);
    assert_eq!(requests(&metrics, "slow"), [0, 0, 0, 0, 0, 2]);
    assert_eq!(requests(&metrics, "denied"), [0, 0, 0, 0, 3, 0]);
    assert_eq!(requests(&metrics, ""), [0, 0, 0, 0, 11, 1]);
    for (kind, count) in [
        ("no-route", 6),
        ("method-not-allowed", 1),
        ("forbidden", 3),
        ("connect-failed", 4),
        ("answer-timeout", 2),
        ("bad-request", 1),
        ("uri-too-long", 1),
        ("header-fields-too-large", 1),
        ("body-too-large", 1),
        ("version-not-supported", 1),
        ("service-closed", 0),
    ] {
        assert_eq!(metrics.get(&format!("tollgate_rejects_total{{kind=\"{kind}\"}}")), Some(count), "{kind}");
    }
    targets_agree(&origins[..2], &metrics);
    let duration = "tollgate_request_duration_seconds";
    assert_eq!(metrics.get(&format!("{duration}_count{{route=\"orders\"}}")), Some(17));
    assert_eq!(
        metrics.get(&format!("{duration}_bucket{{le=\"+Inf\",route=\"orders\"}}")),
        Some(17),
        "{}",
        metrics.text()
    );
    assert_eq!(metrics.get("tollgate_panics_total"), Some(0));
    let stats = admin_json(&gateway, "/stats");
    agrees(&stats, &metrics);
}

/// The counts of the targets of `orders` are what these saw, and what was sent in all.
fn targets_agree(origins: &[Origin], metrics: &Metrics) {
    let mut by_target = [0; 6];
    for origin in origins {
        let count = |class: &str| {
            let labels = format!("service=\"orders\",target=\"{}\",status=\"{class}\"", origin.address());
            metrics.get(&format!("tollgate_target_requests_total{{{labels}}}")).expect("each class is there")
        };
        let counts = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map(count);
        assert_eq!(counts.iter().sum::<u64>(), origin.requests().len() as u64, "what the target saw");
        by_target.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    assert_eq!(by_target, [0, 0, 7, 3, 5, 2]);
}

/// `/stats` tells the same as `/metrics`.
fn agrees(stats: &Value, metrics: &Metrics) {
    let routes = stats["routes"].as_array().expect("routes");
    for route in routes {
        let name = route["route"].as_str().expect("a name");
        let counts = requests(metrics, name);
        let answers: Vec<u64> = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]
            .iter()
            .map(|class| route["answers"][class].as_u64().expect("a count"))
            .collect();
        assert_eq!(answers, counts, "{name}");
        assert_eq!(route["requests"], counts.iter().sum::<u64>(), "{name}");
        assert_eq!(route["errors"], counts[5], "{name}");
    }
    assert_eq!(stats["totals"]["rejects"]["no-route"], 6);
    assert_eq!(stats["totals"]["requests"], 17 + 4 + 2 + 3 + 12);
}

#[test]
fn r121_what_runs_is_shown_while_it_runs() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let hold = Origin::start(move |exchange| {
        exchange.read_body();
        let _ = wait.lock().unwrap().recv_timeout(4 * PATIENCE);
        exchange.send(answer("ok"));
    });
    let others = [Origin::ok(), Origin::ok()];
    let gateway = start(&[&hold, &hold, &others[0]]);
    let mut clients: Vec<Client> = (0..3).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET /orders HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    hold.wait_requests(3, PATIENCE);
    let metrics = gateway.metrics();
    assert_eq!(metrics.get("tollgate_requests_in_flight{route=\"orders\"}"), Some(3));
    assert!(metrics.get("tollgate_connections_open") >= Some(3));
    let stats = admin_json(&gateway, "/stats");
    assert_eq!(stats["totals"]["in_flight"], 3);
    for _ in 0..3 {
        release.send(()).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").expect("an answer").status, 200);
    }
    let over = |m: &Metrics| m.get("tollgate_requests_in_flight{route=\"orders\"}") == Some(0);
    gateway.metrics_when("the end of all", over);
    drop(clients);
    gateway.metrics_when("no connection", |m| m.get("tollgate_connections_open") == Some(0));
}

#[test]
fn r121_a_client_that_left_is_no_answer() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        let _ = exchange.read_to_close(2 * PATIENCE);
        exchange.close();
    });
    let gateway = start(&[&origin, &origin, &origin]);
    let mut client = gateway.connect();
    client.send("GET /orders HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    client.reset();
    let metrics = gateway.metrics_when("its count", |m| requests(m, "orders").iter().sum::<u64>() == 1);
    assert_eq!(requests(&metrics, "orders"), [1, 0, 0, 0, 0, 0]);
}

#[test]
fn r121_tunnels_are_counted_while_they_are_open() {
    let origin = Origin::start(|exchange: &mut Exchange<'_>| {
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let _ = exchange.read_to_close(2 * PATIENCE);
        exchange.close();
    });
    let gateway = start(&[&origin, &origin, &origin]);
    let mut client = gateway.connect();
    client.send("GET /orders HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response("GET").expect("an answer").status, 101);
    gateway.metrics_when("a tunnel", |m| m.get("tollgate_tunnels_open") == Some(1));
    drop(client);
    let over =
        |m: &Metrics| m.get("tollgate_tunnels_open") == Some(0) && requests(m, "orders").iter().sum::<u64>() == 1;
    let metrics = gateway.metrics_when("its end and its count", over);
    assert_eq!(requests(&metrics, "orders")[1], 1, "1xx");
}

/// A tunnel that is open for an hour is no request that took an hour.
#[test]
fn r121_tunnels_are_no_latency() {
    let origin = Origin::start(|exchange: &mut Exchange<'_>| {
        exchange.read_body();
        if !exchange.request.fields.has("upgrade") {
            exchange.send(answer("ok"));
            return;
        }
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let _ = exchange.read_to_close(2 * PATIENCE);
        exchange.close();
    });
    let gateway = start(&[&origin, &origin, &origin]);
    let mut client = gateway.connect();
    client.send("GET /orders HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response("GET").expect("an answer").status, 101);
    client.patience(Duration::from_secs(1));
    assert_eq!(client.read_exact(1).expect_err("nothing comes, and the tunnel stays"), Stop::TimedOut);
    drop(client);
    gateway.metrics_when("its count", |metrics| requests(metrics, "orders")[1] == 1);
    assert_eq!(get(&gateway, "/orders").status, 200);
    let metrics = gateway.metrics_when("the answer's count", |metrics| requests(metrics, "orders")[2] == 1);
    let sample = |name: &str| format!("tollgate_request_duration_seconds_{name}{{route=\"orders\"}} ");
    let sum = metrics.text().lines().find_map(|line| line.strip_prefix(&sample("sum"))).expect("a sum");
    assert!(sum.parse::<f64>().expect("a number") < 0.5, "{sum} s");
    assert_eq!(metrics.get(sample("count").trim_end()), Some(1));
    let stats = stats_when(&gateway, "both counts", |stats| stats["totals"]["requests"] == 2);
    assert!(stats["totals"]["latency_ms"]["p999"].as_f64().is_some_and(|most| most < 500.0), "{stats}");
}

/// Nine of ten answers come at once and one late: the quantiles tell them apart.
#[test]
fn r121_quantiles_are_plausible() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        let late = exchange.request.target == "/orders/late";
        thread::sleep(Duration::from_millis(if late { 400 } else { 10 }));
        exchange.send(answer("ok"));
    });
    let gateway = start(&[&origin, &origin, &origin]);
    let mut client = gateway.connect();
    for turn in 0..50 {
        let path = if turn % 16 == 0 { "/orders/late" } else { "/orders/soon" };
        assert_eq!(client.get(path).expect("an answer").status, 200);
    }
    let stats = stats_when(&gateway, "all counts", |stats| stats["totals"]["requests"] == 50);
    let find = |list: &str, key: &str| {
        let list = stats[list].as_array().expect("a list");
        list.iter().find(|entry| entry[key] == "orders").expect("it is there").clone()
    };
    for entry in [find("routes", "route"), find("targets", "service"), stats["totals"].clone()] {
        let latency = |name: &str| entry["latency_ms"][name].as_f64().expect("a number");
        let [p50, p90, p99, p999] = ["p50", "p90", "p99", "p999"].map(latency);
        assert!((10.0..150.0).contains(&p50), "{entry}");
        assert!(p50 <= p90 && p90 <= p99 && p99 <= p999, "{entry}");
        assert!((395.0..3000.0).contains(&p99), "{entry}");
        assert!((20.0..400.0).contains(&latency("mean")), "{entry}");
    }
    let quiet = stats["routes"].as_array().expect("a list").iter().find(|route| route["route"] == "dead").cloned();
    assert_eq!(quiet.expect("it is there")["latency_ms"], Value::Null, "nothing without requests");
    let metrics = gateway.metrics();
    let below = |le: &str| {
        let bucket = |labels: String| metrics.get(&format!("tollgate_request_duration_seconds_bucket{{{labels}}}"));
        bucket(format!("le=\"{le}\",route=\"orders\"")).or_else(|| bucket(format!("route=\"orders\",le=\"{le}\"")))
    };
    assert_eq!(below("0.005"), Some(0), "{}", metrics.text());
    assert_eq!(below("+Inf"), Some(50));
}

/// What a route counted goes on under its name over a reload, and goes with it.
#[test]
fn r121_counts_outlive_a_reload() {
    let origins = [Origin::ok(), Origin::ok(), Origin::ok()];
    let mut gateway = start(&origins.each_ref());
    assert_eq!(get(&gateway, "/orders").status, 200);
    gateway.reload(&YAML.replace("{ name: slow, paths", "{ name: fresh, paths"));
    let metrics = gateway.metrics_when("the reload", |m| m.get("tollgate_config_reloads_total") == Some(1));
    assert!(metrics.text().contains("route=\"fresh\""));
    assert_eq!(requests(&metrics, "orders"), [0, 0, 1, 0, 0, 0]);
    assert!(!metrics.text().contains("route=\"slow\""), "what is gone is not shown");
}
