//! R101: cors, through the gateway.

use tollgate_testkit::{Client, Gateway, Origin, Response};

use super::{plugins_yaml, with_plugins};
use crate::helpers::{ask, resetting};

const SHOP: &str = "https://shop.example";

const CORS: &str = "{ name: cors, config: { origins: [https://shop.example, \"https://*.partners.example\", \"~^https://[a-z]+[.]dev$\"], \
                    methods: [GET, PUT], headers: [X-Token], exposed_headers: [X-Total], credentials: true, max_age: 10m } }";

fn preflight(client: &mut Client, path: &str, origin: &str, method: &str) -> Response {
    let fields = format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: x-token\r\n"
    );
    ask(client, &format!("OPTIONS {path}"), &fields)
}

fn allowed(answer: &Response) -> Option<&str> {
    assert!(answer.fields.count("access-control-allow-origin") <= 1, "{answer:?}");
    answer.fields.get("access-control-allow-origin")
}

#[test]
fn r101_a_preflight_never_reaches_the_service() {
    let origin = Origin::ok();
    // Nor is it stopped by what a route asks of a request.
    let yaml = plugins_yaml(CORS).replace("service: origin,", "service: origin, methods: [GET, PUT],");
    let gateway = Gateway::start(&yaml, &[&origin]);
    let mut client = gateway.connect();
    for asked in [SHOP, "https://a.partners.example", "https://a.b.partners.example", "https://local.dev"] {
        let answer = preflight(&mut client, "/x", asked, "PUT");
        assert_eq!(answer.status, 204, "{asked}");
        assert_eq!(allowed(&answer), Some(asked));
        assert_eq!(answer.fields.get("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.fields.get("access-control-allow-methods"), Some("GET, PUT"));
        assert_eq!(answer.fields.get("access-control-allow-headers"), Some("X-Token"));
        assert_eq!(answer.fields.get("access-control-max-age"), Some("600"));
        let vary = answer.fields.all("vary").collect::<Vec<_>>().join(",").to_ascii_lowercase();
        assert!(vary.contains("origin"), "{vary}");
        assert!(answer.fields.has("x-request-id"));
    }
    for stranger in [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://evilshop.example",
        "https://partners.example",
        "https://evilpartners.example",
        "https://local.dev.evil.example",
        "https://1.dev",
        "null",
        "",
    ] {
        let answer = preflight(&mut client, "/x", stranger, "PUT");
        assert_eq!((answer.status, allowed(&answer)), (204, None), "{stranger}");
        assert!(!answer.fields.has("access-control-allow-credentials"), "{stranger}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn r101_answers_say_who_may_read_them() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: false\r\n\
          access-control-expose-headers: Secret\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    });
    let gateway = with_plugins(CORS, &origin);
    let mut client = gateway.connect();
    let answer = ask(&mut client, "GET /", &format!("Origin: {SHOP}\r\n"));
    assert_eq!((answer.status, allowed(&answer)), (200, Some(SHOP)), "the service's own fields are replaced");
    assert_eq!(answer.fields.all("access-control-allow-credentials").collect::<Vec<_>>(), ["true"]);
    let exposed: Vec<&str> = answer.fields.all("access-control-expose-headers").collect();
    assert_eq!(exposed.len(), 1);
    for name in ["X-Total", "Retry-After", "RateLimit-Remaining"] {
        assert!(exposed[0].split(", ").any(|exposed| exposed == name), "{name}: {exposed:?}");
    }
    let vary = answer.fields.all("vary").collect::<Vec<_>>().join(",").to_ascii_lowercase();
    assert!(vary.contains("accept") && vary.contains("origin"), "{vary}");
    // A stranger's request is served; its page may not read the answer.
    for fields in ["Origin: https://evil.example\r\n", ""] {
        let answer = ask(&mut client, "GET /", fields);
        assert_eq!((answer.status, allowed(&answer)), (200, None), "{fields}");
        let vary = answer.fields.all("vary").collect::<Vec<_>>().join(",").to_ascii_lowercase();
        assert!(vary.contains("origin"), "a cache must tell them apart: {vary}");
    }
    assert_eq!(origin.requests().len(), 3);
}

/// A page can only tell a 404 or a 502 from a broken network if it may read them.
#[test]
fn r101_errors_may_be_read_by_pages() {
    let origin = resetting();
    let yaml =
        plugins_yaml("").replace("service: origin,", "service: origin, paths: [/here], methods: [GET],").replace(
            "routes:",
            &format!("plugins: [{CORS}, {{ name: request-size-limiting, config: {{ max: 3 }} }}]\nroutes:"),
        );
    let gateway = Gateway::start(&yaml, &[&origin]);
    let mut client = gateway.connect();
    for (line, fields, status) in [
        ("GET /here", "", 502),
        ("GET /elsewhere", "", 404),
        ("DELETE /here", "", 405),
        ("GET /here", "Content-Length: 4\r\n", 413),
    ] {
        let answer = ask(&mut client, line, &format!("Origin: {SHOP}\r\n{fields}"));
        assert_eq!((answer.status, allowed(&answer)), (status, Some(SHOP)), "{line}");
        if status == 413 {
            client = gateway.connect();
        }
    }
}

#[test]
fn r101_all_origins_may_be_allowed() {
    let origin = Origin::ok();
    let gateway = with_plugins("{ name: cors }", &origin);
    let mut client = gateway.connect();
    let answer = preflight(&mut client, "/", "https://any.example", "DELETE");
    assert_eq!((answer.status, allowed(&answer)), (204, Some("*")));
    assert!(!answer.fields.has("access-control-allow-credentials"));
    assert_eq!(answer.fields.get("access-control-allow-headers"), Some("x-token"));
    let answer = ask(&mut client, "GET /", "Origin: https://any.example\r\n");
    assert_eq!((answer.status, allowed(&answer)), (200, Some("*")));
    // An OPTIONS request that is no preflight is the service's.
    let answer = ask(&mut client, "OPTIONS /", "Origin: https://any.example\r\n");
    assert_eq!((answer.status, origin.requests().len()), (200, 2));
    assert_eq!(origin.requests()[1].method, "OPTIONS");
}
