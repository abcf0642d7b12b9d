//! The configuration as written: YAML with positions, every error at once.
//!
//! [`load`] reads a file and [`parse`] a text; both give a [`Loaded`] with everything that is wrong with it, and the
//! [`Config`] if nothing is. [`render`] shows the problems with the lines they are about, and [`json_schema`]
//! describes the format to editors. What the configuration means at run time is decided elsewhere: nothing here
//! opens a socket or knows which plugins there are.
#![warn(missing_docs)]

mod access_log;
mod address;
mod admin;
mod config;
mod host;
mod listener;
mod load;
mod matcher;
mod name;
mod not_built;
mod path;
mod plugin;
mod render;
mod rewrite;
mod route;
mod schema;
mod secret;
mod service;
mod service_protocol;
mod text;
mod tls;
mod url;
mod validate;
mod yaml;

pub use access_log::{AccessLog, LogFormat, LogTarget};
pub use address::{AddressError, ListenAddress, TargetAddress};
pub use admin::Admin;
pub use config::Config;
pub use host::{HostError, HostPattern};
pub use listener::{Limits, Listener, Protocol};
pub use load::{Loaded, Source, load, parse, parse_with};
pub use matcher::{MatcherError, ValuePattern};
pub use name::{HeaderName, Method, Name, TokenError};
pub use not_built::not_built;
pub use path::{PathError, PathPattern};
pub use plugin::PluginUse;
pub use render::render;
pub use rewrite::{RewriteError, RewritePart, RewritePath};
pub use route::Route;
pub use schema::{PluginSchema, json_schema};
pub use secret::Secret;
pub use service::{Algorithm, HashOn, Keepalive, LoadBalancing, Retries, SendProxy, Service, Target, Timeouts};
pub use service_protocol::{ServiceProtocol, ServiceProtocolError};
pub use tls::{
    Acme, AcmeChallenge, CertificateFiles, ClientAuth, ClientAuthMode, DomainName, ListenerTls, ServerName, ServiceTls,
    TlsError, TlsVersion,
};
pub use url::{ServiceUrl, UrlError};
