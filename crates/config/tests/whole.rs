//! Whole configurations: what the contract shows must read, and reading must be quick and never fail badly.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;
use tollgate_config::{
    Algorithm, Config, HashOn, HostPattern, Loaded, LogTarget, PathPattern, load, parse, parse_with,
};
use tollgate_core::document::{Duration, Problem, Size, decode, masked_json};

const AROUND: &str = "listeners: [{name: web, address: '0.0.0.0:8080'}]\n\
                      services: [{name: orders, url: 'http://127.0.0.1:9001'}]\n";

fn sound(text: &str) -> (Config, Loaded) {
    let loaded = parse_with(text, "tollgate.yaml", Path::new("."), &|name| Some(format!("value-of-{name}")));
    assert_eq!(loaded.problems, []);
    (loaded.config.clone().unwrap(), loaded)
}

#[test]
fn the_example_of_a_policy_per_route_reads() {
    let routes = "\
routes:
  - name: list-orders
    paths: ['/v1/orders']
    methods: ['GET']
    service: orders
    plugins:
      - name: jwt
        config:
          key_claim_name: kid
      - name: rate-limiting
        config:
          minute: 60
          policy: redis
      - name: response-cache
        config:
          ttl: 30
";
    let (config, loaded) = sound(&[AROUND, routes].concat());
    let route = &config.routes[0];
    assert_eq!((&*route.name, &route.paths[..]), ("list-orders", &[PathPattern::Prefix("/v1/orders".into())][..]));
    let names: Vec<&str> = route.plugins.iter().map(|plugin| &**plugin.name).collect();
    assert_eq!(names, ["jwt", "rate-limiting", "response-cache"]);
    assert_eq!(route.plugins[1].config.path(), "routes[0].plugins[1].config");
    let ttl = route.plugins[2].config.node().get("ttl").unwrap();
    assert_eq!(decode::<Duration>(ttl, "ttl"), Ok(Duration::from_secs(30)));

    let unknown = route.plugins[0].unknown(["jwt-auth", "cors"]);
    assert_eq!((unknown.path.as_str(), unknown.span.unwrap().start.line), ("routes[0].plugins[0].name", 9));
    assert_eq!(loaded.tree.find("routes[0].plugins[1].config.minute").unwrap().span.start.line, 14);
}

#[test]
fn everything_that_is_built_reads() {
    let text = r#"
listeners:
  - name: web
    address: "[::]:8080"
    trusted_proxies: [10.0.0.0/8, ::1]
    limits:
      max_connections: 100000
      header_timeout: 10s
      idle_timeout: 75s
      body_timeout: 30s
      max_header_bytes: 32KiB
      max_headers: 100
      max_uri_bytes: 8KiB
      max_body_bytes: 100MiB
      max_streams: 100
  - { name: local, address: "unix:/run/tollgate.sock" }
services:
  - name: orders
    url: http://127.0.0.1:9001/base
  - name: users
    protocol: http
    targets: [{ address: 127.0.0.1:9001, weight: 50 }, { address: "users.internal:80" }]
    load_balancing: { algorithm: consistent-hash, hash_on: "header:X-User-Id" }
    timeouts: { connect: 5s, first_byte: 60s, idle: 60s, total: 0, tunnel: 1h }
    keepalive: { max_idle: 256, idle_timeout: 60s }
    retries: { attempts: 1 }
    plugins: [{ name: compression }]
routes:
  - name: list-orders
    hosts: [API.example.com, "*.example.com"]
    paths: ["/v1/orders", "=/exact", "/v1/orders/{id}/items", "~^/v[0-9]+/x$"]
    methods: [GET]
    headers: { X-Api-Version: ["2", "~^3\\."] }
    query: { beta: ["1"] }
    listeners: [web]
    service: orders
    preserve_host: false
    priority: -3
  - { name: users, paths: [/users], service: users, strip_path: true }
plugins: [{ name: cors, config: { origins: ["*"] } }]
workers: 4
admin: { address: 127.0.0.1:9901, token: "${env:TOLLGATE_ADMIN_TOKEN}" }
access_log: { path: stdout, format: json, sample: 1.0 }
state_dir: ./tollgate-state
"#;
    let (config, loaded) = sound(text);
    assert_eq!(config.services[1].load_balancing.algorithm, Algorithm::ConsistentHash);
    assert_eq!(config.services[1].load_balancing.hash_on, Some(HashOn::Header("x-user-id".parse().unwrap())));
    assert_eq!(config.services[1].targets.as_ref().unwrap()[1].weight, 100);
    assert_eq!(config.routes[0].hosts[0], HostPattern::Exact("api.example.com".into()));
    assert_eq!(config.admin.as_ref().unwrap().token.as_ref().unwrap().expose(), "value-of-TOLLGATE_ADMIN_TOKEN");
    assert_eq!(config.access_log.as_ref().unwrap().path, LogTarget::Stdout);
    // All that is written there are the defaults.
    assert_eq!(config.listeners[0].limits, config.listeners[1].limits);
    assert_eq!(config.services[0].timeouts, config.services[1].timeouts);
    assert_eq!(config.services[0].keepalive, config.services[1].keepalive);
    assert_eq!(config.services[0].retries, config.services[1].retries);

    let shown = format!("{config:?}{}", masked_json(&loaded.tree));
    assert!(!shown.contains("value-of"), "{shown}");
    assert!(shown.contains("${env:TOLLGATE_ADMIN_TOKEN}"));
}

#[test]
fn files_are_loaded_with_what_they_refer_to() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "s3cret\n").unwrap();
    let file = directory.path().join("tollgate.yaml");
    let text = format!(
        "\u{feff}{AROUND}routes: [{{name: a, service: orders}}]\nadmin: {{ address: 127.0.0.1:1, token: '${{file:token}}' }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let loaded = load(&file);
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.config.unwrap().admin.as_ref().unwrap().token.as_ref().unwrap().expose(), "s3cret");

    for (bytes, help) in [(&b"a: 1\nb: \xff"[..], "save it as UTF-8"), (&b"\xff\xfea\0"[..], "it looks like UTF-16")] {
        std::fs::write(&file, bytes).unwrap();
        let problems = load(&file).problems;
        assert_eq!((problems.len(), problems[0].help.as_deref()), (1, Some(help)));
    }
}

#[test]
fn a_value_from_outside_never_shows() {
    for text in [
        "listeners: [{name: '${env:A}', address: '${env:A}'}]",
        "listeners: [{name: a, address: '1.1.1.1:1', limits: {idle_timeout: '${env:A}', max_headers: '${env:A}'}}]",
        "services: [{name: '${env:A}', url: '${env:A}', load_balancing: {algorithm: '${env:A}', hash_on: '${env:A}'}}]",
        "services: [{name: a, targets: [{address: '${env:A}'}]}]",
        "routes: [{name: a, hosts: ['${env:A}'], paths: ['${env:A}'], methods: ['${env:A}'], service: '${env:B}'}]",
        "routes: [{name: '${env:B}'}, {name: '${env:B}'}]",
        "routes: [{name: a, headers: {X: ['${env:R}']}, query: {a: ['${env:R}']}, rewrite_path: '${env:A}'}]",
        "services: [{name: '${env:B}'}]",
        "routes: [{name: a, service: b, plugins: [{name: '${env:B}'}, {name: '${env:B}'}]}]",
        "workers: '${env:A}'\naccess_log: {format: '${env:A}', sample: '${env:A}'}\nstate_dir: ['${env:A}']",
        "routes: [{name: '${env:B}', service: x}, {name: y, service: x}]\nservices: [{name: x, url: 'http://a'}]",
        "listeners: [{name: a, address: '${env:C}'}, {name: b, address: '${env:C}'}]",
    ] {
        let variable = |name: &str| match name {
            "A" => Some("top secret/hush://?{".to_owned()),
            "B" => Some("hush".to_owned()),
            "C" => Some("10.254.3.77:1".to_owned()),
            _ => Some("~hush(".to_owned()),
        };
        let loaded = parse_with(text, "x.yaml", Path::new("."), &variable);
        assert!(!loaded.problems.is_empty());
        let shown: Vec<String> = loaded.problems.iter().map(Problem::to_string).collect();
        let shown = shown.concat() + &tollgate_config::render(&loaded.problems, &loaded.sources, false);
        for part in ["hush", "top secret", "10.254.3.77"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}

/// About 200 bytes each.
fn five_thousand_routes() -> String {
    let mut text = AROUND.to_owned() + "routes:\n";
    for n in 0..5000 {
        let _ = write!(
            text,
            "  - {{ name: route-number-{n}, hosts: [api-{}.example.com], methods: [GET, POST], service: orders,\n      \
             paths: [\"/v1/area-{n}/orders\", \"/v2/area-{n}/orders/{{id}}/items\"],\n      \
             plugins: [{{ name: response-cache, config: {{ ttl: 30 }} }}] }}\n",
            n % 50
        );
    }
    text
}

#[test]
fn five_thousand_routes_are_read_quickly() {
    let text = five_thousand_routes();
    let mut best = std::time::Duration::MAX;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let loaded = parse(&text, "big.yaml");
        best = best.min(start.elapsed());
        assert_eq!(loaded.config.map(|config| config.routes.len()), Some(5000), "{:?}", loaded.problems.first());
    }
    println!("{} bytes in {best:?}", text.len());
    // Generous, as the machine may be busy: what is quadratic takes minutes.
    let most = if cfg!(debug_assertions) { 20_000 } else { 500 };
    assert!(best.as_millis() < most, "{best:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn durations_survive(millis in 0u64..100 * 365 * 86_400_000) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn sizes_survive(bytes: u64, shift in 0u32..64) {
        let size = Size::from_bytes(bytes >> shift << (shift / 2));
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn no_scalar_makes_a_parser_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<Duration>();
        let _ = text.parse::<Size>();
        let _ = text.parse::<tollgate_core::document::Cidr>();
        let _ = text.parse::<HostPattern>();
        let _ = text.parse::<PathPattern>();
        let _ = format!("/{text}").parse::<PathPattern>();
        let _ = format!("/{text}").parse::<tollgate_config::RewritePath>();
        let _ = text.parse::<tollgate_config::ListenAddress>();
        let _ = text.parse::<tollgate_config::TargetAddress>();
        let _ = format!("http://{text}").parse::<tollgate_config::ServiceUrl>();
        let _ = text.parse::<HashOn>();
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let loaded = parse(&String::from_utf8_lossy(&bytes), "x.yaml");
        let _ = tollgate_config::render(&loaded.problems, &loaded.sources, false);
    }

    /// A sound file with something thrown into it: the usual state of a file that is being edited.
    #[test]
    fn no_damage_makes_it_panic(at in 0usize..600, thrown in "[a-z0-9 \\n:\\-\\[\\]{},&*!|>'\"%#?~$]{0,6}", cut in 0usize..20) {
        let text = [AROUND, "routes:\n- name: a\n  service: orders\n  paths: ['/{id}']\n  rewrite_path: /x/{id}\n  headers: {X: [a]}\n  plugins: [{name: jwt, config: {token: abc, a: [1, 2]}}]\nadmin: {address: 127.0.0.1:1, token: x}\n"].concat();
        let at = at.min(text.len());
        let damaged = format!("{}{thrown}{}", &text[..at], &text[(at + cut).min(text.len())..]);
        let loaded = parse(&damaged, "x.yaml");
        let _ = tollgate_config::render(&loaded.problems, &loaded.sources, true);
        let _ = masked_json(&loaded.tree);
        prop_assert_eq!(loaded.config.is_none(), loaded.has_errors());
    }
}
