//! What a server says, one thing at a time.

use std::fmt;

use crate::http2::code;
use crate::text::{latin1, show};

/// One frame of the server's, or a whole field block.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// HEADERS and what continues them.
    Headers {
        /// The stream.
        stream: u32,
        /// The fields, pseudo-header fields too.
        fields: Vec<(String, String)>,
        /// Whether this ends the stream.
        end: bool,
    },
    /// DATA without its padding.
    Data {
        /// The stream.
        stream: u32,
        /// The content.
        bytes: Vec<u8>,
        /// Whether this ends the stream.
        end: bool,
    },
    /// RST_STREAM with stream and code.
    Reset(u32, u32),
    /// SETTINGS.
    Settings(Vec<(u16, u32)>),
    /// The acknowledgement of ours.
    SettingsAck,
    /// PING.
    Ping(Vec<u8>),
    /// The answer to ours.
    PingAck(Vec<u8>),
    /// GOAWAY.
    GoAway {
        /// The last stream that was or might be served.
        last: u32,
        /// The code.
        code: u32,
        /// What the server says about it.
        debug: Vec<u8>,
    },
    /// WINDOW_UPDATE with stream and increment.
    WindowUpdate(u32, u32),
    /// A frame of another type.
    Other(u8),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = |end: &bool| if *end { " END_STREAM" } else { "" };
        match self {
            Event::Headers { stream, fields, end } => {
                let status = fields.iter().find(|(name, _)| name == ":status").map_or("trailers", |(_, v)| v);
                write!(f, "HEADERS({stream}, {status}{})", ends(end))
            }
            Event::Data { stream, bytes, end } => {
                write!(f, "DATA({stream}, {:?}{})", latin1(bytes.get(..20).unwrap_or(bytes)), ends(end))
            }
            Event::Reset(stream, code) => write!(f, "RST_STREAM({stream}, {})", code::name(*code)),
            Event::Settings(settings) => write!(f, "SETTINGS{settings:?}"),
            Event::SettingsAck => write!(f, "SETTINGS ACK"),
            Event::Ping(_) => write!(f, "PING"),
            Event::PingAck(_) => write!(f, "PING ACK"),
            Event::GoAway { last, code, debug } => {
                write!(f, "GOAWAY({last}, {}, {:?})", code::name(*code), show(debug))
            }
            Event::WindowUpdate(stream, by) => write!(f, "WINDOW_UPDATE({stream}, {by})"),
            Event::Other(kind) => write!(f, "frame of type {kind}"),
        }
    }
}
