//! What the demo prints: where everything runs, and each request with what it shows and what came of it.

use std::fmt::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::round::{Outcome, Places};
use super::steps::{Check, Content, Step};
use crate::report;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();

/// How much of a long answer is shown.
const EXCERPT: usize = 96;

/// What stands before the lines about a request, in the place of its verdict, status and time.
const INDENT: &str = "                     ";

/// Says where everything runs.
pub(crate) fn overview(places: &Places) {
    let title = report::bold("Three sample services, and Tollgate in front of them");
    let mut text = format!("{title}\n\n");
    let [first, second] = places.services.catalog;
    for (name, what) in [
        ("gateway", format!("http://{}", places.gateway)),
        ("admin API", format!("http://{}  /stats /metrics /config /healthz /readyz", places.admin)),
        ("orders", format!("http://{}", places.services.orders)),
        ("users", format!("http://{}", places.services.users)),
        ("catalog", format!("http://{first} and http://{second}")),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<11}{what}");
    }
    text.push_str("\nRequests to try, which the demo makes once by itself:\n");
    report::print(&text);
}

/// A heading.
pub(crate) fn subject(name: &str) {
    report::print(&format!("\n{}\n", report::bold(name)));
}

/// A step, and what came of it.
pub(crate) fn step(step: &Step, places: &Places, outcome: &Outcome) {
    let (style, verdict) = if outcome.faults.is_empty() { (GOOD, "OK") } else { (BAD, "FAILED") };
    let status = outcome.status.map_or_else(|| "---".to_owned(), |status| status.to_string());
    let mut text = format!("{style}{verdict:<6}{style:#} {status} {:>9} {}\n", time(outcome.time), step.shows);
    let _ = writeln!(text, "{INDENT}{COMMAND}{}{COMMAND:#}", curl(step, places));
    if !outcome.facts.is_empty() {
        let _ = writeln!(text, "{INDENT}{DIM}{}{DIM:#}", outcome.facts.join(" | "));
    }
    for fault in &outcome.faults {
        let _ = writeln!(text, "{INDENT}{BAD}{fault}{BAD:#}");
    }
    report::print(&text);
}

/// The last line of a round.
pub(crate) fn sum(good: usize, all: usize, took: Duration) {
    let style = if good == all { GOOD } else { BAD };
    report::print(&format!("\n{style}{good} of {all}{style:#} as expected, in {}\n", time(took)));
}

/// `1.2 ms`.
pub(crate) fn time(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// The beginning of an answer's content, on one line, if there is any.
pub(crate) fn excerpt(content: &str) -> Option<String> {
    let line = content.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return None;
    }
    Some(match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    })
}

/// The command that makes a step's request.
fn curl(step: &Step, places: &Places) -> String {
    let mut line = match step.content {
        Some(Content::Zeros(length)) => format!("head -c {length} /dev/zero | curl -i --data-binary @-"),
        // POST is what content means to curl.
        Some(Content::Text(text)) => format!("curl -i -d '{text}'"),
        // Without -N curl shows nothing until it has a buffer full.
        None if step.checks.iter().any(|check| matches!(check, Check::Streams)) => "curl -iN".to_owned(),
        None if step.method == "GET" => "curl -i".to_owned(),
        None => format!("curl -i -X {}", step.method),
    };
    for (name, value) in step.headers {
        let _ = write!(line, " -H '{name}: {value}'");
    }
    // curl counts through a range in brackets.
    let range = if step.times > 1 { format!("?n=[1-{}]", step.times) } else { String::new() };
    let url = format!("http://{}{}{range}", places.of(step.to), step.path);
    let quote = if url.contains(['?', '[', '&']) { "'" } else { "" };
    let _ = write!(line, " {quote}{url}{quote}");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_one_line() {
        assert_eq!(excerpt(" a\n b\r\n"), Some("a b".to_owned()));
        assert_eq!(excerpt("\n"), None);
        assert_eq!(excerpt(&"ä".repeat(200)), Some(format!("{}…", "ä".repeat(EXCERPT))));
    }

    #[test]
    fn times_have_one_decimal() {
        assert_eq!(time(Duration::from_micros(1250)), "1.2 ms");
        assert_eq!(time(Duration::ZERO), "0.0 ms");
    }
}
