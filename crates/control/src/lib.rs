//! Everything off the data path: admin API, metrics exposition, watching files, writing the access log.
//!
//! Nothing here runs on a worker. The admin API sees the gateway through [`tollgate_core::control::Control`] alone; the
//! access log takes lines through a bounded queue; the watcher calls back and knows nothing of what it watches.

pub mod access_log;
pub mod admin;
pub mod metrics;
pub mod watch;

#[cfg(test)]
mod testing;
