//! R2: what a service says about itself is put in the client's terms.

use tollgate_testkit::{Gateway, Origin, Response};

use crate::helpers::get;

const YAML: &str = r#"
workers: 1
listeners: [{ name: web, address: "{listen}", trusted_proxies: [127.0.0.1] }]
services:
  - { name: plain, url: "http://{origin}" }
  - { name: based, url: "http://{origin}/base" }
  - { name: pool, targets: [{ address: "{origin}" }, { address: "10.99.99.99:8080", weight: 0 }, { address: "inner.internal:80", weight: 0 }] }
routes:
  - { name: plain, paths: [/], service: plain }
  - { name: based, paths: [/based], service: based }
  - { name: stripped, paths: [/api], strip_path: true, service: based }
  - { name: pool, paths: [/pool], service: pool }
  - { name: other-host, paths: [/other], preserve_host: false, service: plain }
"#;

/// An origin that answers with the field lines in the request's `X-Say`, `{origin}` being itself.
fn telling() -> Origin {
    Origin::start(|exchange| {
        exchange.read_body();
        let said = exchange.request.fields.get("x-say").unwrap_or_default().replace('|', "\r\n");
        exchange.send(format!("HTTP/1.1 302 Found\r\n{said}\r\nContent-Length: 0\r\n\r\n"));
    })
}

fn say(gateway: &Gateway, path: &str, said: &str, more: &str) -> Response {
    let mut client = gateway.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nX-Say: {said}\r\n{more}\r\n"));
    client.response("GET").expect("an answer")
}

#[test]
fn r2_urls_that_name_a_target_name_the_gateway() {
    let origin = telling();
    let gateway = Gateway::start(YAML, &[&origin]);
    let own = format!("http://{}", origin.address());
    let port = origin.address().port();
    for (path, value, expected) in [
        ("/x", format!("{own}/a?b#c"), "http://shop.example/a?b#c".to_owned()),
        ("/x", own.clone(), "http://shop.example".into()),
        ("/x", format!("//127.0.0.1:{port}/a"), "http://shop.example/a".into()),
        ("/x", "/a/b".into(), "/a/b".into()),
        ("/x", "a/b".into(), "a/b".into()),
        ("/x", "https://elsewhere.example/a".into(), "https://elsewhere.example/a".into()),
        ("/based/x", format!("{own}/base/based/y"), "http://shop.example/based/y".into()),
        ("/based/x", "/base/based/y".into(), "/based/y".into()),
        ("/api/x", format!("{own}/base/y?z=1"), "http://shop.example/api/y?z=1".into()),
        ("/api/x", "/base/y".into(), "/api/y".into()),
        ("/api/x", "/base".into(), "/api".into()),
        ("/api/x", "/basement".into(), "/basement".into()),
        ("/pool/x", "http://10.99.99.99:8080/a".into(), "http://shop.example/a".into()),
        ("/pool/x", "http://INNER.internal/a".into(), "http://shop.example/a".into()),
        ("/other/x", format!("{own}/a"), "http://shop.example/a".into()),
    ] {
        for field in ["Location", "Content-Location"] {
            let answer = say(&gateway, path, &format!("{field}: {value}"), "");
            assert_eq!(answer.status, 302);
            assert_eq!(answer.fields.get(field), Some(&*expected), "{field} {value} for {path}");
        }
        let answer = say(&gateway, path, &format!("Refresh: 5; url={value}"), "");
        assert_eq!(answer.fields.get("refresh"), Some(&*format!("5; url={expected}")), "Refresh {value} for {path}");
    }
}

/// Behind a trusted proxy that speaks TLS, the client's scheme is https.
#[test]
fn r2_r32_the_scheme_is_the_clients() {
    let origin = telling();
    let gateway = Gateway::start(YAML, &[&origin]);
    let said = format!("Location: http://{}/a", origin.address());
    let answer = say(&gateway, "/x", &said, "X-Forwarded-Proto: https\r\n");
    assert_eq!(answer.fields.get("location"), Some("https://shop.example/a"));
}

#[test]
fn r2_cookies_are_for_the_gateway() {
    let origin = telling();
    let gateway = Gateway::start(YAML, &[&origin]);
    for (path, cookie, expected) in [
        ("/x", "sid=1; Domain=127.0.0.1; Path=/; HttpOnly", "sid=1; Path=/; HttpOnly"),
        ("/x", "sid=1; Domain=shop.example; Secure", "sid=1; Domain=shop.example; Secure"),
        ("/pool/x", "sid=1; domain=.Inner.Internal", "sid=1"),
        ("/api/x", "sid=1; Path=/base/y", "sid=1; Path=/api/y"),
        ("/api/x", "sid=1; Path=/elsewhere", "sid=1; Path=/elsewhere"),
        ("/x", "domain=127.0.0.1", "domain=127.0.0.1"),
    ] {
        let answer = say(&gateway, path, &format!("Set-Cookie: a=b|Set-Cookie: {cookie}|Set-Cookie: c=d"), "");
        let cookies: Vec<&str> = answer.fields.all("set-cookie").collect();
        assert_eq!(cookies, ["a=b", expected, "c=d"], "{path}");
    }
}

/// What a regex takes out of a path that was canonical may make one that is not: it must not climb out of the base.
#[test]
fn a_rewritten_path_does_not_climb() {
    let origin = Origin::ok();
    let yaml = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
services: [{ name: based, url: "http://{origin}/base" }]
routes: [{ name: part, paths: ["~^/f/(..?)x?$"], rewrite_path: "/api/$1/z", service: based }]
"#;
    let gateway = Gateway::start(yaml, &[&origin]);
    for path in ["/f/..x", "/f/%2e.x"] {
        assert_eq!(get(&gateway, path).status, 400, "{path}");
    }
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
    assert_eq!(get(&gateway, "/f/abx").status, 200);
    assert_eq!(origin.requests()[0].target, "/base/api/ab/z");
}
