//! The router against a reference that knows no data structure: every candidate in order, the first that matches.

use std::cmp::Reverse;

use proptest::prelude::*;

use super::*;

const HOSTS: [&str; 5] = ["a.x.y", "x.y", "*.y", "*.x.y", "b.x.y"];
const NAMES: [&str; 5] = ["a.x.y", "b.x.y", "x.y", "y", "c.a.x.y"];
const METHODS: [&str; 3] = ["GET", "PUT", "BREW"];
const REGEXES: [&str; 5] = ["^/a", "b$", "^/[ab]/b$", "a", "^/(a|v1)/.*$"];

fn spec() -> impl Strategy<Value = RouteSpec<String>> {
    let segment = || prop::sample::select(vec!["a", "b", "v1", "c.json", "{p}", "v{p}", "{p}.json"]);
    let path = prop_oneof![
        (prop::sample::select(vec!["", "="]), prop::collection::vec(segment(), 0..4), any::<bool>()).prop_map(
            |(kind, segments, slash)| {
                let mut names = 0;
                let numbered = segments.iter().map(|segment| {
                    names += 1;
                    segment.replace("{p}", &format!("{{p{names}}}"))
                });
                let path = format!(
                    "/{}{}",
                    numbered.collect::<Vec<_>>().join("/"),
                    if slash && !segments.is_empty() { "/" } else { "" }
                );
                if path.contains('{') { path } else { format!("{kind}{path}") }
            }
        ),
        prop::sample::select(REGEXES.to_vec()).prop_map(|regex| format!("~{regex}")),
    ];
    let field = || prop::collection::vec(prop::sample::select(vec!["1", "2"]), 0..2);
    (
        prop::collection::vec(prop::sample::select(HOSTS.to_vec()), 0..3),
        prop::collection::vec(path, 0..3),
        prop::collection::vec(prop::sample::select(METHODS.to_vec()), 0..3),
        prop::option::weighted(0.3, field()),
        prop::option::weighted(0.3, field()),
        prop::option::weighted(0.2, 0u16..2),
        prop_oneof![4 => Just(0i64), 1 => -1i64..2],
        any::<bool>(),
    )
        .prop_map(|(hosts, paths, methods, header, query, listener, priority, answers_preflight)| {
            let values = |texts: Vec<&str>| texts.into_iter().map(|text| ValueMatch::Exact(text.to_owned())).collect();
            RouteSpec {
                hosts: strings(&hosts),
                methods: strings(&methods),
                headers: header.map(|texts| ("h".to_owned(), values(texts))).into_iter().collect(),
                query: query.map(|texts| ("q".to_owned(), values(texts))).into_iter().collect(),
                listeners: listener.map(|listener| vec![listener]),
                priority,
                answers_preflight,
                ..route(&paths.iter().map(String::as_str).collect::<Vec<_>>())
            }
        })
}

/// A set of routes with distinct names.
fn specs() -> impl Strategy<Value = Vec<RouteSpec<String>>> {
    prop::collection::vec(spec(), 0..10).prop_map(|mut specs| {
        for (nth, spec) in specs.iter_mut().enumerate() {
            spec.value = nth.to_string();
        }
        specs
    })
}

/// For regexes the order in the file matters.
fn without_regexes() -> impl Strategy<Value = Vec<RouteSpec<String>>> {
    specs().prop_map(|mut specs| {
        specs.iter_mut().for_each(|spec| spec.paths.retain(|path| !matches!(path, PathPattern::Regex(_))));
        specs
    })
}

#[derive(Debug, Clone)]
struct Request {
    host: Option<&'static str>,
    path: String,
    method: &'static str,
    listener: u16,
    header: Option<&'static str>,
    query: &'static str,
    preflight: Option<&'static str>,
}

fn request() -> impl Strategy<Value = Request> {
    let segments =
        prop::collection::vec(prop::sample::select(vec!["a", "b", "v1", "v", "c.json", "vc.json", "z"]), 0..5);
    (
        prop::option::of(prop::sample::select(NAMES.to_vec())),
        (segments, any::<bool>()),
        prop::sample::select(vec!["GET", "PUT", "BREW", "OPTIONS", "HEAD"]),
        0u16..2,
        prop::option::of(prop::sample::select(vec!["1", "2", "3"])),
        prop::sample::select(vec!["", "q=1", "q=2&x=1", "x=1&q=3", "q"]),
        prop::option::of(prop::sample::select(METHODS.to_vec())),
    )
        .prop_map(|(host, (segments, slash), method, listener, header, query, preflight)| {
            let path = format!("/{}{}", segments.join("/"), if slash && !segments.is_empty() { "/" } else { "" });
            Request { host, path, method, listener, header, query, preflight }
        })
}

fn ask<R>(request: &Request, with: impl FnOnce(&Query<'_>) -> R) -> R {
    let fields: Vec<(&str, &str)> = request.header.iter().map(|value| ("h", *value)).collect();
    with(&Query {
        host: request.host,
        path: &request.path,
        method: request.method,
        listener: request.listener,
        headers: &Fields(&fields),
        query: request.query,
        preflight_method: request.preflight,
    })
}

/// 0, 1 and 2 for literal, mixed and parameter.
fn kind(segment: &str) -> (u8, Reverse<usize>) {
    match (segment.find('{'), segment.find('}')) {
        (Some(0), Some(end)) if end + 1 == segment.len() => (2, Reverse(0)),
        (Some(start), Some(end)) => (1, Reverse(segment.len() - (end + 1 - start))),
        _ => (0, Reverse(0)),
    }
}

fn segment_matches(pattern: &str, segment: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return pattern == segment };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    segment.len() > before.len() + after.len() && segment.starts_with(before) && segment.ends_with(after)
}

type PathKey = (u8, Vec<(u8, Reverse<usize>)>, Reverse<usize>, (usize, usize));

/// The key of a pattern, if it matches.
fn path_key(pattern: &PathPattern, path: &str, place: (usize, usize)) -> Option<PathKey> {
    match pattern {
        PathPattern::Exact(text) => (text == path).then_some((0, vec![], Reverse(0), (0, 0))),
        PathPattern::Template(text) => {
            let (ours, theirs): (Vec<_>, Vec<_>) = (text.split('/').collect(), path.split('/').collect());
            let fits = ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(ours, theirs)| segment_matches(ours, theirs));
            fits.then(|| (1, ours.iter().map(|segment| kind(segment)).collect(), Reverse(ours.len()), (0, 0)))
        }
        PathPattern::Prefix(text) => {
            let text = text.strip_suffix('/').unwrap_or(text);
            let rest = path.strip_prefix(text)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((2, vec![], Reverse(text.len()), (0, 0)))
        }
        PathPattern::Regex(text) => {
            let regex = regex_automata::meta::Regex::new(text).expect("the table holds valid ones");
            regex.is_match(path).then_some((3, vec![], Reverse(0), place))
        }
    }
}

/// The key of a host pattern, if it matches.
fn host_key(pattern: &str, host: Option<&str>) -> Option<(u8, Reverse<usize>)> {
    let host = host?;
    match pattern.strip_prefix('*') {
        Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then_some((1, Reverse(suffix.len()))),
        None => (pattern == host).then_some((0, Reverse(0))),
    }
}

fn methods_match(spec: &RouteSpec<String>, request: &Request) -> bool {
    let has = |method: &str| spec.methods.is_empty() || spec.methods.iter().any(|known| known == method);
    let asked = request.preflight.filter(|_| request.method == "OPTIONS" && spec.answers_preflight);
    has(request.method) || asked.is_some_and(has)
}

fn others_match(spec: &RouteSpec<String>, request: &Request) -> bool {
    let fits = |accepted: &[ValueMatch], value: &str| {
        accepted.is_empty() || accepted.contains(&ValueMatch::Exact(value.to_owned()))
    };
    let parameter =
        request.query.split('&').find_map(|pair| pair.strip_prefix('q')).map(|rest| rest.trim_start_matches('='));
    spec.listeners.as_ref().is_none_or(|listeners| listeners.contains(&request.listener))
        && spec.headers.iter().all(|(_, accepted)| request.header.is_some_and(|value| fits(accepted, value)))
        && spec.query.iter().all(|(_, accepted)| parameter.is_some_and(|value| fits(accepted, value)))
}

/// What orders candidates, but for the order in the file.
type Key = (Reverse<i64>, PathKey, (u8, Reverse<usize>), Reverse<usize>);

/// What matches by all but the method, best first.
fn near<'a>(specs: &'a [RouteSpec<String>], request: &Request) -> Vec<(Key, usize, &'a RouteSpec<String>)> {
    let mut first_places: Vec<(&PathPattern, (usize, usize))> = Vec::new();
    let mut candidates = Vec::new();
    for (nth, spec) in specs.iter().enumerate() {
        let everywhere = [PathPattern::Prefix("/".to_owned())];
        let paths = if spec.paths.is_empty() { &everywhere[..] } else { &spec.paths };
        for (nth_path, pattern) in paths.iter().enumerate() {
            let known = first_places.iter().find(|(known, _)| *known == pattern).map(|(_, place)| *place);
            let place = known.unwrap_or((nth, nth_path));
            if let Some(written) = spec.paths.get(nth_path).filter(|_| known.is_none()) {
                first_places.push((written, place));
            }
            let Some(path) = path_key(pattern, &request.path, place) else { continue };
            let host = if spec.hosts.is_empty() {
                Some((2, Reverse(0)))
            } else {
                spec.hosts.iter().filter_map(|host| host_key(host, request.host)).min()
            };
            let Some(host) = host else { continue };
            let predicates = usize::from(!spec.methods.is_empty()) + spec.headers.len() + spec.query.len();
            candidates.push(((Reverse(spec.priority), path, host, Reverse(predicates)), nth, spec));
        }
    }
    candidates.retain(|(.., spec)| others_match(spec, request));
    candidates.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    candidates
}

/// What the router should say.
fn reference(specs: &[RouteSpec<String>], request: &Request) -> String {
    let candidates = near(specs, request);
    if let Some((.., spec)) = candidates.iter().find(|(.., spec)| methods_match(spec, request)) {
        return spec.value.clone();
    }
    let mut allow: Vec<&str> = Vec::new();
    for method in candidates.iter().flat_map(|(.., spec)| &spec.methods) {
        if !allow.contains(&method.as_str()) {
            allow.push(method);
        }
    }
    if allow.is_empty() { "404".to_owned() } else { format!("405 {}", allow.join(", ")) }
}

/// The routes that could win: those with the best key. More than one are a tie, which the order in the file decides.
fn winners(specs: &[RouteSpec<String>], request: &Request) -> Vec<String> {
    let mut candidates = near(specs, request);
    candidates.retain(|(.., spec)| methods_match(spec, request));
    let best = candidates.first().map(|(key, ..)| key.clone());
    candidates.into_iter().filter(|(key, ..)| Some(key) == best.as_ref()).map(|(.., spec)| spec.value.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_router_agrees_with_the_reference(specs in specs(), requests in prop::collection::vec(request(), 1..8)) {
        let router = router(specs.clone());
        for request in &requests {
            let found = ask(request, |query| outcome(&router, query));
            prop_assert_eq!(found, reference(&specs, request), "{:?}", request);
        }
    }

    #[test]
    fn the_order_in_the_file_means_nothing_but_for_ties(
        (specs, shuffled) in without_regexes().prop_flat_map(|specs| (Just(specs.clone()), Just(specs).prop_shuffle())),
        requests in prop::collection::vec(request(), 1..8),
    ) {
        let (one, other) = (router(specs.clone()), router(shuffled));
        for request in &requests {
            let found = ask(request, |query| [outcome(&one, query), outcome(&other, query)]);
            let winners = winners(&specs, request);
            if winners.is_empty() {
                prop_assert!(found.iter().all(|found| found.starts_with("40")), "{:?}", request);
            } else {
                prop_assert!(found.iter().all(|found| winners.contains(found)), "{:?}: {:?}", request, found);
            }
        }
    }

    #[test]
    fn strange_queries_do_not_panic(specs in specs(), path in ".{0,20}", host in ".{0,8}", query in ".{0,20}") {
        let router = router(specs);
        let headers = Fields(&[]);
        router.find(&Query { host: Some(&host), query: &query, headers: &headers, ..get(&path) });
    }
}
