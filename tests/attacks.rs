//! What those do who want to harm: each attack runs beside normal traffic, which must not feel it.
//!
//! The attacks run one after the other, for two seconds each, or for `TOLLGATE_ATTACK_SECONDS`, against one gateway with one
//! worker. Whoever attacks is cut off or bounded, nobody else fails or waits long, and memory stays.

mod cheap_frames;
mod normal;
mod servers;
mod slow;
mod streams;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use normal::{Normal, Traffic};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tollgate_testkit::certificates::Authority;
use tollgate_testkit::{Gateway, free_port};

use crate::helpers::figure;

/// How long normal traffic is watched before each attack.
const BEFORE: Duration = Duration::from_millis(250);
/// What 99 of 100 requests may always take: the build is for debugging, the machine is shared and may be slow, and who is
/// starved waits for seconds.
const TOLERANCE: Duration = Duration::from_millis(200);
/// What the gateway's memory may grow by in an attack.
const GROWTH_KIB: u64 = 50 * 1000;

const YAML: &str = "workers: 1
listeners:
  - { name: web, address: '{listen}', limits: &limits { header_timeout: 500ms, body_timeout: 500ms, idle_timeout: 1500ms, max_streams: 100 } }
  - { name: secure, address: '{secure}', limits: *limits, tls: { certificates: [{ cert: a.crt, key: a.key }] } }
services: [{ name: s, url: 'http://{origin}' }]
routes: [{ name: r, paths: [/], service: s }]
admin: { address: '{admin}' }
";

/// Whom an attack is on, and for how long.
struct Target {
    address: SocketAddr,
    secure: SocketAddr,
    until: Instant,
}

impl Target {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// What became of an attacker.
#[derive(Debug, Default)]
struct Outcome {
    /// Connections that it made.
    connections: usize,
    /// Those that the gateway ended.
    cut: usize,
}

struct Attack {
    name: &'static str,
    run: fn(&Target) -> Outcome,
    /// Every connection is ended by the gateway.
    is_cut: bool,
    /// It counts as a flood.
    is_flood: bool,
    /// What memory may grow by, in KiB.
    growth: u64,
}

impl Attack {
    /// One whose connections are all ended.
    const fn cut(name: &'static str, run: fn(&Target) -> Outcome) -> Self {
        Self { name, run, is_cut: true, is_flood: false, growth: GROWTH_KIB }
    }

    /// One whose connections are all ended, as floods.
    const fn flood(name: &'static str, run: fn(&Target) -> Outcome) -> Self {
        Self { is_flood: true, ..Self::cut(name, run) }
    }

    /// One that goes on, and does no harm.
    const fn bounded(name: &'static str, run: fn(&Target) -> Outcome) -> Self {
        Self { is_cut: false, ..Self::cut(name, run) }
    }
}

const ATTACKS: &[Attack] = &[
    Attack::flood("rapid reset", cheap_frames::rapid_reset),
    Attack::flood("resets that the gateway is made to send", cheap_frames::made_to_reset),
    Attack::flood("PING", cheap_frames::ping),
    Attack::flood("SETTINGS", cheap_frames::settings),
    Attack::flood("empty DATA", cheap_frames::empty_data),
    Attack::flood("PRIORITY", cheap_frames::priority),
    Attack::flood("WINDOW_UPDATE of one byte", cheap_frames::window_update),
    Attack::flood("CONTINUATION without end", cheap_frames::continuation),
    Attack::flood("a header list of references", streams::references),
    Attack::cut("slow heads", slow::heads),
    Attack::cut("slow handshakes", slow::handshakes),
    Attack::cut("slow bodies", slow::bodies),
    Attack::cut("slow reads", slow::reads),
    Attack::cut("garbage instead of TLS", slow::garbage),
    // The last: memory that it leaves free would hide what others take.
    Attack { growth: streams::GROWTH_KIB, ..Attack::bounded("5,000 streams without a window", streams::no_window) },
];

#[test]
fn attacks_do_no_harm_to_others() {
    // Thousands of connections need as many descriptors.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("the soft limit can be raised to the hard one");
    let seconds = std::env::var("TOLLGATE_ATTACK_SECONDS").ok();
    let lasts = Duration::from_secs(seconds.map_or(2, |text| text.parse().expect("a number of seconds")));
    let only = std::env::var("TOLLGATE_ATTACK").unwrap_or_default();
    let origin = servers::origin();
    let issued = Authority::new("a").issue(&["a.test"]);
    let secure = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let builder = Gateway::builder(YAML).file("a.crt", &issued.cert).file("a.key", &issued.key);
    let gateway = builder.var("origin", origin.to_string()).var("secure", secure.to_string()).start();
    // What the first requests cost, is paid before.
    Traffic::of(&gateway, BEFORE);
    let harm: Vec<String> = ATTACKS
        .iter()
        .filter(|attack| attack.name.contains(&only))
        .filter_map(|attack| {
            // Others use this machine as well: what was slow once must be slow again.
            let first = harm(attack, &gateway, secure, lasts).err()?;
            figure(&format!("{}: once more, for {first}", attack.name));
            harm(attack, &gateway, secure, lasts).err()
        })
        .collect();
    assert!(harm.is_empty(), "{harm:#?}");
}

/// Runs an attack and says what it harmed.
fn harm(attack: &Attack, gateway: &Gateway, secure: SocketAddr, lasts: Duration) -> Result<(), String> {
    let floods = || gateway.metrics().get("tollgate_h2_floods_total").unwrap_or(0);
    let before = Traffic::of(gateway, BEFORE);
    let (floods_before, memory) = (floods(), gateway.rss_kib());
    let target = Target { address: gateway.address(), secure, until: Instant::now() + lasts };
    let over = AtomicBool::new(false);
    let normal = Normal::start(gateway.address());
    let (outcome, most) = thread::scope(|scope| {
        let most = scope.spawn(|| {
            let mut most = memory;
            while !over.load(Ordering::Acquire) {
                most = most.max(gateway.rss_kib());
                thread::sleep(Duration::from_millis(10));
            }
            most
        });
        let outcome = (attack.run)(&target);
        over.store(true, Ordering::Release);
        (outcome, most.join().expect("the memory is watched"))
    });
    let during = normal.stop();
    let (grown, counted) = (most - memory, floods() - floods_before);
    let name = attack.name;
    figure(&format!("{name}: {outcome:?}, {counted} floods, +{grown} KiB; before {before}, during {during}"));
    let bound = TOLERANCE.max(before.p99 * 3);
    let flawed = [
        (during.requests == 0, "no request passed"),
        (during.failures > 0, "requests failed"),
        (during.p99 > bound, "requests were slow"),
        (grown > attack.growth, "memory grew"),
        (outcome.connections == 0, "it did not run"),
        (attack.is_cut && outcome.cut < outcome.connections, "it was not cut off"),
        (attack.is_flood && counted < outcome.connections as u64, "it was not counted"),
    ];
    let flaws: Vec<&str> = flawed.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
    if flaws.is_empty() {
        return Ok(());
    }
    Err(format!("{name}: {}; {outcome:?}, {counted} floods, +{grown} KiB, {before} became {during}", flaws.join(", ")))
}
