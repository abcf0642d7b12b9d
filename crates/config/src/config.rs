//! The whole file.

use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::listener::Listener;
use crate::plugin::PluginUse;
use crate::route::Route;
use crate::service::Service;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use tollgate_core::document::Located;

/// The configuration of a Tollgate: which requests it takes, what it does to them and where it sends them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The addresses that clients connect to.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub listeners: Vec<Located<Listener>>,
    /// The back ends.
    #[serde(default)]
    pub services: Vec<Located<Service>>,
    /// Which requests go where.
    #[serde(default)]
    pub routes: Vec<Located<Route>>,
    /// Plugins for every route.
    #[serde(default)]
    pub plugins: Vec<PluginUse>,
    /// Threads that handle requests. Default: as many as the cores this process may use. `TOLLGATE_WORKERS`
    /// overrides it.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<u16>,
    /// The listener of the admin API. Default: none.
    #[serde(default)]
    pub admin: Option<Located<Admin>>,
    /// A line for each request. Default: none; metrics are always counted.
    #[serde(default)]
    pub access_log: Option<AccessLog>,
    /// Where Tollgate keeps files: the last good configuration, the cache on disk, spilled bodies. Default:
    /// `./tollgate-state`.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
}

fn default_state_dir() -> PathBuf {
    "./tollgate-state".into()
}
