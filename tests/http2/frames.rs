//! DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, PING, GOAWAY, CONTINUATION (§6.1 to §6.4, §6.6 to §6.8, §6.10).

use tollgate_testkit::http2::code::{
    CANCEL, ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED,
};
use tollgate_testkit::http2::{Block, Event, Frame, flag, kind};

use crate::http2::case::Expect::{Alive, Answer, Connection, Stream};
use crate::http2::case::{Case, Talk, case, check};

const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
const SIZE: &[u32] = &[FRAME_SIZE_ERROR];
/// A frame too short for the fields that its flags announce.
const SIZE_OR_PROTOCOL: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];

/// Sends frames after the head of a `POST` on stream 1.
fn post<const N: usize>(talk: &mut Talk, frames: [Frame; N]) {
    talk.send([talk.open(1)].into_iter().chain(frames));
}

/// Sends a frame in the middle of a field block, and the rest of the block.
fn within_block(talk: &mut Talk, frame: Frame) {
    talk.send([talk.get(1).more(), frame, Frame::continuation(1, [])]);
}

pub(crate) const CASES: &[Case] = &[
    case("6.1 DATA", Answer(1), |t| post(t, [Frame::data(1, "x").end()])),
    case("6.1 several DATA", Answer(1), |t| post(t, [Frame::data(1, "x"), Frame::data(1, "y").end()])),
    case("6.1 empty DATA that ends the stream", Answer(1), |t| {
        post(t, [Frame::data(1, "x"), Frame::data(1, "").end()]);
    }),
    case("6.1 empty DATA in between", Answer(1), |t| {
        post(t, [Frame::data(1, ""), Frame::data(1, ""), Frame::data(1, "x").end()]);
    }),
    case("6.1 DATA with padding", Answer(1), |t| post(t, [Frame::data(1, "x").padded(200).end()])),
    case("6.1 DATA with a pad length of 0", Answer(1), |t| post(t, [Frame::data(1, "x").padded(0).end()])),
    case("6.1 DATA of nothing but padding", Answer(1), |t| post(t, [Frame::data(1, "").padded(255).end()])),
    case("6.1 DATA on stream 0", Connection(PROTOCOL), |t| t.send([Frame::data(0, "x").end()])),
    case("6.1 DATA on stream 0 beside an open one", Connection(PROTOCOL), |t| post(t, [Frame::data(0, "x").end()])),
    case("6.1 DATA on an ended stream", Stream(1, &[STREAM_CLOSED]), |t| t.send([t.get(1), Frame::data(1, "x")])),
    case("6.1 padding as long as the payload", Connection(PROTOCOL), |t| {
        post(t, [Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, 1, [5, 0, 0, 0, 0])]);
    }),
    case("6.1 padding longer than the payload", Connection(PROTOCOL), |t| {
        post(t, [Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, 1, [255, 0])]);
    }),
    case("6.1 padding without a length", Connection(SIZE_OR_PROTOCOL), |t| {
        post(t, [Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, 1, [])]);
    }),
    case("6.2 HEADERS", Answer(1), |t| t.send([t.get(1)])),
    case("6.2 HEADERS with padding", Answer(1), |t| t.send([t.get(1).padded(99)])),
    case("6.2 HEADERS with a priority", Answer(1), |t| t.send([t.get(1).depends(0, 255)])),
    case("6.2 HEADERS with padding and a priority", Answer(1), |t| t.send([t.get(1).depends(0, 255).padded(8)])),
    case("6.2 HEADERS that depend on an idle stream", Answer(1), |t| t.send([t.get(1).depends(1 << 31 | 99, 0)])),
    case("6.2 HEADERS on stream 0", Connection(PROTOCOL), |t| t.send([t.get(0)])),
    case("6.2 padding longer than the payload", Connection(PROTOCOL), |t| {
        let mut frame = t.get(1).padded(0);
        frame.payload[0] = 255;
        t.send([frame]);
    }),
    case("6.2 padding that leaves no room for the priority", Connection(SIZE_OR_PROTOCOL), |t| {
        t.send([Frame::new(kind::HEADERS, 0x2d, 1, [3, 0, 0, 0, 0, 0, 0])]);
    }),
    case("6.2 padding without a length", Connection(SIZE_OR_PROTOCOL), |t| {
        t.send([Frame::headers(1, []).end().with(flag::PADDED)]);
    }),
    case("6.2 a priority that breaks off", Connection(SIZE_OR_PROTOCOL), |t| {
        t.send([Frame::headers(1, [0; 4]).end().with(flag::PRIORITY)]);
    }),
    case("6.2 HEADERS of the same stream within a field block", Connection(PROTOCOL), |t| within_block(t, t.get(1))),
    case("6.2 DATA within a field block", Connection(PROTOCOL), |t| within_block(t, Frame::data(1, "x"))),
    case("6.2 RST_STREAM within a field block", Connection(PROTOCOL), |t| within_block(t, Frame::reset(1, CANCEL))),
    case("6.2 SETTINGS within a field block", Connection(PROTOCOL), |t| within_block(t, Frame::settings(&[]))),
    case("6.2 PING within a field block", Connection(PROTOCOL), |t| within_block(t, Frame::ping([0; 8]))),
    case("6.2 GOAWAY within a field block", Connection(PROTOCOL), |t| within_block(t, Frame::goaway(0, NO_ERROR, ""))),
    case("6.2 WINDOW_UPDATE within a field block", Connection(PROTOCOL), |t| {
        within_block(t, Frame::window_update(0, 1));
    }),
    case("6.3 PRIORITY of weight 1", Answer(1), |t| t.send([Frame::priority(1, 0, 0), t.get(1)])),
    case("6.3 PRIORITY of weight 256", Answer(1), |t| t.send([Frame::priority(1, 0, 255), t.get(1)])),
    case("6.3 PRIORITY with a dependency", Answer(3), |t| t.send([t.get(1), Frame::priority(3, 1, 255), t.get(3)])),
    case("6.3 PRIORITY, exclusive", Answer(3), |t| t.send([t.get(1), Frame::priority(3, 1 << 31 | 1, 9), t.get(3)])),
    case("6.3 PRIORITY of an idle stream opens none", Answer(1), |t| t.send([Frame::priority(9, 7, 9), t.get(1)])),
    case("6.3 PRIORITY on stream 0", Connection(PROTOCOL), |t| t.send([Frame::priority(0, 1, 15)])),
    case("6.3 PRIORITY of 4 bytes", Stream(1, SIZE), |t| post(t, [Frame::new(kind::PRIORITY, 0, 1, [0; 4])])),
    case("6.3 PRIORITY of 6 bytes", Stream(1, SIZE), |t| post(t, [Frame::new(kind::PRIORITY, 0, 1, [0; 6])])),
    case("6.4 RST_STREAM", Alive, |t| post(t, [Frame::reset(1, CANCEL)])),
    case("6.4 RST_STREAM during content", Alive, |t| post(t, [Frame::data(1, "x"), Frame::reset(1, NO_ERROR)])),
    case("6.4 RST_STREAM on stream 0", Connection(PROTOCOL), |t| t.send([Frame::reset(0, CANCEL)])),
    case("6.4 RST_STREAM on an idle stream", Connection(PROTOCOL), |t| t.send([t.get(1), Frame::reset(3, CANCEL)])),
    case("6.4 RST_STREAM of 3 bytes", Connection(SIZE), |t| post(t, [Frame::new(kind::RST_STREAM, 0, 1, [0; 3])])),
    case("6.4 RST_STREAM of 5 bytes", Connection(SIZE), |t| post(t, [Frame::new(kind::RST_STREAM, 0, 1, [0; 5])])),
    case("6.6 PUSH_PROMISE on an idle stream", Connection(PROTOCOL), |t| {
        t.send([Frame::push_promise(1, 2, t.block())]);
    }),
    case("6.6 PUSH_PROMISE on stream 0", Connection(PROTOCOL), |t| t.send([Frame::push_promise(0, 2, t.block())])),
    case("8.4 PUSH_PROMISE on an open stream", Connection(PROTOCOL), |t| {
        let promise = Frame::push_promise(1, 2, t.block());
        post(t, [promise]);
    }),
    check("6.7 PING is answered with its bytes", |t| t.http2.pong()),
    check("6.7 many PING are answered in order", |t| {
        t.send((0..20).map(|i| Frame::ping([i; 8])));
        let mut next = 0;
        t.http2.until("20 PING ACK", |event| {
            if let Event::PingAck(bytes) = event {
                next = if *bytes == [next; 8] { next + 1 } else { 0 };
            }
            (next == 20).then_some(())
        })
    }),
    check("6.7 PING ACK is not answered", |t| {
        t.send([Frame::ping([9; 8]).with(flag::ACK)]);
        t.http2.pong()?;
        let answered = t.http2.seen().contains(&Event::PingAck([9; 8].into()));
        if answered { Err("it was answered".into()) } else { Ok(()) }
    }),
    case("6.7 PING on a stream", Connection(PROTOCOL), |t| t.send([Frame::new(kind::PING, 0, 1, [0; 8])])),
    case("6.7 PING ACK on a stream", Connection(PROTOCOL), |t| t.send([Frame::new(kind::PING, flag::ACK, 1, [0; 8])])),
    case("6.7 PING of 6 bytes", Connection(SIZE), |t| t.send([Frame::new(kind::PING, 0, 0, [0; 6])])),
    case("6.7 PING of 9 bytes", Connection(SIZE), |t| t.send([Frame::new(kind::PING, 0, 0, [0; 9])])),
    case("6.7 PING ACK of no byte", Connection(SIZE), |t| t.send([Frame::new(kind::PING, flag::ACK, 0, [])])),
    check("6.8 GOAWAY lets what was asked be answered", |t| {
        t.send([t.get(1), Frame::goaway(0, NO_ERROR, "enough")]);
        t.answered(1)
    }),
    case("6.8 GOAWAY on a stream", Connection(PROTOCOL), |t| t.send([Frame::new(kind::GOAWAY, 0, 1, [0; 8])])),
    case("6.8 GOAWAY of 7 bytes", Connection(SIZE), |t| t.send([Frame::new(kind::GOAWAY, 0, 0, [0; 7])])),
    case("6.10 one CONTINUATION", Answer(1), |t| {
        t.send([t.get(1).more(), Frame::continuation(1, Block::new().field("x-more", "1"))]);
    }),
    case("6.10 several CONTINUATION", Answer(1), |t| {
        let more = |i: &str| Frame::continuation(1, Block::new().field(i, "1")).more();
        t.send([t.get(1).more(), more("a"), more("b"), Frame::continuation(1, Block::new().field("c", "1"))]);
    }),
    case("6.10 a field block cut at each byte", Answer(1), |t| {
        let block: Vec<u8> = t.block().into();
        let mut frames: Vec<Frame> = block.iter().map(|byte| Frame::continuation(1, [*byte]).more()).collect();
        frames.insert(0, Frame::headers(1, []).more().end());
        frames.push(Frame::continuation(1, []));
        // Fewer than what a server may take for a flood.
        frames.splice(5.., [Frame::continuation(1, &block[4..])]);
        t.send(frames);
    }),
    case("6.10 HEADERS of no byte, all in CONTINUATION", Answer(1), |t| {
        t.send([Frame::headers(1, []).more().end(), Frame::continuation(1, t.block())]);
    }),
    case("6.10 trailers in CONTINUATION", Answer(1), |t| {
        let trailers = Frame::headers(1, Block::new().field("x-sum", "1")).more().end();
        post(t, [Frame::data(1, "x"), trailers, Frame::continuation(1, Block::new().field("x-end", "1"))]);
    }),
    case("6.10 CONTINUATION before DATA ends in PROTOCOL_ERROR", Connection(PROTOCOL), |t| {
        let more = Frame::continuation(1, []).more();
        t.send([t.open(1).more(), more, Frame::data(1, "x").end()]);
    }),
    case("6.10 CONTINUATION on stream 0", Connection(PROTOCOL), |t| within_block(t, Frame::continuation(0, []))),
    case("6.10 CONTINUATION on another stream", Connection(PROTOCOL), |t| within_block(t, Frame::continuation(3, []))),
    case("6.10 CONTINUATION after the end of the block", Connection(PROTOCOL), |t| {
        post(t, [Frame::continuation(1, Block::new().field("x-more", "1"))]);
    }),
    case("6.10 CONTINUATION after CONTINUATION with END_HEADERS", Connection(PROTOCOL), |t| {
        t.send([t.open(1).more(), Frame::continuation(1, []), Frame::continuation(1, [])]);
    }),
    case("6.10 CONTINUATION after DATA", Connection(PROTOCOL), |t| {
        post(t, [Frame::data(1, "x"), Frame::continuation(1, Block::new().field("x-more", "1"))]);
    }),
    check("10.5 a field block without end", |t| {
        let one = Frame::continuation(1, Block::new().field("x-flood", "a".repeat(4000))).more();
        t.send([t.get(1).more()].into_iter().chain((0..1000).map(|_| one.clone())));
        t.http2.connection_error(&[PROTOCOL_ERROR, ENHANCE_YOUR_CALM, 2])
    }),
    check("10.5 CONTINUATION of no byte without end", |t| {
        let one = Frame::continuation(1, []).more();
        t.send([t.get(1).more()].into_iter().chain((0..20_000).map(|_| one.clone())));
        t.http2.connection_error(&[PROTOCOL_ERROR, ENHANCE_YOUR_CALM, 2])
    }),
];
