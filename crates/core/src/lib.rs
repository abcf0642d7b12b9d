//! The words every other crate uses.
//!
//! A [`Request`] goes through a chain of [`Plugin`]s to a service and comes back as a [`Response`], or is turned away
//! with a [`Reject`]. Both carry [`Headers`] and a [`Body`]; what is known about the exchange stands in the
//! [`Context`]. Nothing here does I/O: the data plane lives in `tollgate-proxy`.
#![warn(missing_docs)]

pub mod body;
pub mod context;
pub mod control;
pub mod document;
pub mod fingerprint;
pub mod grpc;
pub mod headers;
pub mod known;
pub mod metrics;
pub mod plugin;
pub mod reject;
pub mod request;
pub mod response;

pub use body::{Body, BodyError, BodyStream};
pub use context::{Connection, Context, RouteInfo, Scheme};
pub use fingerprint::Fingerprint;
pub use headers::Headers;
pub use known::Known;
pub use plugin::{Chain, Next, Plugin, Terminal};
pub use reject::{Kind, Reject, Side};
pub use request::{Request, Upgrade};
pub use response::Response;
