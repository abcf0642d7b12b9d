//! R54, R69: 5,000 routes under load, 50 configurations in a row, good and bad ones; nobody notices but by what changes.

mod changes;
mod listeners;
mod whole;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tollgate_testkit::{Client, Exchange, Gateway, GatewayBuilder, Origin, PATIENCE};

use crate::helpers::{answer, figure, stats_when};

const RELOADS: usize = 50;

/// How many routes there are. A debug build is some twenty times slower, and shares its cores with other tests.
fn routes() -> usize {
    if Gateway::is_release() { 5_000 } else { 500 }
}

/// How soon a new route must be there.
fn soon() -> Duration {
    if Gateway::is_release() { Duration::from_millis(100) } else { Duration::from_secs(10) }
}

/// A configuration with all routes, and one of its own that answers 418.
fn good(marker: usize) -> String {
    let mut yaml = String::from(
        "workers: 2
listeners: [{ name: web, address: \"{listen}\" }]
services: [{ name: origin, url: \"http://{origin}\" }]
admin: { address: \"{admin}\" }
routes:
",
    );
    for route in 0..routes() {
        yaml += &format!("  - {{ name: r{route}, paths: [/r{route}], service: origin }}\n");
    }
    let termination = "plugins: [{ name: request-termination, config: { status: 418 } }]";
    yaml + &format!("  - {{ name: marker, paths: [/marker-{marker}], {termination} }}\n")
}

/// One that must be rejected, and what must be said about it.
fn bad(turn: usize) -> (String, &'static str) {
    let all = good(turn);
    match turn % 6 {
        0 => (all + "broken: [", "not YAML"),
        1 => (
            all.replace("name: r499, paths: [/r499], service: origin", "name: r499, service: nobody"),
            "no service `nobody`",
        ),
        2 => (all.replace("status: 418", "status: 42"), "from 200 to 599"),
        3 => (all.replace("listeners: [", "listeners: [{ name: other, address: \"{taken}\" }, "), "cannot listen on"),
        4 => (String::new(), "empty"),
        _ => (all.replace("name: r499,", "name: r498,"), "already"),
    }
}

/// Answers requests with `ok`, and upgraded ones with what they send.
fn serve(exchange: &mut Exchange<'_>) {
    exchange.read_body();
    if !exchange.request.fields.has("upgrade") {
        exchange.send(answer("ok"));
        return;
    }
    exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    while let Ok(bytes) = exchange.read_exact(8) {
        exchange.send(bytes);
    }
    exchange.close();
}

/// What goes on meanwhile: kept connections, fresh ones, and tunnels. Each panics at the first failure.
struct Load<'a> {
    address: std::net::SocketAddr,
    done: &'a AtomicBool,
    served: &'a AtomicUsize,
}

impl Load<'_> {
    /// Counts a request and rests a little: what is measured is the gateway under load, not a machine that has no time.
    fn goes_on(&self) -> bool {
        self.served.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_micros(500));
        !self.done.load(Ordering::Relaxed)
    }

    fn kept(&self, seed: usize) {
        let (mut client, routes) = (Client::connect(self.address), routes());
        client.patience(4 * PATIENCE);
        for turn in 0.. {
            let route = (seed * 997 + turn * 31) % routes;
            if turn % 3 == 0 {
                client.send(format!("POST /r{route}/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody"));
            } else {
                client.send(format!("GET /r{route}/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n"));
            }
            let answer = client.response("GET").expect("an answer on a kept connection");
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "/r{route}");
            if !self.goes_on() {
                return;
            }
        }
    }

    fn fresh(&self) {
        let routes = routes();
        for turn in 0.. {
            let mut client = Client::connect(self.address);
            client.patience(4 * PATIENCE);
            let answer = client.get(&format!("/r{}", turn % routes)).expect("an answer on a fresh connection");
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
            if !self.goes_on() {
                return;
            }
        }
    }

    fn tunnel(&self) {
        let mut client = Client::connect(self.address);
        client.patience(4 * PATIENCE);
        client.send("GET /r7 HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(client.response("GET").expect("an answer").status, 101);
        for turn in 0.. {
            let frame = format!("{turn:08}");
            client.send(&frame);
            assert_eq!(client.read_exact(8).expect("a tunnel that is not cut"), frame.as_bytes());
            if !self.goes_on() {
                return;
            }
        }
    }
}

/// Asks until the marker is there, and says how long it took since `since`.
fn visible(client: &mut Client, marker: usize, since: Instant) -> Duration {
    loop {
        let status = client.get(&format!("/marker-{marker}")).expect("an answer").status;
        let took = since.elapsed();
        if status == 418 {
            return took;
        }
        assert_eq!(status, 404, "the routes before do not have it");
        assert!(took < soon() + PATIENCE, "marker {marker} never came");
        thread::sleep(Duration::from_micros(500));
    }
}

fn reloads_under_load(builder: impl FnOnce(GatewayBuilder) -> GatewayBuilder) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let origin = Origin::start(serve);
    let taken = (taken.local_addr().expect("an address"), taken);
    let mut gateway = builder(Gateway::builder(&good(9999)).origin(&origin).var("taken", taken.0.to_string())).start();
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = Load { address: gateway.address(), done: &done, served: &served };
    let (mut latencies, mut rejected) = (Vec::new(), 0_u64);
    thread::scope(|scope| {
        for seed in 0..2 {
            let load = &load;
            scope.spawn(move || load.kept(seed));
        }
        scope.spawn(|| load.fresh());
        for _ in 0..2 {
            scope.spawn(|| load.tunnel());
        }
        // The load ends however this thread does.
        let _end = End(&done);
        let mut client = gateway.connect();
        for turn in 0..RELOADS {
            if turn % 2 == 0 {
                let yaml = good(turn);
                gateway.reload(&yaml);
                latencies.push(visible(&mut client, turn, Instant::now()));
            } else {
                let (yaml, says) = bad(turn / 2);
                gateway.reload(&yaml);
                rejected += 1;
                let stats = stats_when(&gateway, says, |stats| stats["config"]["rejected"] == rejected);
                let why = stats["config"]["last_error"].as_str().unwrap_or_default().to_owned();
                assert!(why.contains(says), "{says:?} is not in {why:?}");
                assert_eq!(
                    client.get(&format!("/marker-{}", turn - 1)).expect("an answer").status,
                    418,
                    "the old one serves"
                );
            }
        }
    });
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
    let (median, nearly_all, most) = (at(50), at(90), at(100));
    let served = served.load(Ordering::Relaxed);
    figure(&format!(
        "reload: visible after {median:?} (median), {nearly_all:?} (p90), {most:?} (most), {served} requests meanwhile"
    ));
    let metrics = gateway.metrics();
    assert_eq!(metrics.get("tollgate_config_reload_failures_total"), Some(rejected));
    assert_eq!(metrics.get("tollgate_config_reloads_total"), Some((RELOADS - RELOADS / 2) as u64));
    assert_eq!(metrics.get("tollgate_panics_total"), Some(0));
    assert!(served > 500, "{served} requests are no load");
    // A moment in which this machine was busy with something else is not held against it.
    assert!(nearly_all <= soon(), "visible after {nearly_all:?} (p90), {median:?} (median)");
    assert!(most <= 10 * soon(), "a new route was there after {most:?} only");
}

/// Sets a flag when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn r54_50_reloads_under_load_by_rename() {
    reloads_under_load(|builder| builder);
}

#[test]
fn r54_50_reloads_under_load_of_a_config_map() {
    reloads_under_load(GatewayBuilder::as_config_map);
}
