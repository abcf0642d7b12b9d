//! Streams that cost more than they look like.

use std::thread;
use std::time::{Duration, Instant};

use tollgate_testkit::http2::{Block, Event, Frame, Http2, code, flag, settings};

use super::{Outcome, Target};

/// Connections with as many streams as a listener lets them have.
const CONNECTIONS: usize = 50;
const STREAMS: u32 = 100;
/// The rest between two of them.
const BETWEEN: Duration = Duration::from_millis(15);
/// A stream whose client takes nothing holds what one read gave, its request and its target's connection.
pub(super) const GROWTH_KIB: u64 = CONNECTIONS as u64 * STREAMS as u64 * 56;

/// A large entry of the table, and then blocks that name it thousands of times (CVE-2016-6581).
pub(super) fn references(target: &Target) -> Outcome {
    const REFERENCES: usize = 4000;
    let mut outcome = Outcome::default();
    while !target.is_over() {
        let mut client = Http2::connect(target.address);
        client.handshake(&[]).expect("HTTP/2");
        let entry = Block::get("/").added("x-bomb", "b".repeat(3900));
        client.send([Frame::headers(1, entry).end()]);
        client.answer(1).expect("one entry is no harm");
        let bomb = (0..REFERENCES).fold(Block::get("/"), |block, _| block.indexed(62));
        client.send([Frame::headers(3, bomb).end()]);
        outcome.connections += 1;
        outcome.cut += usize::from(client.connection_error(&[code::ENHANCE_YOUR_CALM]).is_ok());
    }
    outcome
}

/// Answers that nobody lets through; each stream is reset after the listener's `idle_timeout`.
pub(super) fn no_window(target: &Target) -> Outcome {
    let connect = || {
        let mut client = Http2::connect(target.address);
        client.handshake(&[(settings::INITIAL_WINDOW_SIZE, 0)]).expect("HTTP/2");
        client
    };
    let mut clients: Vec<Http2> = (0..CONNECTIONS).map(|_| connect()).collect();
    for client in &mut clients {
        // All in one moment would be a load, as any other.
        thread::sleep(BETWEEN);
        client.send((0..STREAMS).map(|n| Frame::headers(2 * n + 1, Block::get("/large")).with(flag::END_STREAM)));
    }
    thread::sleep(target.until.saturating_duration_since(Instant::now()));
    let is_reset = |client: &mut Http2| {
        client.patience(Duration::from_secs(5));
        let mut left = STREAMS;
        let reset = client.until("the end of all streams", |event| {
            left -= u32::from(matches!(event, Event::Reset(..)));
            (left == 0).then_some(())
        });
        usize::from(reset.is_ok())
    };
    let cut = clients.iter_mut().map(is_reset).sum();
    Outcome { connections: CONNECTIONS, cut }
}
