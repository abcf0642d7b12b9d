use serde_json::{Value as Json, json};
use tollgate_core::{Chain, Kind, Reject};

use super::*;
use crate::testing::{Exchange, Seen, found, link, problems};

const LISTED: &str = "https://app.example.com";

fn listed() -> Json {
    json!({"origins": [LISTED, "https://*.example.org", "~https://pr-[0-9]+\\.example\\.net"], "credentials": true,
        "methods": ["get", "POST"], "headers": ["Authorization", "X-A"], "exposed_headers": ["X-Total"], "max_age": "1h"})
}

fn preflight(origin: &str, config: Json) -> Seen {
    Exchange { method: Method::OPTIONS, ..Exchange::default() }
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "DELETE")
        .header("Access-Control-Request-Headers", "x-a, x-b")
        .run(&[link("cors", config)])
}

fn get(origin: &str, config: Json) -> Seen {
    Exchange::default().header("Origin", origin).run(&[link("cors", config)])
}

#[test]
fn a_preflight_is_answered_without_the_service() {
    let seen = preflight(LISTED, listed());
    assert_eq!((seen.status(), seen.text(), seen.answered_by), (204, "", Some("cors")));
    assert!(seen.request.is_none());
    for (name, value) in [
        ("Access-Control-Allow-Origin", Some(LISTED)),
        ("Access-Control-Allow-Credentials", Some("true")),
        ("Access-Control-Allow-Methods", Some("GET, POST")),
        ("Access-Control-Allow-Headers", Some("Authorization, X-A")),
        ("Access-Control-Max-Age", Some("3600")),
        ("Access-Control-Expose-Headers", None),
        ("Vary", Some("Origin")),
    ] {
        assert_eq!(seen.answered(name).as_deref(), value, "{name}");
    }
}

#[test]
fn a_preflight_of_another_origin_is_told_nothing() {
    let seen = preflight("https://evil.example", listed());
    assert_eq!(seen.status(), 204);
    assert!(seen.request.is_none());
    let names: Vec<_> = seen.response.headers.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    assert_eq!(names, ["Vary"]);
}

#[test]
fn by_default_every_origin_may_use_the_usual_methods_and_any_header() {
    let seen = preflight("https://anyone.example", json!({}));
    for (name, value) in [
        ("Access-Control-Allow-Origin", Some("*")),
        ("Access-Control-Allow-Credentials", None),
        ("Access-Control-Allow-Methods", Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        ("Access-Control-Allow-Headers", Some("x-a, x-b")),
        ("Access-Control-Max-Age", None),
        ("Vary", None),
    ] {
        assert_eq!(seen.answered(name).as_deref(), value, "{name}");
    }
    let seen = preflight("https://anyone.example", json!({"methods": ["*"]}));
    assert_eq!(seen.answered("Access-Control-Allow-Methods").as_deref(), Some("DELETE"));
}

#[test]
fn options_that_is_no_preflight_goes_to_the_service() {
    let options = || Exchange { method: Method::OPTIONS, ..Exchange::default() };
    let chain = [link("cors", listed())];
    assert!(options().header("Origin", LISTED).run(&chain).request.is_some());
    assert!(options().header("Access-Control-Request-Method", "GET").run(&chain).request.is_some());
    let get = Exchange::default().header("Origin", LISTED).header("Access-Control-Request-Method", "GET");
    assert!(get.run(&chain).request.is_some());
    assert!(Chain::new(chain.to_vec()).answers_preflight());
}

#[test]
fn answers_to_a_listed_origin_name_it() {
    let seen = get(LISTED, listed());
    for (name, value) in [
        ("Access-Control-Allow-Origin", Some(LISTED)),
        ("Access-Control-Allow-Credentials", Some("true")),
        (
            "Access-Control-Expose-Headers",
            Some("X-Total, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"),
        ),
        ("Access-Control-Allow-Methods", None),
        ("Vary", Some("Origin")),
    ] {
        assert_eq!(seen.answered(name).as_deref(), value, "{name}");
    }
}

#[test]
fn answers_to_others_vary_all_the_same() {
    let chain = [link("cors", listed())];
    for seen in [get("https://evil.example", listed()), get("null", listed()), Exchange::default().run(&chain)] {
        assert_eq!(seen.answered("Access-Control-Allow-Origin"), None);
        assert_eq!(seen.answered("Access-Control-Allow-Credentials"), None);
        assert_eq!(seen.answered("Access-Control-Expose-Headers"), None);
        assert_eq!(seen.answered("Vary").as_deref(), Some("Origin"));
    }
    let twice = Exchange::default().header("Origin", LISTED).header("Origin", "https://evil.example").run(&chain);
    assert_eq!(twice.answered("Access-Control-Allow-Origin"), None);
}

#[test]
fn what_the_service_says_about_it_is_replaced() {
    let seen = Exchange::default()
        .header("Origin", LISTED)
        .answering(&[
            ("access-control-allow-origin", "*"),
            ("Access-Control-Allow-Origin", "https://else.example"),
            ("Access-Control-Allow-Private-Network", "true"),
            ("Access-Control-Expose-Headers", "X-Inner"),
            ("Vary", "Accept, origin"),
        ])
        .run(&[link("cors", json!({"origins": [LISTED], "exposed_headers": []}))]);
    assert_eq!(seen.answered("Access-Control-Allow-Origin").as_deref(), Some(LISTED));
    assert_eq!(seen.answered("Access-Control-Allow-Private-Network"), None);
    assert_eq!(seen.answered("Access-Control-Expose-Headers"), None);
    assert_eq!(seen.answered("Vary").as_deref(), Some("Accept, origin"), "not doubled");
}

#[test]
fn a_rejection_within_can_be_read_by_the_page() {
    let answer = Err(Reject::new(Kind::Unavailable, "no").with_header("Retry-After", "7"));
    let exchange = Exchange { answer, ..Exchange::default() }.header("Origin", LISTED);
    let seen = exchange.run(&[link("cors", listed())]);
    assert_eq!(seen.status(), 503);
    assert_eq!(seen.answered("Access-Control-Allow-Origin").as_deref(), Some(LISTED));
    assert!(seen.answered("Access-Control-Expose-Headers").unwrap().contains("Retry-After"));
}

#[test]
fn origins_are_matched_whole() {
    for (origin, admitted) in [
        ("https://a.example.org", true),
        ("https://a.b.example.org", true),
        ("https://example.org", false),
        ("https://.example.org", false),
        ("http://a.example.org", false),
        ("https://a.example.org:8443", false),
        ("https://evil.net/.example.org", false),
        ("https://evil.net:1.example.org", false),
        ("https://a@b.example.org", false),
        ("https://aexample.org", false),
        ("https://a.example.org.evil.net", false),
        ("https://pr-12.example.net", true),
        ("https://pr-12.example.net.evil.net", false),
        ("https://pr-x.example.net", false),
        ("null", false),
        ("", false),
    ] {
        assert_eq!(get(origin, listed()).answered("Access-Control-Allow-Origin").is_some(), admitted, "{origin}");
    }
    for origin in [json!("null"), Json::Null] {
        let seen = get("null", json!({"origins": [origin]}));
        assert_eq!(seen.answered("Access-Control-Allow-Origin").as_deref(), Some("null"));
    }
    assert!(get(LISTED, json!({"origins": ["HTTPS://App.Example.Com"]})).answered(ALLOW_ORIGIN).is_some());
}

#[test]
fn what_is_wrong_is_said() {
    for (config, at, part) in [
        (json!({"origins": ["*"], "credentials": true}), "config.origins[0]", "exclude each other"),
        (json!({"credentials": true}), "config.origins[0]", "list the origins"),
        (json!({"origins": []}), "config.origins", "empty"),
        (json!({"origins": ["example.com"]}), "config.origins[0]", "did you mean `https://example.com`?"),
        (json!({"origins": ["https://example.com/"]}), "config.origins[0]", "`https://example.com`"),
        (json!({"origins": ["https://example.com:443"]}), "config.origins[0]", "`https://example.com`"),
        (json!({"origins": ["https://bücher.example"]}), "config.origins[0]", "xn--"),
        (json!({"origins": [LISTED, "https://*"]}), "config.origins[1]", "`https://*.example.com`"),
        (json!({"origins": ["https://a*.example.com"]}), "config.origins[0]", "subdomains"),
        (json!({"origins": ["https://*.*.com"]}), "config.origins[0]", "subdomains"),
        (json!({"origins": ["~("]}), "config.origins[0]", "not a regular expression"),
        (json!({"methods": ["GET POST"]}), "config.methods[0]", "expected"),
        (json!({"headers": ["X-A", "X-A, X-B"]}), "config.headers[1]", "expected"),
        (json!({"exposed_headers": [""]}), "config.exposed_headers[0]", "expected"),
        (json!({"orgins": ["*"]}), "config.orgins", "did you mean `origins`?"),
    ] {
        let all = found("cors", &config);
        assert_eq!(all.len(), 1, "{config}: {all:?}");
        assert!(all[0].path == at && all[0].to_string().contains(part), "{config}: {all:?}");
    }
    assert_eq!(problems("cors", json!({"origins": ["a"], "methods": ["b c"], "headers": ["d e"]})).len(), 3);
}
