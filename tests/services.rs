//! Services: which target gets a request, over which connection, and what comes back when none can.

mod addresses;
mod balance;
mod failures;
mod hashing;
mod pool;
mod rewriting;
mod timeouts;

use tollgate_testkit::{Gateway, Origin};

/// A gateway with one worker whose only service has this inside, a flow mapping's.
fn with_service(inside: &str, origins: &[&Origin]) -> Gateway {
    Gateway::start(&service_yaml(inside), origins)
}

fn service_yaml(inside: &str) -> String {
    format!(
        "workers: 1
listeners: [{{ name: web, address: \"{{listen}}\", trusted_proxies: [127.0.0.1] }}]
services: [{{ name: pool, {inside} }}]
routes: [{{ name: everything, service: pool }}]
admin: {{ address: \"{{admin}}\" }}
"
    )
}

/// `targets:` for so many origins of the same weight.
fn targets(count: usize) -> String {
    let names: Vec<String> =
        (1..=count)
            .map(|n| {
                if n == 1 {
                    "{ address: \"{origin}\" }".to_owned()
                } else {
                    format!("{{ address: \"{{origin{n}}}\" }}")
                }
            })
            .collect();
    format!("targets: [{}]", names.join(", "))
}
