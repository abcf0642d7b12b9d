//! A client of HTTP/2 that speaks in frames, right or wrong ones, and reads strictly what comes back.
//!
//! ```no_run
//! use tollgate_testkit::http2::{Block, Frame, Http2, code};
//!
//! let mut client = Http2::connect("127.0.0.1:8080".parse().unwrap());
//! client.handshake(&[]).unwrap();
//! client.send([Frame::headers(1, Block::get("/")).end()]);
//! assert_eq!(client.answer(1).unwrap().status, 200);
//! client.send([Frame::data(3, "no such stream")]);
//! client.connection_error(&[code::PROTOCOL_ERROR]).unwrap();
//! ```

mod connection;
mod event;
mod expect;
mod frame;
mod hpack;
mod huffman;
mod static_table;

pub use connection::{Http2, Stream};
pub use event::Event;
pub use expect::Answer;
pub use frame::{Frame, PREFACE, code, flag, kind, settings};
pub use hpack::{Block, Decoder};
