//! Every plugin that is built, through the gateway on real sockets; and how scopes and chains put them together.

mod chain;
mod cors;
mod edge;
mod geo;
mod shape;

use tollgate_testkit::{Gateway, Origin};

/// A gateway with one worker whose only route has these plugins, a flow sequence's inside.
fn with_plugins(plugins: &str, origin: &Origin) -> Gateway {
    Gateway::start(&plugins_yaml(plugins), &[origin])
}

fn plugins_yaml(plugins: &str) -> String {
    format!(
        "workers: 1
listeners: [{{ name: web, address: \"{{listen}}\", trusted_proxies: [127.0.0.1] }}]
services: [{{ name: origin, url: \"http://{{origin}}\" }}]
routes: [{{ name: all, service: origin, plugins: [{plugins}] }}]
access_log: {{ path: stdout }}
"
    )
}
