//! The one place where a config becomes what runs: file → [`Snapshot`] and listeners.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Instant;

use tollgate_config as written;
use tollgate_config::{Config, Loaded, PluginUse};
use tollgate_core::document::{Located, Node, Problem, Raw, Span, without_substituted};
use tollgate_core::metrics::Metrics;
use tollgate_core::plugin::Link;
use tollgate_core::{Chain, RouteInfo};
use tollgate_plugins::{Entry, Lookup, PLUGINS};
use tollgate_proxy::route::{PathPattern, RouteSpec, Router, ValueMatch};
use tollgate_proxy::service::balance::{self, Balancer, TargetLoad};
use tollgate_proxy::service::{HashOn, Keepalive, Service, Target, TargetAddress, TargetTls, Timeouts};
use tollgate_proxy::snapshot::{Address, Limits, Listener, PathPart, Route, Snapshot};
use tollgate_tls::ClientTls;

mod layer4;
mod tls;

/// What goes on from one config to the next.
#[derive(Default)]
pub(crate) struct Before {
    /// The targets in use, by service and label: they keep their connections and counts.
    pub(crate) targets: HashMap<(String, Arc<str>), Arc<Target>>,
    /// The listeners in use.
    pub(crate) listeners: Vec<Arc<Listener>>,
}

/// A config, ready to run.
pub(crate) struct Compiled {
    pub(crate) snapshot: Snapshot,
    pub(crate) listeners: Vec<Arc<Listener>>,
}

/// Reads a config file and compiles it; all problems of both are in the result.
pub(crate) fn load(path: &std::path::Path, metrics: &Metrics, before: &Before) -> (Loaded, Option<Compiled>) {
    finish(written::load(path), metrics, before)
}

/// [`load`] for a config that was read already.
pub(crate) fn finish(mut loaded: Loaded, metrics: &Metrics, before: &Before) -> (Loaded, Option<Compiled>) {
    let Some(config) = &loaded.config else {
        // It cannot run, but all that is wrong with its plugins is told as well.
        let mut problems = loaded.partial.as_ref().map(plugin_problems).unwrap_or_default();
        // A use of a plugin that could not even be read was complained about.
        let said = |problem: &Problem| loaded.problems.iter().any(|other| problem.is_within(&other.path));
        problems.retain(|problem| !said(problem));
        add_problems(&mut loaded, problems);
        return (loaded, None);
    };
    match compile(config, &loaded.tree, metrics, before) {
        Ok((compiled, warnings)) => {
            add_problems(&mut loaded, warnings);
            (loaded, Some(compiled))
        }
        Err(problems) => {
            add_problems(&mut loaded, problems);
            (loaded, None)
        }
    }
}

/// Adds problems, in whose texts no value from outside is shown.
fn add_problems(loaded: &mut Loaded, mut problems: Vec<Problem>) {
    for problem in &mut problems {
        problem.message = without_substituted(&loaded.tree, std::mem::take(&mut problem.message));
        problem.help = problem.help.take().map(|help| without_substituted(&loaded.tree, help));
    }
    loaded.add_problems(problems);
}

/// Compiles a config that stands in `tree`; gives warnings as well.
///
/// # Errors
/// All problems that only the plugins, the router and the files of TLS can show.
fn compile(
    config: &Config,
    tree: &Node,
    metrics: &Metrics,
    before: &Before,
) -> Result<(Compiled, Vec<Problem>), Vec<Problem>> {
    let mut problems = Vec::new();
    let listeners = listeners(config, tree, before, &mut problems);
    let services = services(config, tree, metrics, before, &mut problems);
    let mut plugins = Plugins::new(config, &mut problems);
    let (mut specs, mut tls_specs) = (Vec::with_capacity(config.routes.len()), Vec::new());
    let mut routes = Vec::with_capacity(config.routes.len());
    let service_index: HashMap<&str, usize> =
        services.iter().enumerate().map(|(index, service)| (service.name.as_str(), index)).collect();
    for route in &config.routes {
        let service = route.service.as_ref().and_then(|name| service_index.get(&**name).copied());
        let chain = plugins.chain(route, service, &mut problems);
        let of_its_kind = if layer4::is_for_connections(route, &listeners) { &mut tls_specs } else { &mut specs };
        of_its_kind.push(spec(route, routes.len(), &chain, &listeners));
        routes.push(Route {
            info: RouteInfo { name: route.name.to_string(), service: route.service.as_ref().map(ToString::to_string) },
            uses_captures: route.rewrite_path.is_some() || chain.uses_captures(),
            chain,
            service,
            strip_path: route.strip_path,
            rewrite_path: route.rewrite_path.as_ref().map(rewrite),
            preserve_host: route.preserve_host,
            series: metrics.route(&route.name),
        });
    }
    let listener_services = layer4::listener_services(config, &listeners, &service_index);
    let router = router(config, specs, &mut problems);
    let tls_router = self::router(config, tls_specs, &mut problems);
    let (Some(router), Some(tls_router), false) = (router, tls_router, problems.iter().any(Problem::is_error)) else {
        return Err(problems);
    };
    let unrouted = Route {
        info: RouteInfo::default(),
        chain: plugins.global_chain(),
        uses_captures: false,
        service: None,
        strip_path: false,
        rewrite_path: None,
        preserve_host: true,
        series: metrics.route(""),
    };
    let snapshot = Snapshot { router, tls_router, listener_services, routes, unrouted, services, access_log: None };
    Ok((Compiled { snapshot, listeners }, problems))
}

fn router(config: &Config, specs: Vec<RouteSpec<usize>>, problems: &mut Vec<Problem>) -> Option<Router<usize>> {
    let routes: Vec<usize> = specs.iter().map(|spec| spec.value).collect();
    let route = |index: usize| config.routes.get(*routes.get(index)?);
    match Router::build(specs) {
        Ok(router) => Some(router),
        Err(errors) => {
            problems.extend(errors.into_iter().filter_map(|error| Some(route(error.route)?.problem(error.message))));
            None
        }
    }
}

/// What is wrong with the plugins of all scopes.
fn plugin_problems(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    scopes(config).for_each(|plugins| drop(scope(plugins, &mut problems)));
    problems
}

/// The plugins of each scope.
pub(crate) fn scopes(config: &Config) -> impl Iterator<Item = &Vec<PluginUse>> {
    let services = config.services.iter().map(|service| &service.plugins);
    services.chain(config.routes.iter().map(|route| &route.plugins)).chain([&config.plugins])
}

/// Compiles the plugins of each scope once.
struct Plugins {
    global: Vec<Placed>,
    services: Vec<Vec<Placed>>,
    /// Chains of routes without plugins of their own, by their service.
    shared: HashMap<Option<usize>, Chain>,
}

/// A compiled plugin and its place in the order of a chain.
type Placed = (usize, Link);

impl Plugins {
    fn new(config: &Config, problems: &mut Vec<Problem>) -> Self {
        let mut global = scope(&config.plugins, problems);
        for (order, entry) in
            PLUGINS.iter().enumerate().filter(|(_, entry)| tollgate_plugins::is_on_by_default(entry.name))
        {
            if global.iter().all(|(placed, _)| *placed != order) {
                // A default config is the plugin's own; it cannot be wrong.
                global.extend(default_link(entry).map(|link| (order, link)));
            }
        }
        let services = config.services.iter().map(|service| scope(&service.plugins, problems)).collect();
        Self { global, services, shared: HashMap::new() }
    }

    /// The chain of a route: of each plugin the nearest use, in the order of all plugins.
    fn chain(&mut self, route: &Located<written::Route>, service: Option<usize>, problems: &mut Vec<Problem>) -> Chain {
        let own = scope(&route.plugins, problems);
        // Routes without plugins of their own share the chain of their service, or the global one.
        let key = service.filter(|index| self.services.get(*index).is_some_and(|links| !links.is_empty()));
        if own.is_empty()
            && let Some(chain) = self.shared.get(&key)
        {
            return chain.clone();
        }
        let of_service = service.and_then(|index| self.services.get(index)).map(Vec::as_slice).unwrap_or_default();
        let chain = merge(&[&self.global, of_service, &own]);
        if own.is_empty() {
            self.shared.insert(key, chain.clone());
        }
        chain
    }

    fn global_chain(&self) -> Chain {
        merge(&[&self.global])
    }
}

/// Later scopes win by plugin.
fn merge(scopes: &[&[Placed]]) -> Chain {
    let links: BTreeMap<usize, Link> = scopes.iter().flat_map(|scope| scope.iter().cloned()).collect();
    Chain::new(links.into_values().collect())
}

fn default_link(entry: &Entry) -> Option<Link> {
    (entry.compile)(&Raw::absent(String::new(), Span::default())).ok()
}

fn scope(uses: &[PluginUse], problems: &mut Vec<Problem>) -> Vec<Placed> {
    let mut placed: Vec<Placed> = Vec::new();
    for plugin in uses {
        match tollgate_plugins::lookup(&plugin.name) {
            Lookup::Built(entry, order) => match (entry.compile)(&plugin.config) {
                Ok(link) => placed.push((order, link)),
                Err(errors) => problems.extend(errors),
            },
            Lookup::NotBuilt(_) => problems.push(plugin.not_built()),
            Lookup::Unknown { .. } => {
                let names = PLUGINS.iter().map(|entry| entry.name);
                problems.push(plugin.unknown(names));
            }
        }
    }
    placed
}

fn listeners(config: &Config, tree: &Node, before: &Before, problems: &mut Vec<Problem>) -> Vec<Arc<Listener>> {
    // An id is never given twice: connections of a listener that went may still run.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let mut compiled = Vec::new();
    for listener in &config.listeners {
        let address = match &listener.address {
            written::ListenAddress::Tcp(address) => Address::Tcp(*address),
            written::ListenAddress::Unix(path) => Address::Unix(path.clone()),
        };
        // A listener is its address: a socket goes on under another name.
        let old = before.listeners.iter().find(|old| old.address == address);
        let old_tls = old.and_then(|old| old.tls.as_deref());
        let place = listener.path_to("tls");
        if listener.tls.as_ref().is_some_and(|tls| tls.acme.is_some()) {
            problems.push(written::not_built(tree, &format!("{place}.acme"), "acme"));
        }
        let tls = listener.tls.as_ref().and_then(|tls| tls::server(tls, old_tls, (tree, &place), problems));
        let id = old.map_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed), |old| old.id);
        compiled.push(Arc::new(Listener {
            id,
            name: Arc::from(&*listener.name),
            address,
            protocol: layer4::protocol(listener.protocol),
            tls,
            proxy_protocol: listener.proxy_protocol,
            trusted_proxies: listener.trusted_proxies.iter().map(|network| network.get()).collect(),
            limits: limits(&listener.limits),
            open: old.map(|old| old.open.clone()).unwrap_or_default(),
        }));
    }
    compiled
}

fn limits(limits: &written::Limits) -> Limits {
    Limits {
        max_connections: limits.max_connections as usize,
        header_timeout: limits.header_timeout.get(),
        idle_timeout: limits.idle_timeout.get(),
        body_timeout: limits.body_timeout.get(),
        max_header_bytes: limits.max_header_bytes.as_usize(),
        max_headers: limits.max_headers as usize,
        max_uri_bytes: limits.max_uri_bytes.as_usize(),
        max_body_bytes: limits.max_body_bytes.get(),
        max_streams: limits.max_streams,
    }
}

fn services(
    config: &Config,
    tree: &Node,
    metrics: &Metrics,
    before: &Before,
    problems: &mut Vec<Problem>,
) -> Vec<Service> {
    let mut first_pool = 0;
    let mut services = Vec::with_capacity(config.services.len());
    for service in &config.services {
        let place = service.path_to("tls");
        let tls = service.speaks().is_tls().then(|| tls::client(service, (tree, &place), problems)).flatten();
        let compiled = self::service(service, tls.as_ref(), first_pool, metrics, before);
        first_pool += compiled.targets.len();
        services.push(compiled);
    }
    services
}

fn service(
    service: &written::Service,
    tls: Option<&Arc<ClientTls>>,
    first_pool: usize,
    metrics: &Metrics,
    before: &Before,
) -> Service {
    let (places, base_path) = match (&service.url, &service.targets) {
        (Some(url), _) => (vec![(&url.address, 100)], url.base_path.clone()),
        (None, targets) => {
            let targets = targets.iter().flatten().map(|target| (&target.address, u32::from(target.weight))).collect();
            (targets, String::new())
        }
    };
    let targets: Vec<Arc<Target>> =
        places.iter().map(|(address, _)| target(service, tls, address, metrics, before)).collect();
    let weighted: Vec<balance::Target<'_>> = targets
        .iter()
        .zip(&places)
        .map(|(target, (_, weight))| balance::Target { address: &target.label, weight: *weight })
        .collect();
    let algorithm = algorithm(service.load_balancing.algorithm);
    let timeouts = &service.timeouts;
    Service {
        name: service.name.to_string(),
        balancer: Balancer::new(algorithm, &weighted),
        tracks_load: targets.len() > 1
            && !matches!(algorithm, balance::Algorithm::RoundRobin | balance::Algorithm::ConsistentHash),
        targets,
        hash_on: service.load_balancing.hash_on.as_ref().map(hash_on),
        base_path,
        timeouts: Timeouts {
            connect: timeouts.connect.get(),
            first_byte: timeouts.first_byte.get(),
            idle: timeouts.idle.get(),
            total: timeouts.total.get(),
            tunnel: timeouts.tunnel.get(),
        },
        keepalive: Keepalive {
            // A connection that says whom it is for is not for the next one.
            max_idle: if service.send_proxy.is_some() { 0 } else { service.keepalive.max_idle as usize },
            idle_timeout: service.keepalive.idle_timeout.get(),
        },
        retries: service.retries.attempts,
        http2: service.speaks().is_http2(),
        first_pool,
    }
}

fn target(
    service: &written::Service,
    tls: Option<&Arc<ClientTls>>,
    address: &written::TargetAddress,
    metrics: &Metrics,
    before: &Before,
) -> Arc<Target> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let label: Arc<str> = address.to_string().into();
    let send_proxy = service.send_proxy.map(layer4::send_proxy);
    // Connections that were made in another way are none of its own.
    let known = before.targets.get(&(service.name.to_string(), label.clone()));
    let same = |target: &&Arc<Target>| {
        let known = target.tls.as_ref().map(|known| &*known.tls);
        target.send_proxy == send_proxy && tls::is_same(known, tls.map(|tls| &**tls))
    };
    if let Some(target) = known.filter(same) {
        return target.clone();
    }
    let bare = address.host.trim_start_matches('[').trim_end_matches(']');
    Arc::new(Target {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        address: match bare.parse::<std::net::IpAddr>() {
            Ok(ip) => TargetAddress::Ip(std::net::SocketAddr::new(ip, address.port)),
            Err(_) => TargetAddress::Name(address.host.clone(), address.port),
        },
        tls: tls.and_then(|tls| Some(TargetTls { name: tls.server_name(bare)?, tls: tls.clone() })),
        authority: label.strip_suffix(if tls.is_some() { ":443" } else { ":80" }).unwrap_or(&label).to_owned(),
        send_proxy,
        series: metrics.target(&service.name, &label),
        label,
        load: TargetLoad::new(Instant::now()),
    })
}

const fn algorithm(algorithm: written::Algorithm) -> balance::Algorithm {
    match algorithm {
        written::Algorithm::RoundRobin => balance::Algorithm::RoundRobin,
        written::Algorithm::LeastRequests => balance::Algorithm::LeastRequests,
        written::Algorithm::RandomTwoChoices => balance::Algorithm::RandomTwoChoices,
        written::Algorithm::PeakEwma => balance::Algorithm::PeakEwma,
        written::Algorithm::ConsistentHash => balance::Algorithm::ConsistentHash,
    }
}

fn hash_on(on: &written::HashOn) -> HashOn {
    match on {
        // Consumers come with authentication; a client without one is told apart by its address.
        written::HashOn::Ip | written::HashOn::Consumer => HashOn::Ip,
        written::HashOn::Path => HashOn::Path,
        written::HashOn::Header(name) => HashOn::Header(name.to_string()),
        written::HashOn::Cookie(name) => HashOn::Cookie(name.clone()),
        written::HashOn::Query(name) => HashOn::Query(name.clone()),
    }
}

fn spec(route: &written::Route, value: usize, chain: &Chain, listeners: &[Arc<Listener>]) -> RouteSpec<usize> {
    let ids = |names: &[written::Name]| {
        let named = |listener: &&Arc<Listener>| names.iter().any(|name| **name == *listener.name);
        listeners.iter().filter(named).map(|listener| listener.id).collect()
    };
    RouteSpec {
        hosts: route.hosts.iter().map(ToString::to_string).collect(),
        paths: route.paths.iter().map(path).collect(),
        methods: route.methods.iter().map(ToString::to_string).collect(),
        headers: route
            .headers
            .iter()
            .map(|(name, values)| (name.to_string(), values.iter().map(value_match).collect()))
            .collect(),
        query: route
            .query
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(value_match).collect()))
            .collect(),
        listeners: (!route.listeners.is_empty()).then(|| ids(&route.listeners)),
        priority: i64::from(route.priority),
        answers_preflight: chain.answers_preflight(),
        value,
    }
}

fn path(pattern: &written::PathPattern) -> PathPattern {
    match pattern {
        written::PathPattern::Exact(path) => PathPattern::Exact(path.clone()),
        written::PathPattern::Template(path) => PathPattern::Template(path.clone()),
        written::PathPattern::Prefix(path) => PathPattern::Prefix(path.clone()),
        written::PathPattern::Regex(regex) => PathPattern::Regex(regex.clone()),
    }
}

fn value_match(pattern: &written::ValuePattern) -> ValueMatch {
    match pattern {
        written::ValuePattern::Exact(value) => ValueMatch::Exact(value.clone()),
        written::ValuePattern::Regex(regex) => ValueMatch::Regex(regex.clone()),
    }
}

fn rewrite(path: &written::RewritePath) -> Vec<PathPart> {
    path.parts()
        .iter()
        .map(|part| match part {
            written::RewritePart::Literal(text) => PathPart::Literal(text.clone()),
            written::RewritePart::Capture(name) => PathPart::Capture(name.clone()),
            written::RewritePart::Group(group) => PathPart::Capture(group.to_string()),
        })
        .collect()
}
