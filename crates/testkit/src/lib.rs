//! Development only: a gateway from YAML text, scripted origins, raw sockets.
//!
//! Black-box tests say what goes in (a configuration, bytes) and what must come out. Everything here is blocking
//! `std` code: threads and sockets, each wait bounded. A helper that cannot do its work panics with what it knows, for
//! that is what fails a test best.
//!
//! ```no_run
//! use tollgate_testkit::{Client, Gateway, Origin};
//!
//! let origin = Origin::ok();
//! let gateway = Gateway::start(
//!     "listeners: [{ name: web, address: '{listen}' }]
//! services: [{ name: s, url: 'http://{origin}' }]
//! routes: [{ name: r, paths: [/], service: s }]",
//!     &[&origin],
//! );
//! let mut client = Client::connect(gateway.address());
//! client.send(b"GET /hello HTTP/1.1\r\nHost: a.test\r\n\r\n");
//! assert_eq!(client.response("GET").unwrap().status, 200);
//! assert_eq!(origin.requests()[0].target, "/hello");
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test kit fails a test by panicking")]

mod admin;
pub mod certificates;
mod client;
mod command;
mod fields;
mod gateway;
pub mod http2;
mod mmdb;
mod origin;
mod ports;
mod text;
mod wait;
mod wire;

pub use admin::Metrics;
pub use client::{Client, Response};
pub use command::{Finished, Workplace};
pub use fields::Fields;
pub use gateway::{Gateway, GatewayBuilder, StartError};
pub use mmdb::{Field, Mmdb};
pub use origin::{Exchange, Origin, Request};
pub use ports::{closed_port, free_port};
pub use text::{latin1, show};
pub use wait::{PATIENCE, eventually};
pub use wire::{Body, End, Stop};
