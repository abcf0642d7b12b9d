//! Routes: names, references, rewriting, and that each has an answer.

use super::{Check, Related, element};
use crate::config::Config;
use crate::path::PathPattern;
use crate::rewrite::{RewritePart, RewritePath};
use crate::route::Route;
use std::collections::HashMap;
use tollgate_core::document::{Located, Node, join_key};

/// Plugins that answer by themselves, so that a route with one needs no service.
const ANSWERING: [&str; 4] = ["request-termination", "redirect", "aggregate", "aws-lambda"];

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    check.no_name_twice("routes", "route");
    let services = (!check.names_are_unsure("services")).then(|| check.names("services"));
    let listeners = (!check.names_are_unsure("listeners")).then(|| check.names("listeners"));
    let answered = config.plugins.iter().any(|plugin| ANSWERING.contains(&&**plugin.name));
    for route in &config.routes {
        check.no_plugin_twice(&route.plugins);
        if !check.is_sound(&route.path) {
            continue;
        }
        references(check, route, services.as_ref(), listeners.as_ref());
        let answers = answered || route.plugins.iter().any(|plugin| ANSWERING.contains(&&**plugin.name));
        if route.service.is_none() && !answers {
            let shown = check.shown(&route.path_to("name"));
            let message = format!("the route `{shown}` has no `service`, and no plugin that answers by itself");
            let help = "add `service: NAME`, or the plugin `request-termination` or `redirect`";
            check.error(&route.path, message).helped(help);
        }
        predicates(check, route);
        rewriting(check, route);
    }
}

fn references(
    check: &mut Check<'_>,
    route: &Located<Route>,
    services: Option<&HashMap<&str, usize>>,
    listeners: Option<&HashMap<&str, usize>>,
) {
    if let (Some(service), Some(services)) = (&route.service, services)
        && !services.contains_key(&**service)
    {
        check.refers(&route.path_to("service"), service, "service", services);
    }
    let Some(listeners) = listeners else { return };
    let dangling = route.listeners.iter().enumerate().filter(|(_, listener)| !listeners.contains_key(&***listener));
    for (index, listener) in dangling {
        check.refers(&element(&route.path, "listeners", index), listener, "listener", listeners);
    }
}

/// Headers and query parameters need values to compare with, and no header can stand there in two spellings.
fn predicates(check: &mut Check<'_>, route: &Located<Route>) {
    let headers = route.headers.iter().map(|(name, values)| ("headers", &**name, values.is_empty()));
    let query = route.query.iter().map(|(name, values)| ("query", name.as_str(), values.is_empty()));
    for (section, name, _) in headers.chain(query).filter(|(_, _, is_empty)| *is_empty) {
        let path = join_key(&route.path_to(section), name);
        check.error(&path, "expected at least one value, found none").helped("`[\"~\"]` takes any value");
    }
    if route.headers.is_empty() {
        return;
    }
    let path = route.path_to("headers");
    let written = check.tree.find(&path).and_then(Node::as_map).unwrap_or_default();
    if written.len() == route.headers.len() {
        return;
    }
    for (index, (key, _)) in written.iter().enumerate() {
        let before = written.iter().take(index);
        if let Some((first, _)) = before.into_iter().find(|(first, _)| first.name.eq_ignore_ascii_case(&key.name)) {
            let message = format!("the header `{}` stands here twice, as case makes no difference", key.name);
            check.error(&join_key(&path, &key.name), message).related_to(first.span, "first here");
        }
    }
}

fn rewriting(check: &mut Check<'_>, route: &Located<Route>) {
    let regex = route.paths.iter().find(|path| matches!(path, PathPattern::Regex(_)));
    if let (true, Some(_)) = (route.strip_path, regex) {
        let message = "`strip_path` removes a prefix, and a route with a regex for a path has none";
        check.error(&route.path_to("strip_path"), message).helped("use `rewrite_path` with `$1` instead");
    }
    let Some(rewrite) = &route.rewrite_path else { return };
    if route.strip_path {
        let message = "`strip_path` does nothing where `rewrite_path` gives the whole path";
        check.warning(&route.path_to("strip_path"), message);
    }
    captures(check, route, rewrite);
}

/// Whatever path a request came by, what the new path is made of must have been captured.
fn captures(check: &mut Check<'_>, route: &Located<Route>, rewrite: &RewritePath) {
    let asks = rewrite.parts().iter().filter(|part| !matches!(part, RewritePart::Literal(_)));
    for part in asks {
        let path = route.path_to("rewrite_path");
        let (shown, lacking) = match part {
            RewritePart::Capture(name) => {
                (format!("{{{name}}}"), route.paths.iter().position(|path| !path.captures().contains(name)))
            }
            RewritePart::Group(group) => (format!("${group}"), route.paths.iter().position(|p| !has_group(p, *group))),
            RewritePart::Literal(_) => continue,
        };
        if route.paths.is_empty() {
            check.error(&path, format!("`{shown}` captures nothing: the route has no `paths`"));
        } else if let Some(index) = lacking {
            let lacking = element(&route.path, "paths", index);
            let message = format!("`{shown}` is not captured by the path `{}`", check.shown(&lacking));
            let span = check.tree.span_at(&lacking);
            check.error(&path, message).related_to(span, "this path does not capture it");
        }
    }
}

/// `$0`, the whole match, can be had of every regex.
fn has_group(path: &PathPattern, group: usize) -> bool {
    matches!(path, PathPattern::Regex(_)) && group <= path.groups()
}
