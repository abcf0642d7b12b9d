//! R48, R95, R121: what the gateway tells about itself: the access log, metrics, statistics, probes.

mod admin;
mod counts;
mod log;
