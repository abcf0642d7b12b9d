//! HTTP/2 towards services, and gRPC. The service is a second gateway, which speaks HTTP/2 with the first and HTTP/1 with
//! the origin behind it.

use tollgate_testkit::http2::{Block, Frame, Http2};
use tollgate_testkit::{Gateway, Origin};

/// A gateway that serves HTTP/2 in front of an origin.
fn service(origin: &Origin) -> Gateway {
    let yaml = "workers: 1
listeners: [{ name: web, address: '{listen}' }]
services: [{ name: s, url: 'http://{origin}' }]
routes: [{ name: r, paths: [/], service: s }]
";
    Gateway::start(yaml, &[origin])
}

/// The gateway in front of that service, which it speaks to by this protocol.
fn front(service: &Gateway, protocol: &str, more: &str) -> Gateway {
    let yaml = format!(
        "workers: 1
listeners: [{{ name: web, address: '{{listen}}' }}]
services:
  - {{ name: s, url: '{protocol}://{{service}}/base'{more} }}
  - {{ name: dead, url: 'grpc://127.0.0.1:1' }}
routes:
  - {{ name: r, paths: [/], service: s }}
  - {{ name: dead, paths: [/dead], service: dead }}
"
    );
    Gateway::builder(&yaml).var("service", service.address().to_string()).start()
}

#[test]
fn http1_clients_reach_services_in_http2() {
    let origin = Origin::start(|exchange| {
        let body = exchange.read_body().bytes.clone();
        exchange.send(format!("HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: {}\r\n\r\n", body.len()));
        exchange.send(body);
    });
    let service = service(&origin);
    let gateway = front(&service, "h2c", "");
    let mut client = gateway.connect();
    client.send("GET /a/b?c=d HTTP/1.1\r\nHost: x.test\r\nX-Mine: 2\r\n\r\n");
    let answer = client.response("GET").unwrap();
    assert_eq!((answer.status, answer.fields.get("x-kept")), (200, Some("1")));
    let seen = origin.requests().pop().unwrap();
    assert_eq!(
        (&*seen.target, seen.fields.get("Host"), seen.fields.get("x-mine")),
        ("/base/a/b?c=d", Some("x.test"), Some("2"))
    );
    // A body that is larger than every window, both ways, by length and in chunks.
    let body: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    client.send(format!("POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let answer = client.response("POST").unwrap();
    assert!(answer.status == 200 && answer.body.bytes == body);
    client.send("POST /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(client.response("POST").unwrap().body.bytes, b"hello");
    client.send("HEAD /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
    assert_eq!(client.response("HEAD").unwrap().status, 200);
}

#[test]
fn requests_share_a_connection_and_a_target_that_is_gone_is_told() {
    let origin = Origin::ok();
    let backend = service(&origin);
    let gateway = front(&backend, "h2c", "");
    for _ in 0..20 {
        let mut client = gateway.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response("GET").unwrap().status, 200);
    }
    let mut client = gateway.connect();
    client.send("GET /dead HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response("GET").unwrap().status, 502);
    drop(backend);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response("GET").unwrap().status, 502);
}

fn named<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A request of gRPC.
fn call(path: &str) -> Block {
    Block::post(path).field("content-type", "application/grpc").field("te", "trailers")
}

#[test]
fn grpc_passes_with_its_trailers_and_refusals_are_statuses() {
    let origin = Origin::start(|exchange| {
        exchange.read_body();
        exchange.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n\
             5\r\nhello\r\n0\r\ngrpc-status: 0\r\nx-more: 1\r\n\r\n",
        );
    });
    let service = service(&origin);
    let gateway = front(&service, "grpc", ", timeouts: { first_byte: 300ms }");
    let mut client = Http2::connect(gateway.address());
    client.handshake(&[]).unwrap();
    client.send([Frame::headers(1, call("/t.T/Unary")), Frame::data(1, "\0\0\0\0\0").end()]);
    let answer = client.answer(1).unwrap();
    assert_eq!((answer.status, &*answer.body), (200, &b"hello"[..]));
    assert_eq!(named(&answer.trailers, "grpc-status"), Some("0"));
    client.send([Frame::headers(3, call("/dead/X")).end()]);
    let refused = client.answer(3).unwrap();
    assert_eq!((refused.status, named(&refused.fields, "grpc-status")), (200, Some("14")));
    assert_eq!(named(&refused.fields, "grpc-message"), Some("The service cannot be reached."));
}
