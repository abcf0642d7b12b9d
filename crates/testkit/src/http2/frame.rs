//! Frames as they are on the wire (RFC 9113 §4 and §6).

use std::fmt;

use crate::http2::hpack::Block;

/// What a client sends first (§3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (§6).
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    /// No frame that any RFC knows.
    pub const UNKNOWN: u8 = 0xb7;
}

/// Flags (§6).
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Settings (§6.5.2).
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod settings {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// Error codes (§7).
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;

    /// The name of a code, for a person.
    pub fn name(code: u32) -> String {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        let known = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
        known.map_or_else(|| format!("code {code:#x}"), |name| (*name).to_owned())
    }
}

/// One frame. Nothing stops it from being wrong; only its length is that of its payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is, see [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// The stream's number, with the reserved bit above it.
    pub stream: u32,
    /// All that follows the nine bytes of the frame's head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Self {
        Frame { kind, flags, stream, payload: payload.as_ref().to_vec() }
    }

    /// DATA that does not end its stream.
    pub fn data(stream: u32, bytes: impl AsRef<[u8]>) -> Self {
        Self::new(kind::DATA, 0, stream, bytes)
    }

    /// HEADERS with a whole block, which does not end its stream.
    pub fn headers(stream: u32, block: impl AsRef<[u8]>) -> Self {
        Self::new(kind::HEADERS, flag::END_HEADERS, stream, block)
    }

    /// CONTINUATION that ends its block.
    pub fn continuation(stream: u32, block: impl AsRef<[u8]>) -> Self {
        Self::new(kind::CONTINUATION, flag::END_HEADERS, stream, block)
    }

    /// PRIORITY.
    pub fn priority(stream: u32, depends_on: u32, weight: u8) -> Self {
        Self::new(kind::PRIORITY, 0, stream, priority(depends_on, weight))
    }

    /// RST_STREAM.
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// SETTINGS.
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| name.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            .collect();
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// The acknowledgement of SETTINGS.
    pub fn settings_ack() -> Self {
        Self::new(kind::SETTINGS, flag::ACK, 0, [])
    }

    /// PUSH_PROMISE of the stream `promised`.
    pub fn push_promise(stream: u32, promised: u32, block: Block) -> Self {
        let payload = [promised.to_be_bytes().to_vec(), block.into()].concat();
        Self::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, payload)
    }

    /// PING.
    pub fn ping(bytes: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, bytes)
    }

    /// GOAWAY.
    pub fn goaway(last_stream: u32, code: u32, debug: &str) -> Self {
        let payload = [&last_stream.to_be_bytes(), &code.to_be_bytes(), debug.as_bytes()].concat();
        Self::new(kind::GOAWAY, 0, 0, payload)
    }

    /// WINDOW_UPDATE.
    pub fn window_update(stream: u32, by: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes())
    }

    /// The frame with END_STREAM.
    pub fn end(self) -> Self {
        self.with(flag::END_STREAM)
    }

    /// The frame without END_HEADERS: more of the block must follow.
    pub fn more(mut self) -> Self {
        self.flags &= !flag::END_HEADERS;
        self
    }

    /// The frame with more flags, which changes nothing else.
    pub fn with(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// DATA or HEADERS with padding of this length; comes after [`Self::depends`].
    pub fn padded(mut self, pad: u8) -> Self {
        self.payload.insert(0, pad);
        self.payload.resize(self.payload.len() + usize::from(pad), 0);
        self.with(flag::PADDED)
    }

    /// HEADERS with a priority.
    pub fn depends(mut self, depends_on: u32, weight: u8) -> Self {
        self.payload.splice(..0, priority(depends_on, weight));
        self.with(flag::PRIORITY)
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a frame's length");
        let mut out = length.to_be_bytes()[1..].to_vec();
        out.extend([self.kind, self.flags]);
        out.extend(self.stream.to_be_bytes());
        out.extend(&self.payload);
        out
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frame { kind, flags, stream, payload } = self;
        write!(f, "frame {kind} flags {flags:#x} stream {stream} of {} bytes", payload.len())
    }
}

fn priority(depends_on: u32, weight: u8) -> Vec<u8> {
    [&depends_on.to_be_bytes()[..], &[weight]].concat()
}
