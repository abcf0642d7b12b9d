//! Services: names, targets, load balancing, use.

use super::{Check, Related};
use crate::config::Config;
use crate::service::{Algorithm, Service};
use std::collections::HashSet;
use tollgate_core::document::{Located, Node, Value};

const MOST_RETRIES: u32 = 10;

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    check.no_name_twice("services", "service");
    let used = used(check.tree);
    for service in &config.services {
        check.no_plugin_twice(&service.plugins);
        if !check.is_sound(&service.path) {
            continue;
        }
        targets(check, service);
        balancing(check, service);
        if service.retries.attempts > MOST_RETRIES {
            let path = format!("{}.retries.attempts", service.path);
            check.error(&path, format!("expected at most {MOST_RETRIES} further tries"));
        }
        // Routes that could not be decoded still use what they name.
        if !used.contains(&*service.name) && check.is_sound("routes") {
            let path = service.path_to("name");
            let message = format!("no route uses the service `{}`", check.shown(&path));
            check.warning(&path, message);
        }
    }
}

fn targets(check: &mut Check<'_>, service: &Located<Service>) {
    let path = service.path_to("targets");
    match (&service.url, &service.targets) {
        (None, None) => {
            let shown = check.shown(&service.path_to("name"));
            let message = format!("the service `{shown}` has neither `url` nor `targets`");
            check.error(&service.path, message).helped("add `url: http://HOST:PORT`");
        }
        (Some(_), Some(_)) => {
            let url = check.tree.span_at(&service.path_to("url"));
            let message = "a service has either `url` or `targets`, not both";
            check.error(&path, message).related_to(url, "`url` stands here");
        }
        (None, Some(targets)) if targets.is_empty() => {
            check.error(&path, "expected at least one target, found none");
        }
        (None, Some(targets)) if targets.iter().all(|target| target.weight == 0) => {
            check.error(&path, "every target has the weight 0, so none could be picked");
        }
        _ => {}
    }
}

fn balancing(check: &mut Check<'_>, service: &Located<Service>) {
    let balancing = &service.load_balancing;
    let hashes = balancing.algorithm == Algorithm::ConsistentHash;
    if hashes && balancing.hash_on.is_none() {
        let path = format!("{}.load_balancing.algorithm", service.path);
        let help = "add `hash_on: ip`, or `consumer`, `path`, `header:NAME`, `cookie:NAME`, `query:NAME`";
        check.error(&path, "`consistent-hash` needs `hash_on` to say what is hashed").helped(help);
    }
    if !hashes && balancing.hash_on.is_some() {
        let path = format!("{}.load_balancing.hash_on", service.path);
        check.warning(&path, "`hash_on` does nothing without `algorithm: consistent-hash`");
    }
}

/// The names under every key `service` or `services` outside of the list of services: in routes, and in the settings
/// of plugins that call one.
fn used(tree: &Node) -> HashSet<&str> {
    let mut used = HashSet::new();
    for (key, node) in tree.as_map().unwrap_or_default() {
        if key.name != "services" {
            collect(node, &mut used);
            continue;
        }
        for service in node.as_seq().unwrap_or_default() {
            service.get("plugins").into_iter().for_each(|plugins| collect(plugins, &mut used));
        }
    }
    used
}

fn collect<'n>(node: &'n Node, used: &mut HashSet<&'n str>) {
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| collect(item, used)),
        Value::Map(entries) => {
            for (key, value) in entries {
                if matches!(key.name.as_str(), "service" | "services") {
                    used.extend(value.as_str());
                    used.extend(value.as_seq().unwrap_or_default().iter().filter_map(Node::as_str));
                }
                collect(value, used);
            }
        }
        _ => {}
    }
}
