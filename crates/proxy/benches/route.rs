//! What routing costs: a lookup among 10, 1,000 and 10,000 routes, its parts, and building the router.
//!
//! Each size is asked for as many different paths, so that the sizes differ by the router's memory alone.
//!
//! At the end, how much more a lookup costs among 10,000 routes than among 10: both are timed in turns, so that a busy
//! machine slows both alike.

#![allow(missing_docs, clippy::panic, clippy::print_stdout)]

use std::time::{Duration, Instant};

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use tollgate_proxy::normalize;
use tollgate_proxy::route::{FieldLookup, Found, PathPattern, Query, RouteSpec, Router, ValueMatch};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
}

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const REQUESTS: usize = 4_096;

struct Fields;

impl FieldLookup for Fields {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        name == "x-version" && test(b"2")
    }
}

/// Prefixes, templates, exact paths and methods in equal parts.
fn specs(count: usize) -> Vec<RouteSpec<usize>> {
    let one = |nth: usize| {
        let path = match nth % 4 {
            0 => PathPattern::Prefix(format!("/api/v1/resource-{nth}")),
            1 => PathPattern::Template(format!("/api/v1/resource-{nth}/{{id}}/items")),
            2 => PathPattern::Exact(format!("/api/v1/resource-{nth}")),
            _ => PathPattern::Prefix(format!("/shop/{nth}/orders")),
        };
        let methods = if nth % 4 == 3 { vec!["GET".to_owned(), "POST".to_owned()] } else { Vec::new() };
        RouteSpec { paths: vec![path], methods, ..RouteSpec::new(nth) }
    };
    (0..count).map(one).collect()
}

/// Paths that match, in an order that no prefetcher guesses. `popular` of ten go to the first hundred routes, the others
/// to any: with none popular, nearly every lookup meets memory that no cache holds, the worst case.
fn paths(count: usize, popular: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(7);
    let one = |_| {
        let nth = if random.usize(..10) < popular { random.usize(..count.min(100)) } else { random.usize(..count) };
        match nth % 4 {
            0 => format!("/api/v1/resource-{nth}/12345"),
            1 => format!("/api/v1/resource-{nth}/12345/items"),
            2 => format!("/api/v1/resource-{nth}"),
            _ => format!("/shop/{nth}/orders/12345"),
        }
    };
    (0..REQUESTS).map(one).collect()
}

fn query<'a>(path: &'a str, host: Option<&'a str>) -> Query<'a> {
    Query { host, path, method: "GET", listener: 0, headers: &Fields, query: "", preflight_method: None }
}

fn router(specs: Vec<RouteSpec<usize>>) -> Router<usize> {
    Router::build(specs).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Finds all paths, and returns something that depends on all results.
fn pass(router: &Router<usize>, paths: &[String], host: Option<&str>) -> usize {
    let find = |path: &String| match router.find(&query(black_box(path), host)) {
        Found::Route(found) => *found.value,
        other => panic!("{path}: {other:?}"),
    };
    paths.iter().map(find).sum()
}

/// Prints what one lookup takes among 10 and among 10,000 routes: medians of passes in turns.
fn ratios() {
    const PASSES: usize = 401;
    for (name, popular) in [("skewed", 9), ("uniform", 0)] {
        let cases = [10, 10_000].map(|count| (router(specs(count)), paths(count, popular)));
        let mut times = [const { Vec::<Duration>::new() }; 2];
        for _ in 0..PASSES {
            for ((router, paths), times) in cases.iter().zip(&mut times) {
                let start = Instant::now();
                black_box(pass(router, paths, None));
                times.push(start.elapsed());
            }
        }
        let [few, many] = times.map(|mut times| {
            let (_, median, _) = times.select_nth_unstable(PASSES / 2);
            median.as_secs_f64() * 1e9 / REQUESTS as f64
        });
        println!("{name}: {few:.0} ns among 10 routes, {many:.0} ns among 10,000: {:.2} times", many / few);
    }
}

/// Finds all paths, so that one pass is long enough to measure and the items per second are lookups.
fn each(bencher: Bencher<'_, '_>, router: &Router<usize>, paths: &[String], host: Option<&str>) {
    bencher.counter(ItemsCount::new(paths.len())).bench_local(|| pass(router, paths, host));
}

#[divan::bench(args = SIZES)]
fn find(bencher: Bencher<'_, '_>, count: usize) {
    each(bencher, &router(specs(count)), &paths(count, 9), None);
}

#[divan::bench(args = SIZES)]
fn find_uniform(bencher: Bencher<'_, '_>, count: usize) {
    each(bencher, &router(specs(count)), &paths(count, 0), None);
}

#[divan::bench(args = SIZES)]
fn find_with_host(bencher: Bencher<'_, '_>, count: usize) {
    let mut specs = specs(count);
    for (nth, spec) in specs.iter_mut().enumerate() {
        spec.hosts = if nth % 2 == 0 { vec!["api.example.com".to_owned()] } else { vec!["*.example.com".to_owned()] };
    }
    each(bencher, &router(specs), &paths(count, 9), Some("api.example.com"));
}

#[divan::bench(args = SIZES)]
fn find_with_predicates(bencher: Bencher<'_, '_>, count: usize) {
    let mut specs = specs(count);
    for spec in &mut specs {
        spec.methods = vec!["GET".to_owned()];
        spec.headers = vec![("x-version".to_owned(), vec![ValueMatch::Exact("2".to_owned())])];
    }
    each(bencher, &router(specs), &paths(count, 9), None);
}

/// One route in ten is a regex, and all requests are for those.
#[divan::bench(args = SIZES)]
fn find_by_regex(bencher: Bencher<'_, '_>, count: usize) {
    let mut specs = specs(count);
    for (nth, spec) in specs.iter_mut().enumerate().step_by(10) {
        spec.paths = vec![PathPattern::Regex(format!("^/regex-{nth}/[0-9]+$"))];
    }
    let paths: Vec<String> = (0..REQUESTS).map(|nth| format!("/regex-{}/{nth}", nth * 10 % count)).collect();
    each(bencher, &router(specs), &paths, None);
}

#[divan::bench(args = SIZES)]
fn build(bencher: Bencher<'_, '_>, count: usize) {
    bencher.with_inputs(|| specs(count)).bench_values(router);
}

#[divan::bench(args = [10, 1_000])]
fn build_with_regexes(bencher: Bencher<'_, '_>, count: usize) {
    let with_regexes = || {
        let mut specs = specs(count);
        for (nth, spec) in specs.iter_mut().enumerate().step_by(10) {
            spec.paths = vec![PathPattern::Regex(format!("^/regex-{nth}/([0-9]+)$"))];
        }
        specs
    };
    bencher.with_inputs(with_regexes).bench_values(router);
}

#[divan::bench(args = ["/v1/orders/7", "/api/v1/tenants/12345/orders/67890/items", "/a%2fb/../c//d"])]
fn normalize_path(path: &str) -> bool {
    normalize::path(black_box(path.as_bytes())).is_ok()
}

#[divan::bench(args = ["example.com", "api.eu-west-1.example.com:8443", "[2001:db8::1]:443"])]
fn normalize_authority(authority: &str) -> bool {
    normalize::authority(black_box(authority.as_bytes())).is_ok()
}
