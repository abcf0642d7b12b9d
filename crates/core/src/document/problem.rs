//! What is wrong with a document, where, and what would help.

use super::Span;
use serde::Serialize;
use std::fmt;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the document can be used all the same.
    pub severity: Severity,
    /// What sort of mistake it is.
    pub kind: Kind,
    /// Where in the tree: `routes[2].plugins[0].config.minute`. Empty for the document itself.
    pub path: String,
    /// Where in the file.
    pub span: Option<Span>,
    /// What was expected and what was found.
    pub message: String,
    /// What would help, such as "did you mean `minute`?".
    pub help: Option<String>,
    /// Other places that have to do with it, such as the first of two equal names.
    pub related: Vec<Related>,
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The document can't be used.
    Error,
    /// The document can be used, but hardly says what was meant.
    Warning,
}

/// What sort of mistake a [`Problem`] is, for code that treats some of them in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The text can't be read as a document.
    Syntax,
    /// A key that nothing knows.
    UnknownKey,
    /// A key that must be there is not.
    MissingKey,
    /// A key or value that is known but does nothing yet.
    NotBuilt,
    /// Anything else.
    Invalid,
}

/// Another place that has to do with a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Where in the file.
    pub span: Span,
    /// What is there.
    pub message: String,
}

impl Problem {
    /// A mistake that stops the document from being used.
    #[must_use]
    pub fn error(path: impl Into<String>, span: Option<Span>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            kind: Kind::Invalid,
            path: path.into(),
            span,
            message: message.into(),
            help: None,
            related: Vec::new(),
        }
    }

    /// A mistake that leaves the document usable.
    #[must_use]
    pub fn warning(path: impl Into<String>, span: Option<Span>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, span, message) }
    }

    /// The same, of another sort.
    #[must_use]
    pub fn with_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same, with what would help.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same, with help where there is some.
    #[must_use]
    pub fn with_maybe_help(self, help: Option<String>) -> Self {
        Self { help: help.or(self.help), ..self }
    }

    /// The same, pointing at one more place.
    #[must_use]
    pub fn with_related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related { span, message: message.into() });
        self
    }

    /// Whether it stops the document from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether it is about the value at `path` or about something below it.
    #[must_use]
    pub fn is_within(&self, path: &str) -> bool {
        match self.path.strip_prefix(path) {
            Some(rest) => path.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        }
    }
}

/// One line: `12:7: routes[2].paths: expected a list, found the string "/"`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            write!(f, "{}:{}: ", span.start.line, span.start.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// The help "did you mean `x`?" for the one of `known` that is near to what was written, if any is.
#[must_use]
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, known).map(|name| format!("did you mean `{name}`?"))
}

fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(written);
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let candidate = fold(name);
        let distance = strsim::damerau_levenshtein(&folded, &candidate);
        // A third of the letters may differ. Anything more is a guess that misleads.
        let near = distance <= folded.chars().count().max(candidate.chars().count()) / 3;
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// `maxHeaders`, `max-headers` and `MAX_HEADERS` are all near to `max_headers`.
fn fold(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = ["minute", "second", "max_headers", "policy"];
        for (written, expected) in [
            ("minut", Some("minute")),
            ("mintue", Some("minute")),
            ("maxHeaders", Some("max_headers")),
            ("max-header", Some("max_headers")),
            ("Policy", Some("policy")),
            ("hour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), expected, "{written}");
        }
        assert_eq!(did_you_mean("minut", known).as_deref(), Some("did you mean `minute`?"));
    }

    #[test]
    fn within_means_at_or_below() {
        let problem = Problem::error("routes[1].name", None, "x");
        for (path, expected) in
            [("", true), ("routes", true), ("routes[1]", true), ("routes[1].name", true), ("routes[1].na", false)]
        {
            assert_eq!(problem.is_within(path), expected, "{path}");
        }
        assert!(!Problem::error("routes[12]", None, "x").is_within("routes[1]"));
    }
}
