//! TLS on both sides.
//!
//! [`ServerTls`] is what a listener speaks: certificates chosen by the name that a client asks for, certificates of
//! clients, reload without a connection lost. [`ClientTls`] is what a service is spoken to with. Both are made from
//! plain settings, and what is wrong with those, or with the files they name, comes back as [`Fault`]s: all of it at
//! once, each with the setting it is about.
//!
//! Files are read on the thread that asks for it, so never on a worker's.
#![warn(missing_docs)]

mod certificate;
mod client;
mod client_auth;
mod fault;
mod files;
mod server;
mod table;
mod unverified;

pub use certificate::CertificateInfo;
pub use client::{ClientSettings, ClientTls};
pub use client_auth::{ClientAuth, ClientAuthMode};
pub use fault::Fault;
pub use rustls::pki_types::ServerName;
pub use server::{CertificateFiles, ServerTls, Settings, Version};
pub use table::ACME_TLS_ALPN;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::{Arc, OnceLock};

/// The algorithms: those of aws-lc, which rustls trusts by default.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

#[cfg(test)]
mod tests;
