use serde_json::{Value as Json, json};
use tollgate_core::Chain;

use super::*;
use crate::testing::{Exchange, found, link};

/// Where a request is sent; nothing if it passes on.
fn location(config: &Json, exchange: Exchange) -> Option<String> {
    let seen = exchange.run(&[link("redirect", config.clone())]);
    assert_eq!(seen.request.is_some(), seen.status() == 200, "either it is answered or it passes on");
    seen.answered("Location")
}

fn at(scheme: Scheme, authority: &'static str, path: &'static str, query: Option<&'static str>) -> Exchange {
    Exchange { scheme, authority, path, query, ..Exchange::default() }
}

#[test]
fn clients_are_sent_to_https_and_pass_there() {
    let config = json!({"scheme": "https"});
    let seen = at(Scheme::Http, "a.test:8080", "/x/y", Some("a=1&b")).run(&[link("redirect", config.clone())]);
    assert_eq!((seen.status(), seen.text(), seen.answered_by), (308, "", Some("redirect")));
    assert_eq!(seen.answered("Location").as_deref(), Some("https://a.test/x/y?a=1&b"));
    assert_eq!(location(&config, at(Scheme::Https, "a.test:8443", "/x/y", None)), None);
    assert_eq!(location(&config, at(Scheme::Http, "[::1]:80", "/", None)).as_deref(), Some("https://[::1]/"));
    assert_eq!(location(&config, at(Scheme::Http, "[::1]", "/", None)).as_deref(), Some("https://[::1]/"));
    let port = json!({"scheme": "https", "port": 8443});
    assert_eq!(location(&port, at(Scheme::Http, "a.test", "/", None)).as_deref(), Some("https://a.test:8443/"));
    let port = json!({"scheme": "https", "port": 443});
    assert_eq!(location(&port, at(Scheme::Http, "a.test", "/", None)).as_deref(), Some("https://a.test/"));
    assert_eq!(location(&port, at(Scheme::Https, "a.test", "/", None)), None, "443 is meant without saying so");
}

#[test]
fn hosts_are_changed() {
    let config = json!({"host": "WWW.a.test", "status": 301});
    let seen = at(Scheme::Https, "a.test:8443", "/x", Some("")).run(&[link("redirect", config.clone())]);
    assert_eq!(seen.status(), 301);
    assert_eq!(seen.answered("Location").as_deref(), Some("https://www.a.test/x?"));
    assert_eq!(location(&config, at(Scheme::Https, "www.A.test:8443", "/x", None)), None);
}

#[test]
fn paths_are_changed() {
    let moved = |config: Json, path, query| {
        let captures = vec![("id", "7%2F8&x=1"), ("1", "z")];
        location(&config, Exchange { captures, ..at(Scheme::Http, "a.test:8080", path, query) })
    };
    for (to, url) in [
        ("/new", "http://a.test:8080/new?q=1"),
        ("/new?", "http://a.test:8080/new?"),
        ("/new?r=2", "http://a.test:8080/new?r=2"),
        ("/o/{id}/{1}", "http://a.test:8080/o/7%2F8&x=1/z?q=1"),
        ("/o?i={id}&j={1}", "http://a.test:8080/o?i=7%2F8%26x%3D1&j=z"),
        ("/{none}", "http://a.test:8080/?q=1"),
        ("//evil.test", "http://a.test:8080//evil.test?q=1"),
    ] {
        assert_eq!(moved(json!({"path": to}), "/old", Some("q=1")).as_deref(), Some(url), "{to}");
    }
    assert_eq!(moved(json!({"path": "/old"}), "/old", Some("q=1")), None, "it is there");
    assert_eq!(moved(json!({"path": "/old?q=1"}), "/old", Some("q=1")), None, "it is there");
    assert!(moved(json!({"path": "/old?q=2"}), "/old", Some("q=1")).is_some());
    assert!(moved(json!({"path": "/old", "scheme": "https"}), "/old", None).is_some());
}

#[test]
fn a_request_without_a_host_is_refused_rather_than_served_in_clear_text() {
    let seen = at(Scheme::Http, "", "/", None).run(&[link("redirect", json!({"scheme": "https"}))]);
    assert_eq!(seen.status(), 400);
    assert!(seen.request.is_none());
    assert_eq!(location(&json!({"scheme": "https"}), at(Scheme::Https, "", "/", None)), None, "it is there already");
    let elsewhere = json!({"scheme": "https", "host": "a.test"});
    assert_eq!(location(&elsewhere, at(Scheme::Http, "", "/", None)).as_deref(), Some("https://a.test/"));
}

#[test]
fn a_route_with_it_needs_no_service() {
    assert!(Chain::new(vec![link("redirect", json!({"scheme": "https"}))]).terminates());
}

#[test]
fn what_is_wrong_is_said() {
    for (config, path, part) in [
        (json!({}), "config", "nothing to change"),
        (json!({"status": 301}), "config", "nothing to change"),
        (json!({"scheme": "https", "status": 200}), "config.status", "found 200"),
        (json!({"scheme": "ftp"}), "config.scheme", "ftp"),
        (json!({"host": "a.test:80"}), "config.host", "`port: 80`"),
        (json!({"host": "a/b"}), "config.host", "expected a host name"),
        (json!({"host": ""}), "config.host", "expected a host name"),
        (json!({"port": 0}), "config.port", "found 0"),
        (json!({"path": "x"}), "config.path", "starts with `/`"),
        (json!({"path": "/a b"}), "config.path", "percent-encoded"),
        (json!({"path": "/a\r\nX: y"}), "config.path", "percent-encoded"),
        (json!({"path": "/{a"}), "config.path", "no `}`"),
        (json!({"path": "/a}"}), "config.path", "no `{`"),
        (json!({"path": "/{}"}), "config.path", "capture"),
        (json!({"to": "x"}), "config.to", "to"),
    ] {
        let all = found("redirect", &config);
        assert!(
            all.iter().any(|problem| problem.path == path && problem.to_string().contains(part)),
            "{config}: {all:?}"
        );
    }
    assert_eq!(found("redirect", &json!({"host": "a b", "path": "c", "status": 1})).len(), 3);
}
