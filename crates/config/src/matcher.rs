//! Patterns for the values of headers and of query parameters.

use crate::path::compile;
use crate::text::written_as_text;
use std::fmt;
use std::str::FromStr;

/// A value, or a regular expression for values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValuePattern {
    /// This value only.
    Exact(String),
    /// `~^3\.`: a regular expression. Without the `~`.
    Regex(String),
}

/// Why a text is not a pattern for values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// It is not a regular expression.
    #[error("the regular expression is not valid: {0}")]
    Regex(String),
}

impl FromStr for ValuePattern {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let Some(regex) = text.strip_prefix('~') else { return Ok(Self::Exact(text.to_owned())) };
        compile(regex).map_err(MatcherError::Regex)?;
        Ok(Self::Regex(regex.to_owned()))
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => f.write_str(value),
            Self::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

written_as_text!(ValuePattern, "a string, or `~` and a regular expression", {
    "description": "A value, or `~` and a regular expression for values.",
    "examples": ["2", "~^3\\."],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        assert_eq!("2".parse(), Ok(ValuePattern::Exact("2".into())));
        assert_eq!("".parse(), Ok(ValuePattern::Exact(String::new())));
        assert_eq!("~^3\\.".parse(), Ok(ValuePattern::Regex("^3\\.".into())));
        let error = "~(".parse::<ValuePattern>().unwrap_err().to_string();
        assert_eq!(error, "the regular expression is not valid: unclosed group");
    }
}
