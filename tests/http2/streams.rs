//! States of streams, their numbers, how many there may be, and dependencies (§5.1, §5.3).

use tollgate_testkit::http2::code::{
    CANCEL, ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED,
};
use tollgate_testkit::http2::{Block, Event, Frame, settings};

use crate::http2::case::Expect::{Alive, Answer, Check, Connection, Stream};
use crate::http2::case::{Case, Talk, case, check};

/// No answer can end, so a stream stays half-closed until the window opens.
const NO_WINDOW: &[(u16, u32)] = &[(settings::INITIAL_WINDOW_SIZE, 0)];
const CLOSED: &[u32] = &[STREAM_CLOSED];
/// Where a frame is wrong for the stream's state and by itself.
const CLOSED_OR_PROTOCOL: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];
const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];

/// Stream 1 asks and is answered to the end.
fn closed(talk: &mut Talk) {
    talk.send([talk.get(1)]);
    // That it fails shows in what follows.
    let _ = talk.answered(1);
}

/// Stream 1 is reset by the client.
fn reset(talk: &mut Talk) {
    talk.send([talk.open(1), Frame::reset(1, CANCEL)]);
}

pub(crate) const CASES: &[Case] = &[
    case("5.1 idle: DATA", Connection(PROTOCOL), |t| t.send([Frame::data(1, "x").end()])),
    case("5.1 idle: RST_STREAM", Connection(PROTOCOL), |t| t.send([Frame::reset(1, CANCEL)])),
    case("5.1 idle: WINDOW_UPDATE", Connection(PROTOCOL), |t| t.send([Frame::window_update(1, 100)])),
    case("5.1 idle: CONTINUATION", Connection(PROTOCOL), |t| t.send([Frame::continuation(1, t.block())])),
    case("5.1 idle: PRIORITY", Alive, |t| t.send([Frame::priority(1, 0, 15)])),
    case("5.1 idle: DATA above an open stream", Connection(PROTOCOL), |t| {
        t.send([t.open(1), Frame::data(3, "x").end()]);
    }),
    case("5.1 half-closed: DATA", Stream(1, CLOSED), |t| t.send([t.get(1), Frame::data(1, "x").end()])).with(NO_WINDOW),
    case("5.1 half-closed: HEADERS", Stream(1, CLOSED), |t| t.send([t.get(1), t.get(1)])).with(NO_WINDOW),
    case("5.1 half-closed: CONTINUATION", Stream(1, CLOSED_OR_PROTOCOL), |t| {
        t.send([t.get(1), Frame::continuation(1, t.block())]);
    })
    .with(NO_WINDOW),
    case("5.1 half-closed after content: DATA", Stream(1, CLOSED), |t| {
        t.send([t.open(1), Frame::data(1, "x").end(), Frame::data(1, "y").end()]);
    })
    .with(NO_WINDOW),
    case("5.1 half-closed: WINDOW_UPDATE", Answer(1), |t| {
        t.send([t.get(1), Frame::window_update(1, 100)]);
    })
    .with(NO_WINDOW),
    case("5.1 half-closed: PRIORITY", Answer(1), |t| {
        t.send([t.get(1), Frame::priority(1, 0, 15), Frame::window_update(1, 100)]);
    })
    .with(NO_WINDOW),
    case("5.1 half-closed: RST_STREAM", Alive, |t| t.send([t.get(1), Frame::reset(1, CANCEL)])),
    case("5.1 closed by RST_STREAM: DATA", Stream(1, CLOSED), |t| {
        reset(t);
        t.send([Frame::data(1, "x").end()]);
    }),
    case("5.1 closed by RST_STREAM: HEADERS", Stream(1, CLOSED), |t| {
        reset(t);
        t.send([t.get(1)]);
    }),
    case("5.1 closed by RST_STREAM: CONTINUATION", Stream(1, CLOSED_OR_PROTOCOL), |t| {
        reset(t);
        t.send([Frame::continuation(1, t.block())]);
    }),
    case("5.1 closed by RST_STREAM: PRIORITY", Alive, |t| {
        reset(t);
        t.send([Frame::priority(1, 0, 15)]);
    }),
    case("5.1 closed: DATA", Stream(1, CLOSED), |t| {
        closed(t);
        t.send([Frame::data(1, "x").end()]);
    }),
    case("5.1 closed: HEADERS", Connection(CLOSED_OR_PROTOCOL), |t| {
        closed(t);
        t.send([t.get(1)]);
    }),
    case("5.1 closed: CONTINUATION", Connection(CLOSED_OR_PROTOCOL), |t| {
        closed(t);
        t.send([Frame::continuation(1, t.block())]);
    }),
    case("5.1 closed: PRIORITY", Alive, |t| {
        closed(t);
        t.send([Frame::priority(1, 0, 15)]);
    }),
    case("5.1 closed: WINDOW_UPDATE", Alive, |t| {
        closed(t);
        t.send([Frame::window_update(1, 100)]);
    }),
    case("5.1 closed: RST_STREAM", Alive, |t| {
        closed(t);
        t.send([Frame::reset(1, CANCEL)]);
    }),
    case("5.1.1 an even number", Connection(PROTOCOL), |t| t.send([t.get(2)])),
    case("5.1.1 a number below the last", Connection(CLOSED_OR_PROTOCOL), |t| t.send([t.get(5), t.get(3)])),
    case("5.1.1 DATA on a number that was passed over", Stream(3, CLOSED_OR_PROTOCOL), |t| {
        t.send([t.get(5), Frame::data(3, "x").end()]);
    }),
    case("5.1.1 numbers with gaps", Answer(77), |t| t.send([t.get(1), t.get(9), t.get(77)])),
    case("5.1.1 the highest number", Answer(0x7fff_ffff), |t| t.send([t.get(0x7fff_ffff)])),
    case("5.1.1 a hundred requests, one after the other", Alive, |t| {
        for stream in (1..200).step_by(2) {
            t.send([t.get(stream)]);
            let _ = t.answered(stream);
        }
    }),
    case("5.1.2 more streams than allowed", Check(refused_stream), open_one_too_many),
    case("5.1.2 the others go on", Check(others_go_on), open_one_too_many),
    case("5.1.2 a refused stream still fills the table", Check(refused_fills_the_table), open_one_too_many),
    // The scheme of RFC 7540 is deprecated, but servers still see its fields, and reject this as they did.
    case("5.3.1 HEADERS that depend on themselves", Stream(1, PROTOCOL), |t| t.send([t.get(1).depends(1, 255)])),
    case("5.3.1 PRIORITY that depends on itself", Stream(1, PROTOCOL), |t| t.send([Frame::priority(1, 1, 255)])),
    case("5.3.1 PRIORITY of an open stream that depends on itself", Stream(1, PROTOCOL), |t| {
        t.send([t.open(1), Frame::priority(1, 1, 255)]);
    }),
    check("10.5 streams opened and reset at once, a thousand times", |t| {
        let frames: Vec<Frame> = (0..1000).flat_map(|i| [t.get(2 * i + 1), Frame::reset(2 * i + 1, CANCEL)]).collect();
        t.send(frames);
        // Either it is borne, or it is called what it is.
        t.http2.pong().or_else(|_| t.http2.connection_error(&[ENHANCE_YOUR_CALM, NO_ERROR]))
    }),
];

/// How many streams the server allows, if it is a number worth to be tried.
fn allowed(talk: &mut Talk) -> Option<u32> {
    let most = talk.http2.setting(settings::MAX_CONCURRENT_STREAMS).filter(|most| *most <= 1000);
    if most.is_none() {
        talk.skip();
    }
    most
}

/// The last stream that is allowed, by number.
fn last(talk: &mut Talk) -> u32 {
    2 * allowed(talk).unwrap_or(1) - 1
}

fn open_one_too_many(t: &mut Talk) {
    let last = last(t);
    let frames: Vec<Frame> = (1..=last).step_by(2).map(|stream| t.open(stream)).collect();
    t.send(frames);
    let refused = Block::post(&t.path).added("x-kept", "1");
    t.send([Frame::headers(last + 2, refused)]);
}

fn refused_stream(t: &mut Talk) -> Result<(), String> {
    let refused = last(t) + 2;
    t.http2.stream_error(refused, &[REFUSED_STREAM, PROTOCOL_ERROR])
}

fn others_go_on(t: &mut Talk) -> Result<(), String> {
    t.send([Frame::data(1, "x").end()]);
    t.answered(1)
}

fn refused_fills_the_table(t: &mut Talk) -> Result<(), String> {
    let next = last(t) + 4;
    t.send([Frame::data(1, "x").end()]);
    t.answered(1)?;
    t.send([Frame::headers(next, t.block().indexed(62)).end()]);
    t.answered(next)?;
    let refused = |event: &Event| matches!(event, Event::Reset(stream, REFUSED_STREAM) if *stream == next - 2);
    if t.http2.seen().iter().any(refused) { Ok(()) } else { Err("nothing was refused".into()) }
}
