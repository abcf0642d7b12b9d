//! Routes that can never be told apart from one before them.

use super::{Check, Related, element};
use crate::config::Config;
use crate::host::HostPattern;
use crate::matcher::ValuePattern;
use crate::name::{HeaderName, Method, Name};
use crate::path::PathPattern;
use crate::route::Route;
use std::borrow::Cow;
use std::collections::HashMap;
use tollgate_core::document::Located;

/// All that a route asks of a request but its path, in an order that does not depend on how it was written.
#[derive(PartialEq, Eq, Hash)]
struct Predicates<'r> {
    priority: i32,
    hosts: Vec<&'r HostPattern>,
    methods: Vec<&'r Method>,
    headers: Vec<(&'r HeaderName, Vec<&'r ValuePattern>)>,
    query: Vec<(&'r String, Vec<&'r ValuePattern>)>,
    listeners: Vec<&'r Name>,
}

impl<'r> Predicates<'r> {
    fn of(route: &'r Route) -> Self {
        Self {
            priority: route.priority,
            hosts: sorted(&route.hosts),
            methods: sorted(&route.methods),
            headers: route.headers.iter().map(|(name, values)| (name, sorted(values))).collect(),
            query: route.query.iter().map(|(name, values)| (name, sorted(values))).collect(),
            listeners: sorted(&route.listeners),
        }
    }
}

fn sorted<T: Ord>(values: &[T]) -> Vec<&T> {
    let mut sorted: Vec<&T> = values.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    let mut predicates: HashMap<Predicates<'_>, usize> = HashMap::new();
    let mut seen: HashMap<(usize, Cow<'_, str>), (usize, usize)> = HashMap::new();
    for (index, route) in config.routes.iter().enumerate() {
        let unused = predicates.len();
        let id = *predicates.entry(Predicates::of(route)).or_insert(unused);
        // No path at all is any path, which is what `/` is.
        let paths: Vec<Cow<'_, str>> =
            if route.paths.is_empty() { vec!["/".into()] } else { route.paths.iter().map(comparable).collect() };
        for (at, path) in paths.into_iter().enumerate() {
            let (first, first_at) = *seen.entry((id, path)).or_insert((index, at));
            if first != index {
                report(check, (&config.routes[first], first_at), (route, at));
            }
        }
    }
}

/// How captures are named makes no difference to what matches.
fn comparable(path: &PathPattern) -> Cow<'_, str> {
    match path {
        PathPattern::Template(path) => {
            let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
            segments.collect::<Vec<_>>().join("/").into()
        }
        PathPattern::Prefix(path) => path.into(),
        PathPattern::Exact(_) | PathPattern::Regex(_) => path.to_string().into(),
    }
}

fn report(check: &mut Check<'_>, first: (&Located<Route>, usize), second: (&Located<Route>, usize)) {
    let ((first, first_at), (second, at)) = (first, second);
    if !check.is_sound(&first.path) || !check.is_sound(&second.path) {
        return;
    }
    let place = |route: &Located<Route>, at: usize| match route.paths.is_empty() {
        true => route.path_to("name"),
        false => element(&route.path, "paths", at),
    };
    let path = match second.paths.is_empty() {
        true => "any path".to_owned(),
        false => format!("`{}`", check.shown(&place(second, at))),
    };
    let names = (check.shown(&second.path_to("name")), check.shown(&first.path_to("name")));
    let message = format!(
        "the route `{}` never gets a request for {path}: the route `{}` takes just the same ones",
        names.0, names.1
    );
    let related = check.tree.span_at(&place(first, first_at));
    check.warning(&place(second, at), message).related_to(related, "this one takes them");
}
