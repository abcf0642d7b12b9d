//! Loopback ports for a process that binds them later.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the usual range of ephemeral ports, so that no outgoing connection takes one meanwhile.
const FIRST: u32 = 18_000;
const COUNT: u32 = 14_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A free loopback port, never given twice by this process: listeners with `SO_REUSEPORT` would share it silently.
pub fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(131);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).expect("the range fits");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free loopback port between {FIRST} and {}", FIRST + COUNT);
}

/// A loopback port that refuses connections.
pub fn closed_port() -> u16 {
    free_port()
}
