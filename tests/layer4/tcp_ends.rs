//! `protocol: tcp`: how a connection ends.

use std::io::{ErrorKind, Read, Write};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tollgate_testkit::{PATIENCE, eventually};

use super::server::{Server, half_close, reset};
use super::{Layer4, read_exact, read_to_end, targets};
use crate::helpers::log_stdout;

#[test]
fn the_client_may_end_its_direction_first() {
    let (server, got) = Server::recording();
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    let mut stream = gateway.connect();
    stream.write_all(b"all I have").unwrap();
    half_close(&stream);
    assert_eq!(got.recv_timeout(PATIENCE).expect("the server sees the end"), b"all I have");
    assert_eq!(read_to_end(&mut stream), b"last words");
}

#[test]
fn the_server_may_end_its_direction_first() {
    let (sender, got) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start(move |mut stream| {
        stream.write_all(b"all I have").unwrap();
        half_close(&stream);
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes).map(|_| bytes).map_err(|error| error.kind());
        sender.lock().unwrap().send(end).unwrap();
    });
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    let mut stream = gateway.connect();
    assert_eq!(read_to_end(&mut stream), b"all I have");
    stream.write_all(b"last words").unwrap();
    drop(stream);
    assert_eq!(got.recv_timeout(PATIENCE).expect("an end"), Ok(b"last words".to_vec()));
    assert_eq!(log_stdout(&gateway.gateway, 1)[0]["complete"], true);
}

/// A clean end would say that all came.
#[test]
fn a_reset_of_the_server_is_one_for_the_client() {
    let server = Server::start(|mut stream| {
        stream.write_all(b"half of").unwrap();
        let _ = stream.read(&mut [0; 2]);
        reset(stream);
    });
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    let mut stream = gateway.connect();
    assert_eq!(read_exact(&mut stream, 7), b"half of");
    stream.write_all(b"go").unwrap();
    let end = stream.read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    assert_eq!(log_stdout(&gateway.gateway, 1)[0]["complete"], false);
}

#[test]
fn a_reset_of_the_client_is_one_for_the_server() {
    let (sender, got) = mpsc::channel();
    let sender = Mutex::new(sender);
    let server = Server::start(move |mut stream| {
        stream.write_all(b"a").unwrap();
        let end = stream.read(&mut [0; 1]).map_err(|error| error.kind());
        sender.lock().unwrap().send(end).unwrap();
    });
    let gateway = Layer4::tcp(&targets(1), &[&server]);
    let mut stream = gateway.connect();
    assert_eq!(read_exact(&mut stream, 1), b"a");
    reset(stream);
    assert_eq!(got.recv_timeout(PATIENCE).expect("an end"), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_connection_on_which_nothing_moves_is_ended() {
    let server = Server::echo("a");
    let gateway = Layer4::tcp(&format!("{}, timeouts: {{ tunnel: 300ms }}", targets(1)), &[&server]);
    let mut stream = gateway.connect();
    assert_eq!(read_exact(&mut stream, 1), b"a");
    // Each byte begins the time anew.
    let started = Instant::now();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(150));
        stream.write_all(b"x").unwrap();
        assert_eq!(read_exact(&mut stream, 1), b"x");
    }
    assert_eq!(read_to_end(&mut stream), b"");
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    assert_eq!(log_stdout(&gateway.gateway, 1)[0]["complete"], false);
}

#[test]
fn the_end_of_the_gateway_waits_for_connections() {
    let server = Server::echo("a");
    let mut gateway = Layer4::tcp(&targets(1), &[&server]);
    let mut stream = gateway.connect();
    assert_eq!(read_exact(&mut stream, 1), b"a");
    gateway.gateway.sigterm();
    let refuses = eventually(PATIENCE, || std::net::TcpStream::connect(gateway.address).is_err().then_some(()));
    assert!(refuses.is_some(), "it still listens");
    stream.write_all(b"still here").unwrap();
    assert_eq!(read_exact(&mut stream, 10), b"still here");
    drop(stream);
    assert!(gateway.gateway.wait_exit(PATIENCE).success());
}

#[test]
fn more_connections_than_allowed_wait() {
    let server = Server::echo("a");
    let listener = "protocol: tcp, service: pool, limits: { max_connections: 1 }";
    let gateway = Layer4::start(listener, &targets(1), "", &[&server]);
    let mut first = gateway.connect();
    assert_eq!(read_exact(&mut first, 1), b"a");
    let mut second = gateway.connect();
    second.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(second.read(&mut [0; 1]).is_err(), "it is served at once");
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_exact(&mut second, 1), b"a");
}
