//! SETTINGS (§6.5).

use tollgate_testkit::http2::code::{FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR};
use tollgate_testkit::http2::settings::{
    ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE,
};
use tollgate_testkit::http2::{Event, Frame, flag, kind};

use crate::http2::case::Expect::{Alive, Connection};
use crate::http2::case::{BODY, Case, Talk, case, check};

const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
const SIZE: &[u32] = &[FRAME_SIZE_ERROR];

fn set(talk: &mut Talk, name: u16, value: u32) {
    talk.send([Frame::settings(&[(name, value)])]);
}

/// Demands so many acknowledgements, that of the handshake among them.
fn acks(talk: &mut Talk, count: usize) -> Result<(), String> {
    talk.http2.pong()?;
    let seen = talk.http2.seen().iter().filter(|event| **event == Event::SettingsAck).count();
    if seen == count { Ok(()) } else { Err(format!("{seen} acknowledgements instead of {count}")) }
}

pub(crate) const CASES: &[Case] = &[
    check("6.5 SETTINGS are acknowledged", |t| {
        set(t, INITIAL_WINDOW_SIZE, 100);
        acks(t, 2)
    }),
    check("6.5 empty SETTINGS are acknowledged", |t| {
        t.send([Frame::settings(&[])]);
        acks(t, 2)
    }),
    check("6.5.3 each of many SETTINGS is acknowledged", |t| {
        t.send((1..6).map(|i| Frame::settings(&[(INITIAL_WINDOW_SIZE, i), (HEADER_TABLE_SIZE, 100 * i)])));
        acks(t, 6)
    }),
    case("6.5 an acknowledgement with a payload", Connection(SIZE), |t| {
        t.send([Frame::settings(&[(INITIAL_WINDOW_SIZE, 100)]).with(flag::ACK)]);
    }),
    case("6.5 SETTINGS on a stream", Connection(PROTOCOL), |t| {
        t.send([Frame { stream: 1, ..Frame::settings(&[(INITIAL_WINDOW_SIZE, 100)]) }]);
    }),
    case("6.5 an acknowledgement on a stream", Connection(PROTOCOL), |t| {
        t.send([Frame { stream: 1, ..Frame::settings_ack() }]);
    }),
    case("6.5 SETTINGS of 3 bytes", Connection(SIZE), |t| t.send([Frame::new(kind::SETTINGS, 0, 0, [0; 3])])),
    case("6.5 SETTINGS of 7 bytes", Connection(SIZE), |t| t.send([Frame::new(kind::SETTINGS, 0, 0, [0; 7])])),
    case("6.5.2 ENABLE_PUSH of 0", Alive, |t| set(t, ENABLE_PUSH, 0)),
    case("6.5.2 ENABLE_PUSH of 1", Alive, |t| set(t, ENABLE_PUSH, 1)),
    case("6.5.2 ENABLE_PUSH of 2", Connection(PROTOCOL), |t| set(t, ENABLE_PUSH, 2)),
    case("6.5.2 the largest INITIAL_WINDOW_SIZE", Alive, |t| set(t, INITIAL_WINDOW_SIZE, 0x7fff_ffff)),
    case("6.5.2 an INITIAL_WINDOW_SIZE too large", Connection(&[FLOW_CONTROL_ERROR]), |t| {
        set(t, INITIAL_WINDOW_SIZE, 0x8000_0000);
    }),
    case("6.5.2 the smallest MAX_FRAME_SIZE", Alive, |t| set(t, MAX_FRAME_SIZE, 16_384)),
    case("6.5.2 the largest MAX_FRAME_SIZE", Alive, |t| set(t, MAX_FRAME_SIZE, 16_777_215)),
    case("6.5.2 a MAX_FRAME_SIZE too small", Connection(PROTOCOL), |t| set(t, MAX_FRAME_SIZE, 16_383)),
    case("6.5.2 a MAX_FRAME_SIZE too large", Connection(PROTOCOL), |t| set(t, MAX_FRAME_SIZE, 16_777_216)),
    case("6.5.2 a MAX_FRAME_SIZE of 0", Connection(PROTOCOL), |t| set(t, MAX_FRAME_SIZE, 0)),
    case("6.5.2 MAX_CONCURRENT_STREAMS of 0", Alive, |t| set(t, MAX_CONCURRENT_STREAMS, 0)),
    case("6.5.2 a small MAX_HEADER_LIST_SIZE", Alive, |t| set(t, MAX_HEADER_LIST_SIZE, 16_384)),
    case("6.5.2 HEADER_TABLE_SIZE of 0", Alive, |t| set(t, HEADER_TABLE_SIZE, 0)),
    case("6.5.2 a large HEADER_TABLE_SIZE", Alive, |t| {
        // The decoder of this client takes 4096 at most, which is what it says in the end.
        t.send([Frame::settings(&[(HEADER_TABLE_SIZE, 1 << 20), (HEADER_TABLE_SIZE, 4096)])]);
    }),
    case("6.5.2 an unknown setting", Alive, |t| set(t, 0xff, 1)),
    check("6.5.2 an unknown setting is acknowledged", |t| {
        set(t, 0xffff, u32::MAX);
        acks(t, 2)
    }),
    check("6.5.3 of one setting twice the last counts, when larger", |t| {
        t.send([Frame::settings(&[(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 5)]), t.get(1)]);
        let got = t.http2.content(1, 5)?;
        if got == BODY.as_bytes()[..5] { Ok(()) } else { Err(format!("{} bytes", got.len())) }
    }),
    check("6.5.3 of one setting twice the last counts, when smaller", |t| {
        t.send([Frame::settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)]), t.get(1)]);
        let got = t.http2.content(1, 1)?;
        if got.len() == 1 { Ok(()) } else { Err(format!("{} bytes", got.len())) }
    }),
    case("6.5.3 settings before a wrong one do not save it", Connection(PROTOCOL), |t| {
        t.send([Frame::settings(&[(HEADER_TABLE_SIZE, 100), (MAX_FRAME_SIZE, 1)])]);
    }),
];
