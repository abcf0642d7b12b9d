//! HTTP/1.1 and 1.0 (RFC 9112), strict and our own.
//!
//! [`head`] reads lines and fields, [`request`] and [`answer`] make heads of them, [`framing`] finds where a body ends, [`write`] turns heads and
//! bodies back into bytes, always from the parsed form. [`connection`] is a client's connection from its first byte to
//! its last; [`client`] is what the rest of the data plane sees of it.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod relay;
pub(crate) mod request;
pub(crate) mod write;
