//! What was counted, written, read back and compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::testing::Fake;

/// The samples of an exposition by name and labels as written, and the families' types by name.
#[derive(Debug, Default)]
struct Parsed {
    samples: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
}

/// Reads the text strictly: every line is a comment of a known kind or one new sample of a family that was announced.
fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(parsed.types.insert(name.into(), kind.into()).is_none(), "{name} is announced twice");
        } else if line.starts_with('#') {
            assert!(["# HELP ", "# UNIT ", "# EOF"].iter().any(|start| line.starts_with(start)), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(parsed.samples.insert(series.into(), value.parse().unwrap()).is_none(), "{series} comes twice");
            let name = series.split('{').next().unwrap();
            let suffixes = ["", "_total", "_sum", "_count", "_bucket", "_info"];
            let announced = |suffix: &str| name.strip_suffix(suffix).is_some_and(|n| parsed.types.contains_key(n));
            assert!(suffixes.iter().any(|suffix| announced(suffix)), "{name} was not announced");
            assert!(name.starts_with("tollgate_"), "{name}");
        }
    }
    parsed
}

fn scrape(fake: &Fake, format: Format) -> Parsed {
    let mut text = String::new();
    write(fake, format, &mut text).unwrap();
    assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
    parse(&text)
}

#[test]
fn a_routes_and_a_targets_counts_come_back() {
    let fake = Fake::new(2);
    for (worker, class, micros) in [(0, 2, 400), (0, 2, 3_000), (1, 5, 70_000_000), (1, 0, 40_000)] {
        fake.answer("orders", worker, class, micros);
    }
    fake.metrics.route("orders").shard(1).unwrap().in_flight.add(3);
    let target = fake.metrics.target("db", "127.0.0.1:9001");
    target.shard(0).unwrap().answers[4].add(7);
    target.shard(0).unwrap().latency.record(2_000_000);
    target.shard(1).unwrap().in_flight.add(2);

    for format in [Format::Text, Format::OpenMetrics] {
        let Parsed { samples, .. } = scrape(&fake, format);
        let route = |class| samples[&format!("tollgate_requests_total{{route=\"orders\",status=\"{class}\"}}")];
        assert_eq!(["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map(route), [1.0, 0.0, 2.0, 0.0, 0.0, 1.0]);
        assert_eq!(samples["tollgate_requests_in_flight{route=\"orders\"}"], 3.0);

        let bucket = |le| samples[&format!("tollgate_request_duration_seconds_bucket{{le=\"{le}\",route=\"orders\"}}")];
        let bounds = ["0.0005", "0.001", "0.0025", "0.005", "0.025", "0.05", "60.0", "+Inf"];
        assert_eq!(bounds.map(bucket), [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0]);
        assert_eq!(samples["tollgate_request_duration_seconds_count{route=\"orders\"}"], 4.0);
        assert_eq!(samples["tollgate_request_duration_seconds_sum{route=\"orders\"}"], 70.0434);

        let labels = "service=\"db\",target=\"127.0.0.1:9001\"";
        assert_eq!(samples[&format!("tollgate_target_requests_total{{{labels},status=\"4xx\"}}")], 7.0);
        assert_eq!(samples[&format!("tollgate_target_in_flight{{{labels}}}")], 2.0);
        assert_eq!(samples[&format!("tollgate_target_duration_seconds_count{{{labels}}}")], 1.0);
        assert_eq!(samples[&format!("tollgate_target_duration_seconds_bucket{{le=\"1.0\",{labels}}}")], 0.0);
        assert_eq!(samples[&format!("tollgate_target_duration_seconds_bucket{{le=\"2.5\",{labels}}}")], 1.0);
    }
}

#[test]
fn the_processes_counts_come_back() {
    let fake = Fake::new(2);
    let (one, two) = (fake.metrics.worker(0).unwrap(), fake.metrics.worker(1).unwrap());
    one.connections_accepted.add(5);
    two.connections_accepted.add(6);
    two.connections_open.add(4);
    one.upstream_connects.add(3);
    one.upstream_reuses.add(9);
    two.retries.add(2);
    two.tunnels_open.add(1);
    one.panics.add(8);
    two.log_drops.add(12);
    one.rejects[Kind::NoRoute as usize].add(13);
    two.rejects[Kind::NoRoute as usize].add(1);
    fake.metrics.lose_log_lines(15);
    *fake.reloads.lock() =
        ReloadState { applied: 4, rejected: 2, applied_at: 1_800_000_000, last_error: Some("secret".into()) };

    let expected = [
        ("tollgate_connections_accepted_total", 11.0),
        ("tollgate_connections_open", 4.0),
        ("tollgate_upstream_connects_total", 3.0),
        ("tollgate_upstream_reuses_total", 9.0),
        ("tollgate_retries_total", 2.0),
        ("tollgate_tunnels_open", 1.0),
        ("tollgate_panics_total", 8.0),
        ("tollgate_access_log_drops_total", 12.0),
        ("tollgate_access_log_write_errors_total", 15.0),
        ("tollgate_rejects_total{kind=\"no-route\"}", 14.0),
        ("tollgate_rejects_total{kind=\"internal\"}", 0.0),
        ("tollgate_config_reloads_total", 3.0),
        ("tollgate_config_reload_failures_total", 2.0),
        ("tollgate_config_applied_timestamp_seconds", 1_800_000_000.0),
        ("tollgate_build_info{version=\"1.2.3\"}", 1.0),
    ];
    for format in [Format::Text, Format::OpenMetrics] {
        let Parsed { samples, .. } = scrape(&fake, format);
        for (name, value) in expected {
            assert_eq!(samples.get(name), Some(&value), "{name} in {format:?}");
        }
        let kinds = samples.keys().filter(|name| name.starts_with("tollgate_rejects_total{")).count();
        assert_eq!(kinds, Kind::ALL.len());
    }
}

#[test]
fn a_family_has_the_name_and_type_its_format_wants() {
    let fake = Fake::new(1);
    let text = scrape(&fake, Format::Text).types;
    let open = scrape(&fake, Format::OpenMetrics).types;
    assert_eq!(text["tollgate_requests_total"], "counter");
    assert_eq!(open["tollgate_requests"], "counter");
    assert_eq!(text["tollgate_build_info"], "gauge");
    assert_eq!(open["tollgate_build"], "info");
    for types in [&text, &open] {
        assert_eq!(types["tollgate_request_duration_seconds"], "histogram");
        assert_eq!(types["tollgate_connections_open"], "gauge");
    }
    assert_eq!(text.len(), open.len());
}

#[test]
fn every_metric_is_described_and_nothing_else() {
    let documented = include_str!("../../../../docs/metrics.md");
    let types = scrape(&Fake::new(1), Format::Text).types;
    for (name, kind) in &types {
        let row = documented.lines().find(|line| line.starts_with(&format!("| `{name}` | {kind} |")));
        assert!(row.is_some(), "docs/metrics.md has no row for {name}, a {kind}");
    }
    let rows = documented.lines().filter(|line| line.starts_with("| `tollgate_")).count();
    assert_eq!(rows, types.len());
}

#[test]
fn a_series_without_requests_has_counters_but_no_histogram() {
    let fake = Fake::new(1);
    let _ = fake.metrics.route("idle");
    let Parsed { samples, .. } = scrape(&fake, Format::Text);
    assert_eq!(samples["tollgate_requests_total{route=\"idle\",status=\"5xx\"}"], 0.0);
    assert!(!samples.keys().any(|name| name.contains("duration") && name.contains("idle")));
}

#[test]
fn names_are_escaped() {
    let fake = Fake::new(1);
    let _ = fake.metrics.route("a\"b\\c\nd");
    let Parsed { samples, .. } = scrape(&fake, Format::Text);
    assert!(samples.contains_key("tollgate_requests_in_flight{route=\"a\\\"b\\\\c\\nd\"}"));
}

#[test]
fn accept_chooses_the_format() {
    let prometheus =
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3";
    assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
    assert_eq!(Format::accepted("text/plain, Application/OpenMetrics-Text"), Format::OpenMetrics);
    for accept in ["", "*/*", "text/plain", "text/html, application/xml;q=0.9"] {
        assert_eq!(Format::accepted(accept), Format::Text, "{accept}");
    }
}

#[test]
fn ten_thousand_busy_routes_are_written_quickly() {
    let fake = Fake::new(1);
    for number in 0..10_000 {
        fake.answer(&format!("route-{number}"), 0, 2, number * 100);
    }
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let (mut written, started) = (Bytes(0), Instant::now());
        write(&*fake, Format::OpenMetrics, &mut written).unwrap();
        best = best.min(started.elapsed());
        assert!(written.0 > 10_000_000);
    }
    // Without optimization the same takes many times the 100 ms that a release build stays under.
    let limit = if cfg!(debug_assertions) { 3000 } else { 100 };
    assert!(best.as_millis() < limit, "{best:?}");
}

/// Counts what is written, as a client that takes it at once.
struct Bytes(usize);

impl fmt::Write for Bytes {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
