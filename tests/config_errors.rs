//! Bad configurations: refused with exit 1 and a message that says where, what and what instead.
//! `config_errors/README.md` describes the cases.

mod case;
mod secrets;
mod start;

use case::{Case, parse};
use tollgate_testkit::Workplace;

/// The tables, and how many mistakes each holds.
const FILES: [(&str, &str); 5] = [
    ("general", include_str!("config_errors/general.case")),
    ("listeners", include_str!("config_errors/listeners.case")),
    ("services", include_str!("config_errors/services.case")),
    ("routes", include_str!("config_errors/routes.case")),
    ("plugins", include_str!("config_errors/plugins.case")),
];

fn cases(file: &str) -> Vec<Case> {
    let (_, text) = FILES.iter().find(|(name, _)| *name == file).expect("a table of this name");
    parse(file, text)
}

/// Runs every case of a table through `check` and `run`, and reports all that went wrong.
fn refused(file: &str) {
    let place = Workplace::new();
    let mut failures = Vec::new();
    for case in cases(file) {
        place.file("tollgate.yaml", case.text.as_bytes());
        let checked = place.run(&["check", "tollgate.yaml"], &[]);
        let mut wrong = case.wrong(checked.code, &checked.stderr);
        if !checked.stdout.is_empty() {
            wrong.push(format!("standard output is for results: {:?}", checked.stdout));
        }
        // The start is stopped by the same message.
        let ran = place.run(&["run"], &[]);
        wrong.extend(case.wrong(ran.code, &ran.stderr).into_iter().map(|wrong| format!("run: {wrong}")));
        if !wrong.is_empty() {
            failures.push(format!("{}/{}: {}\n{}", file, case.name, wrong.join("; "), checked.stderr));
        }
    }
    assert!(failures.is_empty(), "{} cases:\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn bad_files_are_refused() {
    refused("general");
}

#[test]
fn bad_listeners_are_refused() {
    refused("listeners");
}

#[test]
fn bad_services_are_refused() {
    refused("services");
}

#[test]
fn bad_routes_are_refused() {
    refused("routes");
}

#[test]
fn r72_bad_plugins_are_refused() {
    refused("plugins");
}

/// The tests of the tables run every case of them; together they are enough.
#[test]
fn there_are_at_least_180_bad_configurations() {
    let mut names: Vec<String> = FILES
        .iter()
        .flat_map(|(file, text)| parse(file, text))
        .map(|case| format!("{}/{}", case.file, case.name))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two cases share a name");
    assert!(count >= 180, "{count} cases");
}
