//! The preface, the form and size of frames, errors, extensions (§3.4, §4, §5.4, §5.5, §7).

use tollgate_testkit::http2::code::{
    CANCEL, COMPRESSION_ERROR, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED,
};
use tollgate_testkit::http2::{Block, Event, Frame, PREFACE, flag, kind};

use crate::http2::case::Expect::{Alive, Answer, Check, Connection, HangsUp, Stream};
use crate::http2::case::{Case, Talk, case, check};

/// A payload one byte longer than the server takes, unless it takes all that a frame can hold.
fn too_long(talk: &mut Talk) -> Vec<u8> {
    let largest = talk.http2.largest_frame();
    if largest + 1 >= 1 << 24 {
        talk.skip();
        return Vec::new();
    }
    vec![0; largest + 1]
}

/// A field block with a field so long that it fills this many bytes and more.
fn long_block(talk: &Talk, length: usize) -> Block {
    talk.block().field("x-long", "a".repeat(length))
}

pub(crate) const CASES: &[Case] = &[
    check("3.4 the server's preface is SETTINGS", |t| {
        t.http2.send_bytes([PREFACE, &Frame::settings(&[]).encode()].concat());
        let first = t.http2.event();
        if matches!(first, Ok(Event::Settings(_))) { t.alive() } else { Err(format!("{first:?}")) }
    })
    .raw(),
    case("3.4 a request right behind the preface", Answer(1), |t| {
        let frames = [Frame::settings(&[]).encode(), t.get(1).encode()].concat();
        t.http2.send_bytes([PREFACE, &frames].concat());
    })
    .raw(),
    case("3.4 the preface in single bytes", Alive, |t| {
        for byte in [PREFACE, &Frame::settings(&[]).encode()].concat() {
            t.http2.send_bytes([byte]);
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    })
    .raw(),
    case("3.4 a preface with a wrong end", HangsUp, |t| {
        t.http2.send_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r");
        t.http2.send_bytes(Frame::settings(&[]).encode());
    })
    .raw(),
    case("3.4 a preface with a wrong middle", HangsUp, |t| {
        t.http2.send_bytes(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
        t.http2.send_bytes(Frame::settings(&[]).encode());
    })
    .raw(),
    case("3.4 half a preface and the end", HangsUp, |t| {
        t.http2.send_bytes(&PREFACE[..10]);
        t.http2.half_close();
    })
    .raw(),
    case("3.4 PING in place of SETTINGS", Connection(&[PROTOCOL_ERROR]), |t| {
        t.http2.send_bytes([PREFACE, &Frame::ping([0; 8]).encode()].concat());
    })
    .raw(),
    case("3.4 HEADERS in place of SETTINGS", Connection(&[PROTOCOL_ERROR]), |t| {
        t.http2.send_bytes([PREFACE, &t.get(1).encode()].concat());
    })
    .raw(),
    case("4.1 a frame of an unknown type", Alive, |t| t.send([Frame::new(kind::UNKNOWN, 0xff, 0, [7; 8])])),
    case("4.1 an empty frame of an unknown type", Alive, |t| t.send([Frame::new(kind::UNKNOWN, 0, 0, [])])),
    case("4.1 a frame of an unknown type on a stream", Answer(1), |t| {
        t.send([t.open(1), Frame::new(kind::UNKNOWN, 0xff, 1, [7; 8]), Frame::data(1, "x").end()]);
    }),
    case("4.1 unknown flags of PING", Alive, |t| t.send([Frame::ping([1; 8]).with(0xfe)])),
    case("4.1 unknown flags of HEADERS", Answer(1), |t| t.send([t.get(1).with(0xd2)])),
    case("4.1 unknown flags of DATA", Answer(1), |t| t.send([t.open(1), Frame::data(1, "x").end().with(0xf6)])),
    case("4.1 the reserved bit of PING", Alive, |t| t.send([Frame::new(kind::PING, 0, 1 << 31, [1; 8])])),
    case("4.1 the reserved bit of HEADERS", Answer(1), |t| t.send([t.get(1 << 31 | 1)])),
    case("4.1 frames in single bytes", Answer(1), |t| {
        for byte in t.get(1).encode() {
            t.http2.send_bytes([byte]);
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }),
    case("4.2 DATA of 16384 bytes", Answer(1), |t| t.send([t.open(1), Frame::data(1, vec![0; 16_384]).end()])),
    case("4.2 an unknown frame of 16384 bytes", Alive, |t| {
        t.send([Frame::new(kind::UNKNOWN, 0, 0, vec![0; 16_384])]);
    }),
    case("4.2 DATA too long", Stream(1, &[FRAME_SIZE_ERROR]), |t| {
        let payload = too_long(t);
        t.send([t.open(1), Frame::data(1, payload).end()]);
    }),
    case("4.2 HEADERS too long", Connection(&[FRAME_SIZE_ERROR]), |t| {
        let payload = too_long(t);
        t.send([Frame::headers(1, long_block(t, payload.len())).end()]);
    }),
    case("4.2 CONTINUATION too long", Connection(&[FRAME_SIZE_ERROR]), |t| {
        let payload = too_long(t);
        t.send([t.get(1).more(), Frame::continuation(1, Block::new().field("x-long", payload))]);
    }),
    case("4.2 SETTINGS too long", Connection(&[FRAME_SIZE_ERROR]), |t| {
        let count = too_long(t).len() / 6 + 1;
        t.send([Frame::settings(&vec![(0xf00, 0); count])]);
    }),
    case("4.2 an unknown frame too long", Connection(&[FRAME_SIZE_ERROR]), |t| {
        let payload = too_long(t);
        t.send([Frame::new(kind::UNKNOWN, 0, 0, payload)]);
    }),
    case("4.2 the head alone of a frame too long", Connection(&[FRAME_SIZE_ERROR]), |t| {
        too_long(t);
        t.http2.send_bytes([0xff, 0xff, 0xff, kind::HEADERS, flag::END_HEADERS, 0, 0, 0, 1]);
    }),
    case("4.3 a field block that breaks off", Connection(&[COMPRESSION_ERROR]), |t| {
        t.ask(t.block().raw([0x40, 0x05, b'x']));
    }),
    case("4.3 PRIORITY within a field block", Connection(&[PROTOCOL_ERROR]), |t| {
        t.send([t.get(1).more(), Frame::priority(1, 0, 15), Frame::continuation(1, [])]);
    }),
    case("4.3 HEADERS of another stream within a field block", Connection(&[PROTOCOL_ERROR]), |t| {
        t.send([t.get(1).more(), t.get(3), Frame::continuation(1, [])]);
    }),
    case("4.3 the table is kept from request to request", Answer(5), |t| {
        t.send([Frame::headers(1, t.block().added("x-kept", "1")).end(), t.get(3)]);
        t.send([Frame::headers(5, t.block().indexed(62)).end()]);
    }),
    check("4.3 a malformed request still fills the table", |t| {
        let wrong = t.block().added("X-Upper", "1").added("x-kept", "1");
        t.send([Frame::headers(1, wrong).end(), Frame::headers(3, t.block().indexed(62)).end()]);
        // A malformed request may be an error of the connection, but never one of the table.
        t.answered(3).or_else(|_| t.http2.connection_error(&[PROTOCOL_ERROR]))
    }),
    check("4.3 a field block for a reset stream still fills the table", |t| {
        t.send([t.open(1), Frame::reset(1, CANCEL), Frame::headers(1, Block::new().added("x-kept", "1")).end()]);
        t.send([Frame::headers(3, t.block().indexed(62)).end()]);
        t.answered(3).or_else(|_| t.http2.connection_error(&[STREAM_CLOSED, PROTOCOL_ERROR]))
    }),
    case("5.4.1 GOAWAY and the end after an error", Check(goaway_names_the_last_stream), |t| t.send([t.get(1)])),
    case("5.5 an unknown frame within a field block", Connection(&[PROTOCOL_ERROR]), |t| {
        t.send([t.get(1).more(), Frame::new(kind::UNKNOWN, 0, 1, [0; 4]), Frame::continuation(1, [])]);
    }),
    case("5.5 an unknown frame of the connection within a field block", Connection(&[PROTOCOL_ERROR]), |t| {
        t.send([t.get(1).more(), Frame::new(kind::UNKNOWN, 0, 0, [0; 4]), Frame::continuation(1, [])]);
    }),
    case("7.0 RST_STREAM with an unknown code", Alive, |t| t.send([t.open(1), Frame::reset(1, 0xff)])),
    check("7.0 GOAWAY with an unknown code", |t| {
        // It may end the connection, as any GOAWAY may, but not as an error.
        t.send([Frame::goaway(0, 0xff, "")]);
        t.http2.pong().or_else(|_| t.http2.connection_error(&[NO_ERROR]))
    }),
];

/// §6.8: the last stream that was served is named, so that a client knows what it may send again.
fn goaway_names_the_last_stream(t: &mut Talk) -> Result<(), String> {
    t.answered(1)?;
    t.send([Frame::new(kind::PING, 0, 1, [0; 8])]);
    t.http2.connection_error(&[PROTOCOL_ERROR])?;
    let last = t.http2.seen().iter().find_map(|event| match event {
        Event::GoAway { last, .. } => Some(*last),
        _ => None,
    });
    if last == Some(1) { Ok(()) } else { Err(format!("GOAWAY names the last stream as {last:?}")) }
}
