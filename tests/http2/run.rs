//! Runs all cases, several at a time, and says what failed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tollgate_testkit::Origin;
use tollgate_testkit::http2::Http2;

use crate::http2::case::{Case, Expect, Talk};

/// Cases wait most of the time, so more of them run at once than there are cores.
const AT_ONCE: usize = 16;

/// What became of a case.
pub(crate) enum Outcome {
    Passed,
    /// With a less exact error code than the RFC wants.
    Remarked(String),
    Failed(String),
    Skipped,
}

/// Every case with its outcome, in order. `origin`, where it is known, tells whether a malformed request got through.
pub(crate) fn run(
    sections: &[&[Case]],
    dial: &(dyn Fn() -> Http2 + Sync),
    origin: Option<&Origin>,
    patience: Duration,
) -> Vec<(&'static str, Outcome)> {
    let pick = std::env::var("TOLLGATE_H2_CASE").unwrap_or_default();
    let cases: Vec<&Case> =
        sections.iter().flat_map(|cases| cases.iter()).filter(|case| case.name.contains(&pick)).collect();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return };
                    let mut http2 = dial();
                    http2.patience(patience);
                    let outcome = one(case, Talk::new(http2, path(number)));
                    outcomes.lock().unwrap().insert(number, (case.name, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    let served = origin.map(Origin::requests).unwrap_or_default();
    if let Some(smuggled) = served.iter().find(|request| request.fault.is_some() || request.target.contains("admin")) {
        let text = format!("the origin was given {smuggled:?}");
        outcomes.insert(cases.len(), ("8.2.1 nothing is smuggled to the origin", Outcome::Failed(text)));
    }
    for (number, case) in cases.iter().enumerate().filter(|(_, case)| case.expect.forbids_serving()) {
        if served.iter().any(|request| request.target == path(number) && request.is_complete()) {
            let outcome = Outcome::Failed("the origin was given the malformed request".into());
            outcomes.insert(number, (case.name, outcome));
        }
    }
    outcomes.into_values().collect()
}

/// The path of a case, by which the origin's requests are told apart.
fn path(number: usize) -> String {
    format!("/h2/{number}")
}

fn one(case: &Case, mut talk: Talk) -> Outcome {
    match case.run(&mut talk) {
        None => Outcome::Skipped,
        Some(Ok(())) => match talk.http2.remarks().first() {
            None => Outcome::Passed,
            Some(remark) => Outcome::Remarked(remark.clone()),
        },
        Some(Err(error)) => {
            let seen = talk.http2.seen();
            let last = seen.get(seen.len().saturating_sub(12)..).unwrap_or_default();
            let expected = match case.expect {
                Expect::Check(_) => String::new(),
                expect => format!("\n    expected {expect:?}"),
            };
            Outcome::Failed(format!("{error}{expected}\n    came: {last:?}"))
        }
    }
}

/// How many cases of a section passed, passed with a remark, failed, were skipped.
#[derive(Default)]
struct Count {
    passed: usize,
    remarked: usize,
    failed: usize,
    skipped: usize,
}

/// Panics with the failures, after a count for each section. Those that `known` names must fail; remarks count as
/// failures when `TOLLGATE_H2_STRICT` is set.
#[allow(clippy::print_stderr, reason = "the test runner shows it with the failure")]
pub(crate) fn report(outcomes: &[(&'static str, Outcome)], known: &[(&str, &str)]) {
    let strict = std::env::var_os("TOLLGATE_H2_STRICT").is_some();
    let mut sections: BTreeMap<&str, Count> = BTreeMap::new();
    let mut failures = Vec::new();
    for (name, outcome) in outcomes {
        let count = sections.entry(name.split(' ').next().unwrap_or_default()).or_default();
        let is_known = known.iter().any(|(known, _)| known == name);
        match outcome {
            Outcome::Passed if is_known => failures.push(format!("{name}\n    passes: no longer a known failure")),
            Outcome::Passed => count.passed += 1,
            Outcome::Skipped => count.skipped += 1,
            Outcome::Remarked(_) if !strict => count.remarked += 1,
            Outcome::Remarked(error) | Outcome::Failed(error) => {
                count.failed += 1;
                if !is_known {
                    failures.push(format!("{name}\n    {error}"));
                }
            }
        }
    }
    for (section, Count { passed, remarked, failed, skipped }) in &sections {
        eprintln!("{section:12} passed {passed:3}  another code {remarked:3}  failed {failed:3}  skipped {skipped:3}");
    }
    assert!(failures.is_empty(), "{} of {} cases failed\n{}", failures.len(), outcomes.len(), failures.join("\n"));
}
