//! Requests as a whole: their frames, their length, their trailers (§8.1).

use tollgate_testkit::http2::code::{PROTOCOL_ERROR, STREAM_CLOSED};
use tollgate_testkit::http2::{Block, Frame, settings};

use crate::http2::case::Expect::{Answer, Malformed, MalformedLate, Stream};
use crate::http2::case::{Case, Talk, case, check};

/// Sends the head of a `POST` that announces a length, and then its content.
fn announced<const N: usize>(talk: &mut Talk, length: &str, frames: [Frame; N]) {
    let head = Frame::headers(1, Block::post(&talk.path).field("content-length", length));
    talk.send([head].into_iter().chain(frames));
}

/// Sends a `POST` with one byte of content and these trailers.
fn trailers(talk: &mut Talk, trailers: Block) {
    talk.send([talk.open(1), Frame::data(1, "x"), Frame::headers(1, trailers).end()]);
}

/// Sends a `GET` that announces a length and has no content.
fn announced_get(talk: &mut Talk, length: &str) {
    talk.get_with("content-length", length);
}

pub(crate) const CASES: &[Case] = &[
    case("8.1 GET", Answer(1), |t| t.send([t.get(1)])),
    check("8.1 HEAD has no content", |t| {
        t.send([Frame::headers(1, Block::request("HEAD", &t.path)).end()]);
        let answer = t.http2.answer(1)?;
        let right = answer.status == 200 && answer.body.is_empty();
        if right { t.http2.pong() } else { Err(format!("{answer:?}")) }
    }),
    case("8.1 POST with content", Answer(1), |t| t.send([t.open(1), Frame::data(1, "x").end()])),
    case("8.1 POST without content", Answer(1), |t| t.send([t.open(1).end()])),
    case("8.1 POST with trailers", Answer(1), |t| trailers(t, Block::new().field("x-sum", "1"))),
    case("8.1 POST with trailers and no content", Answer(1), |t| {
        t.send([t.open(1), Frame::headers(1, Block::new().field("x-sum", "1")).end()]);
    }),
    case("8.1 trailers of no field", Answer(1), |t| trailers(t, Block::new())),
    case("8.1 a second HEADERS without END_STREAM", Malformed(1), |t| {
        t.send([t.open(1), Frame::headers(1, Block::new().field("x-sum", "1"))]);
    }),
    case("8.1 trailers without END_STREAM", MalformedLate(1), |t| {
        t.send([t.open(1), Frame::data(1, "x"), Frame::headers(1, Block::new().field("x-sum", "1"))]);
    }),
    case("8.1 trailers without END_STREAM, then DATA", MalformedLate(1), |t| {
        let trailers = Frame::headers(1, Block::new().field("x-sum", "1"));
        t.send([t.open(1), Frame::data(1, "x"), trailers, Frame::data(1, "y").end()]);
    }),
    case("8.1 a whole second head", MalformedLate(1), |t| t.send([t.open(1), t.open(1)])),
    case("8.1 DATA after trailers", Stream(1, &[STREAM_CLOSED]), |t| {
        trailers(t, Block::new().field("x-sum", "1"));
        t.send([Frame::data(1, "y").end()]);
    })
    .with(&[(settings::INITIAL_WINDOW_SIZE, 0)]),
    case("8.1 trailers after trailers", Stream(1, &[STREAM_CLOSED, PROTOCOL_ERROR]), |t| {
        trailers(t, Block::new().field("x-sum", "1"));
        t.send([Frame::headers(1, Block::new().field("x-sum", "1")).end()]);
    })
    .with(&[(settings::INITIAL_WINDOW_SIZE, 0)]),
    case("8.1 a pseudo-header field in trailers", MalformedLate(1), |t| trailers(t, Block::new().field(":path", "/"))),
    case("8.1 an unknown pseudo-header field in trailers", MalformedLate(1), |t| {
        trailers(t, Block::new().field("x-sum", "1").field(":x", "/"));
    }),
    case("8.1 :status in trailers", MalformedLate(1), |t| trailers(t, Block::new().field(":status", "200"))),
    case("8.1 an upper-case name in trailers", MalformedLate(1), |t| trailers(t, Block::new().field("X-Sum", "1"))),
    case("8.1 a connection-specific field in trailers", MalformedLate(1), |t| {
        trailers(t, Block::new().field("transfer-encoding", "chunked"));
    }),
    case("8.1 a line feed in trailers", MalformedLate(1), |t| trailers(t, Block::new().field("x-sum", "1\nx: y"))),
    case("8.1.1 as much content as announced", Answer(1), |t| announced(t, "4", [Frame::data(1, "text").end()])),
    case("8.1.1 as much in several frames", Answer(1), |t| {
        announced(t, "4", [Frame::data(1, "te"), Frame::data(1, ""), Frame::data(1, "xt").end()]);
    }),
    case("8.1.1 padding is no content", Answer(1), |t| announced(t, "4", [Frame::data(1, "text").padded(9).end()])),
    case("8.1.1 as much, and trailers", Answer(1), |t| {
        announced(t, "1", [Frame::data(1, "x"), Frame::headers(1, Block::new().field("x-sum", "1")).end()]);
    }),
    case("8.1.1 a length of 0 with END_STREAM", Answer(1), |t| announced_get(t, "0")),
    case("8.1.1 a length of 0 with empty DATA", Answer(1), |t| announced(t, "0", [Frame::data(1, "").end()])),
    case("8.1.1 too little content", MalformedLate(1), |t| announced(t, "5", [Frame::data(1, "text").end()])),
    case("8.1.1 too much content", MalformedLate(1), |t| announced(t, "1", [Frame::data(1, "text").end()])),
    case("8.1.1 too much content, not at its end", MalformedLate(1), |t| announced(t, "1", [Frame::data(1, "text")])),
    case("8.1.1 too much in several frames", MalformedLate(1), |t| {
        announced(t, "4", [Frame::data(1, "text"), Frame::data(1, "text").end()]);
    }),
    case("8.1.1 too little in several frames", MalformedLate(1), |t| {
        announced(t, "9", [Frame::data(1, "text"), Frame::data(1, "text").end()]);
    }),
    case("8.1.1 too little, ended by empty DATA", MalformedLate(1), |t| {
        announced(t, "5", [Frame::data(1, "text"), Frame::data(1, "").end()]);
    }),
    case("8.1.1 too little, filled up with padding", MalformedLate(1), |t| {
        announced(t, "5", [Frame::data(1, "text").padded(1).end()]);
    }),
    case("8.1.1 too little before trailers", MalformedLate(1), |t| {
        announced(t, "5", [Frame::data(1, "x"), Frame::headers(1, Block::new().field("x-sum", "1")).end()]);
    }),
    case("8.1.1 content with a length of 0", MalformedLate(1), |t| announced(t, "0", [Frame::data(1, "x").end()])),
    case("8.1.1 a length and no content", Malformed(1), |t| announced_get(t, "1")),
    case("8.1.1 two lengths", Malformed(1), |t| {
        t.send([
            Frame::headers(1, Block::post(&t.path).field("content-length", "1").field("content-length", "2")),
            Frame::data(1, "x").end(),
        ]);
    }),
    case("8.1.1 a length with a sign", Malformed(1), |t| announced(t, "+1", [Frame::data(1, "x").end()])),
    case("8.1.1 a length below zero", Malformed(1), |t| announced_get(t, "-0")),
    case("8.1.1 a length that is no number", Malformed(1), |t| announced(t, "one", [Frame::data(1, "x").end()])),
    case("8.1.1 a length of no digit", Malformed(1), |t| announced(t, "", [Frame::data(1, "x").end()])),
    case("8.1.1 a list of lengths", Malformed(1), |t| announced(t, "1, 2", [Frame::data(1, "x").end()])),
    case("8.1.1 a length beyond 64 bits", Malformed(1), |t| {
        announced(t, "18446744073709551617", [Frame::data(1, "x").end()]);
    }),
];
