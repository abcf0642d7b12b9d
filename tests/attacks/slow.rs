//! Clients that take their time, and some that speak nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::{Outcome, Target};
use crate::helpers::plain;

/// How long a connection may live on after the attack.
const GRACE: Duration = Duration::from_secs(3);
/// The rest between two bytes of one that drips.
const DRIP: Duration = Duration::from_millis(100);

/// Opens connections, sends each of them these bytes, then goes on with a byte at a time; counts those that end.
fn drip(target: &Target, address: SocketAddr, count: usize, first: &[u8], then: &[u8]) -> Outcome {
    let mut streams: Vec<TcpStream> = (0..count).map(|_| plain(address)).collect();
    for stream in &mut streams {
        // What ends already is seen below.
        let _ = stream.write_all(first);
    }
    let mut drops = then.iter();
    while !target.is_over() {
        thread::sleep(DRIP);
        if let Some(byte) = drops.next() {
            for stream in &mut streams {
                let _ = stream.write_all(&[*byte]);
            }
        }
    }
    let cut = streams.iter_mut().filter_map(|stream| ends(stream).then_some(())).count();
    Outcome { connections: count, cut }
}

/// Whether the gateway ends the connection, whatever it says before.
fn ends(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(GRACE)).expect("a time-out");
    let mut room = [0; 16 * 1024];
    loop {
        match stream.read(&mut room) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            }
        }
    }
}

/// Heads without end: Slowloris.
pub(super) fn heads(target: &Target) -> Outcome {
    drip(target, target.address, 500, b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: ", &[b'a'; 1000])
}

/// A `ClientHello` that comes byte by byte.
pub(super) fn handshakes(target: &Target) -> Outcome {
    drip(target, target.secure, 500, &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], &[7; 500])
}

/// Bodies that begin and do not go on.
pub(super) fn bodies(target: &Target) -> Outcome {
    let head = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\na";
    drip(target, target.address, 200, head, b"aaa")
}

/// Answers of which nothing is read.
pub(super) fn reads(target: &Target) -> Outcome {
    drip(target, target.address, 20, b"GET /huge HTTP/1.1\r\nHost: a.test\r\n\r\n", &[])
}

/// Bytes that are no TLS, on one connection after the other.
pub(super) fn garbage(target: &Target) -> Outcome {
    let mut outcome = Outcome::default();
    let mut seed = 1_u32;
    while !target.is_over() {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .take(2000)
        .collect();
        let mut stream = plain(target.secure);
        let _ = stream.write_all(&bytes);
        outcome.connections += 1;
        outcome.cut += usize::from(ends(&mut stream));
    }
    outcome
}
