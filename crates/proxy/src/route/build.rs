//! From specifications to a router: parse everything, rank everything, lay it out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::draft::Draft;
use super::host::{HostPattern, Hosts};
use super::path_tree::{Hit, NONE, Place, Step, to_u32, to_usize};
use super::predicate::{self, ANY_METHOD, Fault, Methods, ValueRegexes};
use super::regex::{self, Groups, PathSet};
use super::template::{self, Template};
use super::{Candidate, PathPattern, Pattern, Route, RouteSpec, Router, Table};

/// Which part of a route is at fault; numbers are indices in the lists of its [`RouteSpec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `hosts[_]`
    Host(usize),
    /// `paths[_]`
    Path(usize),
    /// `methods[_]`
    Method(usize),
    /// `headers[_].1[_]`
    Header(usize, usize),
    /// `query[_].1[_]`
    Query(usize, usize),
}

/// A route that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// Index of the route in the specifications.
    pub route: usize,
    /// The part at fault.
    pub part: Part,
    /// What is wrong, in words for the config's author.
    pub message: String,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}, {:?}: {}", self.route, self.part, self.message)
    }
}

impl std::error::Error for BuildError {}

/// A path pattern, parsed.
enum Path {
    Exact(String),
    Template {
        template: Template,
        pattern: u32,
    },
    /// Without the trailing slash, so that `/` is empty.
    Prefix(String),
    /// Index among the distinct expressions.
    Regex(u32),
}

/// A route, parsed.
struct Parsed {
    hosts: Vec<HostPattern>,
    paths: Vec<Path>,
    methods: u64,
}

/// Where a candidate is found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    /// At a node of the tree, for paths that go on or end there.
    Prefix { node: u32 },
    /// At a node of the tree, for paths that end there.
    End { node: u32 },
    /// By an expression, in a table.
    Regex { table: u32, expression: u32 },
}

/// What orders candidates, the most specific first; see the module's documentation.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    priority: Reverse<i64>,
    path: (u8, u32),
    host: u32,
    predicates: Reverse<u32>,
    route: u32,
    nth_path: u32,
    nth_host: u32,
}

#[derive(Default)]
struct Builder {
    errors: Vec<BuildError>,
    patterns: Vec<Pattern>,
    /// Distinct path expressions, in file order; where each was written first; and its groups' index in `patterns`.
    expressions: Vec<(String, (usize, usize), u32)>,
    expression_ids: HashMap<String, u32>,
    /// Templates without their literal segments, in `patterns`: all that captures need, and few different ones.
    outlines: HashMap<Template, u32>,
    value_regexes: ValueRegexes,
}

impl Builder {
    fn fail(&mut self, route: usize, part: Part, message: String) {
        self.errors.push(BuildError { route, part, message });
    }

    fn parse<T>(&mut self, route: usize, spec: &RouteSpec<T>, methods: &mut Methods) -> (Parsed, Route) {
        let mut hosts = Vec::with_capacity(spec.hosts.len().max(1));
        for (nth, host) in spec.hosts.iter().enumerate() {
            match HostPattern::parse(host) {
                Ok(host) => hosts.push(host),
                Err(message) => self.fail(route, Part::Host(nth), message),
            }
        }
        if spec.hosts.is_empty() {
            hosts.push(HostPattern::Any);
        }
        let mut paths = Vec::with_capacity(spec.paths.len().max(1));
        for (nth, path) in spec.paths.iter().enumerate() {
            match self.path(route, nth, path) {
                Ok(path) => paths.push(path),
                Err(message) => self.fail(route, Part::Path(nth), message),
            }
        }
        if spec.paths.is_empty() {
            paths.push(Path::Prefix(String::new()));
        }
        let mut bits = Vec::with_capacity(spec.methods.len());
        for (nth, method) in spec.methods.iter().enumerate() {
            match methods.intern(method) {
                Ok(bit) => bits.push(bit),
                Err(message) => self.fail(route, Part::Method(nth), message),
            }
        }
        let set = if bits.is_empty() { ANY_METHOD } else { bits.iter().fold(0, |set, bit| set | bit) };
        let Builder { errors, value_regexes, .. } = self;
        let conditions = predicate::compile(spec, value_regexes, &mut |fault, message| {
            let part = match fault {
                Fault::Header(nth, value) => Part::Header(nth, value),
                Fault::Parameter(nth, value) => Part::Query(nth, value),
            };
            errors.push(BuildError { route, part, message });
        });
        (Parsed { hosts, paths, methods: set }, Route { conditions, methods: bits.into() })
    }

    fn path(&mut self, route: usize, nth: usize, pattern: &PathPattern) -> Result<Path, String> {
        Ok(match pattern {
            PathPattern::Exact(text) => Path::Exact(template::canonical(text)?),
            PathPattern::Prefix(text) => {
                let mut path = template::canonical(text)?;
                if path.ends_with('/') {
                    path.pop();
                }
                Path::Prefix(path)
            }
            PathPattern::Template(text) => {
                let template = Template::parse(text)?;
                let outline = template.outline();
                let pattern = match self.outlines.get(&outline) {
                    Some(known) => *known,
                    None => {
                        let pattern = to_u32(self.patterns.len());
                        self.patterns.push(Pattern::Template(outline.clone()));
                        self.outlines.insert(outline, pattern);
                        pattern
                    }
                };
                Path::Template { template, pattern }
            }
            PathPattern::Regex(text) => Path::Regex(self.expression(route, nth, text)?),
        })
    }

    fn expression(&mut self, route: usize, nth: usize, text: &str) -> Result<u32, String> {
        if let Some(known) = self.expression_ids.get(text) {
            return Ok(*known);
        }
        let compiled = regex::compile(text, true)?;
        let mut pattern = NONE;
        if let Some(groups) = Groups::of(compiled) {
            pattern = to_u32(self.patterns.len());
            self.patterns.push(Pattern::Groups(groups));
        }
        let id = to_u32(self.expressions.len());
        self.expressions.push((text.to_owned(), (route, nth), pattern));
        self.expression_ids.insert(text.to_owned(), id);
        Ok(id)
    }

    /// The automata of all tables; tables with the same expressions share one. Takes candidates in the order of spots.
    fn sets(&mut self, spots: &[(Spot, Candidate)], layout: &mut Layout<'_>) {
        let mut by_table: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (nth, (spot, candidate)) in spots.iter().enumerate() {
            let Spot::Regex { table, expression } = *spot else { continue };
            let list = by_table.entry(table).or_default();
            let Some(table) = layout.tables.get_mut(to_usize(table)) else { continue };
            table.best_regex = table.best_regex.min(candidate.rank);
            if list.last() != Some(&expression) {
                list.push(expression);
                table.regexes.push(Hit { place: Place::Range { first: to_u32(nth), count: 0 }, end: 0 });
            }
            if let Some(Hit { place: Place::Range { count, .. }, .. }) = table.regexes.last_mut() {
                *count += 1;
            }
        }
        let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
        for (table, list) in by_table {
            let set = match known.get(&list) {
                Some(set) => *set,
                None => {
                    let texts = list.iter().filter_map(|id| self.expressions.get(to_usize(*id)));
                    let texts: Vec<&str> = texts.map(|(text, ..)| text.as_str()).collect();
                    match PathSet::build(&texts) {
                        Ok(set) => layout.sets.push(set),
                        Err(message) => {
                            let first = list.first().and_then(|id| self.expressions.get(to_usize(*id)));
                            let (route, nth) = first.map_or((0, 0), |(_, at, _)| *at);
                            self.fail(route, Part::Path(nth), format!("with the other regexes of its host: {message}"));
                            continue;
                        }
                    }
                    let set = to_u32(layout.sets.len() - 1);
                    known.insert(list, set);
                    set
                }
            };
            if let Some(table) = layout.tables.get_mut(to_usize(table)) {
                table.set = set;
            }
        }
    }
}

/// What a lookup walks through.
struct Layout<'a> {
    tree: Draft<'a>,
    hosts: Hosts,
    tables: Vec<Table>,
    sets: Vec<PathSet>,
}

impl<'a> Layout<'a> {
    fn table(&mut self, host: &HostPattern) -> u32 {
        let Layout { tree, hosts, tables, .. } = self;
        hosts.table(host, || {
            tables.push(Table { root: tree.add_root(), set: NONE, best_regex: u32::MAX, regexes: Vec::new() });
            to_u32(tables.len() - 1)
        })
    }

    fn spot(&mut self, table: u32, path: &'a Path) -> Spot {
        let root = self.tables.get(to_usize(table)).map_or(NONE, |table| table.root);
        match path {
            Path::Exact(path) => Spot::End { node: self.tree.insert(root, literals(path)) },
            Path::Prefix(path) => Spot::Prefix { node: self.tree.insert(root, literals(path)) },
            Path::Template { template, .. } => Spot::End { node: self.tree.insert(root, template.steps()) },
            Path::Regex(expression) => Spot::Regex { table, expression: *expression },
        }
    }

    /// Tells each node where its candidates are, which stand together for they are in the order of spots.
    fn place(&mut self, spots: &[(Spot, Candidate)]) {
        let mut nodes: HashMap<u32, (u32, u32, u32)> = HashMap::new();
        for (nth, (spot, _)) in spots.iter().enumerate() {
            match *spot {
                Spot::Prefix { node } => nodes.entry(node).or_insert((to_u32(nth), 0, 0)).1 += 1,
                Spot::End { node } => nodes.entry(node).or_insert((to_u32(nth), 0, 0)).2 += 1,
                Spot::Regex { .. } => {}
            }
        }
        for (node, (first, prefixes, ends)) in nodes {
            self.tree.set_candidates(node, first, prefixes, ends);
        }
    }
}

fn literals(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('/').skip(1).map(Step::Literal)
}

/// Builds a router.
pub(super) fn build<T>(specs: Vec<RouteSpec<T>>) -> Result<Router<T>, Vec<BuildError>> {
    let mut builder = Builder::default();
    let mut methods = Methods::new();
    let mut values = Vec::with_capacity(specs.len());
    let mut routes = Vec::with_capacity(specs.len());
    let mut parsed = Vec::with_capacity(specs.len());
    let mut keys = Vec::with_capacity(specs.len());
    for (route, spec) in specs.into_iter().enumerate() {
        let predicates = usize::from(!spec.methods.is_empty()) + spec.headers.len() + spec.query.len();
        keys.push((Reverse(spec.priority), Reverse(to_u32(predicates)), spec.answers_preflight));
        let (one, route) = builder.parse(route, &spec, &mut methods);
        parsed.push(one);
        routes.push(route);
        values.push(spec.value);
    }
    let mut layout = Layout { tree: Draft::new(), hosts: Hosts::new(), tables: Vec::new(), sets: Vec::new() };
    let shapes = template_ranks(&parsed);
    let mut drafts: Vec<(Key, Spot, Candidate)> = Vec::with_capacity(parsed.len());
    for (route, ((one, compiled), (priority, predicates, answers_preflight))) in
        parsed.iter().zip(&routes).zip(keys).enumerate()
    {
        for (nth_host, host) in one.hosts.iter().enumerate() {
            let table = layout.table(host);
            for (nth_path, path) in one.paths.iter().enumerate() {
                let path_rank = match path {
                    Path::Exact(_) => (0, 0),
                    Path::Template { pattern, .. } => (1, shapes.get(pattern).copied().unwrap_or(NONE)),
                    Path::Prefix(path) => (2, NONE - to_u32(path.len())),
                    Path::Regex(expression) => (3, *expression),
                };
                let pattern = match path {
                    Path::Exact(_) | Path::Prefix(_) => NONE,
                    Path::Template { pattern, .. } => *pattern,
                    Path::Regex(id) => builder.expressions.get(to_usize(*id)).map_or(NONE, |(.., groups)| *groups),
                };
                let (route, nth_path, nth_host) = (to_u32(route), to_u32(nth_path), to_u32(nth_host));
                let host = host.rank();
                let key = Key { priority, path: path_rank, host, predicates, route, nth_path, nth_host };
                let conditional = !compiled.conditions.is_empty();
                let candidate =
                    Candidate { methods: one.methods, rank: 0, route, pattern, conditional, answers_preflight };
                drafts.push((key, layout.spot(table, path), candidate));
            }
        }
    }
    let candidates = rank(drafts);
    layout.place(&candidates);
    builder.sets(&candidates, &mut layout);
    if !builder.errors.is_empty() {
        return Err(builder.errors);
    }
    let candidates: Vec<Candidate> = candidates.into_iter().map(|(_, candidate)| candidate).collect();
    let Layout { tree, hosts, tables, sets } = layout;
    let tree = tree.finish(&candidates);
    Ok(Router { values, routes, candidates, patterns: builder.patterns, methods, tree, hosts, tables, sets })
}

/// Ranks candidates, then puts those of one spot together, the best first.
fn rank(mut drafts: Vec<(Key, Spot, Candidate)>) -> Vec<(Spot, Candidate)> {
    drafts.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let ranked = drafts.into_iter().enumerate();
    let mut candidates: Vec<(Spot, Candidate)> =
        ranked.map(|(rank, (_, spot, candidate))| (spot, Candidate { rank: to_u32(rank), ..candidate })).collect();
    candidates.sort_unstable_by_key(|(spot, candidate)| (place(*spot), candidate.rank));
    candidates
}

/// Orders spots by node, with prefixes before ends, as the tree expects; regexes come last.
fn place(spot: Spot) -> (u8, u32, u32) {
    match spot {
        Spot::Prefix { node } => (0, node, 0),
        Spot::End { node } => (0, node, 1),
        Spot::Regex { table, expression } => (1, table, expression),
    }
}

/// The place of each template, by its index among the patterns, in the order of templates. Equal shapes share one.
fn template_ranks(parsed: &[Parsed]) -> HashMap<u32, u32> {
    let mut shapes: Vec<(Vec<u32>, u32)> = Vec::new();
    for path in parsed.iter().flat_map(|one| &one.paths) {
        if let Path::Template { template, pattern } = path {
            shapes.push((template.shape(), *pattern));
        }
    }
    shapes.sort_unstable();
    let mut ranks = HashMap::with_capacity(shapes.len());
    let mut rank = 0;
    let mut previous: Option<&[u32]> = None;
    for (shape, pattern) in &shapes {
        if previous.is_some_and(|previous| previous != &**shape) {
            rank += 1;
        }
        previous = Some(shape);
        ranks.insert(*pattern, rank);
    }
    ranks
}
