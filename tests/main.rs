//! Black-box tests: a configuration in, sockets out, through the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
mod config_errors;
mod configs;
mod corpus;
mod demo;
mod docs;
mod helpers;
mod http2;
mod http2_ends;
mod http2_services;
mod layer4;
mod limits;
mod listeners;
mod memory;
mod observe;
mod plugins;
mod reload;
mod reload_load;
mod services;
mod streaming;
mod tls;
mod upgrade;
