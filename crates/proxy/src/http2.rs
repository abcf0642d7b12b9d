//! HTTP/2 (RFC 9113) with clients, over the `h2` crate, which knows frames, streams, windows and HPACK.
//!
//! What is here makes of it what the rest of the data plane knows: [`guard`] counts what comes before `h2` sees it,
//! [`connection`] is a connection from its preface to its end, [`request`] makes a request of a head, [`body`] a body of
//! a stream's data, which [`incoming`] reads from services, too, [`caller`] is a stream as an exchange sees its client, [`answer`] sends the answer back.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod connection;
pub(crate) mod fields;
pub(crate) mod guard;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod request;
