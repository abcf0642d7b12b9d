//! What must hold: what the case says, and what holds for every case.

use tollgate_testkit::{Body, End, Fields, Request, Response, Stop, latin1, show};

use crate::corpus::case::{Case, Check, Count, Outcome};
use crate::corpus::run::{Seen, alternatives};

/// Everything that is wrong with what was seen.
pub(crate) fn case(case: &Case, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, expected) in case.outcomes.iter().enumerate() {
        let Some(answer) = seen.answers.get(index) else {
            wrong.push(format!("answer {} is missing", index + 1));
            break;
        };
        let fits = expected.iter().any(|outcome| match (outcome, answer) {
            (Outcome::Status(status), Ok(response)) => response.status == *status,
            (Outcome::Closed, Err(stop)) => matches!(stop, Stop::Closed | Stop::Reset),
            _ => false,
        });
        if !fits {
            let got = answer.as_ref().map_or_else(|stop| format!("{stop:?}"), |r| r.status.to_string());
            wrong.push(format!("answer {}: {got}, not {}", index + 1, alternatives(expected)));
        }
    }
    if let Err(error) = &seen.tail {
        wrong.push(format!("after the answers: {error}"));
    }
    client(case, seen, &mut wrong);
    origin(case, seen, &mut wrong);
    invariants(case, seen, &mut wrong);
    wrong
}

fn client(case: &Case, seen: &Seen, wrong: &mut Vec<String>) {
    let Some(Ok(first)) = seen.answers.first() else {
        return;
    };
    if let Some(expected) = &case.interim {
        let interim: Vec<u16> = first.interim.iter().map(|(status, _)| *status).collect();
        if interim != *expected {
            wrong.push(format!("informational answers {interim:?}, not {expected:?}"));
        }
    }
    let truncation = case.client.contains(&Check::Truncated);
    // The checks describe the answer that the first alternative names.
    let main = case.outcomes.first().and_then(|o| o.first()).copied();
    if main != Some(Outcome::Status(first.status)) {
        return;
    }
    if truncation && first.body.is_complete() {
        wrong.push("the body looks complete".into());
    }
    for check in &case.client {
        let checked = check_message(check, &first.fields, &first.body, None);
        wrong.extend(checked.err().map(|error| format!("the answer {error}")));
    }
}

fn origin(case: &Case, seen: &Seen, wrong: &mut Vec<String>) {
    let answered = seen.answers.iter().flatten().filter(|r| r.status < 400).count();
    let as_named = case.outcomes.iter().zip(&seen.answers).all(
        |(outcomes, answer)| matches!((outcomes.first(), answer), (Some(Outcome::Status(s)), Ok(r)) if r.status == *s),
    );
    let mut count = |what: &str, expected: Count, got: usize| {
        let expected = match expected {
            Count::Any => return,
            Count::Answered if case.answer.is_some() => return,
            Count::Answered => answered,
            // A number describes the first alternatives.
            Count::Exactly(1..) if !as_named => return,
            Count::Exactly(number) => number,
        };
        if got != expected {
            wrong.push(format!("the origin saw {got} {what}, not {expected}"));
        }
    };
    count("requests", case.requests, seen.requests.len());
    count("complete requests", case.complete, seen.requests.iter().filter(|r| r.is_complete()).count());
    if case.never_reused && seen.reused {
        wrong.push("the origin's connection was used again".into());
    }
    let mut lines = seen.requests.iter();
    for check in &case.origin {
        let request = if matches!(check, Check::Line(_)) { lines.next() } else { seen.requests.first() };
        // Where the case allows a refusal, nothing was seen.
        let Some(request) = request else {
            let may_refuse = case.outcomes.iter().flatten().any(|o| !matches!(o, Outcome::Status(200..400)));
            if !may_refuse {
                wrong.push(format!("the origin saw no request to check {check:?} on"));
            }
            continue;
        };
        let checked = check_message(check, &request.fields, &request.body, Some(request));
        wrong.extend(checked.err().map(|error| format!("the origin's request {error}")));
    }
}

fn check_message(check: &Check, fields: &Fields, body: &Body, request: Option<&Request>) -> Result<(), String> {
    let all = |name| fields.all(name).collect::<Vec<_>>();
    match check {
        Check::Has(name, None) if !fields.has(name) => Err(format!("lacks {name}")),
        Check::Has(name, Some(value)) if all(name) != [value.as_str()] => {
            Err(format!("has {name}: {:?}, not {value:?}", all(name)))
        }
        Check::Lacks(name) if fields.has(name) => Err(format!("has {name}: {:?}", all(name))),
        Check::ValueLacks(name, text) if all(name).iter().any(|value| value.contains(text)) => {
            Err(format!("has {name}: {:?}", all(name)))
        }
        Check::Body(bytes) if body.bytes != *bytes => {
            Err(format!("has the body {:?}, not {:?}", show(&body.bytes), show(bytes)))
        }
        Check::BodyLacks(text) if latin1(&body.bytes).contains(text) => Err(format!("has {text:?} in its body")),
        Check::Trailer(name, value) if body.trailers.get(name) != Some(value) => {
            Err(format!("has the trailers {:?}, not {name}: {value}", body.trailers))
        }
        Check::LacksTrailer(name) if body.trailers.has(name) => Err(format!("has the trailer {name}")),
        Check::Line(line) if request.is_none_or(|r| r.line() != *line) => {
            Err(format!("is {:?}, not {line:?}", request.map(Request::line).unwrap_or_default()))
        }
        _ => Ok(()),
    }
}

/// Fields about one connection, or that only the gateway may set.
const NEVER_FORWARDED: &[&str] = &[
    "keep-alive",
    "proxy-connection",
    "proxy",
    "http2-settings",
    "x-user-id",
    "x-tenant",
    "x-consumer-name",
    "x-consumer-groups",
    "x-credential-id",
];

fn invariants(case: &Case, seen: &Seen, wrong: &mut Vec<String>) {
    for request in &seen.requests {
        if let Some(fault) = &request.fault {
            wrong.push(format!("the origin got a malformed request: {fault}"));
        }
        if let End::Cut(Stop::Malformed(fault)) = &request.body.end {
            wrong.push(format!("the origin got a malformed body: {fault}"));
        }
        for (name, value) in request.fields.iter() {
            let plain = name.to_ascii_lowercase().replace('_', "-");
            let framing =
                name.contains('_') && matches!(plain.as_str(), "content-length" | "transfer-encoding" | "host");
            if framing || NEVER_FORWARDED.contains(&plain.as_str()) {
                wrong.push(format!("the origin got {name}: {value}"));
            }
        }
        let upgrade = request.fields.get("upgrade").unwrap_or_default();
        if upgrade.to_ascii_lowercase().contains("h2c") {
            wrong.push(format!("the origin got Upgrade: {upgrade}"));
        }
        for option in request.fields.all("connection").flat_map(|value| value.split(',')) {
            let option = option.trim().to_ascii_lowercase();
            if !matches!(option.as_str(), "keep-alive" | "close" | "upgrade" | "te") {
                wrong.push(format!("the origin got Connection: {option}"));
            }
        }
    }
    if latin1(&seen.raw).contains(&seen.origin.to_string()) {
        wrong.push("the answer names the origin's address".into());
    }
    for answer in &seen.answers {
        match answer {
            Ok(response) => own_errors(case, seen, response, wrong),
            Err(Stop::Malformed(fault)) => wrong.push(format!("the gateway's answer is malformed: {fault}")),
            Err(_) => {}
        }
    }
}

/// The gateway's own errors are problems as RFC 9457 writes them.
fn own_errors(case: &Case, seen: &Seen, response: &Response, wrong: &mut Vec<String>) {
    let from_origin = case.answer.is_some() && !matches!(response.status, 502 | 504);
    if !seen.own || response.status < 400 || from_origin {
        return;
    }
    let kind = response.fields.get("content-type").unwrap_or("nothing");
    if kind != "application/problem+json" {
        wrong.push(format!("an error of the gateway's own has the type {kind}"));
    }
    let text = response.text().replace(": ", ":");
    let problem = text.starts_with('{') && text.contains(&format!("\"status\":{}", response.status));
    if !(text.is_empty() || problem) {
        wrong.push(format!("an error of the gateway's own says {text:?}"));
    }
}
