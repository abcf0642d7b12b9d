//! R3: consistent hashing, by each part of a request.

use std::collections::{HashMap, HashSet};

use tollgate_testkit::Gateway;

use super::{service_yaml, targets, with_service};
use crate::helpers::{ask, named};

const KEYS: usize = 60;

fn hashing(on: &str, count: usize) -> String {
    format!("{}, load_balancing: {{ algorithm: consistent-hash, hash_on: \"{on}\" }}", targets(count))
}

/// Which target each of the keys meets, the same over several connections.
fn placed(gateway: &Gateway, request: impl Fn(usize) -> (String, String)) -> HashMap<usize, String> {
    let mut met: HashMap<usize, String> = HashMap::new();
    for _ in 0..2 {
        let mut client = gateway.connect();
        for key in 0..KEYS {
            let (line, fields) = request(key);
            let answer = ask(&mut client, &line, &fields);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let name = answer.text();
            let before = met.insert(key, name.clone());
            assert!(before.is_none_or(|before| before == name), "key {key} moved to {name}");
        }
    }
    met
}

fn spreads(on: &str, request: impl Fn(usize) -> (String, String)) {
    let origins = [named("a"), named("b"), named("c"), named("d")];
    let gateway = with_service(&hashing(on, 4), &origins.each_ref());
    let met = placed(&gateway, request);
    let used: HashSet<&String> = met.values().collect();
    assert_eq!(used.len(), 4, "hash_on {on} uses {used:?}");
}

#[test]
fn r3_the_same_header_meets_the_same_target() {
    spreads("header:X-User", |key| ("GET /".into(), format!("x-user: user-{key}\r\n")));
}

#[test]
fn r3_the_same_cookie_meets_the_same_target() {
    spreads("cookie:sid", |key| ("GET /".into(), format!("Cookie: other=1; sid=session{key}; last=2\r\n")));
}

#[test]
fn r3_the_same_parameter_meets_the_same_target() {
    spreads("query:user", |key| (format!("GET /?a=b&user=u{key}&c=d"), String::new()));
}

#[test]
fn r3_the_same_path_meets_the_same_target() {
    spreads("path", |key| (format!("GET /things/{key}"), String::new()));
}

/// Behind a trusted proxy, the address is the client's.
#[test]
fn r3_r23_the_same_address_meets_the_same_target() {
    spreads("ip", |key| ("GET /".into(), format!("X-Forwarded-For: 203.0.113.{key}\r\n")));
}

/// Without consumers yet, a client is told apart by its address.
#[test]
fn r3_a_consumer_meets_the_same_target() {
    spreads("consumer", |key| ("GET /".into(), format!("X-Forwarded-For: 198.51.100.{key}\r\n")));
}

#[test]
fn r3_a_request_without_the_key_is_served() {
    let origins = [named("a"), named("b")];
    for on in ["header:X-User", "cookie:sid", "query:user"] {
        let gateway = with_service(&hashing(on, 2), &origins.each_ref());
        let mut client = gateway.connect();
        for _ in 0..4 {
            assert_eq!(client.get("/").expect("an answer").status, 200, "{on}");
        }
    }
}

/// Taking one of five targets away moves its own keys and few others.
#[test]
fn r3_few_keys_move_when_a_target_goes() {
    let origins = [named("a"), named("b"), named("c"), named("d"), named("e")];
    let mut gateway = with_service(&hashing("header:X-User", 5), &origins.each_ref());
    let request = |key: usize| ("GET /".to_owned(), format!("X-User: {key}\r\n"));
    let before = placed(&gateway, request);
    let fewer = service_yaml(&hashing("header:X-User", 4));
    gateway.reload(&fewer);
    gateway.metrics_when("the reload", |m| m.get("tollgate_config_reloads_total") == Some(1));
    let after = placed(&gateway, request);
    assert!(after.values().all(|name| name != "e"));
    let moved = before.iter().filter(|(key, name)| *name != "e" && after[*key] != **name).count();
    assert!(moved <= KEYS / 6, "{moved} of {KEYS} keys moved though their target stayed");
}

/// A key whose target is dead is served by another.
#[test]
fn r3_a_dead_targets_keys_go_elsewhere() {
    let origins = [named("a"), named("b"), named("c")];
    let gateway = with_service(&hashing("header:X-User", 3), &origins.each_ref());
    let request = |key: usize| ("GET /".to_owned(), format!("X-User: {key}\r\n"));
    let before = placed(&gateway, request);
    let [first, rest @ ..] = origins;
    drop(first);
    let after = placed(&gateway, request);
    assert!(before.values().any(|name| name == "a") && after.values().all(|name| name != "a"));
    for (key, name) in before.iter().filter(|(_, name)| *name != "a") {
        assert_eq!(after[key], *name, "the keys of the others stay");
    }
    drop(rest);
}
