//! R3: a pool of targets is load balanced, by each algorithm but hashing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tollgate_testkit::{Client, Gateway, Origin, PATIENCE};

use super::{targets, with_service};
use crate::helpers::{answer, get, named};

fn who(client: &mut Client) -> String {
    client.get("/").expect("an answer").text()
}

fn tally(names: &[String]) -> HashMap<&str, usize> {
    let mut tally = HashMap::new();
    for name in names {
        *tally.entry(name.as_str()).or_default() += 1;
    }
    tally
}

/// An origin that holds each request until it is told to answer.
fn holding(name: &'static str) -> (Origin, mpsc::Sender<()>) {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        let _ = wait.lock().unwrap().recv_timeout(4 * PATIENCE);
        exchange.send(answer(name));
    });
    (origin, release)
}

/// Starts requests on connections of their own until the origin holds one.
fn until_held(gateway: &Gateway, origin: &Origin) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = gateway.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        client.patience(Duration::from_millis(100));
        let answered = client.response("GET").is_ok();
        client.patience(4 * PATIENCE);
        if !answered {
            clients.push(client);
        }
        if !origin.requests().is_empty() {
            return clients;
        }
    }
    panic!("the slow target never got a request");
}

#[test]
fn r3_weighted_round_robin_is_exact() {
    let origins = [named("a"), named("b"), named("c"), named("never")];
    let gateway = with_service(
        "targets: [{ address: \"{origin}\", weight: 5 }, { address: \"{origin2}\", weight: 3 }, \
         { address: \"{origin3}\", weight: 2 }, { address: \"{origin4}\", weight: 0 }]",
        &origins.each_ref(),
    );
    let mut clients: Vec<Client> = (0..4).map(|_| gateway.connect()).collect();
    let names: Vec<String> = (0..100).map(|turn| who(&mut clients[turn % 4])).collect();
    for (index, window) in names.chunks(10).enumerate() {
        assert_eq!(tally(window), HashMap::from([("a", 5), ("b", 3), ("c", 2)]), "round {index}: {window:?}");
    }
    let longest = names.chunk_by(|a, b| a == b).map(<[String]>::len).max();
    assert!(longest <= Some(2), "turns are mixed, not in blocks: {names:?}");
    assert!(origins[3].requests().is_empty());
}

#[test]
fn r3_targets_without_weights_take_turns() {
    let origins = [named("a"), named("b"), named("c")];
    let gateway = with_service(&targets(3), &origins.each_ref());
    let names: Vec<String> = (0..30).map(|_| get(&gateway, "/").text()).collect();
    assert_eq!(tally(&names), HashMap::from([("a", 10), ("b", 10), ("c", 10)]));
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

/// With one request held by the slow target, the other has fewer under way each time.
fn avoids_the_busy_one(algorithm: &str) {
    let ((slow, release), fast) = (holding("slow"), named("fast"));
    let service = format!("{}, load_balancing: {{ algorithm: {algorithm} }}", targets(2));
    let gateway = with_service(&service, &[&slow, &fast]);
    let held = until_held(&gateway, &slow);
    let mut client = gateway.connect();
    for _ in 0..30 {
        assert_eq!(who(&mut client), "fast", "{algorithm}");
    }
    assert_eq!(slow.requests().len(), 1, "{algorithm}");
    for mut client in held {
        release.send(()).unwrap();
        assert_eq!(client.response("GET").expect("an answer").text(), "slow");
    }
}

#[test]
fn r3_least_requests_avoids_a_busy_target() {
    avoids_the_busy_one("least-requests");
}

#[test]
fn r3_two_choices_avoid_a_busy_target() {
    avoids_the_busy_one("random-two-choices");
}

#[test]
fn r3_idle_targets_all_get_requests() {
    for algorithm in ["least-requests", "random-two-choices", "peak-ewma"] {
        let origins = [named("a"), named("b"), named("c")];
        let service = format!("{}, load_balancing: {{ algorithm: {algorithm} }}", targets(3));
        let gateway = with_service(&service, &origins.each_ref());
        let mut client = gateway.connect();
        let names: Vec<String> = (0..90).map(|_| who(&mut client)).collect();
        let tally = tally(&names);
        assert_eq!(tally.len(), 3, "{algorithm}: {tally:?}");
    }
}

/// Weights 3 to 1 under concurrent requests: the requests under way keep that proportion.
#[test]
fn r3_least_requests_goes_by_weight() {
    let gate = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let origin = |name: &'static str| {
        let gate = Arc::clone(&gate);
        Origin::start(move |exchange| {
            exchange.read_body();
            let open = gate.0.lock().unwrap();
            drop(gate.1.wait_timeout_while(open, 4 * PATIENCE, |open| !*open).unwrap());
            exchange.send(answer(name));
        })
    };
    let (heavy, light) = (origin("heavy"), origin("light"));
    let gateway = with_service(
        "targets: [{ address: \"{origin}\", weight: 3 }, { address: \"{origin2}\", weight: 1 }], \
         load_balancing: { algorithm: least-requests }",
        &[&heavy, &light],
    );
    let mut clients = Vec::new();
    for count in 1..=16 {
        let mut client = gateway.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        clients.push(client);
        // One after the other, so that each is counted before the next one is.
        let arrived = tollgate_testkit::eventually(PATIENCE, || {
            (heavy.requests().len() + light.requests().len() == count).then_some(())
        });
        assert!(arrived.is_some(), "request {count} never came");
    }
    assert_eq!((heavy.requests().len(), light.requests().len()), (12, 4));
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for client in &mut clients {
        assert_eq!(client.response("GET").expect("an answer").status, 200);
    }
}

#[test]
fn r3_peak_ewma_avoids_the_slow_target() {
    let slow = Origin::start(|exchange| {
        exchange.read_body();
        // Being slow is what this target is for.
        thread::sleep(Duration::from_millis(60));
        exchange.send(answer("slow"));
    });
    let fast = named("fast");
    let service = format!("{}, load_balancing: {{ algorithm: peak-ewma }}", targets(2));
    let gateway = with_service(&service, &[&slow, &fast]);
    let mut client = gateway.connect();
    let names: Vec<String> = (0..100).map(|_| who(&mut client)).collect();
    let slow = tally(&names).get("slow").copied().unwrap_or(0);
    assert!(slow <= 15, "the slow target got {slow} of 100");
}

/// All workers together: each has its turn from the same sequence or its own, and the shares come out right.
#[test]
fn r3_the_shares_hold_over_several_workers() {
    let origins = [named("a"), named("b")];
    let yaml =
        super::service_yaml("targets: [{ address: \"{origin}\", weight: 3 }, { address: \"{origin2}\", weight: 1 }]");
    let gateway = Gateway::start(&yaml.replace("workers: 1", "workers: 2"), &origins.each_ref());
    let names: Vec<String> = (0..80).map(|_| get(&gateway, "/").text()).collect();
    let a = tally(&names).get("a").copied().unwrap_or(0);
    assert!((56..=64).contains(&a), "{a} of 80 for three quarters");
}
