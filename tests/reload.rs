//! New configurations while traffic flows, and the end of a process.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tollgate_testkit::{Gateway, Origin, PATIENCE, eventually};

use crate::configs::{PLAIN, routing_only};

/// Asks for a path until its status is as wanted. A reload announces itself to nobody.
pub(crate) fn until(gateway: &Gateway, path: &str, wanted: impl Fn(u16) -> bool) {
    let asked = eventually(PATIENCE, || {
        let status = gateway.connect().get(path).expect("an answer").status;
        wanted(status).then_some(())
    });
    asked.unwrap_or_else(|| panic!("{path} never changed; the gateway wrote:\n{}", gateway.stderr()));
}

#[test]
fn r54_a_new_file_is_served_once_it_is_renamed_into_place() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&routing_only("/old"), &[&origin]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/old").expect("an answer").status, 200);
    assert_eq!(client.get("/new").expect("an answer").status, 404);
    gateway.reload(&routing_only("/new"));
    until(&gateway, "/new", |status| status == 200);
    // The connection from before goes on, by the new rules.
    assert_eq!(client.get("/new").expect("an answer").status, 200);
    assert_eq!(client.get("/old").expect("an answer").status, 404);
}

#[test]
fn r54_a_swapped_config_map_is_served() {
    let origin = Origin::ok();
    let mut gateway = Gateway::builder(&routing_only("/old")).origin(&origin).as_config_map().start();
    assert_eq!(gateway.connect().get("/old").expect("an answer").status, 200);
    for path in ["/first", "/second", "/third"] {
        gateway.reload(&routing_only(path));
        until(&gateway, path, |status| status == 200);
    }
    assert_eq!(gateway.connect().get("/old").expect("an answer").status, 404);
}

#[test]
fn r54_sighup_reads_the_file_again() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&routing_only("/old"), &[&origin]);
    gateway.reload(&routing_only("/new"));
    gateway.sighup();
    until(&gateway, "/new", |status| status == 200);
    gateway.sighup();
    assert_eq!(gateway.connect().get("/new").expect("an answer").status, 200);
}

#[test]
fn a_broken_file_changes_nothing() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&routing_only("/old"), &[&origin]);
    for broken in ["routes: [", "nonsense: true", &PLAIN.replace("service: origin", "service: nobody")] {
        let before = gateway.stderr().len();
        gateway.reload(broken);
        gateway.sighup();
        let said = eventually(PATIENCE, || (gateway.stderr().len() > before).then_some(()));
        assert!(said.is_some(), "no word about {broken:?}");
        assert_eq!(gateway.connect().get("/old").expect("an answer").status, 200);
    }
    // The next good one is taken.
    gateway.reload(&routing_only("/new"));
    until(&gateway, "/new", |status| status == 200);
}

#[test]
fn a_broken_file_stops_the_start() {
    let started = Gateway::builder("nonsense: true").try_start();
    let error = started.err().expect("it does not start");
    assert_eq!(error.status.and_then(|status| status.code()), Some(1), "{}", error.stderr);
    assert!(error.stderr.contains("nonsense"), "{}", error.stderr);
}

#[test]
fn no_request_fails_while_configurations_change() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(PLAIN, &[&origin]);
    let done = AtomicBool::new(false);
    let address = gateway.address();
    thread::scope(|scope| {
        let load: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = tollgate_testkit::Client::connect(address);
                    let mut count = 0;
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(client.get("/x").expect("an answer").status, 200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for round in 0..10 {
            let path = format!("/v{round}");
            let guarded = PLAIN.replace(
                "routes:",
                &format!(
                    "routes:\n  - name: marker\n    paths: [{path}]\n    service: origin\n    plugins:\n      \
                     - name: request-termination\n        config: {{ status: 418 }}"
                ),
            );
            gateway.reload(if round % 3 == 2 { "broken: [" } else { &guarded });
            if round % 3 != 2 {
                until(&gateway, &path, |status| status == 418);
            }
        }
        done.store(true, Ordering::Relaxed);
        for worker in load {
            assert!(worker.join().expect("no request failed") > 10);
        }
    });
}

#[test]
fn sigterm_finishes_what_is_under_way() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        exchange.read_body();
        if exchange.request.target == "/slow" {
            // Until the gateway has been told to stop.
            let _ = wait.lock().unwrap().recv_timeout(2 * PATIENCE);
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let mut gateway = Gateway::start(PLAIN, &[&origin]);
    let mut idle = gateway.connect();
    assert_eq!(idle.get("/quick").expect("an answer").status, 200);
    let mut client = gateway.connect();
    client.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_requests(2, PATIENCE);
    gateway.sigterm();
    // The sign that it drains: idle connections go, and nobody new comes in.
    assert_eq!(idle.closes(), Ok(()));
    let address = gateway.address();
    let refused = eventually(PATIENCE, || std::net::TcpStream::connect(address).is_err().then_some(()));
    assert!(refused.is_some(), "it still accepts");
    release.send(()).unwrap();
    let answer = client.response("GET").expect("the answer under way");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(client.closes(), Ok(()));
    assert!(gateway.wait_exit(Duration::from_secs(5)).success());
}
