//! The first round: every request of [`super::steps`], made over real sockets, and whether the answers are as they must be.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, HOST};
use http_body_util::Full;
use serde_json::Value;

use super::client::{self, Answer, ClientError};
use super::services::Addresses;
use super::show;
use super::steps::{Check, Content, GROUPS, Step, To};

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) services: Addresses,
}

impl Places {
    pub(crate) const fn of(&self, to: To) -> SocketAddr {
        match to {
            To::Gateway => self.gateway,
            To::Orders => self.services.orders,
            To::Admin => self.admin,
        }
    }

    /// `text` with addresses in the place of their names.
    fn fill(&self, text: &str) -> String {
        text.replace("{gateway}", &self.gateway.to_string()).replace("{orders}", &self.services.orders.to_string())
    }
}

/// What came of a step.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The status, if there was an answer.
    pub(crate) status: Option<u16>,
    /// How long it took; of several answers, the mean.
    pub(crate) time: Duration,
    /// What is worth showing of the answer.
    pub(crate) facts: Vec<String>,
    /// What is not as it must be.
    pub(crate) faults: Vec<String>,
}

/// Makes all requests and prints each; whether all answers are as they must be.
pub(crate) async fn run(places: &Places) -> bool {
    let started = Instant::now();
    let (mut good, mut all) = (0, 0);
    for (subject, steps) in GROUPS {
        show::subject(subject);
        for step in steps {
            let outcome = take(step, places).await;
            all += 1;
            good += usize::from(outcome.faults.is_empty());
            show::step(step, places, &outcome);
        }
    }
    show::sum(good, all, started.elapsed());
    good == all
}

/// Makes a step's request as often as it says.
async fn take(step: &Step, places: &Places) -> Outcome {
    match ask(step, places).await {
        Ok(answers) => judge(step, places, &answers),
        Err(fault) => Outcome { faults: vec![fault], ..Outcome::default() },
    }
}

async fn ask(step: &Step, places: &Places) -> Result<Vec<Answer>, String> {
    let to = places.of(step.to);
    let mut answers = Vec::new();
    for number in 1..=step.times {
        let request = request(step, to, number).map_err(|error| error.to_string())?;
        answers.push(client::ask(to, request).await.map_err(|error: ClientError| error.to_string())?);
    }
    Ok(answers)
}

fn request(step: &Step, to: SocketAddr, number: usize) -> Result<Request<Full<Bytes>>, axum::http::Error> {
    let path = if step.times > 1 { format!("{}?n={number}", step.path) } else { step.path.to_owned() };
    let mut request = Request::builder().method(step.method).uri(path);
    if !step.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str())) {
        request = request.header(HOST, to.to_string());
    }
    for (name, value) in step.headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(match step.content {
        None => Bytes::new(),
        Some(Content::Text(text)) => Bytes::from_static(text.as_bytes()),
        Some(Content::Zeros(length)) => vec![0; length].into(),
    }))
}

/// Compares the answers to a step with what they must be.
fn judge(step: &Step, places: &Places, answers: &[Answer]) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(last) = answers.last() else { return outcome };
    outcome.status = Some(last.status);
    let total: Duration = answers.iter().map(|answer| answer.total).sum();
    outcome.time = total / u32::try_from(answers.len()).unwrap_or(1);
    if let Some(other) = answers.iter().find(|answer| answer.status != step.status) {
        outcome.faults.push(format!("expected status {}, got {}", step.status, other.status));
    }
    for check in step.checks {
        match verify(check, places, last, answers) {
            Ok(fact) => outcome.facts.extend(fact),
            Err(fault) => outcome.faults.push(fault),
        }
    }
    if outcome.facts.is_empty() {
        outcome.facts.extend(show::excerpt(&last.body));
    }
    outcome
}

/// What is worth showing of what was checked, or what is wrong.
fn verify(check: &Check, places: &Places, last: &Answer, answers: &[Answer]) -> Result<Option<String>, String> {
    let must = |holds: bool, fault: &dyn Fn() -> String| if holds { Ok(()) } else { Err(fault()) };
    match *check {
        Check::Header(name, part) => {
            let part = places.fill(part);
            let value = last.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let value = value.ok_or_else(|| format!("expected a header {name}, got none"))?;
            must(value.contains(&part), &|| format!("expected `{part}` in {name}, got `{value}`"))?;
            Ok(Some(format!("{name}: {value}")))
        }
        Check::Problem => {
            let problem =
                problem(last).ok_or_else(|| format!("expected a problem document, got `{}`", excerpt(last)))?;
            Ok(Some(problem))
        }
        Check::NoHeader(name) => {
            must(!last.headers.contains_key(name), &|| format!("expected no header {name}, got one"))?;
            Ok(Some(format!("no {name}")))
        }
        Check::Has(part) | Check::Says(part) => {
            must(last.body.contains(part), &|| format!("expected `{part}` in the content, got `{}`", excerpt(last)))?;
            Ok(matches!(check, Check::Says(_)).then(|| part.to_owned()))
        }
        Check::SaysNot(part) => {
            must(!last.body.contains(part), &|| {
                format!("expected no `{part}` in the content, got `{}`", excerpt(last))
            })?;
            Ok(Some(format!("no {part}")))
        }
        Check::Streams => Ok(Some(format!(
            "the first after {}, the last after {}",
            show::time(last.first_byte),
            show::time(last.total)
        ))),
        Check::Shares(shares) => {
            let mut fact = Vec::new();
            for (part, share) in shares {
                let count = answers.iter().filter(|answer| answer.body.contains(part)).count();
                must(count == *share, &|| format!("expected {share} answers of {part}, got {count}"))?;
                fact.push(format!("{part}: {count} of {}", answers.len()));
            }
            Ok(Some(fact.join(", ")))
        }
        Check::AllAlike => {
            must(answers.iter().all(|answer| answer.body == last.body), &|| "the answers are not alike".to_owned())?;
            Ok(None)
        }
    }
}

/// The title and the detail of a problem document.
fn problem(answer: &Answer) -> Option<String> {
    let media_type = answer.headers.get(CONTENT_TYPE)?;
    let document: Value = serde_json::from_str(&answer.body).ok()?;
    let is_right = media_type == "application/problem+json" && document.get("status")? == answer.status;
    let text = |key| document.get(key)?.as_str();
    is_right.then_some(format!("{}: {}", text("title")?, text("detail")?))
}

fn excerpt(answer: &Answer) -> String {
    show::excerpt(&answer.body).unwrap_or_default()
}
