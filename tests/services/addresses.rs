//! Where a service is: base paths, hosts, IPv6, names; and what of the path and the host reaches it (R33, R40).

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use tollgate_testkit::{Gateway, Origin};

use super::with_service;
use crate::helpers::{answer, ask, get, named};

#[test]
fn r40_a_base_path_goes_before_the_requests() {
    for (base, sent, expected) in [
        ("", "/", "/"),
        ("/", "/a", "/a"),
        ("/base", "/", "/base/"),
        ("/base", "/a/b?c=d", "/base/a/b?c=d"),
        ("/base/", "/a", "/base/a"),
        ("/deep/base", "/a%20b", "/deep/base/a%20b"),
        ("/base", "/?q", "/base/?q"),
    ] {
        let origin = named("x");
        let gateway = with_service(&format!("url: \"http://{{origin}}{base}\""), &[&origin]);
        assert_eq!(get(&gateway, sent).status, 200);
        assert_eq!(origin.requests()[0].target, expected, "{base} and {sent}");
    }
}

/// `strip_path`, `rewrite_path` and a base path together.
#[test]
fn r40_a_base_path_goes_before_what_a_route_makes_of_the_path() {
    let origin = named("x");
    let yaml = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
services: [{ name: s, url: "http://{origin}/base" }]
routes:
  - { name: strip, paths: [/api], strip_path: true, service: s }
  - { name: template, paths: ["/orders/{id}/items"], rewrite_path: "/items/{id}", service: s }
  - { name: regex, paths: ["~^/v([0-9]+)/(.*)$"], rewrite_path: "/$2/version/$1", service: s }
"#;
    let gateway = Gateway::start(yaml, &[&origin]);
    for (sent, expected) in [
        ("/api", "/base/"),
        ("/api/", "/base/"),
        ("/api/a?b", "/base/a?b"),
        ("/api/api", "/base/api"),
        ("/orders/42/items?x=1", "/base/items/42?x=1"),
        ("/orders/a%2Fb/items", "/base/items/a%2Fb"),
        ("/v2/a/b", "/base/a/b/version/2"),
    ] {
        let before = origin.requests().len();
        assert_eq!(get(&gateway, sent).status, 200, "{sent}");
        assert_eq!(origin.requests()[before].target, expected, "{sent}");
    }
}

#[test]
fn r33_the_host_is_kept_or_replaced() {
    let origin = named("x");
    let yaml = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
services: [{ name: s, url: "http://{origin}" }]
routes:
  - { name: default, paths: [/default], service: s }
  - { name: kept, paths: [/kept], preserve_host: true, service: s }
  - { name: replaced, paths: [/replaced], preserve_host: false, service: s }
"#;
    let gateway = Gateway::start(yaml, &[&origin]);
    let mut client = gateway.connect();
    for path in ["/default", "/kept", "/replaced"] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: Shop.Example:8080\r\n\r\n"));
        assert_eq!(client.response("GET").expect("an answer").status, 200);
        let request = origin.requests().pop().expect("a request");
        let expected = if path == "/replaced" { origin.address().to_string() } else { "Shop.Example:8080".to_owned() };
        let host = request.fields.get("host").expect("a host");
        assert!(host.eq_ignore_ascii_case(&expected), "{path}: {host}");
        assert_eq!(
            request.fields.get("x-forwarded-host").map(str::to_ascii_lowercase).as_deref(),
            Some("shop.example:8080"),
            "{path}"
        );
    }
}

/// With several targets, each sees its own.
#[test]
fn r33_a_replaced_host_is_the_targets_that_was_picked() {
    let origins = [named("a"), named("b")];
    let yaml = "workers: 1
listeners: [{ name: web, address: \"{listen}\" }]
services: [{ name: s, targets: [{ address: \"{origin}\" }, { address: \"{origin2}\" }] }]
routes: [{ name: all, preserve_host: false, service: s }]
";
    let gateway = Gateway::start(yaml, &origins.each_ref());
    for _ in 0..4 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
    for origin in &origins {
        let requests = origin.requests();
        assert_eq!(requests.len(), 2);
        let own = origin.address().to_string();
        assert!(requests.iter().all(|request| request.fields.get("host") == Some(&own)), "{requests:?}");
    }
}

#[test]
fn a_target_may_have_an_ipv6_address() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        // This machine has no IPv6.
        return;
    }
    let origin = Origin::start_at(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), |exchange| {
        exchange.read_body();
        exchange.send(answer("six"));
    });
    for service in ["url: \"http://{origin}/base\"", "targets: [{ address: \"{origin}\" }]"] {
        let yaml = super::service_yaml(service).replace("service: pool }", "service: pool, preserve_host: false }");
        let gateway = Gateway::start(&yaml, &[&origin]);
        assert_eq!(get(&gateway, "/").text(), "six", "{service}");
        let request = origin.requests().pop().expect("a request");
        assert_eq!(request.fields.get("host"), Some(&*origin.address().to_string()), "{service}");
    }
}

#[test]
fn a_target_may_be_a_name() {
    let origin = named("by name");
    let port = origin.address().port();
    for service in
        [format!("url: \"http://localhost:{port}\""), format!("targets: [{{ address: \"localhost:{port}\" }}]")]
    {
        let gateway = with_service(&service, &[]);
        let mut client = gateway.connect();
        for _ in 0..3 {
            assert_eq!(ask(&mut client, "GET /", "").text(), "by name", "{service}");
        }
    }
    assert_eq!(origin.connections(), 2, "one for each gateway");
}
