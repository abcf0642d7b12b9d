//! Bodies in motion: back-pressure, early answers, 100 Continue.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tollgate_testkit::{Client, End, Gateway, Origin, PATIENCE, Stop, eventually};

use crate::configs::{PLAIN, plain_with};

const MIB: usize = 1024 * 1024;
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Waits until a counter stands still, and gives it. Being blocked is an absence: only time shows it.
fn settled(counter: &AtomicUsize) -> usize {
    let mut last = (counter.load(Ordering::Relaxed), 0);
    let still = eventually(Duration::from_secs(20), || {
        thread::sleep(Duration::from_millis(20));
        let now = counter.load(Ordering::Relaxed);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        (now > 0 && last.1 >= 15).then_some(now)
    });
    still.expect("the sender neither stops nor ends")
}

#[test]
fn r65_a_slow_reader_holds_the_origin_back_not_the_memory() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&sent);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 50 * MIB));
        let part = vec![b'x'; 64 * 1024];
        while counting.load(Ordering::Relaxed) < 50 * MIB && exchange.send(&part) {
            counting.fetch_add(part.len(), Ordering::Relaxed);
        }
    });
    let gateway = Gateway::start(&plain_with("idle_timeout: 60s", "idle: 60s"), &[&origin]);
    let before = gateway.rss_kib();
    let mut client = Client::connect_narrow(gateway.address(), 64 * 1024);
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let stuck = settled(&sent);
    assert!(stuck < 20 * MIB, "{stuck} bytes went out although nobody reads");
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < 10 * 1024, "the gateway grew by {grown} KiB");
    client.patience(Duration::from_secs(30));
    let answer = client.response("GET").expect("an answer");
    assert_eq!((answer.status, answer.body.bytes.len()), (200, 50 * MIB));
    assert!(answer.body.is_complete());
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < 10 * 1024, "the gateway grew by {grown} KiB");
}

#[test]
fn r65_a_slow_origin_holds_the_client_back_not_the_memory() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(30));
        exchange.read_body();
        exchange.send(OK);
    });
    let gateway = Gateway::start(&plain_with("body_timeout: 60s", "first_byte: 60s, idle: 60s"), &[&origin]);
    let before = gateway.rss_kib();
    let mut client = gateway.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", 50 * MIB));
    let sent = Arc::new(AtomicUsize::new(0));
    let (counting, mut stream) = (Arc::clone(&sent), client.stream().try_clone().unwrap());
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let sender = thread::spawn(move || {
        let part = vec![b'x'; 64 * 1024];
        for _ in 0..50 * MIB / part.len() {
            std::io::Write::write_all(&mut stream, &part).expect("the gateway takes the body");
            counting.fetch_add(part.len(), Ordering::Relaxed);
        }
    });
    let stuck = settled(&sent);
    assert!(stuck < 20 * MIB, "{stuck} bytes were taken although nobody reads");
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < 10 * 1024, "the gateway grew by {grown} KiB");
    release.send(()).unwrap();
    sender.join().expect("the whole body goes out");
    assert_eq!(client.patience(Duration::from_secs(30)).response("POST").expect("an answer").status, 200);
    assert_eq!(origin.requests()[0].body.bytes.len(), 50 * MIB);
}

#[test]
fn a_body_is_forwarded_as_it_comes() {
    let (sent, got) = mpsc::channel();
    let sent = Mutex::new(sent);
    let origin = Origin::start(move |exchange| {
        // The first chunk must be here before the second is sent.
        let first = exchange.read_exact(8);
        sent.lock().unwrap().send(first).unwrap();
        exchange.read_body();
        exchange.send(OK);
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let first = got.recv_timeout(PATIENCE).expect("the origin gets the first chunk");
    assert_eq!(first.as_deref(), Ok(&b"3\r\nabc\r\n"[..]));
    client.send(b"0\r\n\r\n");
    assert_eq!(client.response("POST").expect("an answer").status, 200);
}

#[test]
fn an_answer_is_forwarded_as_it_comes() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        exchange.send("later");
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.head().expect("the head").0, 200);
    assert_eq!(client.read_exact(5).expect("the first half"), b"first");
    release.send(()).unwrap();
    assert_eq!(client.read_exact(5).expect("the second half"), b"later");
}

/// An origin may answer before it has the body; the client gets that answer at once.
#[test]
fn an_early_answer_is_not_held_back() {
    let origin = Origin::start(|exchange| {
        exchange.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        exchange.half_close();
        let _ = exchange.read_to_close(PATIENCE);
        exchange.close();
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nsome");
    let answer = client.response("POST").expect("an answer before the body is sent");
    assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    // The rest of the body is no request, whatever the gateway does with it.
    let _ = client.try_send(b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(gateway.connect().get("/other").expect("an answer").status, 413);
    assert!(origin.requests().iter().all(|request| request.target != "/smuggled"));
}

#[test]
fn a_client_that_leaves_ends_the_request_at_the_origin() {
    let (sent, got) = mpsc::channel();
    let sent = Mutex::new(sent);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        let _ = sent.lock().unwrap().send(exchange.read_to_close(PATIENCE).1);
        exchange.close();
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    client.reset();
    let stop = got.recv_timeout(Duration::from_secs(10)).expect("the origin's thread ends");
    assert_ne!(stop, Stop::TimedOut, "the origin works on for nobody");
}

/// Where no time-out would ever ask, the gateway still sees that nobody waits any more.
#[test]
fn a_client_that_leaves_is_noticed_without_timeouts_too() {
    for begun in [false, true] {
        let (sent, got) = mpsc::channel();
        let sent = Mutex::new(sent);
        let origin = Origin::start(move |exchange| {
            exchange.read_body();
            if begun {
                exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
            }
            let _ = sent.lock().unwrap().send(exchange.read_to_close(2 * PATIENCE).1);
            exchange.close();
        });
        let gateway = Gateway::start(&plain_with("idle_timeout: 60s", "first_byte: 0, idle: 0, total: 0"), &[&origin]);
        let mut client = gateway.connect();
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        origin.wait_requests(1, PATIENCE);
        if begun {
            assert_eq!(client.head().expect("a head").0, 200);
            assert_eq!(client.read_exact(3).expect("a part"), b"abc");
        }
        client.reset();
        let stop = got.recv_timeout(Duration::from_secs(3));
        assert!(stop.is_ok(), "the origin works on for nobody; answer begun: {begun}");
    }
}

/// A packet of tiny chunks goes on as few packets: what came together is sent together.
#[test]
fn tiny_chunks_are_sent_on_together() {
    const CHUNKS: usize = 20_000;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let origin = thread::spawn(move || {
        let mut stream = listener.accept().expect("the gateway").0;
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let (mut all, mut part, mut reads) = (Vec::new(), vec![0; 256 * 1024], 0);
        while !all.ends_with(b"\r\n0\r\n\r\n") {
            let read = stream.read(&mut part).expect("the upload goes on");
            assert!(read > 0, "cut after {} bytes", all.len());
            all.extend_from_slice(&part[..read]);
            reads += 1;
        }
        stream.write_all(OK.as_bytes()).expect("an answer can be sent");
        (all, reads)
    });
    let gateway = Gateway::builder(PLAIN).var("origin", address.to_string()).start();
    let mut client = gateway.connect();
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}{}0\r\n\r\n", "1\r\nx\r\n".repeat(CHUNKS)));
    assert_eq!(client.response("POST").expect("an answer").status, 200);
    let (all, reads) = origin.join().expect("the origin gets all");
    let body = all.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    assert_eq!(unchunked(&all[body..]), "x".repeat(CHUNKS));
    assert!(reads < 100, "{reads} reads for {CHUNKS} chunks");
}

/// The content of a chunked body of text.
fn unchunked(mut body: &[u8]) -> String {
    let mut content = String::new();
    loop {
        let line = body.windows(2).position(|end| end == b"\r\n").expect("a line");
        let size = std::str::from_utf8(&body[..line]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return content;
        }
        content.push_str(std::str::from_utf8(&body[line + 2..line + 2 + size]).expect("text"));
        body = &body[line + 2 + size + 2..];
    }
}

/// What a client sends too much (an empty line, as some do after a form) must not cost it the answer: a socket that is
/// closed with bytes unread resets the connection, and what was not yet read of the answer is lost.
#[test]
fn bytes_after_the_last_request_do_not_cost_its_answer() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        exchange.send([format!("HTTP/1.1 200 OK\r\nContent-Length: {MIB}\r\n\r\n").as_bytes(), &[b'z'; MIB]].concat());
    });
    let gateway = Gateway::start(&format!("{PLAIN}access_log: {{ path: stdout }}\n"), &[&origin]);
    let requests = ["GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"];
    for (turn, request) in requests.into_iter().enumerate() {
        let mut client = Client::connect_narrow(gateway.address(), 128 * 1024);
        client.send(request);
        origin.wait_requests(turn + 1, PATIENCE);
        client.send("\r\n");
        release.send(()).unwrap();
        // The gateway has sent all it had, or cannot before somebody reads.
        eventually(Duration::from_millis(500), || (gateway.stdout().lines().count() > turn).then_some(()));
        let answer = client.response("GET").expect("an answer");
        assert_eq!((answer.status, answer.body.bytes.len()), (200, MIB), "{request}");
        assert!(answer.body.is_complete(), "{request}: {:?}", answer.body.end);
        if answer.body.end != End::Close {
            assert_eq!(client.read_to_close(), (Vec::new(), Stop::Closed), "{request}");
        }
    }
}

#[test]
fn continue_comes_from_the_origin() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
        exchange.read_body();
        exchange.send(OK);
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    let request = &origin.wait_requests(1, PATIENCE)[0];
    assert_eq!(request.fields.get("expect").map(str::to_ascii_lowercase).as_deref(), Some("100-continue"));
    client.patience(Duration::from_millis(200));
    assert_eq!(client.head().expect_err("the gateway promises nothing by itself"), Stop::TimedOut);
    client.patience(PATIENCE);
    release.send(()).unwrap();
    assert_eq!(client.head().expect("the origin's 100").0, 100);
    client.send(b"abc");
    assert_eq!(client.response("POST").expect("an answer").status, 200);
    assert_eq!(origin.requests()[0].body.bytes, b"abc");
}

#[test]
fn an_origin_that_refuses_an_expectation_needs_no_body() {
    let origin = Origin::start(|exchange| {
        exchange.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        exchange.close();
    });
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    let answer = client.response("POST").expect("a final answer");
    assert_eq!((answer.status, answer.interim.len()), (403, 0));
}

/// An origin that knows no 100 waits for the body: so must not the client for ever, nor is the answer lost.
#[test]
fn an_origin_that_answers_without_100_is_heard() {
    let origin = Origin::ok();
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = gateway.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    origin.wait_requests(1, PATIENCE);
    // RFC 9110 10.1.1: a client does not wait indefinitely.
    client.send(b"abc");
    let answer = client.response("POST").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
}
