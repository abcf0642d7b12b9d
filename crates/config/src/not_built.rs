//! What the format has but this version does not do yet.
//!
//! Such keys are unknown to the types, so the JSON Schema does not offer them; but whoever writes one is told that it
//! is no slip.

use tollgate_core::document::{Kind, Node, Problem, Value};

/// What is said of them, after their name.
pub(crate) const SENTENCE: &str = "is part of Tollgate's configuration but not built yet";

/// The paths of the keys, with the indexes left out.
const KEYS: [&str; 15] = [
    "listeners[].http3",
    "services[].discovery",
    "services[].health_checks",
    "services[].circuit_breaker",
    "services[].max_in_flight",
    "services[].adaptive",
    "services[].retries.on",
    "services[].retries.per_try_timeout",
    "services[].retries.budget",
    "routes[].when",
    "routes[].split",
    "consumers",
    "plans",
    "redis",
    "tracing",
];

/// What has its types already and is not built yet, `what` at `path`.
#[must_use]
pub fn not_built(tree: &Node, path: &str, what: &str) -> Problem {
    tree.problem_at(path, format!("`{what}` {SENTENCE}")).with_kind(Kind::NotBuilt)
}

/// Tells the keys that do nothing yet from those that are unknown. One that is switched off is no problem at all.
pub(crate) fn tell_apart(problems: Vec<Problem>, tree: &Node) -> Vec<Problem> {
    let known =
        |problem: &Problem| problem.kind == Kind::UnknownKey && KEYS.contains(&without_indexes(&problem.path).as_str());
    let tell = |problem: Problem| {
        if problem.message.contains(SENTENCE) {
            return Some(problem.with_kind(Kind::NotBuilt));
        }
        if !known(&problem) {
            return Some(problem);
        }
        if tree.find(&problem.path).is_some_and(|node| node.value == Value::Bool(false)) {
            return None;
        }
        let key = problem.path.rsplit('.').next().unwrap_or(&problem.path);
        let message = format!("`{key}` {SENTENCE}");
        Some(Problem { message, help: None, kind: Kind::NotBuilt, ..problem })
    };
    problems.into_iter().filter_map(tell).collect()
}

fn without_indexes(path: &str) -> String {
    let mut short = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('[') {
        short.push_str(before);
        short.push_str("[]");
        rest = after.split_once(']').map_or("", |(_, after)| after);
    }
    short.push_str(rest);
    short
}
