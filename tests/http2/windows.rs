//! WINDOW_UPDATE and what the windows allow (§6.9).

use std::time::Duration;

use tollgate_testkit::http2::code::{FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR};
use tollgate_testkit::http2::settings::INITIAL_WINDOW_SIZE;
use tollgate_testkit::http2::{Block, Event, Frame, kind};

use crate::http2::case::Expect::{Alive, Answer, Connection, Stream};
use crate::http2::case::{BODY, Case, Talk, case, check};

const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
const SIZE: &[u32] = &[FRAME_SIZE_ERROR];
const FLOW: &[u32] = &[FLOW_CONTROL_ERROR];
const LARGEST: u32 = 0x7fff_ffff;
const NO_WINDOW: &[(u16, u32)] = &[(INITIAL_WINDOW_SIZE, 0)];
/// How long nothing must come, where nothing must come.
const MOMENT: Duration = Duration::from_millis(60);

fn initial_window(size: u32) -> Frame {
    Frame::settings(&[(INITIAL_WINDOW_SIZE, size)])
}

/// Demands exactly this much more content on stream 1, and nothing for a moment.
fn content(talk: &mut Talk, length: usize) -> Result<(), String> {
    if length > 0 {
        let got = talk.http2.content(1, length)?;
        if got.len() != length {
            return Err(format!("{} bytes through a window of {length}", got.len()));
        }
    }
    talk.http2.no_content(MOMENT)
}

/// Demands the rest of the answer on stream 1, which then is whole.
fn the_rest(talk: &mut Talk) -> Result<(), String> {
    let data = |event: &Event| match event {
        Event::Data { stream: 1, bytes, end } => Some((bytes.clone(), *end)),
        _ => None,
    };
    talk.http2.until("the rest", |event| data(event).filter(|(_, end)| *end))?;
    let all: Vec<u8> = talk.http2.seen().iter().filter_map(data).flat_map(|(bytes, _)| bytes).collect();
    if all == BODY.as_bytes() { Ok(()) } else { Err(format!("{} bytes in all", all.len())) }
}

pub(crate) const CASES: &[Case] = &[
    case("6.9 WINDOW_UPDATE of the connection", Alive, |t| t.send([Frame::window_update(0, 1)])),
    case("6.9 WINDOW_UPDATE of a stream", Answer(1), |t| {
        t.send([t.open(1), Frame::window_update(1, 1), Frame::data(1, "x").end()]);
    }),
    case("6.9 WINDOW_UPDATE with the reserved bit", Alive, |t| t.send([Frame::window_update(0, 1 << 31 | 1)])),
    case("6.9 an increment of 0", Connection(PROTOCOL), |t| t.send([Frame::window_update(0, 0)])),
    case("6.9 an increment of 0 with the reserved bit", Connection(PROTOCOL), |t| {
        t.send([Frame::window_update(0, 1 << 31)]);
    }),
    case("6.9 an increment of 0 for a stream", Stream(1, PROTOCOL), |t| {
        t.send([t.open(1), Frame::window_update(1, 0)]);
    }),
    case("6.9 WINDOW_UPDATE of 3 bytes", Connection(SIZE), |t| {
        t.send([Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1])]);
    }),
    case("6.9 WINDOW_UPDATE of 5 bytes", Connection(SIZE), |t| {
        t.send([Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1, 0])]);
    }),
    case("6.9 WINDOW_UPDATE of 5 bytes for a stream", Connection(SIZE), |t| {
        t.send([t.open(1), Frame::new(kind::WINDOW_UPDATE, 0, 1, [0, 0, 0, 1, 0])]);
    }),
    check("6.9.1 no more than the window of the stream", |t| {
        t.send([t.get(1)]);
        content(t, 1)?;
        t.send([Frame::window_update(1, 2)]);
        content(t, 2)?;
        t.send([Frame::window_update(1, 100)]);
        the_rest(t)
    })
    .with(&[(INITIAL_WINDOW_SIZE, 1)]),
    check("6.9.1 nothing through no window", |t| {
        t.send([t.get(1)]);
        content(t, 0)?;
        t.send([Frame::window_update(1, LARGEST)]);
        the_rest(t)
    })
    .with(NO_WINDOW),
    check("6.9.1 content without length needs no window", |t| {
        t.send([Frame::headers(1, Block::request("HEAD", &t.path)).end()]);
        let answer = t.http2.answer(1)?;
        let right = answer.status == 200 && answer.body.is_empty();
        if right { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .with(NO_WINDOW),
    check("6.9.1 a stream without window does not hold up another", |t| {
        t.send([t.get(1), t.get(3), Frame::window_update(3, 100)]);
        t.answered(3)
    })
    .with(NO_WINDOW),
    case("6.9.1 a window of the connection that overflows", Connection(FLOW), |t| {
        t.send([Frame::window_update(0, LARGEST)]);
    }),
    case("6.9.1 a window of the connection that overflows bit by bit", Connection(FLOW), |t| {
        t.send([Frame::window_update(0, LARGEST - 65_535), Frame::window_update(0, 1)]);
    }),
    case("6.9.1 the largest window of the connection", Alive, |t| {
        t.send([Frame::window_update(0, LARGEST - 65_535)]);
    }),
    case("6.9.1 a window of a stream that overflows", Stream(1, FLOW), |t| {
        t.send([t.open(1), Frame::window_update(1, LARGEST), Frame::window_update(1, LARGEST)]);
    }),
    case("6.9.1 the largest window of a stream", Answer(1), |t| {
        t.send([t.open(1), Frame::window_update(1, LARGEST - 65_535), Frame::data(1, "x").end()]);
    }),
    check("6.9.1 more than the window of the connection, as it opens", |t| {
        let size = 16_384;
        t.send([t.open(1)]);
        // As RFC 9113 has it, only WINDOW_UPDATE can grow the connection's; the stream's may be larger from the start.
        let mut connection = 65_535_i64;
        let mut stream = i64::from(t.http2.setting(INITIAL_WINDOW_SIZE).unwrap_or(65_535));
        let size_i64 = 16_384_i64;
        for event in t.http2.seen() {
            if let Event::WindowUpdate(0, by) = event {
                connection += i64::from(*by);
            }
        }
        for round in 0..12 {
            while connection < size_i64 || stream < size_i64 {
                let (of, by) = t.http2.until("WINDOW_UPDATE", |event| match event {
                    Event::WindowUpdate(of, by) => Some((*of, i64::from(*by))),
                    _ => None,
                })?;
                *(if of == 0 { &mut connection } else { &mut stream }) += by;
            }
            let data = Frame::data(1, vec![0; size]);
            t.send([if round == 11 { data.end() } else { data }]);
            connection -= size_i64;
            stream -= size_i64;
        }
        t.answered(1)
    }),
    check("6.9.2 a change of INITIAL_WINDOW_SIZE opens open streams", |t| {
        t.send([t.get(1)]);
        content(t, 0)?;
        t.send([initial_window(1)]);
        content(t, 1)?;
        t.send([initial_window(100)]);
        the_rest(t)
    })
    .with(NO_WINDOW),
    check("6.9.2 a window below zero", |t| {
        t.send([t.get(1)]);
        content(t, 3)?;
        t.send([initial_window(0), Frame::window_update(1, 2)]);
        content(t, 0)?;
        t.send([Frame::window_update(1, 2)]);
        content(t, 1)?;
        t.send([Frame::window_update(1, 100)]);
        the_rest(t)
    })
    .with(&[(INITIAL_WINDOW_SIZE, 3)]),
    case("6.9.2 an INITIAL_WINDOW_SIZE above the largest", Connection(FLOW), |t| t.send([initial_window(1 << 31)])),
    case("6.9.2 a change that makes a window overflow", Connection(FLOW), |t| {
        t.send([t.open(1), Frame::window_update(1, LARGEST - 65_535), initial_window(65_536)]);
    }),
    check("6.9.2 a change leaves the window of the connection alone", |t| {
        t.send([initial_window(LARGEST), Frame::window_update(0, LARGEST - 65_535), t.get(1)]);
        t.answered(1)
    }),
];
