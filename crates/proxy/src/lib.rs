//! The data plane: from an accepted connection to a recorded answer.
//!
//! The modules below stand in the order in which a request meets them. A [`worker`] owns all that happens on its
//! thread; [`snapshot`] is the compiled config it works from.
#![warn(missing_docs)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod accept;
pub(crate) mod handshake;
pub mod proxy_protocol;
pub(crate) mod layer4;
pub(crate) mod http1;
pub(crate) mod http2;
#[allow(clippy::indexing_slicing, reason = "tables of 256, indexed by bytes")]
pub mod normalize;
pub(crate) mod caller;
pub(crate) mod last_host;
pub(crate) mod forward;
pub mod route;
pub(crate) mod run;
pub mod service;
pub(crate) mod record;
pub mod log;

pub mod snapshot;
pub mod worker;

pub(crate) mod buffer;
pub(crate) mod simd;
pub(crate) mod stream;
pub(crate) mod timer;

#[doc(hidden)]
pub mod fuzzing;
