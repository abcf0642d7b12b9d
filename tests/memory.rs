//! R19, R65: what the gateway's memory does while others are slow, idle or greedy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tollgate_testkit::{Client, Gateway, Origin, PATIENCE, eventually};

use crate::configs::{PLAIN, plain_with};
use crate::helpers::{answer, figure, plain, plain_get};

const MIB: usize = 1024 * 1024;

/// Thousands of connections need as many descriptors, in this process too.
fn many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("the soft limit can be raised to the hard one");
}

/// Answers with so many bytes.
fn big(length: usize) -> Origin {
    Origin::start(move |exchange| {
        exchange.read_body();
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        let part = [b'x'; 64 * 1024];
        let mut left = length;
        while left > 0 {
            let some = left.min(part.len());
            if !exchange.send(&part[..some]) {
                return exchange.close();
            }
            left -= some;
        }
    })
}

/// The gateway's resident memory by now, and the figure in the panic if it strays.
struct Watch<'g> {
    gateway: &'g Gateway,
    base: u64,
    least: u64,
    most: u64,
}

impl<'g> Watch<'g> {
    fn new(gateway: &'g Gateway) -> Self {
        let base = gateway.rss_kib();
        Watch { gateway, base, least: base, most: base }
    }

    fn look(&mut self) {
        let now = self.gateway.rss_kib();
        self.least = self.least.min(now);
        self.most = self.most.max(now);
    }

    /// Within ±5 MB of what it was at first.
    fn is_flat(&self) {
        let (base, least, most) = (self.base, self.least, self.most);
        figure(&format!("memory: {base} KiB at first, {least} to {most} KiB since"));
        assert!(most <= base + 5 * 1024 && least + 5 * 1024 >= base, "{base} KiB became {least} to {most} KiB");
    }
}

fn read_some(stream: &mut TcpStream, length: usize) {
    let mut part = [0; 16 * 1024];
    let mut left = length;
    while left > 0 {
        let some = left.min(part.len());
        match stream.read(&mut part[..some]) {
            Ok(read @ 1..) => left -= read,
            other => panic!("an answer broke off: {other:?}"),
        }
    }
}

/// 200 readers of 20 MiB each: some read steadily, some hardly, some not at all.
#[test]
fn r19_r65_memory_stays_flat_under_200_slow_readers() {
    const READERS: usize = 200;
    const LENGTH: usize = 20 * MIB;
    const STARTED: usize = 32 * 1024;
    many_descriptors();
    let origin = big(LENGTH);
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let before = gateway.rss_kib();
    let mut readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let client = Client::connect_narrow(gateway.address(), 64 * 1024);
            client.stream().set_read_timeout(Some(4 * PATIENCE)).expect("a time-out");
            client.stream().try_clone().expect("a second handle")
        })
        .collect();
    for reader in &mut readers {
        reader.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("it takes a request");
    }
    // They have started to read once each has some of its answer.
    for reader in &mut readers {
        read_some(reader, STARTED);
    }
    let mut watch = Watch::new(&gateway);
    for round in 0..48 {
        for (index, reader) in readers.iter_mut().enumerate() {
            match index % 4 {
                0 => {}
                1 if round % 8 != 0 => {}
                1 => read_some(reader, 4 * 1024),
                _ => read_some(reader, 32 * 1024),
            }
        }
        watch.look();
    }
    figure(&format!(
        "memory: {} to {} KiB while all read slowly, {} KiB at first",
        watch.least, watch.most, watch.base
    ));
    // Ten want the rest at once.
    let rest = LENGTH - STARTED - 48 * 32 * 1024;
    thread::scope(|scope| {
        let finishing: Vec<_> = readers
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| index % 20 == 2)
            .map(|(_, reader)| scope.spawn(move || read_some(reader, rest)))
            .collect();
        while finishing.iter().any(|reader| !reader.is_finished()) {
            watch.look();
            thread::sleep(Duration::from_millis(2));
        }
        finishing.into_iter().for_each(|reader| reader.join().expect("the whole answer"));
    });
    watch.look();
    watch.is_flat();
    let most = watch.most.saturating_sub(before);
    figure(&format!("memory: 200 readers of 20 MiB cost {most} KiB at most"));
    assert!(most < 48 * 1024, "4,000 MiB are under way, and {most} KiB are held");
    assert_eq!(origin.requests().len(), READERS);
}

/// A reader that is slow for long: what it has not read is not kept for it.
#[test]
fn r19_a_slow_reader_never_makes_it_grow() {
    let origin = big(64 * MIB);
    let gateway = Gateway::start(PLAIN, &[&origin]);
    let mut client = Client::connect_narrow(gateway.address(), 16 * 1024);
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.head().expect("a head").0, 200);
    let mut stream = client.stream().try_clone().expect("a second handle");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    read_some(&mut stream, MIB);
    let mut watch = Watch::new(&gateway);
    for _ in 0..200 {
        read_some(&mut stream, 8 * 1024);
        watch.look();
        thread::sleep(Duration::from_millis(1));
    }
    watch.is_flat();
}

/// A reader that stops for good is given up after `idle_timeout`, and its target's connection with it.
#[test]
fn r19_a_reader_that_stops_is_given_up() {
    let origin = big(64 * MIB);
    let yaml = plain_with("idle_timeout: 400ms", "idle: 60s") + "admin: { address: \"{admin}\" }\n";
    let gateway = Gateway::start(&yaml, &[&origin]);
    let mut client = Client::connect_narrow(gateway.address(), 16 * 1024);
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.head().expect("a head").0, 200);
    let over = |m: &tollgate_testkit::Metrics| m.get("tollgate_connections_open") == Some(0);
    let metrics = gateway.metrics_when("its end", over);
    assert_eq!(metrics.get("tollgate_requests_in_flight{route=\"everything\"}"), Some(0));
}

/// Requests without end from a client that reads no answer: it is not read on until it does.
#[test]
fn r65_a_client_that_only_asks_is_held_back() {
    let body = "y".repeat(8 * 1024);
    let origin = Origin::answering(move |_| answer(&body).into_bytes());
    let gateway = Gateway::start(&plain_with("idle_timeout: 60s", "idle: 60s"), &[&origin]);
    assert_eq!(gateway.connect().get("/").expect("an answer").status, 200);
    let client = Client::connect_narrow(gateway.address(), 16 * 1024);
    let mut stream = client.stream().try_clone().expect("a second handle");
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a time-out");
    let mut watch = Watch::new(&gateway);
    let requests = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(1000);
    let mut sent = 0;
    // Until it takes no more, which only time shows.
    while stream.write_all(requests.as_bytes()).is_ok() {
        watch.look();
        sent += requests.len();
        assert!(sent < 256 * MIB, "it takes requests without end");
    }
    watch.look();
    watch.is_flat();
}

/// What one connection costs while nothing happens on it.
#[test]
fn r65_2000_idle_connections_cost_less_than_4_kib_each() {
    const CONNECTIONS: usize = 2000;
    many_descriptors();
    let origin = Origin::ok();
    let yaml = format!("{PLAIN}admin: {{ address: \"{{admin}}\" }}\n");
    let gateway = Gateway::start(&yaml, &[&origin]);
    let length = gateway.connect().get("/").map(|_| ()).map(|()| {
        let mut probe = gateway.connect();
        probe.get("/").expect("an answer");
        probe.received().len()
    });
    let length = length.expect("an answer");
    let open = |count: usize| -> Vec<TcpStream> {
        (0..count)
            .map(|_| {
                let mut stream = plain(gateway.address());
                let got = plain_get(&mut stream, length);
                assert!(got.starts_with(b"HTTP/1.1 200") && got.ends_with(b"ok"));
                stream
            })
            .collect()
    };
    // What any first connections cost, tables that grow and the like, is paid before.
    let warm = open(200);
    gateway.metrics();
    let before = gateway.rss_kib();
    let idle = open(CONNECTIONS);
    let metrics = gateway.metrics_when("all connections", |m| m.get("tollgate_connections_open") >= Some(2200));
    assert!(metrics.get("tollgate_connections_open") >= Some((CONNECTIONS + warm.len()) as u64));
    let grown = gateway.rss_kib().saturating_sub(before) * 1024;
    let each = grown / CONNECTIONS as u64;
    figure(&format!("memory: {each} bytes for each of {CONNECTIONS} idle connections"));
    assert!(each < 4096, "{each} bytes for each idle connection");
    // They still serve, and go without a trace.
    for mut stream in idle.into_iter().step_by(100) {
        plain_get(&mut stream, length);
    }
    drop(warm);
    let closed = eventually(PATIENCE, || (gateway.metrics().get("tollgate_connections_open") <= Some(2)).then_some(()));
    assert!(closed.is_some(), "{:?}", gateway.metrics().get("tollgate_connections_open"));
}

/// Those that connect and never ask anything cost no more: nobody should hold memory for nothing.
#[test]
fn r65_2000_connections_that_never_ask_cost_less_than_4_kib_each() {
    const CONNECTIONS: usize = 2000;
    many_descriptors();
    let origin = Origin::ok();
    let yaml = format!("{PLAIN}admin: {{ address: \"{{admin}}\" }}\n");
    let gateway = Gateway::start(&yaml, &[&origin]);
    let open = |count: usize| -> Vec<TcpStream> { (0..count).map(|_| plain(gateway.address())).collect() };
    let settled = |count: usize| {
        gateway.metrics_when("all of them", |m| m.get("tollgate_connections_open") >= Some(count as u64))
    };
    let warm = open(200);
    settled(warm.len());
    let before = gateway.rss_kib();
    let silent = open(CONNECTIONS);
    settled(warm.len() + silent.len());
    let each = gateway.rss_kib().saturating_sub(before) * 1024 / CONNECTIONS as u64;
    figure(&format!("memory: {each} bytes for each of {CONNECTIONS} connections that never ask"));
    assert!(each < 4096, "{each} bytes for each connection that never asks");
}
