//! Which route a request takes: by host, path, listener, method, headers and query.
//!
//! The most specific route wins, whatever the order in the file:
//!
//! 1. the higher `priority`;
//! 2. the path: exact, then template, then prefix (the longer first), then regex (in file order; an expression written
//!    several times has its first place). Of two templates, from the left, a literal segment beats a parameter;
//! 3. the host: exact, then the longest wildcard, then none;
//! 4. the number of matched predicates: methods count one, each header and each query parameter one;
//! 5. the order in the file.
//!
//! Each combination of route, path and host is a *candidate*, and its place in this order is computed when the router is
//! built: its `rank`. A lookup gathers what matches by host and path from one tree, and takes the lowest rank whose
//! predicates hold. Its cost depends on the path's length, not on the number of routes.

use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;

mod build;
mod draft;
mod host;
mod path_tree;
mod perfect;
mod predicate;
mod regex;
mod segments;
mod template;
#[cfg(test)]
mod tests;

pub use build::{BuildError, Part};
pub use predicate::FieldLookup;

use host::Hosts;
use path_tree::{Hit, Hits, Place, Tree, to_usize};
use predicate::{Condition, Methods};
use regex::{Groups, PathSet};
use segments::Segments;
use template::Template;

/// A route as specified.
#[derive(Debug, Clone)]
pub struct RouteSpec<T> {
    /// Hosts, `example.com` or `*.example.com`; none means any host, or no host at all. A wildcard stands for one or more
    /// labels: `*.example.com` matches `a.example.com` and `a.b.example.com`, not `example.com`.
    pub hosts: Vec<String>,
    /// Paths; none means all.
    pub paths: Vec<PathPattern>,
    /// Methods, case-sensitive; none means any.
    pub methods: Vec<String>,
    /// Header fields, all of which must have one of their values. Without values, the field must only be there.
    pub headers: Vec<(String, Vec<ValueMatch>)>,
    /// Query parameters, likewise; compared after form decoding.
    pub query: Vec<(String, Vec<ValueMatch>)>,
    /// Listeners; `None` means any.
    pub listeners: Option<Vec<u16>>,
    /// Beats every other rule of precedence; 0 is usual.
    pub priority: i64,
    /// The route answers CORS preflights: it also matches an `OPTIONS` request that asks for one of its methods.
    pub answers_preflight: bool,
    /// What the router gives back.
    pub value: T,
}

impl<T> RouteSpec<T> {
    /// A route that matches everything.
    pub fn new(value: T) -> Self {
        RouteSpec {
            hosts: Vec::new(),
            paths: Vec::new(),
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
            listeners: None,
            priority: 0,
            answers_preflight: false,
            value,
        }
    }
}

/// A pattern for canonical paths. Patterns but regexes are made canonical themselves when the router is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path, to the byte.
    Exact(String),
    /// A whole path with parameters: `/orders/{id}/items`, `/v{major}/{file}.json`. Each stands for one or more bytes within
    /// one segment.
    Template(String),
    /// A prefix by whole segments: `/v1/orders` matches `/v1/orders`, `/v1/orders/` and `/v1/orders/7`, not `/v1/ordersX`.
    /// A trailing slash means nothing; `/` matches all paths.
    Prefix(String),
    /// An expression that is found anywhere in the path; anchor it with `^` and `$`.
    Regex(String),
}

/// A pattern for the value of a header field or a query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueMatch {
    /// This value, to the byte.
    Exact(String),
    /// An expression that is found anywhere in the value.
    Regex(String),
}

/// What the router must know of a request.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// Canonical host without port, if there is one.
    pub host: Option<&'a str>,
    /// Canonical path.
    pub path: &'a str,
    /// Method.
    pub method: &'a str,
    /// The listener it came through.
    pub listener: u16,
    /// Its header fields.
    pub headers: &'a dyn FieldLookup,
    /// Its raw query, without `?`; empty if there is none.
    pub query: &'a str,
    /// For a CORS preflight: the method it asks for (`Access-Control-Request-Method`).
    pub preflight_method: Option<&'a str>,
}

/// What a request comes to.
#[derive(Debug, Clone)]
pub enum Found<'r, T> {
    /// A route.
    Route(Match<'r, T>),
    /// Routes that match but for their methods: 405, with this value for `Allow` (RFC 9110 §15.5.6). The methods of the
    /// most specific route come first.
    MethodNotAllowed(String),
    /// No route: 404.
    NotFound,
}

/// Names of parameters or groups, and the bytes of the path each stands for.
pub type Captures<'r> = SmallVec<[(&'r str, Range<usize>); 4]>;

/// The route that a request takes.
#[derive(Debug, Clone)]
pub struct Match<'r, T> {
    /// The value of the route.
    pub value: &'r T,
    /// Index of the route in the specifications.
    pub route: usize,
    /// Bytes of the path that a prefix matched, without a trailing slash, so that the rest is empty or starts with a slash
    /// (0 for the prefix `/`); the whole path for other patterns.
    pub prefix_len: usize,
    /// What makes captures, if anything does.
    pattern: Option<&'r Pattern>,
}

impl<'r, T> Match<'r, T> {
    /// What the route's pattern captures of `path`, the path that was looked up: parameters of a template by name; groups
    /// of a regex by number, and by name if they have one. Apart from the look-up, since few routes use them.
    #[must_use]
    pub fn captures(&self, path: &str) -> Captures<'r> {
        let mut captures = Captures::new();
        match self.pattern {
            Some(Pattern::Template(template)) => template.captures(path, &mut captures),
            Some(Pattern::Groups(groups)) => groups.captures(path, &mut captures),
            None => {}
        }
        captures
    }
}

/// The routes that a host can lead to: see [`Router::scope`].
#[derive(Debug, Clone, Default)]
pub struct Scope(SmallVec<[u32; 4]>);

/// All routes. Built once, then only read.
#[derive(Debug)]
pub struct Router<T> {
    /// Apart from the rest of the routes, so that they stand close together.
    values: Vec<T>,
    routes: Vec<Route>,
    /// Those of one place together, the best first.
    candidates: Vec<Candidate>,
    patterns: Vec<Pattern>,
    methods: Methods,
    tree: Tree,
    hosts: Hosts,
    tables: Vec<Table>,
    sets: Vec<PathSet>,
}

/// What a route asks for besides host and path.
#[derive(Debug)]
struct Route {
    conditions: Box<[Condition]>,
    /// Bits, in the order written.
    methods: Box<[u64]>,
}

/// One way to a route: by one of its hosts and one of its paths.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// Bits of the methods.
    methods: u64,
    /// Place in the order of all candidates.
    rank: u32,
    route: u32,
    /// Index of what makes captures, or [`NONE`].
    pattern: u32,
    /// The route has conditions besides its methods.
    conditional: bool,
    answers_preflight: bool,
}

/// What makes captures.
#[derive(Debug)]
enum Pattern {
    Template(Template),
    Groups(Groups),
}

/// The routes of one host pattern.
#[derive(Debug)]
struct Table {
    root: u32,
    /// Index of the automaton, or [`NONE`].
    set: u32,
    /// The best rank any regex here can give.
    best_regex: u32,
    /// For each pattern of the automaton, its candidates.
    regexes: Vec<Hit>,
}

/// Bits of the methods a request would be served with.
#[derive(Clone, Copy)]
struct Wanted {
    method: u64,
    /// The same, and for a preflight the method it asks for.
    preflight: u64,
}

impl<T> Router<T> {
    /// Builds a router.
    ///
    /// # Errors
    /// Everything that is wrong in the specifications.
    pub fn build(specs: Vec<RouteSpec<T>>) -> Result<Self, Vec<BuildError>> {
        build::build(specs)
    }

    /// The route a request takes.
    pub fn find<'r>(&'r self, query: &Query<'_>) -> Found<'r, T> {
        self.find_within(&self.scope(query.host), query)
    }

    /// The routes that a canonical host can lead to. Whoever asks for one host many times finds out once.
    #[must_use]
    pub fn scope(&self, host: Option<&str>) -> Scope {
        Scope(self.hosts.lookup(host))
    }

    /// The route a request takes, by the scope of its host in this router.
    pub fn find_within<'r>(&'r self, scope: &Scope, query: &Query<'_>) -> Found<'r, T> {
        let Scope(tables) = scope;
        let wanted = self.wanted(query);
        let mut best: Option<(&Candidate, u32)> = None;
        let mut hits = Hits::new();
        let mut segments = Segments::new(query.path);
        for table in self.tables(tables) {
            self.tree.gather(table.root, &mut segments, &mut hits);
        }
        // The last hits tend to be the most specific, which saves trying the others' conditions.
        for hit in hits.iter().rev() {
            self.improve(&mut best, hit, query, wanted);
        }
        for table in self.tables(tables) {
            if best.is_none_or(|(candidate, _)| table.best_regex < candidate.rank)
                && let Some(set) = self.sets.get(to_usize(table.set))
            {
                set.matches(query.path, |pattern| {
                    if let Some(hit) = table.regexes.get(pattern) {
                        self.improve(
                            &mut best,
                            &Hit { end: path_tree::to_u32(query.path.len()), ..*hit },
                            query,
                            wanted,
                        );
                    }
                });
            }
        }
        match best {
            Some((candidate, end)) => self.found(candidate, end),
            None => self.refusal(tables, &hits, query),
        }
    }

    /// Takes the first candidate of a hit that beats the best so far and whose predicates hold.
    fn improve<'r>(&'r self, best: &mut Option<(&'r Candidate, u32)>, hit: &Hit, query: &Query<'_>, wanted: Wanted) {
        for candidate in self.candidates(hit) {
            if best.is_some_and(|(best, _)| best.rank <= candidate.rank) {
                return;
            }
            let accepted = if candidate.answers_preflight { wanted.preflight } else { wanted.method };
            if candidate.methods & accepted != 0 && self.first_failing(candidate, query).is_none() {
                *best = Some((candidate, hit.end));
                return;
            }
        }
    }

    /// The first condition, besides the method, that a request doesn't fulfil.
    fn first_failing(&self, candidate: &Candidate, query: &Query<'_>) -> Option<&Condition> {
        if !candidate.conditional {
            return None;
        }
        let route = self.routes.get(to_usize(candidate.route))?;
        route.conditions.iter().find(|condition| !condition.holds(query))
    }

    fn found(&self, candidate: &Candidate, end: u32) -> Found<'_, T> {
        let route = to_usize(candidate.route);
        // Candidates are made from routes, so this always is one.
        let Some(value) = self.values.get(route) else { return Found::NotFound };
        let pattern = self.patterns.get(to_usize(candidate.pattern));
        Found::Route(Match { value, route, prefix_len: to_usize(end), pattern })
    }

    /// Nothing matched: was it for the method alone?
    #[cold]
    fn refusal(&self, tables: &[u32], hits: &[Hit], query: &Query<'_>) -> Found<'_, T> {
        let mut near: Vec<&Candidate> = hits.iter().flat_map(|hit| self.candidates(hit)).collect();
        for table in self.tables(tables) {
            if let Some(set) = self.sets.get(to_usize(table.set)) {
                set.matches(query.path, |pattern| {
                    near.extend(table.regexes.get(pattern).into_iter().flat_map(|hit| self.candidates(hit)));
                });
            }
        }
        near.retain(|candidate| self.first_failing(candidate, query).is_none());
        near.sort_unstable_by_key(|candidate| candidate.rank);
        let mut seen = 0;
        let mut allow = String::new();
        let routes = near.iter().filter_map(|candidate| self.routes.get(to_usize(candidate.route)));
        for &bit in routes.flat_map(|route| &route.methods) {
            if seen & bit == 0 {
                seen |= bit;
                allow.push_str(if allow.is_empty() { "" } else { ", " });
                allow.push_str(self.methods.name(bit));
            }
        }
        if allow.is_empty() { Found::NotFound } else { Found::MethodNotAllowed(allow) }
    }

    fn wanted(&self, query: &Query<'_>) -> Wanted {
        let method = self.methods.bit(query.method);
        let preflight = match query.preflight_method {
            Some(asked) if query.method == "OPTIONS" => method | self.methods.bit(asked),
            _ => method,
        };
        Wanted { method, preflight }
    }

    fn tables<'r>(&'r self, ids: &[u32]) -> impl Iterator<Item = &'r Table> {
        ids.iter().filter_map(|id| self.tables.get(to_usize(*id)))
    }

    fn candidates(&self, hit: &Hit) -> &[Candidate] {
        match hit.place {
            Place::Leaf(node) => self.tree.candidate(node),
            Place::Range { first, count } => {
                let first = to_usize(first);
                self.candidates.get(first..first + to_usize(count)).unwrap_or_default()
            }
        }
    }
}

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("host", &self.host)
            .field("path", &self.path)
            .field("method", &self.method)
            .field("listener", &self.listener)
            .field("query", &self.query)
            .field("preflight_method", &self.preflight_method)
            .finish_non_exhaustive()
    }
}
