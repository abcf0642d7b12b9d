//! What several tests do with gateways and origins.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tollgate_testkit::{Client, Gateway, Origin, PATIENCE, Response, eventually};

/// An answer with content.
pub(crate) fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An origin that answers everything with its name.
pub(crate) fn named(name: &'static str) -> Origin {
    Origin::answering(move |_| answer(name).into_bytes())
}

/// An origin that takes requests and resets their connections.
pub(crate) fn resetting() -> Origin {
    Origin::start(|exchange| {
        exchange.read_body();
        exchange.reset();
    })
}

/// Sends a request with these field lines, each with its CRLF, and reads its answer.
pub(crate) fn ask(client: &mut Client, line: &str, fields: &str) -> Response {
    client.send(format!("{line} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
    let method = line.split(' ').next().unwrap_or_default();
    client.response(method).unwrap_or_else(|stop| panic!("{line}: {stop:?}"))
}

/// A `GET` on a connection of its own.
pub(crate) fn get(gateway: &Gateway, path: &str) -> Response {
    gateway.connect().get(path).unwrap_or_else(|stop| panic!("{path}: {stop:?}"))
}

/// Checks that an answer is a problem document as config.md promises it, and gives it.
pub(crate) fn problem(answer: &Response) -> Value {
    assert_eq!(answer.fields.get("content-type"), Some("application/problem+json"), "{answer:?}");
    let problem: Value = serde_json::from_slice(&answer.body.bytes).expect("a problem is JSON");
    for member in ["type", "title", "detail", "request_id"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} is missing: {problem}");
    }
    assert_eq!(problem["status"], answer.status);
    problem
}

/// The JSON that the admin API answers with.
pub(crate) fn admin_json(gateway: &Gateway, path: &str) -> Value {
    let answer = gateway.admin_get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body.bytes).expect("JSON")
}

/// Waits until `/stats` is as wanted, and gives it.
pub(crate) fn stats_when(gateway: &Gateway, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = eventually(PATIENCE, || {
        last = admin_json(gateway, "/stats");
        wanted(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("{what} never came: {last}"))
}

/// The lines of a log that are whole, each of which must be a JSON object.
pub(crate) fn log_lines(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let object = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
        assert!(value.is_object(), "{line}");
        value
    };
    whole.lines().map(object).collect()
}

/// Waits until a log file holds so many lines, and gives them.
pub(crate) fn log_file(path: &Path, count: usize) -> Vec<Value> {
    let read = || log_lines(&fs::read_to_string(path).unwrap_or_default());
    let lines = eventually(PATIENCE, || Some(read()).filter(|lines| lines.len() >= count));
    lines.unwrap_or_else(|| panic!("{count} lines are wanted in {}: {:?}", path.display(), read()))
}

/// Waits until the gateway has logged so many lines to its standard output, and gives them.
pub(crate) fn log_stdout(gateway: &Gateway, count: usize) -> Vec<Value> {
    let lines = eventually(PATIENCE, || Some(log_lines(&gateway.stdout())).filter(|lines| lines.len() >= count));
    lines.unwrap_or_else(|| panic!("{count} lines are wanted: {}", gateway.stdout()))
}

/// An address that answers no connection: its queue is full. Lasts as long as what comes with it.
pub(crate) fn black_hole() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut queue = Vec::new();
    // The standard library asks for a queue of 128 or 4096.
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
        assert!(queue.len() < 6000, "the queue is never full");
    }
    (address, queue, listener)
}

/// A plain connection with time-outs, for what needs thousands of them or no strict reading.
pub(crate) fn plain(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

/// A `GET` over a plain connection whose answer has these many bytes in all.
pub(crate) fn plain_get(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("it takes a request");
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).expect("an answer");
    answer
}

/// Prints a figure, for who runs the tests with `--nocapture`.
#[allow(clippy::print_stdout, reason = "the test runner shows it")]
pub(crate) fn figure(text: &str) {
    println!("{text}");
}
