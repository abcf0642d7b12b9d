//! Frames that cost their sender nothing: many at once, on one connection after the other.

use tollgate_testkit::http2::{Block, Frame, Http2, code, kind};

use super::{Outcome, Target};

/// Frames at once: more than an account holds.
const FRAMES: u32 = 3000;

/// Sends the frames on each of many connections, and watches how it ends.
fn flood(target: &Target, frames: &[Frame]) -> Outcome {
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    let mut outcome = Outcome::default();
    while !target.is_over() {
        let mut client = Http2::connect(target.address);
        client.handshake(&[]).expect("HTTP/2");
        client.send_bytes(&bytes);
        outcome.connections += 1;
        outcome.cut += usize::from(client.connection_error(&[code::ENHANCE_YOUR_CALM]).is_ok());
    }
    outcome
}

fn repeated(frame: &Frame) -> Vec<Frame> {
    vec![frame.clone(); FRAMES as usize]
}

/// CVE-2023-44487.
pub(super) fn rapid_reset(target: &Target) -> Outcome {
    let request = |n: u32| {
        let stream = 2 * n + 1;
        [Frame::headers(stream, Block::get("/")).end(), Frame::reset(stream, code::CANCEL)]
    };
    flood(target, &(0..FRAMES).flat_map(request).collect::<Vec<_>>())
}

/// CVE-2025-8671: errors that end a request which has begun.
pub(super) fn made_to_reset(target: &Target) -> Outcome {
    let request = |n: u32| {
        let stream = 2 * n + 1;
        [Frame::headers(stream, Block::get("/")).end(), Frame::window_update(stream, 0x7fff_ffff)]
    };
    flood(target, &(0..FRAMES).flat_map(request).collect::<Vec<_>>())
}

pub(super) fn ping(target: &Target) -> Outcome {
    flood(target, &repeated(&Frame::ping(*b"tollgate")))
}

pub(super) fn settings(target: &Target) -> Outcome {
    flood(target, &repeated(&Frame::settings(&[])))
}

pub(super) fn empty_data(target: &Target) -> Outcome {
    flood(target, &[vec![Frame::headers(1, Block::post("/"))], repeated(&Frame::data(1, ""))].concat())
}

pub(super) fn priority(target: &Target) -> Outcome {
    flood(target, &repeated(&Frame::priority(1, 0, 7)))
}

pub(super) fn window_update(target: &Target) -> Outcome {
    flood(target, &repeated(&Frame::window_update(0, 1)))
}

/// A block of one byte a frame that never ends.
pub(super) fn continuation(target: &Target) -> Outcome {
    let block = Frame::headers(1, Block::get("/")).more();
    // Never indexed, with a value that is longer than all that comes.
    let begun = Frame::new(kind::CONTINUATION, 0, 1, [0x10, 1, b'a', 0x7f, 0x81, 0x7f]);
    let more = repeated(&Frame::new(kind::CONTINUATION, 0, 1, "b"));
    flood(target, &[vec![block, begun], more].concat())
}
