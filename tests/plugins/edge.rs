//! ip-restriction, request-id, security-headers, redirect.

use std::collections::HashSet;

use tollgate_testkit::{Gateway, Origin};

use super::{plugins_yaml, with_plugins};
use crate::helpers::{answer, ask, log_stdout, problem, resetting};

#[test]
fn r20_addresses_are_allowed_and_denied() {
    let origin = Origin::ok();
    let plugin = "{ name: ip-restriction, config: { allow: [203.0.113.0/24, 127.0.0.1, \"2001:db8::/32\"], deny: [203.0.113.66] } }";
    let gateway = with_plugins(plugin, &origin);
    let mut client = gateway.connect();
    let mut passed = 0;
    for (forwarded, status) in [
        ("203.0.113.7", 200),
        ("203.0.113.66", 403),
        ("198.51.100.1", 403),
        ("198.51.100.1, 203.0.113.7", 200),
        ("203.0.113.7, 198.51.100.1", 403),
        ("2001:db8::1", 200),
        ("2001:db9::1", 403),
        ("::ffff:203.0.113.66", 403),
        ("::ffff:203.0.113.7", 200),
        // Unreadable: the peer itself, which may come.
        ("198.51.100.1, x", 200),
    ] {
        let answer = ask(&mut client, "GET /", &format!("X-Forwarded-For: {forwarded}\r\n"));
        assert_eq!(answer.status, status, "{forwarded}");
        if status == 403 {
            assert_eq!(problem(&answer)["type"], "https://tollgate.dev/problems/forbidden");
            assert!(!answer.text().contains("203.0.113"), "the list is nobody's business: {}", answer.text());
        } else {
            passed += 1;
        }
        assert_eq!(origin.requests().len(), passed, "{forwarded}: a refusal never reaches the service");
    }
}

/// A client cannot choose its address by a field.
#[test]
fn r20_r34_an_untrusted_peer_is_who_it_is() {
    let origin = Origin::ok();
    let plugin = "{ name: ip-restriction, config: { deny: [127.0.0.1] } }";
    let yaml = plugins_yaml(plugin).replace("trusted_proxies: [127.0.0.1]", "trusted_proxies: [10.0.0.0/8]");
    let gateway = Gateway::start(&yaml, &[&origin]);
    let mut client = gateway.connect();
    for fields in
        ["", "X-Forwarded-For: 203.0.113.7\r\n", "Forwarded: for=203.0.113.7\r\n", "X-Real-IP: 203.0.113.7\r\n"]
    {
        assert_eq!(ask(&mut client, "GET /", fields).status, 403, "{fields}");
    }
    assert!(origin.requests().is_empty());
}

/// Version 7 of RFC 9562: the time, the version, the variant.
fn is_uuid7(id: &str) -> bool {
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    let hex = id.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let bytes = id.as_bytes();
    hex && groups == [8, 4, 4, 4, 12]
        && bytes.get(14) == Some(&b'7')
        && bytes.get(19).is_some_and(|b| b"89ab".contains(b))
}

#[test]
fn r24_every_request_has_an_id_of_its_own() {
    let origin = Origin::ok();
    // On by default.
    let gateway = Gateway::start(&plugins_yaml("").replace("workers: 1", "workers: 2"), &[&origin]);
    let mut clients = [gateway.connect(), gateway.connect(), gateway.connect(), gateway.connect()];
    let mut ids = Vec::new();
    for turn in 0..200 {
        let answer = ask(&mut clients[turn % 4], "GET /", "X-Request-ID: chosen\r\n");
        assert_eq!(answer.fields.count("x-request-id"), 1);
        ids.push(answer.fields.get("x-request-id").expect("an id").to_owned());
    }
    let bad: Vec<&String> = ids.iter().filter(|id| !is_uuid7(id)).collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "ids are unique");
    let times: Vec<&str> = ids.iter().map(|id| &id[..13]).collect();
    assert!(times.is_sorted(), "they begin with the time");
    let seen: Vec<String> = origin
        .requests()
        .iter()
        .map(|request| request.fields.all("x-request-id").collect::<Vec<_>>().join(","))
        .collect();
    assert_eq!(seen.iter().collect::<HashSet<_>>(), ids.iter().collect(), "the service sees the same");
    let logged = log_stdout(&gateway, 200);
    assert!(logged.iter().all(|line| ids.iter().any(|id| line["request_id"] == **id)));
}

#[test]
fn r24_a_service_does_not_choose_the_id() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-Request-ID: mine\r\nx-request-id: mine too\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let gateway = with_plugins("", &origin);
    let answer = ask(&mut gateway.connect(), "GET /", "");
    let ids: Vec<&str> = answer.fields.all("x-request-id").collect();
    assert!(ids.len() == 1 && is_uuid7(ids[0]), "{ids:?}");
}

#[test]
fn r24_an_incoming_id_is_taken_over_where_it_is_trusted() {
    let origin = Origin::ok();
    let plugin = "{ name: request-id, config: { header: X-Correlation-ID, trust_incoming: true } }";
    let gateway = with_plugins(plugin, &origin);
    let mut client = gateway.connect();
    let long = "a".repeat(129);
    for (fields, kept) in [
        ("X-Correlation-ID: abc-123_.~:/+=@\r\n".to_owned(), Some("abc-123_.~:/+=@")),
        ("x-correlation-id: lower\r\n".to_owned(), Some("lower")),
        ("X-Correlation-ID: two words\r\n".to_owned(), None),
        ("X-Correlation-ID: <script>\r\n".to_owned(), None),
        ("X-Correlation-ID: a\r\nX-Correlation-ID: b\r\n".to_owned(), None),
        (format!("X-Correlation-ID: {long}\r\n"), None),
        ("X-Correlation-ID:\r\n".to_owned(), None),
        (String::new(), None),
    ] {
        let before = origin.requests().len();
        let answer = ask(&mut client, "GET /", &fields);
        let id = answer.fields.get("x-correlation-id").expect("an id").to_owned();
        match kept {
            Some(kept) => assert_eq!(id, kept),
            None => assert!(is_uuid7(&id), "{fields} became {id}"),
        }
        let request = &origin.requests()[before];
        assert_eq!(request.fields.all("x-correlation-id").collect::<Vec<_>>(), [id.as_str()], "{fields}");
    }
}

#[test]
fn r24_errors_carry_the_id_too() {
    let origin = Origin::ok();
    let yaml = plugins_yaml("").replace("service: origin,", "service: origin, paths: [/here],");
    let gateway = Gateway::start(&yaml, &[&origin]);
    let answer = ask(&mut gateway.connect(), "GET /elsewhere", "");
    assert_eq!(answer.status, 404);
    let id = answer.fields.get("x-request-id").expect("an id");
    assert_eq!(problem(&answer)["request_id"], id);
}

#[test]
fn r25_r26_security_headers() {
    let origin = Origin::answering(|request| {
        let own =
            if request.target == "/own" { "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n" } else { "" };
        format!("HTTP/1.1 200 OK\r\n{own}Content-Length: 0\r\n\r\n").into_bytes()
    });
    let set = "{ name: security-headers, config: { content_security_policy: \"default-src 'none'\", \
               x_frame_options: SAMEORIGIN, referrer_policy: null, permissions_policy: \"camera=()\" } }";
    let gateway = with_plugins("{ name: security-headers }", &origin);
    let configured = with_plugins(set, &origin);
    let mut client = gateway.connect();
    let answer = ask(&mut client, "GET /", "");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("content-security-policy", "base-uri 'self'; object-src 'none'"),
    ] {
        assert_eq!(answer.fields.all(name).collect::<Vec<_>>(), [value], "{name}");
    }
    assert!(!answer.fields.has("strict-transport-security"), "RFC 6797 7.2: not over http");
    let secure = ask(&mut client, "GET /", "X-Forwarded-Proto: https\r\n");
    assert_eq!(secure.fields.get("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
    // A default gives way to the service's own; what is configured does not.
    let own = ask(&mut client, "GET /own", "");
    assert_eq!(own.fields.all("x-frame-options").collect::<Vec<_>>(), ["DENY"]);
    let own = ask(&mut configured.connect(), "GET /own", "");
    assert_eq!(own.fields.all("x-frame-options").collect::<Vec<_>>(), ["SAMEORIGIN"]);
    assert_eq!(own.fields.get("content-security-policy"), Some("default-src 'none'"));
    assert_eq!(own.fields.get("permissions-policy"), Some("camera=()"));
    assert_eq!(own.fields.get("referrer-policy"), Some("no-referrer"), "null leaves it to the service");
    let none = ask(&mut configured.connect(), "GET /", "");
    assert!(!none.fields.has("referrer-policy"));
}

/// The gateway's own answers carry them as well.
#[test]
fn r25_r26_security_headers_on_errors() {
    let origin = resetting();
    let yaml = plugins_yaml("").replace("routes:", "plugins: [{ name: security-headers }]\nroutes:");
    let yaml = yaml.replace("service: origin,", "service: origin, paths: [/here],");
    let gateway = Gateway::start(&yaml, &[&origin]);
    for (path, status) in [("/here", 502), ("/elsewhere", 404)] {
        let answer = ask(&mut gateway.connect(), &format!("GET {path}"), "");
        assert_eq!(answer.status, status);
        assert_eq!(answer.fields.get("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[test]
fn redirects() {
    let origin = Origin::answering(|_| answer("service").into_bytes());
    let yaml = r#"
workers: 1
listeners: [{ name: web, address: "{listen}", trusted_proxies: [127.0.0.1] }]
services: [{ name: origin, url: "http://{origin}" }]
routes:
  - { name: scheme, paths: [/scheme], service: origin, plugins: [{ name: redirect, config: { scheme: https } }] }
  - { name: host, paths: [/host], plugins: [{ name: redirect, config: { host: www.example.com, status: 301 } }] }
  - { name: port, paths: [/port], plugins: [{ name: redirect, config: { port: 8443, status: 302 } }] }
  - { name: path, paths: ["/v1/{id}"], plugins: [{ name: redirect, config: { path: "/v2/{id}", status: 307 } }] }
  - { name: query, paths: [/query], plugins: [{ name: redirect, config: { path: "/new?x=1", status: 303 } }] }
"#;
    let gateway = Gateway::start(yaml, &[&origin]);
    let mut client = gateway.connect();
    for (sent, fields, status, location) in [
        ("/scheme/a?b=c", "", 308, "https://a.test/scheme/a?b=c"),
        ("/host/a?b", "", 301, "http://www.example.com/host/a?b"),
        ("/host", "X-Forwarded-Proto: https\r\n", 301, "https://www.example.com/host"),
        ("/port", "", 302, "http://a.test:8443/port"),
        ("/v1/42?q", "", 307, "http://a.test/v2/42?q"),
        ("/v1/a%2Fb", "", 307, "http://a.test/v2/a%2Fb"),
        ("/query?old", "", 303, "http://a.test/new?x=1"),
    ] {
        let answer = ask(&mut client, &format!("GET {sent}"), fields);
        assert_eq!((answer.status, answer.fields.get("location")), (status, Some(location)), "{sent}");
        assert!(answer.body.bytes.is_empty(), "{sent}");
    }
    assert!(origin.requests().is_empty(), "no redirect reaches a service");
    // What is at its destination already passes on.
    let there = ask(&mut client, "GET /scheme", "X-Forwarded-Proto: https\r\n");
    assert_eq!((there.status, there.text().as_str()), (200, "service"));
    // Bytes that would end the line never come out of a path.
    let odd = ask(&mut client, "GET /scheme/%0d%0aX-Evil:%20yes", "");
    assert!(!odd.fields.has("x-evil"), "{odd:?}");
}
