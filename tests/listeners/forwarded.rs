//! R23, R32, R34: `trusted_proxies`, for each of the fields, in each of their spellings.

use tollgate_testkit::{Client, Gateway, Origin, Request};

use crate::helpers::log_stdout;

const YAML: &str = r#"
workers: 1
listeners:
  - name: web
    address: "{listen}"
    trusted_proxies: [127.0.0.1, 10.0.0.0/8, "2001:db8:ffff::/48"]
services: [{ name: origin, url: "http://{origin}" }]
routes: [{ name: all, service: origin }]
access_log: { path: stdout }
"#;

fn ask(client: &mut Client, fields: &str) {
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
    assert_eq!(client.response("GET").expect("an answer").status, 200, "{fields}");
}

/// The client is the first address from the right that no trusted proxy has.
#[test]
fn r23_the_client_is_the_first_untrusted_from_the_right() {
    let cases = [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7"),
        ("X-Forwarded-For: 203.0.113.7, 10.1.2.3\r\n", "203.0.113.7"),
        ("X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3, 10.3.2.1\r\n", "203.0.113.7"),
        ("X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\nX-Forwarded-For: 10.1.2.3\r\n", "203.0.113.7"),
        ("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
        ("X-Forwarded-For:203.0.113.7 ,10.1.2.3\r\n", "203.0.113.7"),
        ("X-Forwarded-For: 203.0.113.7:4711\r\n", "203.0.113.7"),
        ("X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7"),
        ("X-Forwarded-For: [2001:db8::7]:443, 2001:db8:ffff::1\r\n", "2001:db8::7"),
        ("X-Forwarded-For: ::ffff:203.0.113.7\r\n", "203.0.113.7"),
        // All of them trusted: the farthest.
        ("X-Forwarded-For: 10.9.9.9, 10.1.2.3\r\n", "10.9.9.9"),
        // What stands left of something unreadable is anybody's claim.
        ("X-Forwarded-For: 203.0.113.7, garbage\r\n", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.7, garbage, 10.1.2.3\r\n", "127.0.0.1"),
        ("X-Forwarded-For: garbage, 203.0.113.7, 10.1.2.3\r\n", "203.0.113.7"),
        ("X-Forwarded-For: 203.0.113.7, 1.2.3\r\n", "127.0.0.1"),
        ("X-Forwarded-For: unknown\r\n", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.7, \u{fc}\r\n", "127.0.0.1"),
        ("X-Forwarded-For: <script>\r\n", "127.0.0.1"),
        ("Forwarded: for=203.0.113.7;proto=https;by=10.1.1.1\r\n", "203.0.113.7"),
        ("Forwarded: proto=https;For=\"[2001:db8::7]:4711\", for=10.1.2.3\r\n", "2001:db8::7"),
        ("Forwarded: for=198.51.100.1, for=203.0.113.7, for=10.1.2.3\r\n", "203.0.113.7"),
        ("Forwarded: for=203.0.113.7, for=_hidden\r\n", "127.0.0.1"),
        ("Forwarded: for=203.0.113.7, for=unknown, for=10.1.2.3\r\n", "127.0.0.1"),
    ];
    let origin = Origin::ok();
    let gateway = Gateway::start(YAML, &[&origin]);
    let mut client = gateway.connect();
    for (fields, _) in cases {
        ask(&mut client, fields);
    }
    let lines = log_stdout(&gateway, cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .zip(&lines)
        .filter(|((_, expected), line)| line["client"] != **expected)
        .map(|((fields, expected), line)| format!("{fields:?}: {} in place of {expected}", line["client"]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn list<'r>(request: &'r Request, name: &'r str) -> String {
    request.fields.all(name).collect::<Vec<_>>().join(", ")
}

/// From a trusted peer the lists are continued and the rest is kept.
#[test]
fn r34_what_a_trusted_peer_says_is_continued() {
    let origin = Origin::ok();
    let gateway = Gateway::start(YAML, &[&origin]);
    let mut client = gateway.connect();
    ask(
        &mut client,
        "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\
         X-Forwarded-Port: 443\r\nForwarded: for=203.0.113.7;proto=https;host=shop.example\r\nVia: 2 edge\r\n",
    );
    let request = &origin.requests()[0];
    assert_eq!(list(request, "x-forwarded-for"), "203.0.113.7, 127.0.0.1");
    assert_eq!(list(request, "x-forwarded-proto"), "https");
    assert_eq!(list(request, "x-forwarded-host"), "shop.example");
    assert_eq!(list(request, "x-forwarded-port"), "443");
    let forwarded = list(request, "forwarded");
    assert!(forwarded.starts_with("for=203.0.113.7;proto=https;host=shop.example, for=127.0.0.1"), "{forwarded}");
    assert_eq!(list(request, "via"), "2 edge, 1.1 tollgate");
    // What it does not say is filled in.
    ask(&mut client, "X-Forwarded-For: 203.0.113.7\r\n");
    let request = &origin.requests()[1];
    assert_eq!(list(request, "x-forwarded-proto"), "http");
    assert_eq!(list(request, "x-forwarded-host"), "a.test");
    assert_eq!(list(request, "x-forwarded-port"), gateway.address().port().to_string());
}

/// The same fields, from a peer that is none of the proxies.
#[test]
fn r34_what_another_peer_says_is_overwritten() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&YAML.replace("[127.0.0.1, 10.0.0.0/8,", "[10.0.0.0/8,"), &[&origin]);
    let mut client = gateway.connect();
    ask(
        &mut client,
        "X-Forwarded-For: 203.0.113.7, 10.1.2.3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
         X-Forwarded-Port: 443\r\nForwarded: for=203.0.113.7;proto=https;host=evil.example\r\n",
    );
    let request = &origin.requests()[0];
    assert_eq!(list(request, "x-forwarded-for"), "127.0.0.1");
    assert_eq!(list(request, "x-forwarded-proto"), "http");
    assert_eq!(list(request, "x-forwarded-host"), "a.test");
    assert_eq!(list(request, "x-forwarded-port"), gateway.address().port().to_string());
    assert_eq!(list(request, "forwarded"), "for=127.0.0.1;host=a.test;proto=http");
    let line = &log_stdout(&gateway, 1)[0];
    assert_eq!((&line["client"], &line["scheme"]), (&"127.0.0.1".into(), &"http".into()));
}

/// R34: identity does not come with trust: `X-User-Id` goes, whoever sends it.
#[test]
fn r93_identity_fields_of_a_trusted_peer_go_too() {
    let origin = Origin::ok();
    let gateway = Gateway::start(YAML, &[&origin]);
    let mut client = gateway.connect();
    ask(
        &mut client,
        "X-User-Id: root\r\nX-Tenant: t\r\nX-Consumer-Name: c\r\nX-Consumer-Groups: g\r\nX-Credential-Id: 1\r\n",
    );
    let request = &origin.requests()[0];
    for name in ["X-User-Id", "X-Tenant", "X-Consumer-Name", "X-Consumer-Groups", "X-Credential-Id"] {
        assert!(!request.fields.has(name), "{name}");
    }
}
