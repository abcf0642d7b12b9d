//! Runs cases: one origin and one gateway for each configuration a file names.
//!
//! `CORPUS_TARGET=host:port` sends everything to a proxy that runs already; its back end is the port that
//! `CORPUS_ORIGIN_PORT` gives. Only the cases of one configuration run then: `default`, or what `CORPUS_CONFIG` names.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tollgate_testkit::{Client, Exchange, Gateway, Origin, Request, Response, Stop, show};

use crate::corpus::case::{After, Case, Outcome, Split, Then, parse};
use crate::corpus::check;

/// How long a case waits for an answer or for the end of the connection.
const WAIT: Duration = Duration::from_secs(4);
/// Peers fail often, and each failure takes as long as this.
const PEER_WAIT: Duration = Duration::from_millis(500);

const CONFIGS: &[(&str, &str)] = &[
    ("default", include_str!("default.yaml")),
    ("limits", include_str!("limits.yaml")),
    ("trusted", include_str!("trusted.yaml")),
];

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What a case brought about.
pub(crate) struct Seen {
    /// The answer where each was due.
    pub(crate) answers: Vec<Result<Response, Stop>>,
    /// Whether the connection was then as it must be.
    pub(crate) tail: Result<(), String>,
    /// All that the gateway sent.
    pub(crate) raw: Vec<u8>,
    /// What the origin got of this case.
    pub(crate) requests: Vec<Request>,
    /// The connections on which the origin then got a request of another client.
    pub(crate) reused: bool,
    /// Where the origin is: nothing of it may reach the client.
    pub(crate) origin: SocketAddr,
    /// Whether this is Tollgate rather than a peer.
    pub(crate) own: bool,
}

/// Runs all cases of a file and panics with a report of those that failed.
pub(crate) fn file(name: &str, text: &str) {
    let peer = std::env::var("CORPUS_TARGET").ok();
    let only = peer.as_ref().map(|_| std::env::var("CORPUS_CONFIG").unwrap_or_else(|_| "default".into()));
    let pick = std::env::var("CORPUS_CASE").ok();
    let cases = parse(name, text);
    let (mut ran, mut failures) = (0, Vec::new());
    for (config, yaml) in CONFIGS {
        let wanted = |case: &&Case| {
            case.config == *config
                && only.as_ref().is_none_or(|only| only == config)
                && pick.as_ref().is_none_or(|pick| case.name.contains(pick.as_str()))
        };
        let cases: Vec<&Case> = cases.iter().filter(wanted).collect();
        if cases.is_empty() {
            continue;
        }
        let stage = Stage::new(yaml, peer.as_deref());
        for case in cases {
            ran += 1;
            failures.extend(stage.run(case));
        }
    }
    assert!(peer.is_some() || pick.is_some() || ran == cases.len(), "{ran} of {} cases ran", cases.len());
    let failed = failures.len();
    assert!(failed == 0, "{name}: {failed} of {ran} cases failed\n\n{}", failures.join("\n"));
}

/// What the origin answers to the requests of the case at hand.
type Script = Arc<Mutex<Option<(Vec<u8>, After)>>>;

struct Stage {
    target: SocketAddr,
    origin: Origin,
    script: Script,
    gateway: Option<Gateway>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Stage {
    fn new(yaml: &str, peer: Option<&str>) -> Self {
        let script = Script::default();
        let scripted = Arc::clone(&script);
        let handler = move |exchange: &mut Exchange<'_>| answer(exchange, &scripted);
        let Some(peer) = peer else {
            let origin = Origin::start(handler);
            let gateway = Gateway::start(yaml, &[&origin]);
            return Stage { target: gateway.address(), origin, script, gateway: Some(gateway), _turn: None };
        };
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let port = std::env::var("CORPUS_ORIGIN_PORT").expect("CORPUS_TARGET needs CORPUS_ORIGIN_PORT");
        let origin = Origin::start_on(port.parse().expect("a port"), handler);
        let target = peer.parse().expect("CORPUS_TARGET is address:port");
        Stage { target, origin, script, gateway: None, _turn: Some(turn) }
    }

    /// Runs one case, once for each way to cut it, and reports the first failure.
    fn run(&self, case: &Case) -> Option<String> {
        let ways = match case.split {
            Split::No | Split::Bytes => 1,
            Split::Each => case.send.len() - 1,
        };
        (1..=ways).find_map(|at| {
            let seen = self.perform(case, at);
            let problems = check::case(case, &seen);
            (!problems.is_empty()).then(|| report(case, &seen, &problems, (ways > 1).then_some(at)))
        })
    }

    fn wait(&self) -> Duration {
        if self.gateway.is_some() { WAIT } else { PEER_WAIT }
    }

    fn perform(&self, case: &Case, at: usize) -> Seen {
        let address = self.origin.address().to_string();
        *self.script.lock().unwrap() = case.answer.as_ref().map(|bytes| (fill(bytes, &address), case.after));
        let before = self.origin.requests().len();
        let mut client = Client::connect(self.target);
        client.patience(self.wait());
        // It may answer and close before everything is sent.
        let _ = match case.split {
            Split::No => client.try_send(&case.send),
            Split::Bytes => client.send_pieces(case.send.chunks(1)),
            Split::Each => client.send_pieces([&case.send[..at], &case.send[at..]]),
        };
        if case.half_close {
            client.half_close();
        }
        let mut answers = Vec::new();
        for index in 0..case.outcomes.len() {
            answers.push(client.response(&case.method(index)));
            if answers.last().is_some_and(Result::is_err) {
                break;
            }
        }
        let tail = match case.then() {
            _ if answers.last().is_some_and(Result::is_err) => Ok(()),
            Then::Any => Ok(()),
            Then::Close => client.closes(),
            Then::Open => probe(&mut client),
        };
        let mut other = Client::connect(self.target);
        other.patience(self.wait());
        let barrier = probe(&mut other).map_err(|error| format!("for another client: {error}"));
        let mut requests = self.origin.requests().split_off(before);
        let used: Vec<usize> = requests.iter().filter(|r| !is_probe(r)).map(|r| r.connection).collect();
        let reused = requests.iter().any(|r| is_probe(r) && used.contains(&r.connection));
        requests.retain(|request| !is_probe(request));
        let raw = client.received();
        let (origin, own) = (self.origin.address(), self.gateway.is_some());
        Seen { answers, tail: tail.and(barrier), raw, requests, reused, origin, own }
    }
}

/// Puts the origin's address in the place of `{origin}`.
fn fill(bytes: &[u8], address: &str) -> Vec<u8> {
    const NAME: &[u8] = b"{origin}";
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(address.as_bytes());
        rest = &rest[at + NAME.len()..];
    }
    out.extend_from_slice(rest);
    out
}

const PROBE: &str = "/__probe";

fn is_probe(request: &Request) -> bool {
    request.target == PROBE
}

fn probe(client: &mut Client) -> Result<(), String> {
    let sent = client.try_send(format!("GET {PROBE} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    sent.map_err(|error| format!("the next request could not be sent: {error}"))?;
    match client.response("GET") {
        Ok(response) if response.status == 200 && response.text() == "ok" => Ok(()),
        Ok(response) => Err(format!("the next request got {} {:?}", response.status, response.text())),
        Err(stop) => Err(format!("the next request got {stop:?}")),
    }
}

fn answer(exchange: &mut Exchange<'_>, script: &Script) {
    if !exchange.read_body().is_complete() {
        return exchange.close();
    }
    let scripted = script.lock().unwrap().clone().filter(|_| !is_probe(&exchange.request));
    let Some((bytes, after)) = scripted else {
        let body = if exchange.request.method == "HEAD" { "" } else { "ok" };
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}"));
        return;
    };
    exchange.send(bytes);
    match after {
        After::Keep => {}
        After::Close => exchange.close(),
        After::Reset => exchange.reset(),
    }
}

fn report(case: &Case, seen: &Seen, problems: &[String], at: Option<usize>) -> String {
    let mut out = format!("=== {}/{}: {}\n", case.file, case.name, case.why);
    let expected: Vec<String> = case.outcomes.iter().map(|o| alternatives(o)).collect();
    let cut = at.map(|at| format!(" (cut after byte {at})")).unwrap_or_default();
    let _ = writeln!(out, "expected {} then {:?}", expected.join(", "), case.then());
    let _ = writeln!(out, "sent{cut}:\n{}", show(&case.send));
    if let Some(answer) = &case.answer {
        let _ = writeln!(out, "the origin sent:\n{}", show(answer));
    }
    let _ = writeln!(out, "came:\n{}", show(&seen.raw));
    for request in &seen.requests {
        let _ = writeln!(out, "the origin got: {} {:?} {:?}", request.line(), request.fields, request.body);
    }
    for problem in problems {
        let _ = writeln!(out, "WRONG: {problem}");
    }
    out
}

/// Statuses as the files write them.
pub(crate) fn alternatives(outcomes: &[Outcome]) -> String {
    let one = |outcome: &Outcome| match outcome {
        Outcome::Status(status) => status.to_string(),
        Outcome::Closed => "closed".into(),
    };
    outcomes.iter().map(one).collect::<Vec<_>>().join("|")
}
