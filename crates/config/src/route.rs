//! `routes:`

use crate::host::HostPattern;
use crate::matcher::ValuePattern;
use crate::name::{HeaderName, Method, Name};
use crate::path::PathPattern;
use crate::plugin::PluginUse;
use crate::rewrite::RewritePath;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Which requests go where, and through which plugins.
///
/// The most specific route wins, whatever the order in the file: exact path, then template, longest prefix, regex;
/// then exact host, longest wildcard, none; then more methods, headers and query parameters.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name, in logs and metrics.
    pub name: Name,
    /// The hosts it is for. Default: any.
    #[serde(default)]
    pub hosts: Vec<HostPattern>,
    /// The paths it is for. Default: any.
    #[serde(default)]
    pub paths: Vec<PathPattern>,
    /// The methods it is for. Default: any.
    #[serde(default)]
    pub methods: Vec<Method>,
    /// Headers that a request must have, each with one of these values.
    #[serde(default)]
    pub headers: BTreeMap<HeaderName, Vec<ValuePattern>>,
    /// Query parameters that a request must have, each with one of these values.
    #[serde(default)]
    pub query: BTreeMap<String, Vec<ValuePattern>>,
    /// The listeners it is reached by. Default: all.
    #[serde(default)]
    pub listeners: Vec<Name>,
    /// The service that requests are sent to. A route whose plugins answer themselves needs none.
    #[serde(default)]
    pub service: Option<Name>,
    /// Whether the prefix that matched is removed from the path. Default: false.
    #[serde(default)]
    pub strip_path: bool,
    /// The path to send instead, with `{name}` for captures and `$1` for groups of a regex.
    #[serde(default)]
    pub rewrite_path: Option<RewritePath>,
    /// Whether the service sees the client's `Host`; otherwise it sees the target's own. Default: true.
    #[serde(default = "yes")]
    pub preserve_host: bool,
    /// Goes before what is more specific; higher wins. Default: 0.
    #[serde(default)]
    pub priority: i32,
    /// Plugins for this route. They win over those of the same name of its service and of the whole gateway.
    #[serde(default)]
    pub plugins: Vec<PluginUse>,
}

fn yes() -> bool {
    true
}
