//! What is wrong with settings of TLS, or with the files that they name.

use std::fmt;
use tollgate_core::document::{Node, Problem, Severity};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which setting it is about, as a path below `tls`: `certificates[0].key`, `client_auth.crl[1]`, `ca`.
    pub setting: String,
    /// Whether the settings can be used all the same.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    pub(crate) fn error(setting: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), severity: Severity::Error, message: message.into(), help: help.into() }
    }

    pub(crate) fn warning(setting: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(setting, message, help) }
    }

    /// Whether it stops the settings from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same as a problem of a config, whose `tls` stands at `path` in `tree`.
    #[must_use]
    pub fn into_problem(self, tree: &Node, path: &str) -> Problem {
        let path = match self.setting.as_str() {
            "" => path.to_owned(),
            setting => format!("{path}.{setting}"),
        };
        let span = tree.span_at(&path);
        let problem = match self.severity {
            Severity::Error => Problem::error(path, Some(span), self.message),
            Severity::Warning => Problem::warning(path, Some(span), self.message),
        };
        problem.with_help(self.help)
    }
}

/// One line: `certificates[0].key: the file … can't be read: … (…)`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.setting, self.message, self.help)
    }
}
