//! Listeners: their sockets, whom they believe, and how they end.

mod drain;
mod forwarded;
mod sockets;
