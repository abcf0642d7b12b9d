//! What people read: results on standard output, everything else on standard error, in colour on a terminal only.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use tollgate_config::Loaded;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// Prints a result. A reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) -> ExitCode {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Prints a line of the program's own.
pub(crate) fn note(text: &str) {
    line(&format!("{GREEN}tollgate{GREEN:#}: {text}"));
}

/// Prints a warning.
pub(crate) fn warn(text: &str) {
    line(&format!("{YELLOW}warning{YELLOW:#}: {text}"));
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    line(&format!("{RED}error{RED:#}: {text}"));
}

/// Emphasis within a line.
pub(crate) fn bold(text: &str) -> String {
    format!("{BOLD}{text}{BOLD:#}")
}

fn line(text: &str) {
    // Nobody may be reading; there is nobody else to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Shows the problems of a config with their places.
pub(crate) fn problems(loaded: &Loaded) {
    if loaded.problems.is_empty() {
        return;
    }
    let color = std::io::stderr().is_terminal();
    let text = tollgate_config::render(&loaded.problems, &loaded.sources, color);
    let _ = write!(anstream::stderr(), "{text}");
}

/// `3 errors, 1 warning`.
pub(crate) fn count(loaded: &Loaded) -> String {
    let errors = loaded.problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = loaded.problems.len() - errors;
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "no problems".to_owned(),
        (errors, 0) => plural(errors, "error"),
        (0, warnings) => plural(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}
