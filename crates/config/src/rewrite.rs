//! The path that a request is sent on with: `/api/{id}` or `/api/$1`.

use crate::path::{PathError, canonical, is_capture_name};
use crate::text::written_as_text;
use std::fmt;
use std::str::FromStr;

/// What a path is rewritten to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewritePath {
    text: String,
    parts: Vec<RewritePart>,
}

/// A part of a [`RewritePath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewritePart {
    /// This text.
    Literal(String),
    /// `{name}`: what the path captured under this name.
    Capture(String),
    /// `$1`: what this group of a regex matched.
    Group(usize),
}

/// Why a text is not a [`RewritePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// It is not a sound path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It has braces that don't match.
    #[error("`{0}` has braces that don't match\nhelp: a capture is written as {{id}}")]
    Braces(String),
    /// It has a capture with a bad name.
    #[error("`{0}` is not a name for a capture")]
    CaptureName(String),
}

impl RewritePath {
    /// Its parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[RewritePart] {
        &self.parts
    }
}

impl FromStr for RewritePath {
    type Err = RewriteError;

    fn from_str(text: &str) -> Result<Self, RewriteError> {
        let path = canonical(text)?;
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = path.as_str();
        while let Some(at) = rest.find(['{', '}', '$']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            let (part, after) = special(text, from)?;
            match part {
                None => literal.push('$'),
                Some(part) => {
                    if !literal.is_empty() {
                        parts.push(RewritePart::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(part);
                }
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(RewritePart::Literal(literal));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

/// What a text that begins with a brace or a dollar sign begins with, and what follows. A `$` without digits is text.
fn special<'t>(whole: &str, text: &'t str) -> Result<(Option<RewritePart>, &'t str), RewriteError> {
    if let Some(rest) = text.strip_prefix('$') {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        return Ok(match rest[..digits].parse() {
            Ok(group) => (Some(RewritePart::Group(group)), &rest[digits..]),
            Err(_) => (None, rest),
        });
    }
    let braces = || RewriteError::Braces(whole.to_owned());
    let (name, after) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or_else(braces)?;
    if is_capture_name(name) {
        Ok((Some(RewritePart::Capture(name.to_owned())), after))
    } else if name.contains('{') {
        Err(braces())
    } else {
        Err(RewriteError::CaptureName(name.to_owned()))
    }
}

impl fmt::Display for RewritePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

written_as_text!(RewritePath, "a path such as /api/{id}", {
    "description": "A path with `{name}` for what a template captured and `$1` for what a group of a regex matched.",
    "pattern": "^/|\\$\\{",
    "examples": ["/api/{id}", "/v2/$1"],
});

#[cfg(test)]
mod tests {
    use super::*;
    use RewritePart::{Capture, Group, Literal};

    #[test]
    fn rewrites_are_read() {
        let literal = |text: &str| Literal(text.to_owned());
        for (text, parts) in [
            ("/", vec![literal("/")]),
            ("/api/{id}", vec![literal("/api/"), Capture("id".into())]),
            (
                "/$1/x{a}y/$12",
                vec![literal("/"), Group(1), literal("/x"), Capture("a".into()), literal("y/"), Group(12)],
            ),
            ("/cost$/$x", vec![literal("/cost$/$x")]),
        ] {
            assert_eq!(text.parse::<RewritePath>().unwrap().parts(), parts, "{text}");
        }
        for text in ["", "x", "/{a", "/a}", "/{}", "/{1}", "/{a{b}}", "/a?b={c}", "/../{a}", "/%zz"] {
            assert!(text.parse::<RewritePath>().is_err(), "{text}");
        }
        let huge = "/$99999999999999999999999";
        assert_eq!(huge.parse::<RewritePath>().unwrap().parts(), [literal(huge)]);
    }
}
