//! `protocol: tcp`: which target a connection gets, and what becomes of its bytes.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tollgate_testkit::{PATIENCE, eventually};

use super::server::Server;
use super::{LOGGED, Layer4, read_exact, read_to_end, read_until_closed, targets, yaml};
use crate::helpers::{admin_json, black_hole, figure, log_stdout};

#[test]
fn bytes_pass_both_ways_and_the_server_may_speak_first() {
    let server = Server::echo("a");
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    let mut stream = gateway.connect();
    assert_eq!(read_exact(&mut stream, 1), b"a");
    for word in [&b"hello"[..], b"\0\xff\r\n", b"GET / HTTP/1.1\r\n\r\n"] {
        stream.write_all(word).unwrap();
        assert_eq!(read_exact(&mut stream, word.len()), word);
    }
}

/// The names of the servers that so many connections reach; all stay open meanwhile.
fn met(gateway: &Layer4, count: usize) -> (HashMap<Vec<u8>, usize>, Vec<TcpStream>) {
    let mut met = HashMap::new();
    let open = (0..count).map(|_| {
        let mut stream = gateway.connect();
        *met.entry(read_exact(&mut stream, 1)).or_default() += 1;
        stream
    });
    let open = open.collect();
    (met, open)
}

#[test]
fn connections_are_balanced() {
    let servers = [Server::echo("a"), Server::echo("b")];
    for algorithm in ["round-robin", "least-requests", "random-two-choices"] {
        let service = format!("{}, load_balancing: {{ algorithm: {algorithm} }}", targets(2));
        let gateway = Layer4::tcp(&service, &servers.each_ref());
        let (met, _open) = met(&gateway, 10);
        assert_eq!(met.values().copied().collect::<Vec<_>>(), [5, 5], "{algorithm}");
    }
    for balancing in ["peak-ewma", "consistent-hash, hash_on: ip"] {
        let service = format!("{}, load_balancing: {{ algorithm: {balancing} }}", targets(2));
        let gateway = Layer4::tcp(&service, &servers.each_ref());
        let (met, _open) = met(&gateway, 10);
        let expected = if balancing.starts_with('p') { 2 } else { 1 };
        assert_eq!(met.len(), expected, "{balancing}");
    }
}

#[test]
fn r97_where_no_connection_can_be_made_another_target_is_tried() {
    let (down, up) = (Server::down(), Server::echo("b"));
    let gateway = Layer4::tcp(&targets(2), &[&down, &up]);
    let (met, open) = met(&gateway, 6);
    assert_eq!(met, HashMap::from([(b"b".to_vec(), 6)]));
    drop(open);
    let lines = log_stdout(&gateway.gateway, 6);
    assert!(lines.iter().all(|line| line["target"] == up.address().to_string()), "{lines:?}");
    assert!(lines.iter().any(|line| line["tries"] == 2), "{lines:?}");
}

#[test]
fn a_target_that_does_not_answer_costs_the_connect_timeout() {
    let (hole, _queue, _listener) = black_hole();
    let up = Server::echo("b");
    let service =
        format!("targets: [{{ address: \"{hole}\" }}, {{ address: \"{{server}}\" }}], timeouts: {{ connect: 200ms }}");
    let gateway = Layer4::tcp(&service, &[&up]);
    let (met, _open) = met(&gateway, 2);
    assert_eq!(met, HashMap::from([(b"b".to_vec(), 2)]));
}

#[test]
fn without_a_target_the_connection_is_closed_and_counted() {
    let down = Server::down();
    let gateway = Layer4::tcp(&targets(1), &[&down]);
    assert_eq!(read_until_closed(&mut gateway.connect()), b"");
    let line = &log_stdout(&gateway.gateway, 1)[0];
    assert_eq!((&line["reject"], &line["tries"]), (&"connect-failed".into(), &2.into()), "{line}");
    assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("refused")), "{line}");
    let sample = "tollgate_rejects_total{kind=\"connect-failed\"}";
    gateway.gateway.metrics_when("a rejection", |metrics| metrics.get(sample) == Some(1));
}

#[test]
fn a_connection_is_counted_and_logged() {
    let server = Server::echo("a");
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    let mut stream = gateway.connect();
    stream.write_all(b"hello").unwrap();
    assert_eq!(read_exact(&mut stream, 6), b"ahello");
    let labels = format!("{{service=\"pool\",target=\"{}\"}}", server.address());
    let expected = |in_flight| {
        [
            (format!("tollgate_target_connections_total{labels}"), 1),
            (format!("tollgate_target_sent_bytes_total{labels}"), 5),
            (format!("tollgate_target_received_bytes_total{labels}"), 6),
            (format!("tollgate_target_in_flight{labels}"), in_flight),
        ]
    };
    // While it runs, too.
    gateway.gateway.metrics_when("the counts of a connection", |metrics| {
        expected(1).iter().all(|(sample, value)| metrics.get(sample) == Some(*value))
    });
    super::server::half_close(&stream);
    assert_eq!(read_to_end(&mut stream), b"");
    gateway.gateway.metrics_when("the end of a connection", |metrics| {
        expected(0).iter().all(|(sample, value)| metrics.get(sample) == Some(*value))
    });
    let stats = admin_json(&gateway.gateway, "/stats");
    assert_eq!(stats["targets"][0]["layer4"]["sent"], 5, "{stats}");
    let line = &log_stdout(&gateway.gateway, 1)[0];
    for (key, value) in [
        ("client", "127.0.0.1".into()),
        ("listener", "l4".into()),
        ("protocol", "tcp".into()),
        ("complete", true.into()),
        ("bytes_received", 5.into()),
        ("bytes_sent", serde_json::Value::from(6)),
        ("service", "pool".into()),
        ("target", server.address().to_string().into()),
        ("tries", 1.into()),
    ] {
        assert_eq!(line[key], value, "{key}: {line}");
    }
}

#[test]
fn a_reload_leaves_connections_alone() {
    let (old, new) = (Server::echo("a"), Server::echo("b"));
    let mut gateway = Layer4::tcp(&targets(1), &[&old, &new]);
    let mut stream = gateway.connect();
    assert_eq!(read_exact(&mut stream, 1), b"a");
    let other = "targets: [{ address: \"{server2}\" }]";
    gateway.gateway.reload(&yaml("protocol: tcp, service: pool", other, LOGGED));
    let moved = eventually(PATIENCE, || (read_exact(&mut gateway.connect(), 1) == b"b").then_some(()));
    assert!(moved.is_some(), "new connections go on to the old target");
    stream.write_all(b"still here").unwrap();
    assert_eq!(read_exact(&mut stream, 10), b"still here");
    // Even the listener may go.
    let gone = yaml("protocol: tcp, service: pool", other, LOGGED).replace("{l4}", "127.0.0.1:0");
    gateway.gateway.reload(&gone);
    let closed = eventually(PATIENCE, || TcpStream::connect(gateway.address).is_err().then_some(()));
    assert!(closed.is_some(), "the old listener is still open");
    stream.write_all(b"still here").unwrap();
    assert_eq!(read_exact(&mut stream, 10), b"still here");
}

/// The `index`th byte of a stream in which every place looks different.
fn byte_at(seed: u64, index: u64) -> u8 {
    ((index ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn send_stream(stream: &mut TcpStream, seed: u64, length: u64) {
    let mut at = 0;
    while at < length {
        let part: Vec<u8> = (at..length.min(at + 50_000)).map(|index| byte_at(seed, index)).collect();
        stream.write_all(&part).expect("it is taken");
        at += part.len() as u64;
    }
    super::server::half_close(stream);
}

/// Reads to the end, and checks each byte.
fn check_stream(stream: &mut TcpStream, seed: u64) -> u64 {
    let mut part = vec![0; 64 * 1024];
    let mut at = 0;
    loop {
        let read = stream.read(&mut part).expect("a proper end");
        if read == 0 {
            return at;
        }
        for byte in &part[..read] {
            assert_eq!(*byte, byte_at(seed, at), "byte {at}");
            at += 1;
        }
    }
}

#[test]
fn much_passes_both_ways_at_once_unharmed() {
    const LENGTH: u64 = 24 << 20;
    let server = Server::start(|mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || send_stream(&mut writer, 1, LENGTH));
        assert_eq!(check_stream(&mut stream, 2), LENGTH);
        writing.join().unwrap();
    });
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    let started = std::time::Instant::now();
    let mut stream = gateway.connect();
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || send_stream(&mut writer, 2, LENGTH));
    assert_eq!(check_stream(&mut stream, 1), LENGTH);
    writing.join().unwrap();
    let line = &log_stdout(&gateway.gateway, 1)[0];
    assert_eq!((&line["bytes_received"], &line["bytes_sent"]), (&LENGTH.into(), &LENGTH.into()));
    assert_eq!(line["complete"], true);
    figure(&format!("{} MiB each way in {:?}", LENGTH >> 20, started.elapsed()));
}

#[test]
fn r65_a_slow_reader_holds_the_sender_back_not_the_memory() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let server = Server::start(move |mut stream| {
        let part = [7; 64 * 1024];
        while stream.write_all(&part).is_ok() {
            count.fetch_add(part.len(), Ordering::AcqRel);
        }
    });
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    // So many connections more, once nothing moves any more: what was sent and how much memory that takes.
    let stalled = |count: usize| {
        let all = server.accepted() + count;
        let readers: Vec<TcpStream> = (0..count).map(|_| gateway.connect()).collect();
        let mut last = sent.load(Ordering::Acquire);
        let still = eventually(4 * PATIENCE, || {
            thread::sleep(Duration::from_millis(150));
            let now = sent.load(Ordering::Acquire);
            let stopped = now == last && server.accepted() >= all;
            last = now;
            stopped.then_some(now)
        });
        (readers, still.expect("the senders are never held back"), gateway.gateway.rss_kib())
    };
    let (_few, _, before) = stalled(20);
    let (_many, all, after) = stalled(100);
    figure(&format!("120 readers that read nothing: {} MiB sent, 20 of them {before} KiB, all {after} KiB", all >> 20));
    assert!(after < before + 100 * 40, "{before} KiB became {after} KiB");
}
