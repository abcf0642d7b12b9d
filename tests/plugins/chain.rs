//! How plugins come together: the nearest scope wins, the order of the file means nothing, the log names who answered.

use tollgate_testkit::{Gateway, Origin};

use super::plugins_yaml;
use crate::helpers::{ask, get, log_stdout, problem, resetting};

/// By plugin: the route's, else the service's, else the global one.
#[test]
fn r72_the_nearest_scope_wins() {
    let yaml = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
plugins:
  - { name: response-transformer, config: { headers: { set: { X-Scope: global } } } }
  - { name: strip-headers, config: { headers: [X-Inner] } }
services:
  - name: plain
    url: "http://{origin}"
  - name: special
    url: "http://{origin}"
    plugins: [{ name: response-transformer, config: { headers: { set: { X-Scope: service } } } }]
routes:
  - { name: a, paths: [/global], service: plain }
  - { name: b, paths: [/service], service: special }
  - name: c
    paths: [/route]
    service: special
    plugins: [{ name: response-transformer, config: { headers: { set: { X-Scope: route } } } }]
  - name: d
    paths: [/route-of-plain]
    service: plain
    plugins: [{ name: response-transformer, config: { headers: { set: { X-Other: route } } } }]
"#;
    let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nX-Inner: 1\r\nContent-Length: 0\r\n\r\n".to_vec());
    let gateway = Gateway::start(yaml, &[&origin]);
    for (path, scope) in [
        ("/global", Some("global")),
        ("/service", Some("service")),
        ("/route", Some("route")),
        ("/route-of-plain", None),
    ] {
        let answer = get(&gateway, path);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.fields.get("x-scope"), scope, "{path}");
        assert!(!answer.fields.has("x-inner"), "{path}: another plugin of a wider scope still holds");
    }
    assert_eq!(get(&gateway, "/nowhere").fields.get("x-scope"), Some("global"), "global plugins see what has no route");
}

/// Every order of the file gives the same answer: an address is refused before anything else happens.
#[test]
fn r72_the_order_of_the_file_means_nothing() {
    let plugins = [
        "{ name: request-termination, config: { status: 200, body: mock } }",
        "{ name: cors, config: { origins: [https://shop.example] } }",
        "{ name: request-size-limiting, config: { max: 2 } }",
        "{ name: security-headers }",
        "{ name: ip-restriction, config: { deny: [203.0.113.66] } }",
    ];
    let mut seen = Vec::new();
    for turn in 0..plugins.len() {
        let mut order = plugins.to_vec();
        order.rotate_left(turn);
        for order in [order.clone(), order.into_iter().rev().collect()] {
            let origin = Origin::ok();
            let gateway = Gateway::start(&plugins_yaml(&order.join(", ")), &[&origin]);
            let mut story = Vec::new();
            for (line, fields) in [
                ("GET /", "Origin: https://shop.example\r\n"),
                ("GET /", "X-Forwarded-For: 203.0.113.66\r\nOrigin: https://shop.example\r\n"),
                ("OPTIONS /", "Origin: https://shop.example\r\nAccess-Control-Request-Method: PUT\r\n"),
                ("POST /", "Content-Length: 3\r\nOrigin: https://shop.example\r\n"),
            ] {
                let answer = ask(&mut gateway.connect(), line, fields);
                let cors = answer.fields.get("access-control-allow-origin").map(str::to_owned);
                story.push((line, answer.status, cors, answer.fields.has("x-content-type-options")));
            }
            assert!(origin.requests().is_empty());
            seen.push(story);
        }
    }
    let statuses: Vec<u16> = seen[0].iter().map(|(_, status, _, _)| *status).collect();
    assert_eq!(statuses, [200, 403, 204, 413]);
    assert!(seen.iter().all(|story| *story == seen[0]), "{seen:#?}");
}

#[test]
fn r95_the_log_names_the_plugin_that_answered() {
    let yaml = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
services: [{ name: origin, url: "http://{origin}" }]
plugins: [{ name: cors, config: { origins: [https://shop.example] } }]
routes:
  - { name: denied, paths: [/denied], service: origin, plugins: [{ name: ip-restriction, config: { deny: [127.0.0.1] } }] }
  - { name: moved, paths: [/moved], plugins: [{ name: redirect, config: { path: /new } }] }
  - { name: small, paths: [/small], service: origin, plugins: [{ name: request-size-limiting, config: { max: 0 } }] }
  - { name: mock, paths: [/mock], plugins: [{ name: request-termination, config: { status: 200 } }] }
  - { name: plain, paths: [/plain], service: origin }
access_log: { path: stdout }
"#;
    let origin = Origin::ok();
    let gateway = Gateway::start(yaml, &[&origin]);
    let cases = [
        ("GET /denied", "", 403, "ip-restriction", "denied"),
        ("GET /moved", "", 308, "redirect", "moved"),
        ("POST /small", "Content-Length: 1\r\n", 413, "request-size-limiting", "small"),
        ("GET /mock", "", 200, "request-termination", "mock"),
        (
            "OPTIONS /plain",
            "Origin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n",
            204,
            "cors",
            "plain",
        ),
        ("GET /plain", "", 200, "", "plain"),
        ("GET /nowhere", "", 404, "", ""),
    ];
    let mut ids = Vec::new();
    for (line, fields, status, plugin, _) in cases {
        let answer = ask(&mut gateway.connect(), line, fields);
        assert_eq!(answer.status, status, "{line}");
        if status >= 400 {
            ids.push(problem(&answer)["request_id"].clone());
        } else if plugin != "ip-restriction" {
            ids.push(answer.fields.get("x-request-id").expect("an id").into());
        }
    }
    let lines = log_stdout(&gateway, cases.len());
    for (((line, _, status, plugin, route), logged), id) in cases.iter().zip(&lines).zip(&ids) {
        assert_eq!(logged["status"], *status, "{line}: {logged}");
        assert_eq!(logged["plugin"].as_str().unwrap_or_default(), *plugin, "{line}: {logged}");
        assert_eq!(logged["route"].as_str().unwrap_or_default(), *route, "{line}: {logged}");
        assert_eq!(logged["request_id"], *id, "{line}: the log and the client know it by the same name");
    }
}

/// Each answer of the gateway itself is a problem document, whoever gives it.
#[test]
fn errors_are_problem_documents() {
    let origin = resetting();
    let yaml = plugins_yaml("").replace("service: origin,", "service: origin, paths: [/here], methods: [GET],");
    let gateway = Gateway::start(&yaml, &[&origin]);
    for (line, status, kind) in [
        ("GET /here", 502, "service-closed"),
        ("GET /elsewhere", 404, "no-route"),
        ("PUT /here", 405, "method-not-allowed"),
    ] {
        let answer = ask(&mut gateway.connect(), line, "");
        assert_eq!(answer.status, status);
        let problem = problem(&answer);
        assert_eq!(problem["type"], format!("https://tollgate.dev/problems/{kind}"));
        assert_eq!(problem["request_id"], answer.fields.get("x-request-id").expect("an id"));
        assert_eq!(answer.fields.get("allow").is_some(), status == 405);
    }
}
