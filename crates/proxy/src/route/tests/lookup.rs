//! Lookups by table.

use super::*;

fn value(text: &str) -> ValueMatch {
    match text.strip_prefix('~') {
        Some(regex) => ValueMatch::Regex(regex.to_owned()),
        None => ValueMatch::Exact(text.to_owned()),
    }
}

fn values(texts: &[&str]) -> Vec<ValueMatch> {
    texts.iter().map(|text| value(text)).collect()
}

/// What one pattern makes of a path: the length matched and the captures.
fn matched(pattern: &str, path: &str) -> Option<(usize, Vec<(String, String)>)> {
    let router = router(vec![route(&[pattern])]);
    match router.find(&get(path)) {
        Found::Route(found) => {
            let captures = found
                .captures(path)
                .into_iter()
                .map(|(name, range)| (name.to_string(), path[range.clone()].to_owned()));
            Some((found.prefix_len, captures.collect()))
        }
        _ => None,
    }
}

#[test]
fn prefixes_match_whole_segments() {
    for (pattern, path, length) in [
        ("/v1/orders", "/v1/orders", Some(10)),
        ("/v1/orders", "/v1/orders/", Some(10)),
        ("/v1/orders", "/v1/orders/7", Some(10)),
        ("/v1/orders/", "/v1/orders", Some(10)),
        ("/v1/orders/", "/v1/orders/7", Some(10)),
        ("/v1/orders", "/v1/ordersX", None),
        ("/v1/orders", "/v1/order", None),
        ("/v1/orders", "/v1", None),
        ("/v1/orders", "/V1/orders", None),
        ("/", "/", Some(0)),
        ("/", "/a/b", Some(0)),
        ("/", "*", Some(0)),
        ("/a//b/../c", "/a/c/d", Some(4)),
        ("/my file/é", "/my%20file/%C3%A9", Some(17)),
        ("/a%2fb", "/a%2Fb/c", Some(6)),
        ("/a", "/aa", None),
        ("/eight888", "/eight888/x", Some(9)),
        ("/eight888", "/eight8889", None),
        ("/a-label-of-more-than-twenty-four-bytes", "/a-label-of-more-than-twenty-four-bytes/x", Some(39)),
        ("/a-label-of-more-than-twenty-four-bytes", "/a-label-of-more-than-twenty-four-bytez/x", None),
        ("/exactly-24-bytes-long-ok", "/exactly-24-bytes-long-ok", Some(25)),
    ] {
        assert_eq!(matched(pattern, path).map(|found| found.0), length, "{pattern} on {path}");
    }
}

#[test]
fn exact_paths_match_to_the_byte() {
    for (pattern, path, matches) in [
        ("=/a", "/a", true),
        ("=/a", "/a/", false),
        ("=/a/", "/a/", true),
        ("=/a/", "/a", false),
        ("=/", "/", true),
        ("=/", "/a", false),
        ("=/", "*", false),
        ("=/", "", false),
        ("=/a/b", "/a/b/c", false),
        ("=/%7Ea", "/~a", true),
    ] {
        assert_eq!(matched(pattern, path).is_some(), matches, "{pattern} on {path}");
    }
}

#[test]
fn templates_and_regexes_capture() {
    type Row = (&'static str, &'static str, Option<&'static [(&'static str, &'static str)]>);
    let table: &[Row] = &[
        ("/o/{id}", "/o/7", Some(&[("id", "7")])),
        ("/o/{id}", "/o/", None),
        ("/o/{id}", "/o/7/", None),
        ("/o/{id}/", "/o/7/", Some(&[("id", "7")])),
        ("/o/{id}", "/o/7/x", None),
        ("/{a}/{b}", "/x/y", Some(&[("a", "x"), ("b", "y")])),
        ("/o/{id}.json", "/o/7.json", Some(&[("id", "7")])),
        ("/o/{id}.json", "/o/.json", None),
        ("/o/{id}.json", "/o/7.jsonx", None),
        ("/v{n}/x", "/v12/x", Some(&[("n", "12")])),
        ("/v{n}/x", "/v/x", None),
        ("/{a}-{b}", "/x-y-z", Some(&[("a", "x"), ("b", "y-z")])),
        ("/{a}-{b}", "/-y", None),
        ("/{a}-{b}", "/x-", None),
        ("/{a}-{b}", "/--y", Some(&[("a", "-"), ("b", "y")])),
        ("/x{a}x", "/xx", None),
        ("/x{a}x", "/xxx", Some(&[("a", "x")])),
        ("/é/{n}", "/%C3%A9/1", Some(&[("n", "1")])),
        ("~^/v[0-9]+/x$", "/v12/x", Some(&[])),
        ("~^/v[0-9]+/x$", "/v12/x/", None),
        ("~^/v([0-9]+)/(?P<rest>.*)$", "/v12/a/b", Some(&[("1", "12"), ("rest", "a/b"), ("2", "a/b")])),
        ("~/(a)|/(b)", "/b", Some(&[("2", "b")])),
        ("~orders", "/my/orders/7", Some(&[])),
        (r"~^/\d+$", "/42", Some(&[])),
        (r"~^/\pL+$", "/abc", Some(&[])),
        (r"~\bab\b", "/x/ab/y", Some(&[])),
        ("~(?i)^/ABC$", "/abc", Some(&[])),
    ];
    for (pattern, path, captures) in table {
        let expected = captures.map(|captures| {
            let owned = captures.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            (path.len(), owned.collect::<Vec<_>>())
        });
        assert_eq!(matched(pattern, path), expected, "{pattern} on {path}");
    }
}

#[test]
fn the_most_specific_path_wins() {
    let specs = [
        "/",
        "/a",
        "/a/b",
        "/a/{x}",
        "/a/{x}.json",
        "/a/v{x}.json",
        "=/a/b",
        "=/a/c.json",
        "~^/a",
        "~^/a/z",
        "~^/r",
        "~r",
    ];
    let mut routes: Vec<_> = specs.iter().map(|text| route(&[text])).collect();
    let mut check = || {
        let router = router(routes.clone());
        for (path, winner) in [
            ("/a/b", "=/a/b"),
            ("/a/c.json", "=/a/c.json"),
            ("/a/d.json", "/a/{x}.json"),
            ("/a/vd.json", "/a/v{x}.json"),
            ("/a/d", "/a/{x}"),
            ("/a/b/c", "/a/b"),
            ("/a/c/d", "/a"),
            ("/b", "/"),
            ("/r", "/"),
        ] {
            assert_eq!(outcome(&router, &get(path)), winner, "{path}");
        }
        routes.reverse();
    };
    check();
    check();
}

#[test]
fn templates_backtrack() {
    let router =
        router(vec![route(&["/a/{x}/c"]), route(&["/a/b/{y}"]), route(&["/{w}/b/c/d"]), route(&["/a/b{q}/c"])]);
    for (path, winner) in [
        ("/a/b/c", "/a/b/{y}"),
        ("/a/x/c", "/a/{x}/c"),
        ("/a/b/d", "/a/b/{y}"),
        ("/a/b/c/d", "/{w}/b/c/d"),
        ("/a/bz/c", "/a/b{q}/c"),
        ("/a/x/d", "404"),
    ] {
        assert_eq!(outcome(&router, &get(path)), winner, "{path}");
    }
}

#[test]
fn regexes_keep_the_order_of_the_file() {
    let first = router(vec![named("one", &["~^/v"]), named("two", &["~^/v1$"])]);
    assert_eq!(outcome(&first, &get("/v1")), "one");
    let second = router(vec![named("two", &["~^/v1$"]), named("one", &["~^/v"])]);
    assert_eq!(outcome(&second, &get("/v1")), "two");
    assert_eq!(outcome(&second, &get("/v2")), "one");
    // The same expression has one place; then the host decides.
    let by_host = RouteSpec { hosts: strings(&["a.example"]), ..named("host", &["~^/v"]) };
    let third = router(vec![named("any", &["~^/v"]), named("between", &["~^/v1"]), by_host]);
    assert_eq!(outcome(&third, &Query { host: Some("a.example"), ..get("/v1") }), "host");
    assert_eq!(outcome(&third, &Query { host: Some("b.example"), ..get("/v1") }), "any");
}

#[test]
fn hosts_exact_wildcard_none() {
    let host = |host: &str| RouteSpec { hosts: strings(&[host]), value: host.to_owned(), ..route(&["/"]) };
    let router = router(vec![
        route(&["/"]),
        host("*.example.com"),
        host("API.example.com."),
        host("*.b.example.com"),
        host("[::1]"),
        host("*.x"),
    ]);
    for (name, winner) in [
        (Some("api.example.com"), "API.example.com."),
        (Some("a.example.com"), "*.example.com"),
        (Some("a.b.example.com"), "*.b.example.com"),
        (Some("b.example.com"), "*.example.com"),
        (Some("z.a.b.example.com"), "*.b.example.com"),
        (Some("example.com"), "/"),
        (Some("xexample.com"), "/"),
        (Some("other.org"), "/"),
        (Some("[::1]"), "[::1]"),
        (Some("a.x"), "*.x"),
        (Some(".x"), "/"),
        (Some(""), "/"),
        (None, "/"),
    ] {
        assert_eq!(outcome(&router, &Query { host: name, ..get("/q") }), winner, "{name:?}");
    }
}

#[test]
fn the_path_counts_before_the_host_and_priority_before_both() {
    let by_host = RouteSpec { hosts: strings(&["h"]), ..named("host", &["/a"]) };
    let urgent = RouteSpec { priority: 1, ..named("urgent", &["/a/b/c"]) };
    let late = RouteSpec { priority: -1, ..named("late", &["=/a/b"]) };
    let router = router(vec![by_host, named("longer", &["/a/b"]), urgent, late]);
    for (path, winner) in [("/a/b", "longer"), ("/a/x", "host"), ("/a/b/c/d", "urgent")] {
        assert_eq!(outcome(&router, &Query { host: Some("h"), ..get(path) }), winner, "{path}");
    }
}

#[test]
fn more_predicates_win_and_failing_ones_fall_back() {
    let method = RouteSpec { methods: strings(&["GET"]), ..named("method", &["/a"]) };
    let header = RouteSpec {
        headers: vec![("x-version".to_owned(), values(&["2", "~^3\\."]))],
        methods: strings(&["GET"]),
        ..named("header", &["/a"])
    };
    let both = RouteSpec {
        headers: vec![("x-version".to_owned(), values(&["2"])), ("x-here".to_owned(), vec![])],
        query: vec![("be ta".to_owned(), values(&["1 2"]))],
        ..named("both", &["/a"])
    };
    let router = router(vec![named("plain", &["/a"]), method, header, both, named("root", &["/"])]);
    for (fields, query, method, winner) in [
        (&[][..], "", "GET", "method"),
        (&[], "", "POST", "plain"),
        (&[("X-Version", "2")], "", "GET", "header"),
        (&[("X-Version", "2")], "", "POST", "plain"),
        (&[("X-Version", "1"), ("x-version", "3.4")], "", "GET", "header"),
        (&[("X-Version", "13.4")], "", "GET", "method"),
        (&[("X-Version", "2"), ("X-Here", "")], "be+ta=1%202", "POST", "both"),
        (&[("X-Version", "2"), ("X-Here", "")], "a=1&be%20ta=0&be+ta=1+2", "GET", "both"),
        (&[("X-Version", "2"), ("X-Here", "")], "beta=1%202", "GET", "header"),
        (&[("X-Version", "2"), ("X-Here", "")], "be+ta=1%2x2", "GET", "header"),
    ] {
        let query = Query { headers: &Fields(fields), query, method, ..get("/a/b") };
        assert_eq!(outcome(&router, &query), winner, "{fields:?} {query:?}");
    }
}

#[test]
fn a_wrong_method_alone_is_405() {
    let with = |paths: &[&str], methods: &[&str]| RouteSpec { methods: strings(methods), ..route(paths) };
    let header = RouteSpec { headers: vec![("x".to_owned(), vec![])], ..with(&["=/a"], &["PATCH"]) };
    let router = router(vec![
        with(&["/a"], &["POST", "GET"]),
        with(&["=/a"], &["PUT", "GET"]),
        with(&["~^/a$"], &["PURGE"]),
        with(&["/b"], &["GET"]),
        header,
    ]);
    for (method, path, winner) in [
        ("GET", "/a", "=/a"),
        ("POST", "/a", "/a"),
        ("PURGE", "/a", "~^/a$"),
        ("DELETE", "/a", "405 PUT, GET, POST, PURGE"),
        ("DELETE", "/a/x", "405 POST, GET"),
        ("get", "/b", "405 GET"),
        ("HEAD", "/b", "405 GET"),
        ("BREW", "/b", "405 GET"),
        ("PATCH", "/a", "405 PUT, GET, POST, PURGE"),
        ("GET", "/c", "404"),
    ] {
        assert_eq!(outcome(&router, &Query { method, ..get(path) }), winner, "{method} {path}");
    }
}

#[test]
fn preflights_reach_the_route_they_ask_about() {
    let with = |name: &str, methods: &[&str], answers_preflight| RouteSpec {
        methods: strings(methods),
        answers_preflight,
        ..named(name, &["/a"])
    };
    let router = router(vec![
        with("get", &["GET"], false),
        with("put", &["PUT"], true),
        with("options", &["OPTIONS", "LOCK"], false),
    ]);
    let ask = |method, preflight_method| outcome(&router, &Query { method, preflight_method, ..get("/a") });
    assert_eq!(ask("OPTIONS", Some("PUT")), "put");
    assert_eq!(ask("OPTIONS", Some("GET")), "options");
    assert_eq!(ask("OPTIONS", Some("BREW")), "options");
    assert_eq!(ask("OPTIONS", None), "options");
    assert_eq!(ask("POST", Some("PUT")), "405 GET, PUT, OPTIONS, LOCK");
}

#[test]
fn listeners_narrow_and_never_cause_405() {
    let inner = RouteSpec { listeners: Some(vec![7, 3]), methods: strings(&["GET"]), ..named("inner", &["=/a"]) };
    let router = router(vec![inner, RouteSpec { methods: strings(&["PUT"]), ..named("outer", &["/a"]) }]);
    let on = |listener, method| outcome(&router, &Query { listener, method, ..get("/a") });
    assert_eq!(on(3, "GET"), "inner");
    assert_eq!(on(7, "GET"), "inner");
    assert_eq!(on(4, "PUT"), "outer");
    assert_eq!(on(4, "GET"), "405 PUT");
    assert_eq!(on(3, "POST"), "405 GET, PUT");
}

#[test]
fn all_faults_are_told_with_their_places() {
    let specs = vec![
        RouteSpec { hosts: strings(&["ok.example", "a b", "x.*.y", "h:80"]), ..route(&["/ok"]) },
        route(&["/ok", "~(", "~[z-a]", "no-slash"]),
        route(&["/a/{", "/a/}", "/{a}{b}", "/{a}/{a}", "/{}", "/{a}//b", "/{*rest}", "=/../x"]),
        RouteSpec { methods: strings(&["GET", "G T", ""]), ..route(&[]) },
        RouteSpec { headers: vec![("x".to_owned(), values(&["a", "~("]))], ..route(&[]) },
        RouteSpec { query: vec![("x".to_owned(), values(&["~*"]))], ..route(&[]) },
    ];
    let errors = Router::build(specs).map(|_| ()).expect_err("these are wrong");
    let places: Vec<_> = errors.iter().map(|error| (error.route, error.part)).collect();
    let path = |route: usize, numbers: std::ops::Range<usize>| numbers.map(move |nth| (route, Part::Path(nth)));
    let mut expected = vec![(0, Part::Host(1)), (0, Part::Host(2)), (0, Part::Host(3))];
    expected.extend(path(1, 1..4));
    expected.extend(path(2, 0..8));
    expected.extend([(3, Part::Method(1)), (3, Part::Method(2)), (4, Part::Header(0, 1)), (5, Part::Query(0, 0))]);
    assert_eq!(places, expected, "{errors:#?}");
    assert!(errors.iter().all(|error| !error.message.is_empty()));
}

#[test]
fn a_router_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&router(vec![route(&["~^/(a)"])]));
}

#[test]
fn nothing_at_all_is_not_found() {
    assert_eq!(outcome(&router(vec![]), &get("/")), "404");
    assert_eq!(outcome(&router(vec![RouteSpec::new("all".to_owned())]), &get("/x")), "all");
}
