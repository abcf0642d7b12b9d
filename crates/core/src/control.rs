//! What the control plane may ask of the gateway: a small trait, so that the admin API never sees the data plane.

use std::sync::Arc;

use crate::metrics::Metrics;

/// Whether traffic should come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// A config is being served.
    Ready,
    /// The gateway is finishing what runs and takes nothing new.
    Draining,
}

/// How the config came to be what it is.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ReloadState {
    /// How many configs were applied, the first one included.
    pub applied: u64,
    /// How many were rejected.
    pub rejected: u64,
    /// When the running config was applied, in seconds since 1970.
    pub applied_at: u64,
    /// Why the last one was rejected, if it was; gone once one is applied.
    pub last_error: Option<String>,
}

/// The running gateway, as the control plane sees it.
pub trait Control: Send + Sync + 'static {
    /// Whether traffic should come here.
    fn readiness(&self) -> Readiness;
    /// All counts.
    fn metrics(&self) -> Arc<Metrics>;
    /// The running config with secrets masked.
    fn config(&self) -> serde_json::Value;
    /// How it came to be.
    fn reloads(&self) -> ReloadState;
    /// The version of the program.
    fn version(&self) -> &'static str;
}
