//! Black-box tests: a configuration in, sockets out, through the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod configs;
mod corpus;
mod demo;
mod limits;
mod reload;
mod streaming;
mod upgrade;
