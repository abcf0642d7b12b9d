//! What passes connections on: protocols of listeners, their services, PROXY headers.

use std::collections::HashMap;
use std::sync::Arc;

use tollgate_config as written;
use tollgate_config::Config;
use tollgate_proxy::proxy_protocol::Version;
use tollgate_proxy::snapshot::{Listener, Protocol};

pub(super) const fn protocol(protocol: written::Protocol) -> Protocol {
    match protocol {
        written::Protocol::Http => Protocol::Http,
        written::Protocol::Tcp => Protocol::Tcp,
        written::Protocol::TlsPassthrough => Protocol::TlsPassthrough,
    }
}

pub(super) const fn send_proxy(version: written::SendProxy) -> Version {
    match version {
        written::SendProxy::V1 => Version::V1,
        written::SendProxy::V2 => Version::V2,
    }
}

/// True if the route is for connections that are passed on, which is so for all of its listeners or for none.
pub(super) fn is_for_connections(route: &written::Route, listeners: &[Arc<Listener>]) -> bool {
    let passes_on = |listener: &Arc<Listener>| listener.protocol == Protocol::TlsPassthrough;
    listeners.iter().any(|listener| passes_on(listener) && route.listeners.iter().any(|name| **name == *listener.name))
}

/// The services of listeners by the listeners' ids.
pub(super) fn listener_services(
    config: &Config,
    listeners: &[Arc<Listener>],
    services: &HashMap<&str, usize>,
) -> HashMap<u16, usize> {
    let named = config.listeners.iter().zip(listeners);
    named.filter_map(|(written, listener)| Some((listener.id, *services.get(&**written.service.as_ref()?)?))).collect()
}
