//! What a lookup costs must not depend on how many routes there are. Counted, not timed.

use super::*;

/// Routes as a real file has them: several services, a few kinds of paths each.
fn many(count: usize) -> Vec<RouteSpec<String>> {
    let one = |nth: usize| match nth % 4 {
        0 => route(&[&format!("/api/service-{nth}/orders")]),
        1 => route(&[&format!("/api/service-{nth}/orders/{{id}}/items")]),
        2 => route(&[&format!("=/api/service-{nth}")]),
        _ => RouteSpec { methods: strings(&["GET"]), ..route(&[&format!("/{nth}")]) },
    };
    (0..count).map(one).collect()
}

/// Nodes visited, each of which is one cache line, and candidates found.
fn effort(router: &Router<String>, query: &Query<'_>) -> (usize, usize) {
    let mut hits = Hits::new();
    let mut segments = Segments::new(query.path);
    let tables = router.hosts.lookup(query.host);
    let nodes = router.tables(&tables).map(|table| router.tree.gather(table.root, &mut segments, &mut hits)).sum();
    (nodes, hits.iter().map(|hit| router.candidates(hit).len()).sum())
}

#[test]
fn ten_thousand_routes_cost_what_ten_do() {
    let (few, lots) = (router(many(10)), router(many(10_000)));
    for path in ["/api/service-4/orders/7", "/api/service-5/orders/7/items", "/api/service-6", "/7/x", "/nothing/here"]
    {
        assert_eq!(effort(&few, &get(path)), effort(&lots, &get(path)), "{path}");
        // The root, `api` and one node more: the rest of a pattern is its tail.
        assert!(effort(&lots, &get(path)).0 <= 3, "{path}");
        assert_eq!(outcome(&few, &get(path)), outcome(&lots, &get(path)), "{path}");
    }
}

#[test]
fn ten_thousand_routes_are_small() {
    let router = router(many(10_000));
    let candidates = router.candidates.len() * size_of::<Candidate>();
    let bytes = router.tree.bytes() + candidates + router.routes.len() * (size_of::<Route>() + size_of::<String>());
    assert!(bytes < 10 << 20, "{bytes} bytes");
}

#[test]
fn overlapping_templates_visit_each_node_once() {
    // Every segment may go two ways: a naive search of this tree would take 2^12 steps for a long path of nothing else.
    let mut specs = Vec::new();
    for depth in 1..=12 {
        let path = "/a".repeat(depth - 1) + "/{x}" + &"/a".repeat(12 - depth) + "/end";
        specs.push(route(&[&path]));
    }
    let router = router(specs);
    let path = "/a".repeat(13);
    let (nodes, found) = effort(&router, &get(&path));
    assert_eq!(found, 0);
    assert!(nodes <= 12 * 13 + 1, "{nodes}");
}

#[test]
fn one_host_of_many_is_found_at_once() {
    let host =
        |nth: usize| RouteSpec { hosts: vec![format!("h{nth}.example"), format!("*.h{nth}.example")], ..route(&["/"]) };
    let router = router((0..2_000).map(host).collect());
    for (name, nodes) in [("h7.example", 1), ("a.b.h1999.example", 1), ("example", 0)] {
        assert_eq!(effort(&router, &Query { host: Some(name), ..get("/x") }).0, nodes, "{name}");
    }
}

#[test]
fn tables_with_the_same_regexes_share_an_automaton() {
    let spec = RouteSpec { hosts: strings(&["a.example", "b.example", "*.c.example"]), ..route(&["~^/x", "~y$"]) };
    let router = router(vec![spec]);
    assert_eq!((router.tables.len(), router.sets.len()), (3, 1));
}

#[test]
fn regexes_are_left_alone_when_they_cannot_win() {
    let router = router(vec![route(&["/a"]), route(&["~^/a"]), RouteSpec { priority: 1, ..route(&["~^/b"]) }]);
    let best = router.tables.first().map(|table| table.best_regex);
    assert_eq!(best, Some(0), "the urgent one may beat all, so that the set must be asked");
    assert_eq!(outcome(&router, &get("/a")), "/a");
    assert_eq!(outcome(&router, &get("/b")), "~^/b");
}
