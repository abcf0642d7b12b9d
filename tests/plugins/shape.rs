//! request-transformer, response-transformer, strip-headers, request-termination, request-size-limiting.

use tollgate_testkit::{Gateway, Origin, PATIENCE, Stop};

use super::{plugins_yaml, with_plugins};
use crate::helpers::{ask, log_stdout, problem};

#[test]
fn r41_request_headers_are_edited() {
    let origin = Origin::ok();
    let gateway = with_plugins(
        "{ name: request-transformer, config: { headers: { add: { X-Tag: [one, two], X-User-Id: edge }, \
         set: { X-Version: \"2\", X-New: fresh }, remove: [X-Debug, Cookie], rename: { X-Old: X-Renamed } } } }",
        &origin,
    );
    let fields = "X-Debug: 1\r\nx-debug: 2\r\nX-Version: 1\r\nX-VERSION: 0\r\nX-Old: kept\r\nX-Renamed: gone\r\n\
                  X-Tag: zero\r\nCookie: a=b\r\nX-Other: stays\r\nX-User-Id: forged\r\n";
    assert_eq!(ask(&mut gateway.connect(), "GET /", fields).status, 200);
    let request = &origin.requests()[0];
    let all = |name: &'static str| request.fields.all(name).collect::<Vec<_>>();
    assert_eq!(all("x-tag"), ["zero", "one", "two"]);
    assert_eq!(all("x-version"), ["2"]);
    assert_eq!(all("x-new"), ["fresh"]);
    assert_eq!(all("x-renamed"), ["kept"]);
    assert_eq!(all("x-other"), ["stays"]);
    assert_eq!(all("x-user-id"), ["edge"], "identity comes from the gateway alone");
    for gone in ["x-debug", "cookie", "x-old"] {
        assert!(!request.fields.has(gone), "{gone}");
    }
}

#[test]
fn r41_the_query_is_edited() {
    let origin = Origin::ok();
    let gateway = with_plugins(
        "{ name: request-transformer, config: { query: { remove: [debug], rename: { q: query }, \
         set: { format: json }, add: { tag: \"a b&c\" } } } }",
        &origin,
    );
    let mut client = gateway.connect();
    for (sent, expected) in [
        ("/", "/?format=json&tag=a%20b%26c"),
        ("/?x=1&debug=1&y=%20&de%62ug=2", "/?x=1&y=%20&format=json&tag=a%20b%26c"),
        ("/?q=1&format=xml&format=csv", "/?query=1&format=json&tag=a%20b%26c"),
    ] {
        let before = origin.requests().len();
        assert_eq!(ask(&mut client, &format!("GET {sent}"), "").status, 200);
        let target = origin.requests()[before].target.replace('+', "%20");
        assert_eq!(target, expected, "{sent}");
    }
}

#[test]
fn r41_r27_answer_headers_are_edited_and_stripped() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.2\r\nX-Powered-By: PHP\r\nX-Internal-Node: 7\r\nX-internal-shard: 3\r\n\
          X-Debug: 1\r\nX-Old: kept\r\nVary: Accept\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    });
    let gateway = with_plugins(
        "{ name: strip-headers }, { name: response-transformer, config: { headers: { remove: [X-Debug], \
         rename: { X-Old: X-Renamed }, set: { Cache-Control: no-store }, add: { Vary: Cookie } } } }",
        &origin,
    );
    let answer = ask(&mut gateway.connect(), "GET /", "");
    for gone in ["x-powered-by", "x-internal-node", "x-internal-shard", "x-debug", "x-old"] {
        assert!(!answer.fields.has(gone), "{gone}");
    }
    assert!(!answer.fields.get("server").unwrap_or_default().contains("nginx"));
    assert_eq!(answer.fields.get("x-renamed"), Some("kept"));
    assert_eq!(answer.fields.get("cache-control"), Some("no-store"));
    assert_eq!(answer.fields.all("vary").collect::<Vec<_>>(), ["Accept", "Cookie"]);
    assert_eq!((answer.fields.get("x-kept"), answer.text().as_str()), (Some("yes"), "ok"));
    let own = with_plugins("{ name: strip-headers, config: { headers: [\"x-KEPT\", \"X-D*\"] } }", &origin);
    let answer = ask(&mut own.connect(), "GET /", "");
    assert!(!answer.fields.has("x-kept") && !answer.fields.has("x-debug"));
    assert_eq!(answer.fields.get("x-powered-by"), Some("PHP"), "a list takes the place of the default one");
}

/// What must not be seen must not be seen behind the body either.
#[test]
fn r27_trailers_are_stripped_too() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Keep\r\n\r\n2\r\nok\r\n0\r\n\
          Server: nginx/1.2\r\nX-Internal-Host: 10.0.0.7\r\nx-powered-by: PHP\r\nX-Keep: yes\r\n\r\n"
            .to_vec()
    });
    let gateway = with_plugins("{ name: strip-headers }", &origin);
    let answer = ask(&mut gateway.connect(), "GET /", "TE: trailers\r\nConnection: TE\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let left: Vec<_> = answer.body.trailers.iter().collect();
    assert_eq!(left, [("X-Keep", "yes")]);
    // Without the plugin they come through.
    let answer = ask(&mut with_plugins("", &origin).connect(), "GET /", "TE: trailers\r\nConnection: TE\r\n");
    assert_eq!(answer.body.trailers.get("x-internal-host"), Some("10.0.0.7"));
}

#[test]
fn requests_are_answered_in_place_of_the_service() {
    let origin = Origin::ok();
    let yaml = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
services: [{ name: origin, url: "http://{origin}" }]
routes:
  - { name: default, paths: [/default], service: origin, plugins: [{ name: request-termination }] }
  - name: down
    paths: [/down]
    plugins: [{ name: request-termination, config: { status: 503, message: Back at noon., headers: { Retry-After: "60" } } }]
  - { name: mock, paths: [/mock], plugins: [{ name: request-termination, config: { status: 200, body: '{"a": [1]}' } }] }
  - { name: text, paths: [/text], plugins: [{ name: request-termination, config: { status: 418, body: hi, content_type: text/x } }] }
  - { name: none, paths: [/none], plugins: [{ name: request-termination, config: { status: 204 } }] }
access_log: { path: stdout }
"#;
    let gateway = Gateway::start(yaml, &[&origin]);
    let mut client = gateway.connect();
    let answer = ask(&mut client, "GET /default", "");
    assert_eq!(answer.status, 503);
    problem(&answer);
    let answer = ask(&mut client, "GET /down", "");
    assert_eq!((answer.status, answer.fields.get("retry-after")), (503, Some("60")));
    assert_eq!(problem(&answer)["detail"], "Back at noon.");
    let answer = ask(&mut client, "GET /mock", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"a": [1]}"#));
    assert_eq!(answer.fields.get("content-type"), Some("application/json"));
    let answer = ask(&mut client, "HEAD /mock", "");
    assert_eq!((answer.status, answer.fields.get("content-length")), (200, Some("10")));
    let answer = ask(&mut client, "GET /text", "");
    assert_eq!((answer.status, answer.fields.get("content-type"), answer.text().as_str()), (418, Some("text/x"), "hi"));
    assert_eq!(ask(&mut client, "GET /none", "").status, 204);
    // A body that nobody reads is no request.
    client.send("POST /mock HTTP/1.1\r\nHost: a.test\r\nContent-Length: 20\r\n\r\nGET /none HTTP/1.1\r\n");
    assert_eq!(client.response("POST").expect("an answer").status, 200);
    assert_eq!(ask(&mut client, "GET /text", "").status, 418);
    assert!(origin.requests().is_empty());
    let lines = log_stdout(&gateway, 8);
    assert!(lines.iter().all(|line| line["plugin"] == "request-termination"), "{lines:?}");
}

const SMALL: &str = "{ name: request-size-limiting, config: { max: 1KiB } }";

#[test]
fn a_long_body_is_refused_before_it_is_read() {
    let origin = Origin::ok();
    let gateway = with_plugins(SMALL, &origin);
    let mut client = gateway.connect();
    client
        .send([b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1024\r\n\r\n".to_vec(), vec![b'x'; 1024]].concat());
    assert_eq!(client.response("POST").expect("an answer").status, 200, "so much is allowed");
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1025\r\n\r\n");
    let answer = client.response("POST").expect("an answer");
    assert_eq!(answer.status, 413);
    assert_eq!(problem(&answer)["type"], "https://tollgate.dev/problems/body-too-large");
    // Nobody is asked for a body that will be refused.
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
    let answer = client.response("POST").expect("an answer");
    assert_eq!((answer.status, answer.interim.len()), (413, 0));
    assert_eq!(origin.requests().len(), 1);
    let line = log_stdout(&gateway, 3).pop().expect("a line");
    assert_eq!((&line["plugin"], &line["reject"]), (&"request-size-limiting".into(), &"body-too-large".into()));
}

#[test]
fn a_chunked_body_is_cut_off_with_413() {
    let origin = Origin::ok();
    let gateway = with_plugins(SMALL, &origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..4 {
        client.send(format!("100\r\n{}\r\n", "x".repeat(256)));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response("POST").expect("an answer").status, 200, "1024 bytes are allowed, however they come");
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut answer = None;
    client.patience(std::time::Duration::from_millis(50));
    for _ in 0..200 {
        // Once it has answered it may refuse more.
        let _ = client.try_send(format!("100\r\n{}\r\n", "x".repeat(256)));
        match client.response("POST") {
            Err(Stop::TimedOut) => {}
            other => {
                answer = Some(other.expect("an answer"));
                break;
            }
        }
    }
    let answer = answer.expect("a stream without end is answered");
    assert_eq!(answer.status, 413);
    problem(&answer);
    // The service never takes the part that came for whole.
    let part = origin.wait_requests(2, PATIENCE).pop().expect("it began");
    assert!(!part.is_complete() && part.body.bytes.len() <= 1024, "{} bytes", part.body.bytes.len());
}

/// It can only lower what the listener takes.
#[test]
fn the_listeners_limit_holds_too() {
    let origin = Origin::ok();
    let yaml = plugins_yaml("{ name: request-size-limiting, config: { max: 1MiB } }")
        .replace("trusted_proxies:", "limits: { max_body_bytes: 10 }, trusted_proxies:");
    let gateway = Gateway::start(&yaml, &[&origin]);
    for fields in ["Content-Length: 11\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"] {
        let mut client = gateway.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{fields}"));
        assert_eq!(client.response("POST").expect("an answer").status, 413, "{fields}");
    }
}
