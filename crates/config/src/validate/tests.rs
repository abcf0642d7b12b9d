use crate::load::{Loaded, parse_with};
use std::path::Path;

const LISTENERS: &str = "listeners:\n- {name: web, address: '0.0.0.0:8080'}\n";
const SERVICES: &str = "services:\n- {name: orders, url: 'http://127.0.0.1:9001'}\n";
const ROUTES: &str = "routes:\n- {name: all, service: orders}\n";

fn parse(text: &str) -> Loaded {
    let variable = |name: &str| match name {
        "SERVICE" => Some("ordeRs-secret".to_owned()),
        "EMPTY" => Some(String::new()),
        "N" => Some("3".to_owned()),
        _ => None,
    };
    parse_with(text, "tollgate.yaml", Path::new("."), &variable)
}

/// The problems of a text, as `line:column path: message (help)`.
fn problems(text: &str) -> Vec<String> {
    parse(text).problems.iter().map(|problem| problem.to_string().replacen(": ", " ", 1)).collect()
}

fn check(texts: &[&str], expected: &[&str]) {
    let text = texts.concat();
    assert_eq!(problems(&text), expected, "\n{text}");
}

#[test]
fn listeners_are_checked() {
    let rest = [SERVICES, ROUTES].concat();
    for (text, expected) in [
        (
            "listeners: []\n",
            "1:12 listeners: there is no listener, so no request could ever come in (add `listeners: [{ name: web, address: 0.0.0.0:8080 }]`)",
        ),
        ("listeners: x\n", "1:12 listeners: expected a list, found the string \"x\""),
        (
            "listeners:\n- {name: a, address: ':80'}\n",
            "2:22 listeners[0].address: expected an address such as 0.0.0.0:8080, [::]:8080 or unix:/run/tollgate.sock, found `:80` (write 0.0.0.0:80, or [::]:80 for IPv6 too)",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1'}\n- {name: a, address: '1.1.1.1:2'}\n",
            "3:10 listeners[1].name: there is a listener `a` already",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1'}\n- {name: b, address: '1.1.1.1:1'}\n",
            "3:22 listeners[1].address: another listener has the address `1.1.1.1:1` already",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1', limits: {max_headers: 0}}\n",
            "2:57 listeners[0].limits.max_headers: expected more than 0: with this no request could be taken",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1', limits: {max_header_bytes: 2MiB}}\n",
            "2:62 listeners[0].limits.max_header_bytes: expected at most 1MiB (each connection may take that much memory)",
        ),
        (
            "listeners:\n- {name: a b, address: '1.1.1.1:1'}\n",
            "2:10 listeners[0].name: expected a name, found `a b` (names have letters, digits, `.`, `_` and `-`)",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1', http3: {x: 1}}\n",
            "2:35 listeners[0].http3: `http3` is part of Tollgate's configuration but not built yet",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1', tsl: {x: 1}}\n",
            "2:35 listeners[0].tsl: unknown key `tsl` (did you mean `tls`?)",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1', protocol: tcp}\n",
            "2:45 listeners[0].protocol: a listener for `tcp` needs a `service`, to which its connections go (add `service: NAME`)",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1', limits: {idle_timeout: [1]}}\n",
            "2:58 listeners[0].limits.idle_timeout: expected a duration such as 250ms, 30s or 5m, found a list",
        ),
        (
            "listeners:\n- {name: a, address: '1.1.1.1:1', trusted_proxies: [10.0.0.1/8]}\n",
            "2:53 listeners[0].trusted_proxies[0]: expected a network such as 10.0.0.0/8, or an address, found `10.0.0.1/8`, an address within a network (the network is 10.0.0.0/8)",
        ),
    ] {
        check(&[text, &rest], &[expected]);
    }
    let fine = "listeners:\n- {name: a, address: '1.1.1.1:0', http3: false, proxy_protocol: false, protocol: http}\n- {name: b, address: '1.1.1.1:0'}\n";
    check(&[fine, &rest], &[]);
}

#[test]
fn services_are_checked() {
    for (service, expected) in [
        ("", "4:3 services[0]: the service `orders` has neither `url` nor `targets` (add `url: http://HOST:PORT`)"),
        (
            ", url: 'http://a', targets: []",
            "4:44 services[0].targets: a service has either `url` or `targets`, not both",
        ),
        (", targets: []", "4:27 services[0].targets: expected at least one target, found none"),
        (
            ", targets: [{address: 'a:1', weight: 0}]",
            "4:27 services[0].targets: every target has the weight 0, so none could be picked",
        ),
        (
            ", targets: [{address: 'a'}]",
            "4:38 services[0].targets[0].address: expected HOST:PORT such as 127.0.0.1:9001 or orders.internal:9001, found `a` (the port is missing)",
        ),
        (
            ", url: 'http://a', load_balancing: {algorithm: consistent-hash}",
            "4:63 services[0].load_balancing.algorithm: `consistent-hash` needs `hash_on` to say what is hashed (add `hash_on: ip`, or `consumer`, `path`, `header:NAME`, `cookie:NAME`, `query:NAME`)",
        ),
        (
            ", url: 'http://a', load_balancing: {hash_on: ip}",
            "4:61 services[0].load_balancing.hash_on: `hash_on` does nothing without `algorithm: consistent-hash`",
        ),
        (
            ", url: 'http://a', load_balancing: {hash_on: ipp}",
            "4:61 services[0].load_balancing.hash_on: expected `ip`, `consumer`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`, found `ipp`",
        ),
        (
            ", url: 'http://a', load_balancing: {algorithm: least_requests}",
            "4:63 services[0].load_balancing.algorithm: expected `round-robin`, `least-requests`, `random-two-choices`, `peak-ewma` or `consistent-hash`, found the string \"least_requests\" (did you mean `least-requests`?)",
        ),
        (
            ", url: 'http://a', retries: {attempts: 11}",
            "4:55 services[0].retries.attempts: expected at most 10 further tries",
        ),
        (
            ", url: 'http://a', retries: {budget: 0.2}",
            "4:45 services[0].retries.budget: `budget` is part of Tollgate's configuration but not built yet",
        ),
        (
            ", discovery: {dns: {}}",
            "4:18 services[0].discovery: `discovery` is part of Tollgate's configuration but not built yet",
        ),
        (
            ", url: 5",
            "4:23 services[0].url: expected a URL such as http://127.0.0.1:9001, found the number 5 (put the value in quotes to make it a string)",
        ),
    ] {
        let text = format!("services:\n- {{name: orders{service}}}\n");
        check(&[LISTENERS, &text, ROUTES], &[expected]);
    }
    let unused = "- {name: spare, url: 'http://a'}\n";
    check(&[LISTENERS, SERVICES, unused, ROUTES], &["5:10 services[1].name: no route uses the service `spare`"]);
    let mirrored = "- {name: b, service: orders, paths: [/b], plugins: [{name: mirror, config: {service: spare}}]}\n";
    check(&[LISTENERS, SERVICES, unused, ROUTES, mirrored], &[]);
}

#[test]
fn routes_are_checked() {
    let reason = "the route `r` has no `service`, and no plugin that answers by itself (add `service: NAME`, or the plugin `request-termination` or `redirect`)";
    for (route, expected) in [
        ("", format!("6:3 routes[0]: {reason}")),
        (", service: order", "6:22 routes[0].service: there is no service `order` (did you mean `orders`?)".into()),
        (", service: '${env:SERVICE}'", "6:22 routes[0].service: there is no service `${env:SERVICE}`".into()),
        (", service: orders, listeners: [wbe]", "6:42 routes[0].listeners[0]: there is no listener `wbe` (did you mean `web`?)".into()),
        (", service: orders, paths: [v1]", "6:38 routes[0].paths[0]: expected a path that begins with `/`, found `v1` (did you mean `/v1`?)".into()),
        (", service: orders, paths: /v1", "6:37 routes[0].paths: expected a list, found the string \"/v1\"".into()),
        (", service: orders, methods: [get]", "6:40 routes[0].methods[0]: expected an HTTP method, found `get` (methods are written in capitals: GET)".into()),
        (", service: orders, hosts: ['http://a.com']", "6:38 routes[0].hosts[0]: expected a host such as api.example.com, found the URL `http://a.com` (write the host alone: a.com)".into()),
        (", service: orders, headers: {X: [2]}", "6:44 routes[0].headers.X[0]: expected a string, or `~` and a regular expression, found the number 2 (put the value in quotes to make it a string)".into()),
        (", service: orders, headers: {'X Y': [a]}", "6:40 routes[0].headers[\"X Y\"]: expected the name of a header, found `X Y` (write the name alone, such as X-Api-Version)".into()),
        (", service: orders, headers: {X: []}", "6:43 routes[0].headers.X: expected at least one value, found none (`[\"~\"]` takes any value)".into()),
        (", service: orders, headers: {X: [a], x: [b]}", "6:51 routes[0].headers.x: the header `x` stands here twice, as case makes no difference".into()),
        (", service: orders, query: {q: ['~(']}", "6:42 routes[0].query.q[0]: the regular expression is not valid: unclosed group".into()),
        (", service: orders, strip_path: true, paths: ['~^/x']", "6:42 routes[0].strip_path: `strip_path` removes a prefix, and a route with a regex for a path has none (use `rewrite_path` with `$1` instead)".into()),
        (", service: orders, rewrite_path: '/{id}', paths: ['/{id}', /x]", "6:44 routes[0].rewrite_path: `{id}` is not captured by the path `/x`".into()),
        (", service: orders, rewrite_path: '/$2', paths: ['~^/(.)']", "6:44 routes[0].rewrite_path: `$2` is not captured by the path `~^/(.)`".into()),
        (", service: orders, rewrite_path: '/{id}'", "6:44 routes[0].rewrite_path: `{id}` captures nothing: the route has no `paths`".into()),
        (", service: orders, strip_path: true, rewrite_path: /x", "6:42 routes[0].strip_path: `strip_path` does nothing where `rewrite_path` gives the whole path".into()),
        (", service: orders, split: {}", "6:30 routes[0].split: `split` is part of Tollgate's configuration but not built yet".into()),
        (", service: orders, plugins: [{name: jwt}, {name: jwt}]", "6:60 routes[0].plugins[1].name: the plugin `jwt` stands in this list twice".into()),
        (", service: orders, plugins: [{config: {}}]", "6:40 routes[0].plugins[0]: missing key `name`".into()),
        (", service: orders, preserve_host: yes", "6:45 routes[0].preserve_host: expected true or false, found the string \"yes\"".into()),
        (", service: orders, policies: []", "6:30 routes[0].policies: unknown key `policies`".into()),
    ] {
        let text = format!("routes:\n- {{name: r{route}}}\n");
        let found = problems(&[LISTENERS, SERVICES, &text].concat());
        let real: Vec<&String> = found.iter().filter(|text| !text.contains("no route uses")).collect();
        assert_eq!(real, [&expected], "{route}");
    }
    for fine in [
        "- {name: r, plugins: [{name: redirect}]}\n",
        "- {name: r, service: orders, rewrite_path: '/$1/$0', paths: ['~^/(.)']}\n",
        "- {name: r, service: orders, rewrite_path: '/{a}', paths: ['~^/(?<a>.)', '/{a}']}\n",
        "- {name: r, service: orders, hosts: [], methods: [], plugins: []}\n",
    ] {
        check(&[LISTENERS, SERVICES, "routes:\n- {name: o, service: orders, paths: [/other]}\n", fine], &[]);
    }
    check(&[LISTENERS, "routes:\n- {name: r}\nplugins: [{name: redirect}]\n"], &[]);
}

#[test]
fn routes_that_are_never_reached_are_told() {
    let route = |name: &str, more: &str| format!("- {{name: {name}, service: orders{more}}}\n");
    let with = |first: &str, second: &str| {
        problems(&[LISTENERS, SERVICES, "routes:\n", &route("a", first), &route("b", second)].concat())
    };
    for (first, second, place, path) in [
        ("", "", "7:10 routes[1].name", "any path"),
        (", paths: [/x]", ", paths: [/y, /x]", "7:42 routes[1].paths[1]", "`/x`"),
        (", paths: ['/{a}']", ", paths: ['/{b}']", "7:38 routes[1].paths[0]", "`/{b}`"),
        (", paths: ['~^/x']", ", paths: ['~^/x']", "7:38 routes[1].paths[0]", "`~^/x`"),
        (", paths: [/x], methods: [GET, PUT]", ", paths: [/x], methods: [PUT, GET]", "7:38 routes[1].paths[0]", "`/x`"),
        (", hosts: [a.com, b.com]", ", hosts: [B.com, A.com]", "7:10 routes[1].name", "any path"),
        ("", ", paths: [/]", "7:38 routes[1].paths[0]", "`/`"),
        (", headers: {X: [a, b]}", ", headers: {x: [b, a]}", "7:10 routes[1].name", "any path"),
    ] {
        let message =
            format!("{place}: the route `b` never gets a request for {path}: the route `a` takes just the same ones");
        assert_eq!(with(first, second), [message]);
    }
    for (first, second) in [
        ("", ", priority: 1"),
        (", paths: [/x]", ", paths: [=/x]"),
        (", paths: [/x]", ", paths: [/x], methods: [GET]"),
        (", paths: [/x]", ", paths: [/x], hosts: [a.com]"),
        (", query: {a: [b]}", ", query: {a: [c]}"),
        (", paths: [/x, /x]", ", paths: [/y]"),
        ("", ", listeners: [web]"),
    ] {
        assert_eq!(with(first, second), Vec::<String>::new(), "{first} {second}");
    }
}

#[test]
fn the_rest_is_checked() {
    let rest = [LISTENERS, SERVICES, ROUTES].concat();
    for (text, expected) in [
        (
            "admin: {address: '0.0.0.0:9901'}\n",
            "7:18 admin.address: the admin API can be reached from other machines, so it needs a `token` (add `token: \"${env:TOLLGATE_ADMIN_TOKEN}\"`, or listen on 127.0.0.1)",
        ),
        (
            "admin: {address: '127.0.0.1:9901', token: ''}\n",
            "7:43 admin.token: expected a token, found an empty string",
        ),
        (
            "admin: {address: '0.0.0.0:9901', token: '${env:EMPTY}'}\n",
            "7:41 admin.token: expected a token, found an empty string",
        ),
        (
            "admin: {address: '0.0.0.0:9901', token: '${env:MISSING}'}\n",
            "7:41 admin.token: the environment variable `MISSING` is not set",
        ),
        (
            "admin: {address: '0.0.0.0:8080', token: x}\n",
            "7:18 admin.address: another listener has the address `0.0.0.0:8080` already",
        ),
        ("admin: {token: x}\n", "7:8 admin: missing key `address`"),
        ("workers: 0\n", "7:10 workers: expected a number of threads from 1 to 1024"),
        ("workers: many\n", "7:10 workers: expected a whole number from 0 to 65535, found the string \"many\""),
        ("workers: ${env:MISSING}\n", "7:10 workers: the environment variable `MISSING` is not set"),
        ("access_log: {sample: 1.5}\n", "7:22 access_log.sample: expected a share from 0 to 1"),
        ("access_log: {sample: .nan}\n", "7:22 access_log.sample: expected a share from 0 to 1"),
        ("access_log: {format: text}\n", "7:22 access_log.format: expected `json`, found the string \"text\""),
        ("state_dir: ''\n", "7:12 state_dir: expected the path of a directory, found an empty string"),
        ("consumers: []\n", "7:1 consumers: `consumers` is part of Tollgate's configuration but not built yet"),
        ("redis: {url: 'redis://a'}\n", "7:1 redis: `redis` is part of Tollgate's configuration but not built yet"),
        ("worker: 4\n", "7:1 worker: unknown key `worker` (did you mean `workers`?)"),
        ("plugins: {jwt: {}}\n", "7:10 plugins: expected a list, found a mapping"),
        ("routes: []\n", "7:1 routes: the key `routes` stands here twice"),
    ] {
        check(&[&rest, text], &[expected]);
    }
    let fine = "admin: {address: '127.0.0.1:9901'}\nworkers: ${env:N}\naccess_log: {}\n";
    check(&[&rest, fine], &[]);
    let loaded = parse(&[&rest, fine].concat());
    assert_eq!(loaded.config.unwrap().workers, Some(3));
}

#[test]
fn one_mistake_makes_one_problem() {
    // A service with a bad key still counts as declared, and a route that is broken still uses what it names.
    let text = "listeners:\n- {name: web, address: '0.0.0.0:8080', http3: {}}\n\
                services:\n- {name: orders, ulr: 'http://a'}\n- {name: 7, url: 'http://a'}\n\
                routes:\n- {name: a, service: orders, listeners: [web], path: [/x]}\n- {name: b, service: '7'}\n";
    check(
        &[text],
        &[
            "2:40 listeners[0].http3: `http3` is part of Tollgate's configuration but not built yet",
            "4:18 services[0].ulr: unknown key `ulr` (did you mean `url`?)",
            "5:10 services[1].name: expected a name, found the number 7 (put the value in quotes to make it a string)",
            "7:48 routes[0].path: unknown key `path` (did you mean `paths`?)",
        ],
    );
}

#[test]
fn warnings_leave_a_configuration() {
    let loaded = parse(&[LISTENERS, SERVICES].concat());
    assert_eq!(loaded.problems.len(), 1);
    assert!(loaded.config.is_some() && !loaded.has_errors());
    let mut loaded = loaded;
    let problem = loaded.tree.problem_at("listeners[0].name", "no");
    loaded.add_problems([problem]);
    assert!(loaded.config.is_none() && loaded.problems[0].message == "no");
}

mod tls;
