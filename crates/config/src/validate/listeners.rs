//! Listeners: names, addresses, limits.

use super::{Check, Related};
use crate::address::ListenAddress;
use crate::config::Config;
use crate::listener::Limits;
use std::collections::HashMap;
use tollgate_core::document::{Size, Span};

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    if config.listeners.is_empty() && check.is_sound("listeners") {
        let help = "add `listeners: [{ name: web, address: 0.0.0.0:8080 }]`";
        check.error("listeners", "there is no listener, so no request could ever come in").helped(help);
    }
    check.no_name_twice("listeners", "listener");
    let mut addresses: HashMap<&ListenAddress, Span> = HashMap::new();
    let admin = config.admin.as_ref().map(|admin| (&admin.address, admin.path_to("address")));
    let listeners = config.listeners.iter().map(|listener| (&listener.address, listener.path_to("address")));
    for (address, path) in listeners.chain(admin) {
        let any_port = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
        if any_port || !check.is_sound(&path) {
            continue;
        }
        let span = check.tree.span_at(&path);
        match addresses.get(address).copied() {
            Some(first) => {
                let message = format!("another listener has the address `{}` already", check.shown(&path));
                check.error(&path, message).related_to(first, "first here");
            }
            None => {
                addresses.insert(address, span);
            }
        }
    }
    for listener in &config.listeners {
        let path = listener.path_to("limits");
        if check.is_sound(&path) {
            limits(check, &path, &listener.limits);
        }
    }
}

fn limits(check: &mut Check<'_>, path: &str, limits: &Limits) {
    const LARGEST_HEAD: Size = Size::from_mib(1);
    let sizes = [
        ("max_connections", u64::from(limits.max_connections), u64::MAX),
        ("max_headers", u64::from(limits.max_headers), 10_000),
        ("max_streams", u64::from(limits.max_streams), u64::MAX),
        ("max_header_bytes", limits.max_header_bytes.get(), LARGEST_HEAD.get()),
        ("max_uri_bytes", limits.max_uri_bytes.get(), LARGEST_HEAD.get()),
        ("max_body_bytes", limits.max_body_bytes.get(), u64::MAX),
    ];
    for (key, value, most) in sizes {
        let path = format!("{path}.{key}");
        if value == 0 {
            check.error(&path, "expected more than 0: with this no request could be taken");
        } else if value > most {
            let most = if key.ends_with("_bytes") { LARGEST_HEAD.to_string() } else { most.to_string() };
            check.error(&path, format!("expected at most {most}")).helped("each connection may take that much memory");
        }
    }
}
