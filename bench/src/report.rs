//! What was measured, judged and shown: the tables for people, the JSON for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::{median, paired_ratio, spread_percent};
use crate::table::{Paint, aligned, number};
use crate::workload::{Target, Workload};

/// What one round measured, by key. `errors` counts what went wrong within it.
pub(crate) type Sample = BTreeMap<&'static str, f64>;

/// The rounds of one subject.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) proxy: &'static str,
    pub(crate) rounds: Vec<Sample>,
    /// Why it couldn't be measured to the end.
    pub(crate) failure: Option<String>,
}

impl Row {
    fn series(&self, key: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|sample| sample.get(key)).copied().collect()
    }

    fn errors(&self) -> f64 {
        self.series("errors").iter().sum()
    }
}

/// A ratio beside its target.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) subject: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) ratio: Option<f64>,
    pub(crate) limit: Option<f64>,
    /// `None` where nothing was promised, or the peer isn't there to compare with.
    pub(crate) passed: Option<bool>,
}

/// A workload's outcome.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) workload: String,
    pub(crate) title: &'static str,
    /// The key that the ratios compare.
    pub(crate) cost: &'static str,
    pub(crate) medians: BTreeMap<String, BTreeMap<&'static str, f64>>,
    pub(crate) rows: Vec<Row>,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Outcome {
    pub(crate) fn new(workload: &Workload, name: String, rows: Vec<Row>) -> Self {
        let cost = workload.cost();
        let verdicts = workload.targets.iter().filter_map(|target| judge(target, cost, &rows)).collect();
        let medians = rows.iter().map(|row| (row.label.clone(), medians(row))).collect();
        Self { workload: name, title: workload.title, cost, medians, rows, verdicts }
    }

    /// Whether a promise was missed.
    pub(crate) fn missed(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.passed == Some(false))
    }

    /// The table and the ratios under it.
    pub(crate) fn lines(&self, workload: &Workload, paint: Paint) -> Vec<String> {
        let mut lines = vec![paint.title(&format!("{}: {}", self.workload, self.title))];
        let mut head = vec![String::new()];
        head.extend(workload.columns.iter().map(|column| column.title.to_owned()));
        head.insert(2, "±%".to_owned());
        let mut cells = vec![head];
        cells.extend(self.rows.iter().filter(|row| !row.rounds.is_empty()).map(|row| cells_of(row, workload)));
        lines.extend(aligned(&cells));
        for row in &self.rows {
            if let Some(failure) = &row.failure {
                lines.push(format!("  {} {}", paint.bad(&format!("{} failed:", row.label)), failure));
            }
            if row.errors() > 0.0 {
                lines.push(format!("  {}", paint.bad(&format!("{}: {} errors", row.label, number(row.errors(), 0)))));
            }
        }
        let told = self.verdicts.iter().filter(|verdict| verdict.ratio.is_some() || verdict.limit.is_some());
        lines.extend(told.map(|verdict| verdict.line(paint)));
        lines
    }
}

impl Verdict {
    fn line(&self, paint: Paint) -> String {
        let what = format!("  {} / {}", self.subject, self.peer);
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| number(ratio, 2));
        let Some(limit) = self.limit else {
            return format!("{what:<32}{ratio:>6}");
        };
        let verdict = match self.passed {
            Some(true) => paint.good("PASS"),
            Some(false) => paint.bad("FAIL"),
            None => paint.faint("not compared"),
        };
        format!("{what:<32}{ratio:>6}   at most {limit:.2}   {verdict}")
    }
}

fn medians(row: &Row) -> BTreeMap<&'static str, f64> {
    let keys: Vec<&'static str> = row.rounds.first().map(|sample| sample.keys().copied().collect()).unwrap_or_default();
    keys.into_iter().filter_map(|key| Some((key, median(&row.series(key))?))).collect()
}

fn cells_of(row: &Row, workload: &Workload) -> Vec<String> {
    let mut cells = vec![row.label.clone()];
    cells.extend(workload.columns.iter().map(|column| {
        median(&row.series(column.key)).map_or_else(|| "-".to_owned(), |value| number(value, column.decimals))
    }));
    let spread = spread_percent(&row.series(workload.cost()));
    cells.insert(2, spread.map_or_else(|| "-".to_owned(), |spread| number(spread, 0)));
    cells
}

/// `None` when the subject wasn't to be measured: then there is nothing to say.
fn judge(target: &Target, cost: &str, rows: &[Row]) -> Option<Verdict> {
    let row = |label: &str| rows.iter().find(|row| row.label == label);
    let subject = row(target.subject)?;
    let peer = row(target.peer).filter(|peer| peer.failure.is_none());
    let whole = subject.failure.is_none() && subject.errors() == 0.0;
    let ratio = peer.and_then(|peer| paired_ratio(&subject.series(cost), &peer.series(cost)));
    let passed = target.limit.and_then(|limit| {
        // Failing to serve misses every promise; a peer that isn't there judges nothing.
        if whole { ratio.map(|ratio| ratio <= limit) } else { Some(false) }
    });
    Some(Verdict { subject: target.subject, peer: target.peer, ratio, limit: target.limit, passed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WORKLOADS;

    fn row(label: &str, costs: &[f64]) -> Row {
        let sample = |cost: &f64| Sample::from([("cpu_us", *cost), ("errors", 0.0)]);
        Row { label: label.to_owned(), rounds: costs.iter().map(sample).collect(), ..Row::default() }
    }

    fn get(rows: Vec<Row>) -> Outcome {
        Outcome::new(&WORKLOADS[0], "get".to_owned(), rows)
    }

    #[test]
    fn promises_are_kept_or_missed() {
        let outcome =
            get(vec![row("tollgate", &[8.0, 8.2, 8.1]), row("haproxy", &[12.0, 12.0, 12.0]), row("nginx", &[9.0; 3])]);
        let passed: Vec<_> = outcome.verdicts.iter().map(|verdict| (verdict.peer, verdict.passed)).collect();
        assert_eq!(passed, [("haproxy", Some(true)), ("nginx", Some(false)), ("relay", None), ("envoy", None)]);
        assert!(outcome.missed());
    }

    #[test]
    fn an_absent_peer_judges_nothing() {
        let outcome = get(vec![row("tollgate", &[8.0])]);
        assert!(!outcome.missed());
        assert!(get(vec![row("nginx", &[9.0])]).verdicts.is_empty());
    }

    #[test]
    fn failing_to_serve_misses_every_promise() {
        let mut tollgate = row("tollgate", &[1.0]);
        tollgate.failure = Some("answers 404".to_owned());
        assert!(get(vec![tollgate, row("nginx", &[9.0])]).missed());
        let mut tollgate = row("tollgate", &[1.0]);
        tollgate.rounds[0].insert("errors", 3.0);
        assert!(get(vec![tollgate, row("nginx", &[9.0])]).missed());
    }

    #[test]
    fn the_table_shows_medians_and_verdicts() {
        let outcome = get(vec![row("tollgate", &[7.0, 9.0, 8.0]), row("nginx", &[16.0; 3])]);
        let text = outcome.lines(&WORKLOADS[0], Paint::plain()).join("\n");
        assert!(text.contains("tollgate            8.00  25"), "{text}");
        assert!(text.contains("tollgate / nginx                0.50   at most 0.80   PASS"), "{text}");
    }
}
