//! Layer 4: listeners whose connections are passed on as they are, the routes and the services of those; and PROXY headers.

use super::{Check, Related, element};
use crate::address::ListenAddress;
use crate::config::Config;
use crate::listener::{Listener, Protocol};
use crate::route::Route;
use crate::service::{HashOn, Service};
use std::collections::HashMap;
use tollgate_core::document::Located;

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    for listener in &config.listeners {
        if check.is_sound(&listener.path) {
            proxy_protocol(check, listener);
            service_of_listener(check, config, listener);
        }
    }
    for route in &config.routes {
        if check.is_sound(&route.path) && check.is_sound("listeners") {
            route_by_listeners(check, config, route);
        }
    }
    let passed_to = passed_to(config);
    for service in &config.services {
        if let (Some(listener), true) = (passed_to.get(&*service.name), check.is_sound(&service.path)) {
            service_at_layer4(check, service, listener);
        }
    }
}

/// Whoever could send a header from anywhere could be anybody.
fn proxy_protocol(check: &mut Check<'_>, listener: &Located<Listener>) {
    if !listener.proxy_protocol {
        return;
    }
    let path = listener.path_to("proxy_protocol");
    if matches!(listener.address, ListenAddress::Unix(_)) {
        let message = "a unix socket has no peers to trust, so `proxy_protocol` would turn every connection away";
        check.error(&path, message).helped("listen on an IP address");
    } else if listener.trusted_proxies.is_empty() {
        let message = "`proxy_protocol` needs `trusted_proxies`: whoever is not among them is turned away";
        check.error(&path, message).helped("add `trusted_proxies: [10.0.0.0/8]`, the networks of the proxies in front");
    }
}

fn service_of_listener(check: &mut Check<'_>, config: &Config, listener: &Located<Listener>) {
    let path = listener.path_to("service");
    match (listener.protocol, &listener.service) {
        (Protocol::Http, Some(_)) => {
            let message = "a listener for `http` has no `service`: its routes say where requests go";
            check.error(&path, message).helped("write `protocol: tcp`, or a route with this `service`");
        }
        (Protocol::Tcp, None) => {
            let message = "a listener for `tcp` needs a `service`, to which its connections go";
            check.error(&listener.path_to("protocol"), message).helped("add `service: NAME`");
        }
        (Protocol::TlsPassthrough, None) if !has_route(config, listener) && check.is_sound("routes") => {
            let message = "no route names this listener and it has no `service`, so no connection could go anywhere";
            let help = format!("add a route with `hosts` and `listeners: [{}]`", listener.name);
            check.error(&listener.path_to("protocol"), message).helped(help);
        }
        (Protocol::Tcp | Protocol::TlsPassthrough, Some(service)) if !check.names_are_unsure("services") => {
            let services = check.names("services");
            check.refers(&path, service, "service", &services);
        }
        _ => {}
    }
}

fn has_route(config: &Config, listener: &Listener) -> bool {
    config.routes.iter().any(|route| route.listeners.contains(&listener.name))
}

/// A route that names a listener for layer 4 is for its connections alone, and can ask for their host at most.
fn route_by_listeners(check: &mut Check<'_>, config: &Config, route: &Located<Route>) {
    let protocols: Vec<(usize, Protocol)> = route
        .listeners
        .iter()
        .enumerate()
        .filter_map(|(index, name)| {
            let listener = config.listeners.iter().find(|listener| listener.name == *name)?;
            Some((index, listener.protocol))
        })
        .collect();
    let of = |wanted| protocols.iter().find(|(_, protocol)| *protocol == wanted).map(|(index, _)| *index);
    if let Some(index) = of(Protocol::Tcp) {
        let message = "a listener for `tcp` has no routes: there is nothing to tell connections apart by";
        check.error(&element(&route.path, "listeners", index), message).helped("its `service` gets all of them");
        return;
    }
    if of(Protocol::TlsPassthrough).is_none() {
        return;
    }
    if let Some(index) = of(Protocol::Http) {
        let message = "a route is for requests or for connections that are passed on, and this listener is for `http`";
        let path = element(&route.path, "listeners", index);
        check.error(&path, message).helped("make it two routes, each with its `listeners`");
        return;
    }
    hosts_only(check, route);
}

fn hosts_only(check: &mut Check<'_>, route: &Located<Route>) {
    for (key, is_used) in [
        ("paths", !route.paths.is_empty()),
        ("methods", !route.methods.is_empty()),
        ("headers", !route.headers.is_empty()),
        ("query", !route.query.is_empty()),
        ("strip_path", route.strip_path),
        ("rewrite_path", route.rewrite_path.is_some()),
        ("preserve_host", !route.preserve_host),
        ("plugins", !route.plugins.is_empty()),
    ] {
        if is_used {
            let message =
                format!("`{key}` needs HTTP, which cannot be seen in TLS that is passed on: only `hosts` can be");
            check.error(&route.path_to(key), message).helped(format!("leave out `{key}`"));
        }
    }
    // A route for requests may do with a plugin that answers; here nothing else could.
    if route.service.is_none() {
        let shown = check.shown(&route.path_to("name"));
        let message = format!("the route `{shown}` has no `service` to pass connections on to");
        check.error(&route.path, message).helped("add `service: NAME`");
    }
}

/// The services that connections are passed on to, each with a listener by which that happens.
fn passed_to(config: &Config) -> HashMap<&str, &Listener> {
    let mut passed_to = HashMap::new();
    let listeners = config.listeners.iter().map(|listener| &listener.value);
    for listener in listeners.filter(|listener| listener.protocol != Protocol::Http) {
        let routes = config.routes.iter().filter(|route| route.listeners.contains(&listener.name));
        let services = routes.filter_map(|route| route.service.as_deref());
        passed_to.extend(services.chain(listener.service.as_deref()).map(|service| (service, listener)));
    }
    passed_to
}

fn service_at_layer4(check: &mut Check<'_>, service: &Located<Service>, listener: &Listener) {
    let name = &listener.name;
    if matches!(
        service.load_balancing.hash_on,
        Some(HashOn::Path | HashOn::Header(_) | HashOn::Cookie(_) | HashOn::Query(_))
    ) {
        let path = format!("{}.load_balancing.hash_on", service.path);
        let message = format!("connections of the listener `{name}` have an address and nothing else to be hashed");
        check.error(&path, message).helped("write `hash_on: ip`, or make it two services");
    }
    if service.speaks().is_tls() {
        let key = if service.url.is_some() { "url" } else { "protocol" };
        let message = format!(
            "connections of the listener `{name}` are passed on as they are, so nothing could speak `{}` here",
            service.speaks()
        );
        check.error(&service.path_to(key), message).helped("name its `targets`, and leave out `protocol` and `tls`");
    }
    if service.url.as_ref().is_some_and(|url| !url.base_path.is_empty()) {
        let message = format!("the path of `url` does nothing for connections of the listener `{name}`");
        check.warning(&service.path_to("url"), message);
    }
    if !service.plugins.is_empty() {
        let message = format!("plugins are for requests: they do nothing for connections of the listener `{name}`");
        check.warning(&service.path_to("plugins"), message);
    }
}
