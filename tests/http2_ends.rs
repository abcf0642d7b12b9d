//! How connections and requests in HTTP/2 end: by time, by the end of the gateway, by either side's will.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tollgate_testkit::certificates::Authority;
use tollgate_testkit::http2::{Block, Event, Frame, Http2, code, settings};
use tollgate_testkit::{Gateway, Metrics, Origin, PATIENCE, Stop, eventually};

use crate::configs::{PLAIN, plain_with};
use crate::helpers::answer;
use crate::tls::Wanted;

/// [`PLAIN`] with these limits and an admin API.
fn gateway(limits: &str, origin: &Origin) -> Gateway {
    let yaml = plain_with(limits, "idle: 60s") + "admin: { address: \"{admin}\" }\n";
    Gateway::start(&yaml, &[origin])
}

fn connect(gateway: &Gateway) -> Http2 {
    let mut client = Http2::connect(gateway.address());
    client.handshake(&[]).expect("HTTP/2");
    client
}

/// The interim statuses that came.
fn interim(client: &Http2) -> Vec<&str> {
    let fields = client.seen().iter().filter_map(|event| match event {
        Event::Headers { fields, .. } => fields.first(),
        _ => None,
    });
    fields.map(|(_, status)| &**status).filter(|status| status.starts_with('1')).collect()
}

fn goaway(client: &mut Http2) -> Result<(), String> {
    client.until("GOAWAY", |event| matches!(event, Event::GoAway { code: code::NO_ERROR, .. }).then_some(()))
}

/// On a connection that was idle before: its time for that does not count.
#[test]
fn a_head_that_stops_is_given_up_after_header_timeout() {
    let origin = Origin::ok();
    let gateway = gateway("header_timeout: 300ms, idle_timeout: 60s", &origin);
    let block: Vec<u8> = Block::get("/").into();
    let whole = Frame::headers(1, &block).end().encode();
    let beginnings = [Frame::headers(1, &block).more().encode(), whole[..whole.len() - 1].to_vec()];
    for beginning in beginnings {
        let mut client = connect(&gateway);
        client.pong().expect("it lives");
        let started = Instant::now();
        client.send_bytes(beginning);
        goaway(&mut client).expect("no more time");
        assert!((200..3000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    }
    // One that is idle afterwards has the longer time.
    let mut client = connect(&gateway);
    client.send_bytes(&whole[..20]);
    std::thread::sleep(Duration::from_millis(50));
    client.send_bytes(&whole[20..]);
    assert_eq!(client.answer(1).expect("an answer").status, 200);
    client.no_content(Duration::from_millis(500)).expect("it stays");
}

#[test]
fn an_idle_connection_is_closed_though_its_client_reads_nothing() {
    let origin = Origin::answering(|_| answer(&"x".repeat(1 << 20)).into_bytes());
    let gateway = gateway("idle_timeout: 300ms", &origin);
    let mut client = Http2::connect(gateway.address());
    client.send_bytes(tollgate_testkit::http2::PREFACE);
    client.send([
        Frame::settings(&[(settings::INITIAL_WINDOW_SIZE, 1 << 30)]),
        Frame::window_update(0, 1 << 30),
        Frame::headers(1, Block::get("/")).end(),
    ]);
    origin.wait_requests(1, PATIENCE);
    // What it was sent is not acknowledged, so it has five seconds more.
    let closed = || (gateway.metrics().get("tollgate_connections_open") == Some(0)).then_some(());
    assert!(eventually(2 * PATIENCE, closed).is_some(), "it holds on");
    assert!(client.seen().is_empty());
}

/// One that is idle, one with a request that runs, and one that said nothing after TLS.
#[test]
fn the_end_of_the_gateway_is_told_over_tls_and_in_time() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().unwrap().recv_timeout(4 * PATIENCE);
        exchange.send(answer("ok"));
    });
    let authority = Authority::new("a");
    let issued = authority.issue(&["a.test"]);
    let yaml = PLAIN.replace(
        "address: \"{listen}\"",
        "address: \"{listen}\"\n    tls: { certificates: [{ cert: a.crt, key: a.key }] }",
    );
    let builder = Gateway::builder(&yaml).file("a.crt", &issued.cert).file("a.key", &issued.key);
    let mut gateway = builder.origin(&origin).start();
    let connect = || {
        let mut stream = Wanted::new(&authority, "a.test").offering(&[b"h2"]).connect(gateway.address());
        // Shakes hands.
        stream.flush().expect("TLS");
        let socket = stream.sock.try_clone().expect("a socket can be cloned");
        Http2::over(stream, socket)
    };
    let (mut silent, mut idle, mut busy) = (connect(), connect(), connect());
    idle.handshake(&[]).expect("HTTP/2");
    busy.handshake(&[]).expect("HTTP/2");
    busy.send([Frame::headers(1, Block::get("/")).end()]);
    origin.wait_requests(1, PATIENCE);
    let started = Instant::now();
    gateway.sigterm();
    goaway(&mut idle).expect("the end is told");
    goaway(&mut busy).expect("the end is told");
    silent.hangs_up().expect("nobody waits for it");
    idle.connection_error(&[code::NO_ERROR]).expect("the connection ends");
    release.send(()).unwrap();
    let mut content = Vec::new();
    while let Ok(event) = busy.event() {
        if let Event::Data { bytes, .. } = event {
            content.extend(bytes);
        }
    }
    assert_eq!(content, b"ok", "what runs ends");
    assert!(gateway.wait_exit(PATIENCE).success());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// More of them than the connection's window would let through, if refused content were not given back to it.
#[test]
fn bodies_that_are_too_large_are_refused_and_the_connection_lives() {
    let origin = Origin::ok();
    let gateway = gateway("max_body_bytes: 1000", &origin);
    let mut client = connect(&gateway);
    let content = [0; 15_000];
    for stream in (1..61).step_by(2) {
        let head = if stream % 4 == 1 { Block::post("/").field("content-length", "60000") } else { Block::post("/") };
        client.send([Frame::headers(stream, head)]);
        client.send([(); 4].map(|()| Frame::data(stream, content)));
        assert_eq!(client.answer(stream).expect("an answer").status, 413, "{stream}");
    }
    client.send([Frame::headers(61, Block::get("/")).end()]);
    assert_eq!(client.answer(61).expect("an answer").status, 200);
    client.pong().expect("it lives");
}

#[test]
fn a_client_that_goes_lets_go_of_the_service() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let origin = Origin::start(move |exchange| {
        if exchange.request.target == "/half" {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
        }
        let (_, stop) = exchange.read_to_close(PATIENCE);
        exchange.close();
        let _ = tell.lock().unwrap().send(stop);
    });
    let gateway = gateway("idle_timeout: 1s", &origin);
    let let_go = |path: &str| {
        let stop = told.recv_timeout(PATIENCE).expect("the service is let go");
        assert!(!matches!(stop, Stop::TimedOut), "{path}: {stop:?}");
    };
    let mut client = connect(&gateway);
    for (stream, path) in [(1, "/none"), (3, "/half")] {
        client.send([Frame::headers(stream, Block::get(path)).end()]);
        origin.wait_for(PATIENCE, "the request", |request| request.target == path);
        if path == "/half" {
            client.content(stream, 2).expect("what there is");
        }
        client.send([Frame::reset(stream, code::CANCEL)]);
        let_go(path);
    }
    // Nothing runs on it, so that it is idle.
    goaway(&mut client).expect("its time as an idle one is over");
    let mut client = connect(&gateway);
    client.send([Frame::headers(1, Block::get("/gone")).end()]);
    origin.wait_for(PATIENCE, "the request", |request| request.target == "/gone");
    drop(client);
    let_go("/gone");
    let none = |metrics: &Metrics| metrics.get("tollgate_requests_in_flight{route=\"everything\"}") == Some(0);
    gateway.metrics_when("no request in flight", none);
}

#[test]
fn answers_without_content_keep_their_fields() {
    let origin = Origin::answering(|request| match &*request.target {
        "/none" => b"HTTP/1.1 204 No Content\r\nX-Kept: 1\r\n\r\n".to_vec(),
        "/same" => b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n".to_vec(),
    });
    let gateway = gateway("idle_timeout: 60s", &origin);
    let mut client = connect(&gateway);
    for (stream, method, path, status, length) in
        [(1, "HEAD", "/", 200, Some("7")), (3, "GET", "/none", 204, None), (5, "GET", "/same", 304, Some("7"))]
    {
        client.send([Frame::headers(stream, Block::request(method, path)).end()]);
        let answer = client.answer(stream).expect("an answer");
        let field = answer.fields.iter().find(|(name, _)| name == "content-length").map(|(_, value)| &**value);
        assert_eq!((answer.status, field, answer.body.len()), (status, length, 0), "{path}");
    }
}

#[test]
fn interim_answers_early_ones_and_trailers_pass() {
    let origin = Origin::start(|exchange| match &*exchange.request.target {
        "/early" => {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
            exchange.read_body();
        }
        "/hints" => {
            exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
            exchange.send(answer("ok"));
        }
        _ => {
            if exchange.request.fields.get("expect").is_some() {
                exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            exchange.read_body();
            exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
            exchange.send("2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n");
        }
    });
    let gateway = gateway("idle_timeout: 60s", &origin);
    let mut client = connect(&gateway);
    client.send([Frame::headers(1, Block::post("/early")), Frame::data(1, "a")]);
    assert_eq!(client.content(1, 5).expect("before the request ends"), b"early");
    client.send([Frame::headers(3, Block::get("/hints")).end()]);
    assert_eq!(client.answer(3).expect("an answer").status, 200);
    assert_eq!(interim(&client), ["103"]);
    client.send([Frame::headers(5, Block::post("/").field("expect", "100-continue").field("te", "trailers"))]);
    let is_100 = |event: &Event| {
        let Event::Headers { stream: 5, fields, .. } = event else { return None };
        fields.iter().any(|(name, value)| name == ":status" && value == "100").then_some(())
    };
    client.until("100", is_100).expect("it may send");
    client.send([Frame::data(5, "body"), Frame::headers(5, Block::new().field("x-mine", "8")).end()]);
    let answer = client.answer(5).expect("an answer");
    assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let seen = origin.wait_for(PATIENCE, "the body", |request| request.target == "/" && request.is_complete());
    assert_eq!(seen.body.bytes, b"body");
    assert_eq!(seen.body.trailers.get("x-mine"), Some("8"), "{seen:?}");
}
