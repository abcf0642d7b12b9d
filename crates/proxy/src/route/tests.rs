//! Tables of what matches and what wins; `model` compares with a reference on random routes.

use super::*;

mod lookup;
mod model;
mod scale;

/// A list of fields is its own lookup.
pub(super) struct Fields<'a>(pub(super) &'a [(&'a str, &'a str)]);

impl FieldLookup for Fields<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.iter().any(|(field, value)| field.eq_ignore_ascii_case(name) && test(value.as_bytes()))
    }
}

/// A plain GET.
pub(super) fn get(path: &str) -> Query<'_> {
    Query { host: None, path, method: "GET", listener: 0, headers: &Fields(&[]), query: "", preflight_method: None }
}

/// A path pattern as in the config: `=exact`, `~regex`, a template when there is a brace, else a prefix.
pub(super) fn pattern(text: &str) -> PathPattern {
    match text.as_bytes().first() {
        Some(b'=') => PathPattern::Exact(text[1..].to_owned()),
        Some(b'~') => PathPattern::Regex(text[1..].to_owned()),
        _ if text.contains(['{', '}']) => PathPattern::Template(text.to_owned()),
        _ => PathPattern::Prefix(text.to_owned()),
    }
}

pub(super) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A route named after its paths.
pub(super) fn route(paths: &[&str]) -> RouteSpec<String> {
    RouteSpec { paths: paths.iter().map(|text| pattern(text)).collect(), ..RouteSpec::new(paths.join(" ")) }
}

/// A route with a name.
pub(super) fn named(name: &str, paths: &[&str]) -> RouteSpec<String> {
    RouteSpec { value: name.to_owned(), ..route(paths) }
}

pub(super) fn router(specs: Vec<RouteSpec<String>>) -> Router<String> {
    Router::build(specs).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The name of the route found, `404`, or `405` and the methods.
pub(super) fn outcome(router: &Router<String>, query: &Query<'_>) -> String {
    match router.find(query) {
        Found::Route(found) => found.value.clone(),
        Found::MethodNotAllowed(allow) => format!("405 {allow}"),
        Found::NotFound => "404".to_owned(),
    }
}
